"""How far a judge's verdicts, and its probabilities, agree with labels.

A verdict is 是 where the probability of 是 is at least 0.5; ``None`` is an abstention, which counts in ``n`` and in no
rate. Intervals are 95 % percentile bootstraps over clusters (the criteria of one answer stand or fall together),
reproducible to the last digit and never narrower than Wilson's interval at its edges, as in ``stats.intervals``.
A figure that the labels cannot show is None. The figures are for reading; no gate uses them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlb_offline.stats.intervals import CONFIDENCE, DECIMALS, Stratum

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Names = NDArray[np.object_]
Probabilities = Sequence[float | None]

SEED = 20260101
RESAMPLES = 2_000
BINS = 10
RATES = ("accuracy", "precision", "recall", "f1", "kappa", "ac1", "sensitivity", "specificity")
COVERAGES = (1.0, 0.8, 0.6)

_CHUNK = 500_000  # clusters drawn at once, so that a large set does not fill the memory; no effect on results
_TAIL = int(RESAMPLES * (1 - CONFIDENCE) / 2 + 1e-9)
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

# Columns of a confusion table: 是 and rightly so, 是 wrongly, 否 wrongly, 否 rightly.
_ACCURACY = ((1, 0, 0, 1), (1, 1, 1, 1))
_PRECISION = ((1, 0, 0, 0), (1, 1, 0, 0))
_RECALL = ((1, 0, 0, 0), (1, 0, 1, 0))
_F1 = ((2, 0, 0, 0), (2, 1, 1, 0))
_SPECIFICITY = ((0, 0, 0, 1), (0, 1, 0, 1))


@dataclass(frozen=True)
class Rate:
    """A figure with its 95 % interval, rounded; in [0, 1], for kappa and AC1 in [-1, 1]."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """``{value, low, high}``."""
        return asdict(self)


@dataclass(frozen=True)
class KindAgreement:
    """Agreement on the criteria of one kind."""

    n: int
    answered: int
    accuracy: Rate | None

    def to_json(self) -> dict[str, Any]:
        """``{n, answered, abstained, accuracy}``."""
        return {**asdict(self), "abstained": self.n - self.answered}


@dataclass(frozen=True)
class Agreement:
    """Verdicts against labels.

    Attributes:
        n: criteria.
        answered: those with a verdict; all rates are over these.
        accuracy: share of verdicts that are right; None where nothing was answered.
        precision: of 是; None where the labels hold one class (it is then forced) or no verdict is 是.
        recall: of 是; None where no label is 是.
        f1: None where the labels hold one class.
        kappa: Cohen's (Educ. Psychol. Meas. 20, 1960); None where the labels hold one class.
        ac1: Gwet's (Br. J. Math. Stat. Psychol. 61, 2008); None where nothing was answered.
        sensitivity: the same as recall, under its clinical name.
        specificity: None where no label is 否.
        by_kind: by the kind of the criteria, in the order of names; criteria without a kind are left out.
    """

    n: int
    answered: int
    accuracy: Rate | None = None
    precision: Rate | None = None
    recall: Rate | None = None
    f1: Rate | None = None
    kappa: Rate | None = None
    ac1: Rate | None = None
    sensitivity: Rate | None = None
    specificity: Rate | None = None
    by_kind: Mapping[str, KindAgreement] = field(default_factory=dict)

    @property
    def abstained(self) -> int:
        """Criteria without a verdict."""
        return self.n - self.answered

    def to_json(self) -> dict[str, Any]:
        """The answer of ``judge calibrate --json`` (DESIGN, section 10); ``by_kind`` only where there are kinds."""
        rates = {name: None if (rate := getattr(self, name)) is None else rate.to_json() for name in RATES}
        counts = {"n": self.n, "answered": self.answered, "abstained": self.abstained}
        kinds = {"by_kind": {name: kind.to_json() for name, kind in self.by_kind.items()}} if self.by_kind else {}
        return {**counts, **rates, **kinds}


@dataclass(frozen=True)
class ReliabilityBin:
    """Criteria of similar probability: what was said, and what was true.

    Attributes:
        n: criteria.
        probability: mean probability of 是.
        observed: share of labels that are 是.
    """

    n: int
    probability: float
    observed: float


@dataclass(frozen=True)
class CoveragePoint:
    """Accuracy on the ``n`` most confident criteria, ``coverage`` of those answered; None where there are none."""

    coverage: float
    n: int
    accuracy: float | None


@dataclass(frozen=True)
class Confidence:
    """What the probabilities are worth, over the answered criteria.

    Attributes:
        auc: area under the ROC curve; None unless both classes were answered.
        ece: expected calibration error, in [0, 1]; None where nothing was answered.
        reliability: its bins, from low to high probability.
        coverage: one a share of ``COVERAGES``.
    """

    auc: float | None
    ece: float | None
    reliability: tuple[ReliabilityBin, ...]
    coverage: tuple[CoveragePoint, ...]

    def to_json(self) -> dict[str, Any]:
        """``{auc, ece, reliability: [...], coverage: [...]}``."""
        lists = {name: [asdict(one) for one in getattr(self, name)] for name in ("reliability", "coverage")}
        return {"auc": self.auc, "ece": self.ece, **lists}


@dataclass(frozen=True)
class PairAgreement:
    """Two judges on the same criteria; a criterion on which either abstains is not agreed.

    Attributes:
        n: criteria.
        agreed: those with one verdict of both.
        share: agreed of all; None where n is 0.
        accuracy: of the common verdict; None where nothing is agreed.
    """

    n: int
    agreed: int
    share: Rate | None
    accuracy: Rate | None

    def to_json(self) -> dict[str, Any]:
        """``{n, agreed, share, accuracy}``."""
        return asdict(self)


def agreement(
    labels: Sequence[bool],
    probabilities: Probabilities,
    clusters: Sequence[str],
    kinds: Sequence[str] | None = None,
) -> Agreement:
    """Verdicts against labels.

    Args:
        labels: whether 是 is right, one a criterion.
        probabilities: of 是, in [0, 1]; None is an abstention.
        clusters: the answer that each criterion is about.
        kinds: the kind of each criterion, empty if unknown.

    Raises:
        ValueError: the sequences differ in length, or a probability is outside [0, 1].
    """
    truth, said, answered = _arrays(labels, probabilities)
    names, groups = _text(clusters, len(truth)), _text(kinds, len(truth))
    by_kind = {
        kind: _kind_agreement(truth, said >= 0.5, names, answered, groups == kind)
        for kind in sorted(set(groups.tolist()) - {""})
    }
    n, replied = len(truth), int(answered.sum())
    if not replied:
        return Agreement(n, 0, by_kind=by_kind)
    truth, verdicts = truth[answered], said[answered] >= 0.5
    cells = np.stack([truth & verdicts, ~truth & verdicts, truth & ~verdicts, ~truth & ~verdicts], axis=1)
    draw = _Draw.of(cells, names[answered])
    both = bool(truth.any() and not truth.all())
    recall = draw.ratio(_RECALL)
    return Agreement(
        n,
        replied,
        accuracy=draw.ratio(_ACCURACY),
        precision=draw.ratio(_PRECISION) if both else None,
        recall=recall,
        f1=draw.ratio(_F1) if both else None,
        kappa=_beyond_chance(draw, _chance_of_cohen) if both else None,
        ac1=_beyond_chance(draw, _chance_of_gwet),
        sensitivity=recall,
        specificity=draw.ratio(_SPECIFICITY),
        by_kind=by_kind,
    )


def confidence(labels: Sequence[bool], probabilities: Probabilities) -> Confidence:
    """What the probabilities are worth; arguments and errors as in ``agreement``."""
    truth, said, answered = _arrays(labels, probabilities)
    truth, said = truth[answered], said[answered]
    bins = tuple(_bins(truth, said))
    return Confidence(
        auc=_auc(truth, said),
        ece=round(sum(b.n * abs(b.probability - b.observed) for b in bins) / len(truth), DECIMALS) if bins else None,
        reliability=bins,
        coverage=tuple(_covered(truth, said, share) for share in COVERAGES),
    )


def pair_agreement(
    labels: Sequence[bool], first: Probabilities, second: Probabilities, clusters: Sequence[str]
) -> PairAgreement:
    """How often two judges agree, and how often they are right then; arguments and errors as in ``agreement``."""
    truth, one, one_answered = _arrays(labels, first)
    _, other, other_answered = _arrays(labels, second)
    names = _text(clusters, len(truth))
    if not len(truth):
        return PairAgreement(0, 0, None, None)
    agreed = one_answered & other_answered & ((one >= 0.5) == (other >= 0.5))
    right = agreed & (truth == (one >= 0.5))
    draw = _Draw.of(np.stack([right, agreed & ~right, ~agreed], axis=1), names)
    share, accuracy = draw.ratio(((1, 1, 0), (1, 1, 1))), draw.ratio(((1, 0, 0), (1, 1, 0)))
    return PairAgreement(len(truth), int(agreed.sum()), share, accuracy)


def _arrays(labels: Sequence[bool], probabilities: Probabilities) -> tuple[Bools, Floats, Bools]:
    """Labels, probabilities (0 where there is none), and whether there is one."""
    if len(labels) != len(probabilities):
        raise ValueError(f"{len(labels)} labels, {len(probabilities)} probabilities")
    wrong = [p for p in probabilities if p is not None and not 0 <= p <= 1]
    if wrong:
        raise ValueError(f"probability {wrong[0]} is outside [0, 1]")
    said = np.array([0.0 if p is None else p for p in probabilities], dtype=np.float64)
    answered = np.array([p is not None for p in probabilities], dtype=np.bool_)
    return np.array(labels, dtype=np.bool_), said, answered


def _text(values: Sequence[str] | None, n: int) -> Names:
    if values is not None and len(values) != n:
        raise ValueError(f"{n} labels, {len(values)} clusters or kinds")
    return np.array([""] * n if values is None else list(values), dtype=np.object_)


def _kind_agreement(truth: Bools, verdicts: Bools, clusters: Names, answered: Bools, chosen: Bools) -> KindAgreement:
    used = chosen & answered
    if not used.any():
        return KindAgreement(int(chosen.sum()), 0, None)
    right = (truth == verdicts)[used]
    draw = _Draw.of(np.stack([right, ~right], axis=1), clusters[used])
    return KindAgreement(int(chosen.sum()), int(used.sum()), draw.ratio(((1, 0), (1, 1))))


@dataclass(frozen=True)
class _Draw:
    """Counts (clusters × columns, sorted), and their sums in the bootstrap samples (resamples × columns)."""

    table: Ints
    sums: Ints

    @classmethod
    def of(cls, cells: Bools, clusters: Names) -> _Draw:
        """From criteria × columns, at least one row, and the cluster of each criterion."""
        # A dictionary and not numpy.unique: names that differ in a final NUL stay apart.
        numbers = {name: place for place, name in enumerate(dict.fromkeys(clusters.tolist()))}
        table = np.zeros((len(numbers), cells.shape[1]), dtype=np.int64)
        np.add.at(table, [numbers[name] for name in clusters.tolist()], cells.astype(np.int64))
        rows, counts = np.unique(table, axis=0, return_counts=True)
        return cls(np.repeat(rows, counts, axis=0), _resample(rows, counts))

    def ratio(self, weights: tuple[Sequence[int], Sequence[int]]) -> Rate | None:
        """Total gain over total size, both sums of columns by these weights; None where the size is 0."""
        gain, size = np.array(weights[0]), np.array(weights[1])
        gains, sizes = self.table @ gain, self.table @ size
        if not sizes.sum():
            return None
        total = self.sums @ size
        values = np.where(total > 0, self.sums @ gain / np.maximum(total, 1), np.nan)
        stratum = Stratum(tuple((int(g), int(s), 1) for g, s in zip(gains, sizes, strict=True)))
        return _rate(stratum.value, values, 0.0, stratum.margins(_Z))


def _resample(rows: Ints, counts: Ints) -> Ints:
    """Column sums of samples of as many clusters as there are, drawn with replacement."""
    n = int(counts.sum())
    row_of = np.repeat(np.arange(len(rows)), counts)
    random = np.random.RandomState(SEED)  # its stream of integers is frozen (NEP 19)
    sums = np.empty((RESAMPLES, rows.shape[1]), dtype=np.int64)
    at_once = max(1, _CHUNK // n)
    for start in range(0, RESAMPLES, at_once):
        stop = min(start + at_once, RESAMPLES)
        picks = row_of[random.randint(0, n, size=(stop - start, n), dtype=np.uint32)]
        places = picks + len(rows) * np.arange(stop - start)[:, None]
        drawn = np.bincount(places.ravel(), minlength=len(rows) * (stop - start)).reshape(stop - start, len(rows))
        sums[start:stop] = drawn @ rows
    return sums


def _rate(value: float, values: Floats, lowest: float, margins: tuple[float, float]) -> Rate:
    """A sample in which the figure is undefined counts as ``lowest`` among the low, as 1 among the high."""
    undefined = np.isnan(values)
    low = np.sort(np.where(undefined, lowest, values))[_TAIL - 1]
    high = np.sort(np.where(undefined, 1.0, values))[RESAMPLES - _TAIL]
    low, high = min(float(low), value - margins[0]), max(float(high), value + margins[1])
    # Adding 0 turns -0 into 0.
    ends = (round(min(1.0, max(lowest, end)), DECIMALS) + 0.0 for end in (value, low, high))
    return Rate(*ends)


def _beyond_chance(draw: _Draw, chance_of: Callable[[Ints], Floats]) -> Rate:
    """(observed - chance) / (1 - chance); at least as wide as the interval of accuracy is, at the same chance."""
    observed, chance = _agreed(draw.sums), chance_of(draw.sums)
    certain = chance >= 1
    values = np.where(certain, np.nan, (observed - chance) / np.where(certain, 1.0, 1 - chance))
    whole = draw.table.sum(axis=0, keepdims=True)
    at, room = float(_agreed(whole)[0]), 1 - float(chance_of(whole)[0])
    rows = tuple((int(row[0] + row[3]), int(row.sum()), 1) for row in draw.table)
    down, up = Stratum(rows).margins(_Z)
    return _rate((at - 1 + room) / room, values, -1.0, (down / room, up / room))


def _agreed(sums: Ints) -> Floats:
    return np.asarray((sums[:, 0] + sums[:, 3]) / sums.sum(axis=1), dtype=np.float64)


def _chance_of_cohen(sums: Ints) -> Floats:
    tp, fp, fn, tn = sums.T
    return np.asarray(((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / sums.sum(axis=1) ** 2, dtype=np.float64)


def _chance_of_gwet(sums: Ints) -> Floats:
    tp, fp, fn, _ = sums.T
    share = (2 * tp + fp + fn) / (2 * sums.sum(axis=1))  # of 是, averaged over judge and labels
    return np.asarray(2 * share * (1 - share), dtype=np.float64)


def _auc(truth: Bools, said: Floats) -> float | None:
    """Mann–Whitney: the chance that a 是 has a higher probability than a 否, ties counting half."""
    positive, negative = int(truth.sum()), int((~truth).sum())
    if not positive or not negative:
        return None
    _, place, counts = np.unique(said, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    above = float(ranks[truth].sum()) - positive * (positive + 1) / 2
    return round(above / (positive * negative), DECIMALS)


def _bins(truth: Bools, said: Floats) -> Iterator[ReliabilityBin]:
    """Bins of equal mass by rank. Equal probabilities are never parted, so that order does not matter."""
    _, place, counts = np.unique(said, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    number = (BINS * middle / max(1, len(said))).astype(np.int64)[place]
    for mask in (number == one for one in np.unique(number)):
        means = (round(float(values[mask].mean()), DECIMALS) for values in (said, truth))
        yield ReliabilityBin(int(mask.sum()), *means)


def _covered(truth: Bools, said: Floats, share: float) -> CoveragePoint:
    """Where criteria of equal confidence compete for the last places, each has the same chance of one."""
    n = math.ceil(share * len(truth) - 1e-9)
    if not n:
        return CoveragePoint(share, 0, None)
    sure = np.round(np.abs(said - 0.5), 12)  # 0.3 and 0.7 are equally sure
    last = np.sort(sure)[len(sure) - n]
    right = truth == (said >= 0.5)
    above, tied = sure > last, sure == last
    kept = float(right[above].sum()) + (n - int(above.sum())) * float(right[tied].mean())
    return CoveragePoint(share, n, round(kept / n, DECIMALS))
