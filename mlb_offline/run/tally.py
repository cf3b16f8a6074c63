"""What a run has done so far, counted for the person who watches it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts of one session.

    Attributes:
        totals: slots of each dataset, in the order of the report.
        done: slots with an outcome, of each dataset, earlier sessions included.
        outcomes: slots by outcome over all datasets.
        retries: requests repeated in this session.
        before: slots that were done when the session began.
    """

    totals: Mapping[str, int]
    done: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    before: int = 0
    last_trouble: str = ""
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, totals: Mapping[str, int], counts: Mapping[tuple[str, str | None], int]) -> Tally:
        """A tally that begins with what a store holds: (dataset, outcome or None) → slots."""
        tally = cls(totals)
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

    def rate(self) -> float:
        """Slots a second, in this session."""
        elapsed = time.monotonic() - self.started
        return (self.finished - self.before) / elapsed if elapsed > 0 else 0.0

    def seconds_left(self) -> float | None:
        """Estimate from the rate; None while nothing has been answered."""
        rate = self.rate()
        return (self.total - self.finished) / rate if rate > 0 else None
