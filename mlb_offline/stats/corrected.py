"""The rate of 是 that the judges' apparent rate points to, corrected for their known errors; for reading only.

Judges that say 是 with sensitivity Se where 是 is right, and 否 with specificity Sp where it is not, say 是 at the rate
p = π·Se + (1 - π)(1 - Sp); solved for π this is the estimate of Rogan and Gladen (Am. J. Epidemiol. 107, 1978). The
interval is that of Lang and Reiczigel (Prev. Vet. Med. 113, 2014), which carries the uncertainty of p and that of Se
and Sp. It takes criteria to be independent; the criteria of one answer are not, so the counts of this run and of the
labelled set are each divided by their design effect first (Rao and Scott, Biometrics 48, 1992).

What is corrected is the rate of 是 over criteria, not the mean of items' scores. It holds only as far as the judges err
on this run's answers as often as they did on the labelled set; no gate uses it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from mlb_offline.stats.intervals import CONFIDENCE, DECIMALS, Interval
from mlb_offline.stats.reasons import Reason


@dataclass(frozen=True)
class Said:
    """What the judges said of one item of the run: 是 to ``yes`` of its ``n`` criteria."""

    yes: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.yes <= self.n:
            raise ValueError(f"{self.yes} of {self.n}")


@dataclass(frozen=True)
class Confusion:
    """Judges against labels, in criteria: of one answer, or of a whole set whose criteria are independent.

    Attributes:
        tp: 是, rightly.
        fn: not 是, wrongly.
        tn: not 是, rightly.
        fp: 是, wrongly.
    """

    tp: int
    fn: int
    tn: int
    fp: int

    def __post_init__(self) -> None:
        if min(self.tp, self.fn, self.tn, self.fp) < 0:
            raise ValueError(f"negative counts: {self}")

    @property
    def positives(self) -> int:
        """Criteria whose label is 是."""
        return self.tp + self.fn

    @property
    def negatives(self) -> int:
        """Criteria whose label is 否."""
        return self.tn + self.fp


@dataclass(frozen=True)
class Corrected:
    """A corrected rate of 是, indicative, and what it was made of.

    Attributes:
        rate: its ``n`` counts items; method ``rogan-gladen``; the value is clipped to [0, 1].
        apparent: rate of 是 as the judges said it, over criteria.
        sensitivity: of the judges, on the labelled set.
        specificity: likewise.
        criteria: of this run.
        labelled: criteria of the labelled set.
    """

    rate: Interval
    apparent: float
    sensitivity: float
    specificity: float
    criteria: int
    labelled: int


def corrected_rate(
    said: Sequence[Said], labelled: Confusion | Sequence[Confusion], confidence: float = CONFIDENCE
) -> Corrected | Reason:
    """The corrected rate of 是 over the criteria of a dataset.

    Whatever counts as 是 must be the same rule in both arguments: the verdict of one judge, or 是 said by both, with
    disputes and abstentions on the other side.

    Args:
        said: one an item of this run; items are the clusters.
        labelled: one an answer of the labelled set, which are the clusters; or one for the whole set, where its
            criteria are independent of each other.
        confidence: two-sided, in (0, 1).

    Returns:
        The rate with its interval; ``no-items`` where the run holds no criterion, ``calibration-one-class`` where the
        labels hold one class only, ``calibration-at-chance`` where sensitivity + specificity is not above 1,
        ``calibration-misfit`` where the whole interval lies outside [0, 1]: judges with these errors would hardly say
        是 so rarely, or so often, whatever is true.

    Raises:
        ValueError: ``confidence`` is out of range.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence}")
    answers = [labelled] if isinstance(labelled, Confusion) else list(labelled)
    said = [one for one in said if one.n]
    total = Confusion(*(sum(column) for column in zip(*map(_cells, answers), strict=True))) if answers else _NOTHING
    if not said:
        return Reason("no-items")
    if not total.positives or not total.negatives:
        return Reason("calibration-one-class", {"positives": total.positives, "negatives": total.negatives})
    run = _Share(sum(one.yes for one in said), sum(one.n for one in said))
    sensitivity, specificity = _Share(total.tp, total.positives), _Share(total.tn, total.negatives)
    skill = sensitivity.value + specificity.value - 1
    rate = min(1.0, max(0.0, (run.value + specificity.value - 1) / skill)) if skill > 0 else 0.0
    effect = 1.0 if isinstance(labelled, Confusion) else _effect_of_labels(answers, total, rate)
    ends = _lang_reiczigel(
        run.divided(_effect_of_run(said, run)), sensitivity.divided(effect), specificity.divided(effect), confidence
    )
    worth = {"sensitivity": round(sensitivity.value, 3), "specificity": round(specificity.value, 3)}
    if skill <= 0 or ends is None:
        return Reason("calibration-at-chance", worth)
    if ends[1] < 0 or ends[0] > 1:
        return Reason("calibration-misfit", {"apparent": round(run.value, 3), **worth})
    low, high = (round(end, DECIMALS) for end in (max(0.0, min(ends[0], rate)), min(1.0, max(ends[1], rate))))
    return Corrected(
        Interval(round(rate, DECIMALS), low, high, len(said), "rogan-gladen"),
        apparent=round(run.value, DECIMALS),
        sensitivity=round(sensitivity.value, DECIMALS),
        specificity=round(specificity.value, DECIMALS),
        criteria=int(run.n),
        labelled=total.positives + total.negatives,
    )


