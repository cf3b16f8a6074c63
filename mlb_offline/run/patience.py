"""Whose fault is it that no answer comes: the item's, or the target's?

An item that has used up its requests is *failed* only if the target was seen to be well: it answered somebody else
during the last of these requests; or it answered somebody since the item was last given up, and answers its probe; or
nothing is left but such items, and it answers its probe. Otherwise the item goes to the end of the queue and, if all
stays silent, the run stops (resumable), instead of marking as failed whatever was asked while a server was restarted.
Throttling never fails an item.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mlb_offline.errors import TargetError
from mlb_offline.language import tr
from mlb_offline.run.changes import Slot
from mlb_offline.run.pace import Limits
from mlb_offline.target.types import Retry

_TRIED_BEFORE = 2
"""Requests of earlier sessions that make an item suspect: one may have been cut off by the end of its session."""


@dataclass
class Asking:
    """One slot while it is being asked; times are those of ``Patience.now``.

    Attributes:
        attempt: requests made so far, earlier sessions included.
        earlier: those of earlier sessions.
        rounds: how often its requests were used up in this session.
        failures: requests of this round that came to nothing, throttling not counted.
        throttles: refusals for load in a row, and since when.
        began: when this round began; pushed on by waits for throttling.
        first: when the first request of this session left.
        sent: when the latest request left.
        gave_up: when the round before this one ended.
    """

    slot: Slot
    attempt: int
    earlier: int
    rounds: int = 0
    failures: int = 0
    throttles: int = 0
    throttled_since: float = 0.0
    began: float = 0.0
    first: float = math.inf
    sent: float = 0.0
    gave_up: float = 0.0

    def begin(self, now: float) -> None:
        """A new round of requests for this slot."""
        self.began = now
        self.first = min(self.first, now)
        self.failures = self.throttles = 0


class Verdict(Enum):
    """What becomes of an item whose requests are used up."""

    FAILED = "failed"
    LATER = "later"
    PROBE = "probe"  # failed if the target answers its probe, else later


class Patience:
    """Bounds the waiting of one session. ``now`` is the loop's clock, in seconds."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._limits = limits
        self.now = now
        self._heard = now()
        self._silent_failures = 0

    def heard(self) -> None:
        """The target answered somebody."""
        self._heard = self.now()
        self._silent_failures = 0

    def wait(self, asking: Asking, fault: Retry) -> float | None:
        """Seconds until the next request for this slot; None where its requests are used up.

        Raises:
            TargetError: the target only throttles.
        """
        if fault.throttled:
            return self._wait_throttled(asking, fault)
        asking.failures += 1
        asking.throttles = 0
        self._silent_failures += 1
        if self.silent():
            return None
        wait = max(fault.after or 0.0, self._limits.backoff(asking.failures))
        late = self.now() + wait - asking.began > self._limits.item_seconds
        return None if late or asking.failures >= self._limits.attempts else wait

    def _wait_throttled(self, asking: Asking, fault: Retry) -> float:
        now = self.now()
        asking.throttles += 1
        if asking.throttles == 1:
            asking.throttled_since = now
        wait = max(fault.after or 0.0, self._limits.backoff(asking.throttles))
        if now + wait - max(self._heard, asking.throttled_since) > self._limits.throttled_seconds:
            raise TargetError(
                tr(
                    f"目标一直以“请求过多”（429）拒绝；还需等待 {wait:.0f} 秒",
                    f"the target does nothing but refuse for load (429); the next wait would be {wait:.0f} s",
                ),
                remedy=tr(
                    "等限额恢复，或用更小的 --concurrency 继续",
                    "resume when its quota is back, or with a smaller --concurrency",
                ),
            )
        asking.began += wait
        return wait

    def used_up(self, asking: Asking, *, untried: bool, under_way: int) -> Verdict:
        """What becomes of a slot whose requests are used up.

        Args:
            asking: the slot.
            untried: other slots wait that were not asked yet.
            under_way: requests of other slots that are out now.
        """
        before, asking.gave_up = asking.gave_up, self.now()
        asking.rounds += 1
        if self._heard > asking.sent:
            return Verdict.FAILED
        if asking.rounds > 1 and self._heard > before:
            return Verdict.PROBE
        known = self._heard > asking.first or asking.earlier >= _TRIED_BEFORE
        return Verdict.PROBE if known and not untried and self.silent(under_way) else Verdict.LATER

    def silent(self, under_way: int | None = None) -> bool:
        """Whether nobody was answered for too long; with ``under_way`` 0, few failures are enough to say so."""
        long = self.now() - self._heard >= self._limits.silence_seconds
        return long and (self._silent_failures >= self._limits.silence_failures or under_way == 0)

    def gone(self, fault: Retry) -> TargetError:
        """The error with which a session ends whose target is gone."""
        silent = self.now() - self._heard
        return TargetError(
            tr(
                f"目标已有 {silent:.0f} 秒没有回答（{fault.message}）",
                f"the target has not answered for {silent:.0f} s ({fault.message})",
            ),
            remedy=tr(
                "检查模型服务器；若它只是慢，增大 timeout_s 或减小 --concurrency；然后继续运行",
                "look at the model server; if it is only slow, raise timeout_s or lower --concurrency; then resume",
            ),
        )
