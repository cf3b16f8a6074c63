"""Puts answers to the judges, one after the other, in a thread of its own, while the engine goes on asking."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Sequence

from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.opening import Panel
from mlb_offline.judge.panel import Opinions
from mlb_offline.run.changes import Judged, Slot
from mlb_offline.run.plan import Plan
from mlb_offline.run.tally import Tally
from mlb_offline.run.writer import Writer

Waiting = tuple[Slot, int, str]
"""An answer that waits: its slot, the request that it came with, its text."""


class Judging:
    """One session's judging; made inside the running loop.

    Args:
        panel: the judges, opened.
        plan: knows the criteria.
        writer: commits.
        waiting: answers that earlier sessions left.
        tally: counts for the progress display.
    """

    def __init__(self, panel: Panel, plan: Plan, writer: Writer, waiting: Iterable[Waiting], *, tally: Tally) -> None:
        self._panel = panel
        self._plan = plan
        self._writer = writer
        self._tally = tally
        self._queue = deque(waiting)
        self._more = True
        self._stopping = False
        self._changed = asyncio.Event()

    def put(self, slot: Slot, attempt: int, text: str) -> None:
        """One more answer."""
        self._queue.append((slot, attempt, text))
        self._changed.set()

    def no_more(self) -> None:
        """Every answer has been put: end when the last is judged."""
        self._more = False
        self._changed.set()

    def stop(self) -> None:
        """Begin no other answer; asked a second time, leave the one under way too. Nothing is lost: it waits."""
        if self._stopping:
            self._panel.abort()
        self._stopping = True
        self._changed.set()

    async def run(self) -> None:
        """Judge what is put until there is no more, or until stopped.

        Raises:
            InputError: opinions could not be written.
            JudgeError: a judge failed at an answer.
        """
        while not self._stopping and (self._more or self._queue):
            if not self._queue:
                self._changed.clear()
                await self._changed.wait()
                continue
            slot, attempt, text = self._queue.popleft()
            opinions = await self._ask(self._plan.criteria(slot, text))
            if opinions is None:
                return
            await self._writer.commit([Judged(slot, attempt, opinions)])
            self._tally.judge()

    async def _ask(self, criteria: Sequence[Criterion]) -> Opinions | None:
        work = asyncio.ensure_future(asyncio.to_thread(self._panel.ask, criteria))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._panel.abort()
            while not work.done():  # the judges must not be freed under a thread that uses them
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({work})
            raise
