from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from mlb_offline.errors import InputError
from mlb_offline.run.changes import Change, Noted
from mlb_offline.run.events import EventType
from mlb_offline.run.writer import Writer


def note(number: int) -> Noted:
    return Noted(EventType.STARTED, {"n": number})


class SlowStore:
    """Holds its first commit back until told, and remembers what shared a commit."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.commits: list[list[int]] = []
        self.error = error

    def apply(self, changes: Iterable[Change]) -> None:
        self.commits.append([change.body["n"] for change in changes if isinstance(change, Noted)])
        self.begun.set()
        assert self.go.wait(10)
        if self.error is not None:
            raise self.error


def play(store: SlowStore, story: Any) -> Any:
    async def whole() -> Any:
        return await story(Writer(store))  # type: ignore[arg-type]

    return asyncio.run(whole())


def test_what_queues_up_during_a_commit_shares_the_next() -> None:
    store = SlowStore()

    async def story(writer: Writer) -> None:
        first = asyncio.create_task(writer.commit([note(0)]))
        await asyncio.to_thread(store.begun.wait)
        rest = [asyncio.create_task(writer.commit([note(n)])) for n in range(1, 6)]
        await asyncio.sleep(0)
        assert not first.done()
        closing = asyncio.create_task(writer.close())
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in rest)
        store.go.set()
        await asyncio.gather(first, *rest, closing)

    play(store, story)
    assert store.commits == [[0], [1, 2, 3, 4, 5]]


def test_a_commit_that_fails_fails_for_everyone_who_shares_it() -> None:
    store = SlowStore(InputError("full"))
    store.go.set()

    async def story(writer: Writer) -> None:
        with pytest.raises(InputError, match="full"):
            await writer.commit([note(0)])
        await writer.close()

    play(store, story)


@pytest.mark.parametrize("error", [None, InputError("full")])
def test_a_caller_who_leaves_does_not_take_the_commit_along(error: Exception | None) -> None:
    store = SlowStore(error)

    async def story(writer: Writer) -> None:
        task = asyncio.create_task(writer.commit([note(7)]))
        await asyncio.to_thread(store.begun.wait)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        store.go.set()
        await writer.close()

    play(store, story)
    assert store.commits == [[7]]


def test_nothing_to_commit_commits_nothing() -> None:
    store = SlowStore()

    async def story(writer: Writer) -> None:
        await writer.commit([])
        await writer.close()

    play(store, story)
    assert store.commits == []
