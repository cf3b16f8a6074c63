"""Asks what is pending, scores what comes, and commits it; nothing more.

A worker takes a slot, has the marker *request sent* committed, asks, and brings the outcome with its next commit
together with the next marker. So at any moment at most as many slots as there are workers are asked and not yet
committed: those, and only those, a resume asks again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from mlb_offline.errors import TargetError
from mlb_offline.run.changes import Answered, Change, Failed, Retried, Sent, Slot
from mlb_offline.run.judging import Judging
from mlb_offline.run.pace import Limits, Pace
from mlb_offline.run.patience import Asking, Patience, Verdict
from mlb_offline.run.plan import Plan
from mlb_offline.run.tally import Tally
from mlb_offline.run.writer import Writer
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.target.types import ItemFailed, Question, Response, Retry, Target

_CODE = re.compile(r"[a-z0-9-]{1,40}")


class Engine:
    """One session of a run; made inside the running loop.

    Args:
        target: opened and probed.
        plan: makes questions and scores answers.
        writer: commits.
        pending: slots to ask, with the requests already made for each.
        limits: bounds.
        tally: counts for the progress display.
        judging: receives the answers that are for the judges; None where no judge will see them.
    """

    def __init__(
        self,
        target: Target,
        plan: Plan,
        writer: Writer,
        pending: Iterable[tuple[Slot, int]],
        *,
        limits: Limits,
        tally: Tally,
        judging: Judging | None = None,
    ) -> None:
        self._target = target
        self._plan = plan
        self._writer = writer
        self._queue = deque(Asking(slot, attempts, attempts) for slot, attempts in pending)
        self._limits = limits
        self._tally = tally
        self._judging = judging
        self._workers = limits.concurrency if target.parallel else 1
        self._pace = Pace(self._workers)
        self._patience = Patience(limits, asyncio.get_running_loop().time)
        self._under_way = 0
        self._stopping = asyncio.Event()
        self._leaving = asyncio.Event()
        self._fault: BaseException | None = None

    @property
    def workers(self) -> int:
        """Most requests under way at once."""
        return self._workers

    def stop(self) -> None:
        """Send nothing more, and wait a little for what is under way; asked a second time, do not wait."""
        if self._stopping.is_set():
            self._leaving.set()
        self._stopping.set()

    async def run(self) -> None:
        """Work until nothing is pending, or until stopped.

        Raises:
            TargetError: the target is gone, refuses us, or only throttles; the run can be resumed.
            InputError: an answer could not be written.
        """
        everyone: asyncio.Future[Any] = asyncio.gather(*(self._work() for _ in range(self._workers)))
        stopping: asyncio.Future[Any] = asyncio.create_task(self._stopping.wait())
        leaving: asyncio.Future[Any] = asyncio.create_task(self._leaving.wait())
        first = asyncio.FIRST_COMPLETED
        try:
            await asyncio.wait({everyone, stopping}, return_when=first)
            await asyncio.wait({everyone, leaving}, timeout=self._limits.grace_seconds, return_when=first)
        finally:
            for task in (everyone, stopping, leaving):
                task.cancel()
            await asyncio.gather(everyone, stopping, leaving, return_exceptions=True)
        if self._fault is not None:
            raise self._fault

    async def _work(self) -> None:
        outcome: Sequence[Change] = ()
        try:
            while self._queue and not self._stopping.is_set():
                asking = self._queue.popleft()
                asking.attempt += 1
                await self._commit([*outcome, Sent(asking.slot, asking.attempt)])
                outcome = await self._ask(asking)
            await self._commit(outcome)
        except Exception as error:  # noqa: BLE001 - the first fault ends the session; run() raises it
            self._fault = self._fault or error
            self._stopping.set()

    async def _commit(self, changes: Sequence[Change]) -> None:
        await self._writer.commit(changes)
        for change in changes:
            if isinstance(change, Answered | Failed):
                self._tally.settle(change.slot.dataset, change.score.outcome.value)
            if self._judging and isinstance(change, Answered) and change.score.outcome is Outcome.UNJUDGED:
                self._judging.put(change.slot, change.attempt, str(change.response["text"]))

    async def _ask(self, asking: Asking) -> Sequence[Change]:
        """The outcome of a slot; nothing where it goes back to the queue or the session is ending."""
        asking.begin(self._patience.now())
        question = self._plan.question(asking.slot)
        while True:
            async with self._pace.permit() as turn:
                if self._stopping.is_set():
                    return ()
                asking.sent = self._patience.now()
                result = await self._request(question)
            match result:
                case Response():
                    self._heard()
                    score = self._plan.score(asking.slot, result)
                    return (Answered(asking.slot, asking.attempt, dataclasses.asdict(result), score),)
                case ItemFailed():
                    self._heard()
                    return (self._failed(asking, result.reason, result.message),)
            if result.throttled:
                self._pace.throttled(turn)
            wait = self._patience.wait(asking, result)
            if wait is None:
                return await self._used_up(asking, result)
            await self._pause(asking, result, wait)

    async def _request(self, question: Question) -> Response | ItemFailed | Retry:
        self._under_way += 1
        try:
            return await self._target.ask(question)
        except (ItemFailed, Retry) as fault:
            return fault
        finally:
            self._under_way -= 1

    def _heard(self) -> None:
        self._patience.heard()
        self._pace.answered()

    async def _pause(self, asking: Asking, fault: Retry, wait: float) -> None:
        """Note the retry, then wait."""
        asking.attempt += 1
        self._tally.trouble(fault.message)
        await self._commit([Retried(asking.slot, asking.attempt, _code(fault.cause), wait)])
        await self._sleep(wait)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not beyond the end of the session."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _used_up(self, asking: Asking, fault: Retry) -> Sequence[Change]:
        # Untried slots stand before those that were put back.
        untried = bool(self._queue) and self._queue[0].rounds == 0
        verdict = self._patience.used_up(asking, untried=untried, under_way=self._under_way)
        if verdict is Verdict.FAILED or (verdict is Verdict.PROBE and await self._is_well()):
            return (self._failed(asking, fault.cause, fault.message),)
        if self._patience.silent(self._under_way):
            raise self._patience.gone(fault)
        # Without a wait, a slot alone in the queue would be asked again at once, and again.
        await self._sleep(self._limits.backoff(self._limits.attempts))
        self._queue.append(asking)
        return ()

    async def _is_well(self) -> bool:
        try:
            await self._target.probe()
        except TargetError:
            return False
        return True

    def _failed(self, asking: Asking, code: str, message: str) -> Failed:
        reason = {"code": code, "message": message}
        return Failed(asking.slot, asking.attempt, reason, self._plan.failed(asking.slot, _code(code)))


def _code(cause: str) -> str:
    """A target's code as it may stand unencrypted in the log: a short code, never a server's own words."""
    return cause if _CODE.fullmatch(cause) else "other"
