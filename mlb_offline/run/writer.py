"""The one writer of a run: a thread that commits what all connections bring, many changes to a commit.

Waiting for the disk must not keep the event loop from reading answers, and SQLite wants one writer. While one
commit waits for the disk, changes queue up and share the next; nobody goes on before the own change is on disk.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence

from mlb_offline.run.changes import Change
from mlb_offline.run.store import RunStore

_Job = tuple[Sequence[Change], "asyncio.Future[None]"]


class Writer:
    """Commits changes for coroutines of the running loop, until ``close``."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="run-writer", daemon=True)
        self._thread.start()

    async def commit(self, changes: Sequence[Change]) -> None:
        """Return when the changes are on the disk, all of them.

        Raises:
            InputError: they could not be written; none of them is.
        """
        if changes:
            done = self._loop.create_future()
            self._jobs.put((changes, done))
            # A caller that is cancelled here leaves its changes with the thread: an answer that came is kept.
            await done

    async def close(self) -> None:
        """Commit what is queued and end the thread."""
        self._jobs.put(None)
        while self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs, more = [job], True
            while more:
                try:
                    following = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    self._jobs.put(None)
                    more = False
                else:
                    jobs.append(following)
            self._commit(jobs)

    def _commit(self, jobs: Sequence[_Job]) -> None:
        failure: BaseException | None = None
        try:
            self._store.apply(change for changes, _done in jobs for change in changes)
        except BaseException as error:  # noqa: BLE001 - it is raised again where the change came from
            failure = error
        self._loop.call_soon_threadsafe(_settle, [done for _changes, done in jobs], failure)


def _settle(futures: Sequence[asyncio.Future[None]], failure: BaseException | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
