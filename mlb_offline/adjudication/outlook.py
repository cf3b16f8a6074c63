"""What a physician may say of an item, as far as the judges let one guess: a rough model, for planning alone.

The judges' probabilities are averaged, and never trusted beyond what their confidence has earned (``Doubt``). Within
an item errors go together: in half of the imagined readings one leniency holds for all of its criteria. No bound rests
on any of this; where the model is wrong a plan asks for too many labels or too few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlb_offline.benchmark.catalogue import Metric
from mlb_offline.judge.panel import HALF, Opinions, find
from mlb_offline.scoring.judged import EthicsWeights, Range, Verdict, score_range
from mlb_offline.stats.intervals import stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import RandomState
    from numpy.typing import NDArray

Stratum = Literal["open", "unsure", "sure"]
"""``open``: the judges differ, or one abstains; ``sure``: they agree, each with ``SURE`` or more; else ``unsure``."""
STRATA: tuple[Stratum, ...] = ("open", "unsure", "sure")

SURE = 0.9
READINGS = 32
"""Imagined for each item; in the first half one leniency holds for all of its criteria."""

Scored = Callable[[Sequence[Verdict]], Range]


@dataclass(frozen=True)
class Doubt:
    """The least chance, by stratum, that a physician says other than the judges; each in [0, 0.5].

    Where errors were measured on a labelled set, they belong here.
    """

    open: float = 0.4
    unsure: float = 0.15
    sure: float = 0.05

    def __post_init__(self) -> None:
        if not all(0 <= one <= HALF for one in (self.open, self.unsure, self.sure)):
            raise ValueError(f"doubt outside [0, 0.5]: {self}")


@dataclass(frozen=True)
class JudgedCriterion:
    """A criterion of a finished run.

    Attributes:
        id: ``item/name``, as ``MADiagnosis`` item ``a`` has ``a/001``.
        stratum: the judges' confidence.
        chance: mean of the judges' probabilities of 是, in [0, 1]; one that abstains counts as 1/2.
        swing: how far the item's score moves between 是 and 否 here, the others as the judges would have them.
    """

    id: str
    stratum: Stratum
    chance: float
    swing: float

    @property
    def weight(self) -> float:
        """How far the score is expected to move when a physician settles it, in [0, 0.5]."""
        return self.swing * min(self.chance, 1 - self.chance)


@dataclass(frozen=True)
class JudgedItem:
    """An item of a finished run.

    Attributes:
        id: of the item, unique in its dataset.
        judged: the judges' score, in [0, 1]: the middle of what it can be while disputes are open.
        criteria: all of them; a drawn item has all labelled.
        imagined: scores that a physician might give, equally likely, in [0, 1]; at least one.
    """

    id: str
    judged: float
    criteria: tuple[JudgedCriterion, ...]
    imagined: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.imagined or not all(0 <= one <= 1 for one in (self.judged, *self.imagined)):
            raise ValueError(f"{self.id}: scores must be in [0, 1], at least one imagined")


def judged_item(
    metric: Metric,
    item: str,
    opinions: Opinions,
    *,
    seed: int,
    weights: EthicsWeights | None = None,
    doubt: Doubt = Doubt(),
) -> JudgedItem:
    """An item as its judges left it.

    Args:
        metric: of its dataset, a judged one.
        item: its id, unique in its dataset.
        opinions: of the judges on its answer.
        seed: of the imagined readings; the same item and seed give the same.
        weights: of the ethics sets' qualities.
        doubt: least errors by confidence.

    Raises:
        ValueError: the metric is not judged, or no answer has so many criteria.
    """
    said = list(zip(*opinions.said, strict=True))
    strata, chances = [_stratum(one) for one in said], [_chance(one) for one in said]

    def scored(verdicts: Sequence[Verdict]) -> Range:
        return score_range(metric, verdicts, weights)

    low, high = scored([finding.verdict for finding in opinions.findings()])
    guess: list[Verdict] = [chance >= HALF for chance in chances]
    rows = [
        JudgedCriterion(f"{item}/{name}", stratum, chance, _swing(scored, guess, place))
        for place, (name, stratum, chance) in enumerate(zip(opinions.names, strata, chances, strict=True))
    ]
    likely = [_doubted(chance, getattr(doubt, stratum)) for chance, stratum in zip(chances, strata, strict=True)]
    imagined = tuple(scored(verdicts).low for verdicts in _readings(likely, stream(seed, item)))
    return JudgedItem(item, (low + high) / 2, tuple(rows), imagined)


def _stratum(said: Sequence[float | None]) -> Stratum:
    if find(said).verdict is None:
        return "open"
    return "sure" if all(max(p, 1 - p) >= SURE for p in said if p is not None) else "unsure"


def _chance(said: Sequence[float | None]) -> float:
    return sum(HALF if p is None else p for p in said) / len(said)


def _doubted(chance: float, least: float) -> float:
    return min(1 - least, max(least, chance))


def _swing(scored: Scored, guess: Sequence[Verdict], place: int) -> float:
    ends = (scored([*guess[:place], verdict, *guess[place + 1 :]]).low for verdict in (False, True))
    return abs(next(ends) - next(ends))


def _readings(likely: Sequence[float], seed: int) -> Iterator[list[Verdict]]:
    """Verdicts of one reading after the other. Uniform numbers are stratified: few readings show the whole range."""
    import numpy as np

    random: RandomState = np.random.RandomState(seed)
    half = READINGS // 2

    def uniform() -> NDArray[np.float64]:
        return np.asarray((random.permutation(half) + random.random_sample(half)) / half)

    together = np.tile(uniform()[:, None], len(likely))
    apart = np.stack([uniform() for _ in likely], axis=1)
    for places in np.concatenate([together, apart]):
        yield [bool(place < p) for place, p in zip(places, likely, strict=True)]
