"""How many items of a dataset a physician must label for its gate to be decided.

Certification labels a random sample of items, each drawn with one share, and asks whether the prediction-powered bound
(``stats.powered``) reaches the gate's threshold. Here the sample is rehearsed: items are drawn, a physician's scores
are imagined (``outlook``), and the share of rehearsals in which the gate is met is the chance of that sample.

The chance is a forecast. The bound holds whatever the forecast is worth, if the share is fixed before the first label
and only one sample is drawn: a second one after a look at the first is a second chance to err.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlb_offline.adjudication.outlook import STRATA, JudgedItem, Stratum
from mlb_offline.stats.bounds import ALPHA
from mlb_offline.stats.powered import SHARES
from mlb_offline.stats.rehearsal import grid_point, powered_reached

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LADDER = SHARES
"""Shares that are tried: 0.05 to 1."""
POWER = 0.8
REHEARSALS = 1_000
"""Of each share; a chance of 80 % is known to 1.3 points (standard error)."""


@dataclass(frozen=True)
class Step:
    """One share, and what it costs and promises.

    Attributes:
        share: chance with which each item is drawn.
        items: expected number of drawn items.
        criteria: expected number of criteria to label: all those of the drawn items.
        disputes_left: expected number of open criteria outside the sample; they are settled apart, for the score alone.
        chance: share of rehearsals in which the bound reaches the threshold.
    """

    share: float
    items: float
    criteria: float
    disputes_left: float
    chance: float


@dataclass(frozen=True)
class Plan:
    """What a gate on one dataset asks of a physician.

    Attributes:
        threshold: of the gate.
        alpha: one-sided error of the bound.
        power: chance that the gate should be met with.
        items: of the dataset.
        strata: criteria of the dataset by the judges' confidence.
        steps: one a share of ``LADDER``.
        rehearsals: of each share.
        seed: theirs.
    """

    threshold: float
    alpha: float
    power: float
    items: int
    strata: Mapping[Stratum, int]
    steps: tuple[Step, ...]
    rehearsals: int
    seed: int

    @property
    def chosen(self) -> Step | None:
        """The smallest share that is expected to do; None where not even all items would."""
        return next((step for step in self.steps if step.chance >= self.power), None)

    @property
    def best(self) -> Step:
        """The smallest of the shares with the largest chance."""
        return max(self.steps, key=lambda step: (step.chance, -step.share))

    def to_json(self) -> dict[str, Any]:
        """All of it, with ``chosen`` (null where no share will do) and ``best`` as shares."""
        return {
            "threshold": self.threshold,
            "alpha": self.alpha,
            "power": self.power,
            "items": self.items,
            "strata": dict(self.strata),
            "chosen": self.chosen.share if self.chosen else None,
            "best": self.best.share,
            "steps": [vars(step) for step in self.steps],
            "rehearsals": self.rehearsals,
            "seed": self.seed,
        }


def plan_share(
    items: Sequence[JudgedItem],
    threshold: float,
    *,
    alpha: float = ALPHA,
    power: float = POWER,
    seed: int,
    rehearsals: int = REHEARSALS,
) -> Plan:
    """Which share of a dataset's items a physician must label for the gate "score >= threshold" to be met.

    All shares are rehearsed with the same random numbers, so that a larger share holds the smaller one's sample. About
    a second for 300 items.

    Args:
        items: all of the dataset's, at least one; missing answers too, as items whose score is known to be 0.
        threshold: in (0, 1).
        alpha: one-sided error, in (0, 0.5].
        power: wanted chance that the gate is met, in (0, 1).
        seed: 0 to 2**32 - 1.
        rehearsals: of each share, at least 1.

    Raises:
        ValueError: an argument is out of range.
    """
    import numpy as np

    if not items or not 0 < threshold < 1 or not 0 < alpha <= 0.5 or not 0 < power < 1 or rehearsals < 1:
        raise ValueError(f"{len(items)} items, threshold {threshold}, alpha {alpha}, power {power}, {rehearsals}")
    random = np.random.RandomState(seed)
    judged = np.array([item.judged for item in items])
    labels = _imagined(items, random.random_sample((rehearsals, len(items))))
    places = random.random_sample((rehearsals, len(items)))
    strata = Counter(one.stratum for item in items for one in item.criteria)
    criteria = strata.total()

    def chance(share: float) -> float:
        point = grid_point(threshold)
        if point >= 1:
            return 0.0  # no bound reaches 1
        return float(powered_reached(judged, labels, places < share, share, point, alpha=alpha).mean())

    def step(share: float) -> Step:
        return Step(share, share * len(items), share * criteria, (1 - share) * strata["open"], chance(share))

    counts = {stratum: strata[stratum] for stratum in STRATA}
    steps = tuple(step(share) for share in LADDER)
    return Plan(threshold, alpha, power, len(items), counts, steps, rehearsals, seed)


def _imagined(items: Sequence[JudgedItem], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """One of each item's imagined scores by its place in [0, 1): rehearsals × items."""
    import numpy as np

    lengths = np.array([len(item.imagined) for item in items])
    scores = np.concatenate([np.array(item.imagined) for item in items])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return np.asarray(scores[starts + (places * lengths).astype(np.int64)], dtype=np.float64)
