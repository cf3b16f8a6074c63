"""What a run has done so far, counted for the person who watches it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlb_offline.scoring.outcome import Outcome


@dataclass
class Tally:
    """Counts of one session.

    Attributes:
        totals: slots of each dataset, in the order of the report.
        done: slots with an outcome, of each dataset, earlier sessions included.
        outcomes: slots by outcome over all datasets.
        retries: requests repeated in this session.
        before: slots that were done when the session began.
        judged: answers that the panel has judged, earlier sessions included.
        judged_before: of these, when the session began.
    """

    totals: Mapping[str, int]
    done: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    before: int = 0
    judged: int = 0
    judged_before: int = 0
    last_trouble: str = ""
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, totals: Mapping[str, int], counts: Mapping[tuple[str, str | None], int], judged: int = 0) -> Tally:
        """A tally that begins with what a store holds: (dataset, outcome or None) → slots, and answers judged."""
        tally = cls(totals, judged=judged, judged_before=judged)
        for (dataset, outcome), count in counts.items():
            if outcome is not None:
                tally.done[dataset] += count
                tally.outcomes[outcome] += count
        tally.before = tally.finished
        return tally

    def settle(self, dataset: str, outcome: str) -> None:
        """One more slot has an outcome."""
        self.done[dataset] += 1
        self.outcomes[outcome] += 1
        self.last_trouble = ""

    def judge(self) -> None:
        """One more answer is judged."""
        self.judged += 1

    def trouble(self, message: str) -> None:
        """A request came to nothing and will be made again; shown until something is settled."""
        self.retries += 1
        self.last_trouble = message

    @property
    def total(self) -> int:
        """Slots of the run."""
        return sum(self.totals.values())

    @property
    def finished(self) -> int:
        """Slots with an outcome."""
        return self.done.total()

    @property
    def to_judge(self) -> int:
        """Answers that have come and are for the panel, judged or not."""
        return self.outcomes[Outcome.UNJUDGED]

    def rate(self) -> float:
        """Slots a second, in this session."""
        return self._rate(self.finished - self.before)

    def seconds_left(self) -> float | None:
        """Estimate from the rates, of whichever takes longer, asking or judging what has come; None while nothing is
        known of either."""
        judging = self._rate(self.judged - self.judged_before)
        parts = [(self.total - self.finished, self.rate()), (self.to_judge - self.judged, judging)]
        known = [left / rate for left, rate in parts if rate > 0]
        return max(known) if known else None

    def _rate(self, done: int) -> float:
        elapsed = time.monotonic() - self.started
        return done / elapsed if elapsed > 0 else 0.0