_NOTHING = Confusion(0, 0, 0, 0)


def _cells(one: Confusion) -> tuple[int, int, int, int]:
    return one.tp, one.fn, one.tn, one.fp


@dataclass(frozen=True)
class _Share:
    """Successes of n, which need not be whole once they are divided by a design effect."""

    successes: float
    n: float

    @property
    def value(self) -> float:
        return self.successes / self.n

    @property
    def variance(self) -> float:
        return self.value * (1 - self.value) / self.n

    def divided(self, effect: float) -> _Share:
        return _Share(self.successes / effect, self.n / effect)

    def eased(self, failures: float) -> _Share:
        """With as many successes and failures more: a share seen as 0 or 1 keeps some variance."""
        return _Share(self.successes + failures, self.n + 2 * failures)


def _lang_reiczigel(
    apparent: _Share, sensitivity: _Share, specificity: _Share, confidence: float
) -> tuple[float, float] | None:
    """Ends, not clipped (their equations 4, 6, 7, 16 and 17); None where the eased shares are at chance."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, se, sp = apparent.eased(z * z / 2), sensitivity.eased(1), specificity.eased(1)
    skill = se.value + sp.value - 1
    if skill <= 0:
        return None
    rate = (p.value + sp.value - 1) / skill
    centre = rate + 2 * z * z * (rate * se.variance - (1 - rate) * sp.variance)
    half = z / skill * math.sqrt(p.variance + rate**2 * se.variance + (1 - rate) ** 2 * sp.variance)
    return centre - half, centre + half


def _effect_of_run(said: Sequence[Said], run: _Share) -> float:
    residuals = [(one.yes - run.value * one.n) / run.n for one in said]
    return _effect(residuals, run.variance, [one.n for one in said])


def _effect_of_labels(answers: Sequence[Confusion], total: Confusion, rate: float) -> float:
    """Of that combination of Se and Sp which the estimate depends on: (1 - π)·Sp - π·Se.

    One lenient reading of an answer raises Se and lowers Sp together, so that each by itself would say too little.
    """
    se, sp = _Share(total.tp, total.positives), _Share(total.tn, total.negatives)
    residuals = [
        (1 - rate) * (one.tn - sp.value * one.negatives) / sp.n - rate * (one.tp - se.value * one.positives) / se.n
        for one in answers
    ]
    independent = (1 - rate) ** 2 * sp.variance + rate**2 * se.variance
    return _effect(residuals, independent, [one.positives + one.negatives for one in answers])


def _effect(residuals: Sequence[float], independent: float, sizes: Sequence[int]) -> float:
    """Variance between clusters over that of independent criteria, at least 1 (linearised ratio).

    Where all are alike nothing shows how alike the criteria of one cluster are, and a cluster counts as one.
    """
    clusters, criteria = sum(1 for size in sizes if size), sum(sizes)
    if clusters < 2 or not independent > 0:
        return sum(size * size for size in sizes) / criteria
    between = clusters / (clusters - 1) * math.fsum(one * one for one in residuals)
    return max(1.0, between / (criteria / (criteria - 1) * independent))
