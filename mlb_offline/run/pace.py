"""How many requests may be under way, and how long to wait before asking again.

Only throttling (HTTP 429) shrinks the number: it halves at the first refusal of each round and grows back by one
after as many answers as it allows at a time (additive increase, multiplicative decrease). Errors and time-outs say
nothing about load and leave it alone.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of a run; times in seconds.

    Attributes:
        concurrency: most requests under way at once.
        attempts: requests for one item that may come to nothing (429 not counted) before it is given up.
        first_wait: wait before the second request; doubles each time, with jitter between half and whole.
        longest_wait: upper end of that doubling.
        item_seconds: after this long no further request is made for an item.
        silence_seconds: with no answer to anybody for this long, the target counts as gone.
        silence_failures: and with at least this many requests come to nothing meanwhile.
        throttled_seconds: with nothing but 429 for this long, the run stops.
        grace_seconds: how long an interrupted run waits for what is under way.
    """

    concurrency: int = 8
    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 30.0
    item_seconds: float = 300.0
    silence_seconds: float = 120.0
    silence_failures: int = 5
    throttled_seconds: float = 600.0
    grace_seconds: float = 10.0

    def backoff(self, failures: int) -> float:
        """Seconds to wait after the ``failures``-th request (from 1) that came to nothing."""
        longest = min(self.longest_wait, self.first_wait * 2.0 ** min(failures - 1, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret


class Pace:
    """Permits for requests, as many at a time as the target bears."""

    def __init__(self, concurrency: int) -> None:
        self._most = concurrency
        self._limit = concurrency
        self._active = 0
        self._answers = 0
        self._round = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """Requests allowed at once now, at least 1."""
        return self._limit

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[int]:
        """Wait for a turn and hold it; the value is to be given to ``throttled``.

        Giving the turn back awaits nothing: a cancellation there would lose the answer that just came.
        """
        while self._active >= self._limit:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self._active += 1
        try:
            yield self._round
        finally:
            self._active -= 1
            self._wake()

    def _wake(self) -> None:
        for _ in range(self._limit - self._active):
            while self._waiting:
                turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    break

    def throttled(self, asked_in: int) -> None:
        """A request was refused for load. Requests that left before the last cut do not cut again."""
        if asked_in == self._round:
            self._round += 1
            self._limit = max(1, self._limit // 2)
            self._answers = 0

    def answered(self) -> None:
        """A request was answered."""
        self._answers += 1
        if self._limit < self._most and self._answers >= self._limit:
            self._limit += 1
            self._answers = 0
            self._wake()
