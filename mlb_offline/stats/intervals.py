"""Two-sided 95 % intervals for reading. Gates never use them (see ``bounds``).

Everything is rounded to 6 decimals and reproducible to the last digit: random numbers are integers of
``numpy.random.RandomState``, whose stream is frozen (NEP 19), and items enter in sorted order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

from mlb_offline.benchmark.catalogue import Metric
from mlb_offline.scoring.judged import SCALE
from mlb_offline.stats.bounds import (
    Counts,
    betting_lower,
    clopper_pearson_lower,
    micro_f1,
    micro_f1_lower,
)
from mlb_offline.stats.sample import DatasetSample, Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Counts",
    "Interval",
    "betting_lower",
    "clopper_pearson_lower",
    "mean_interval",
    "micro_f1",
    "micro_f1_interval",
    "micro_f1_lower",
    "wilson",
]

CONFIDENCE = 0.95
RESAMPLES = 10_000
DECIMALS = 6
_CHUNK = 2_000_000  # indices drawn at once, so that a large set does not fill the memory; no effect on results


@dataclass(frozen=True)
class Interval:
    """A figure with its interval.

    Attributes:
        value: the estimate, in [0, 1].
        low: lower end, at most ``value``.
        high: upper end, at least ``value``.
        n: items behind it.
        method: ``wilson``, ``item-bootstrap`` or ``stratified-bootstrap``.
        most: the estimate if every verdict that is open were decided in the model's favour; ``value`` counts them
            against it, ``low`` and ``high`` reach from the one's lower end to the other's upper. None: none is open.
    """

    value: float
    low: float
    high: float
    n: int
    method: str
    most: float | None = None


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval (JASA 22, 1927) for a share of independent items.

    Raises:
        ValueError: ``n`` below 1, ``successes`` outside 0 to n, or ``confidence`` outside (0, 1).
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    z = _z(confidence)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return _interval(share, centre - half, centre + half, n, "wilson")


def micro_f1_interval(
    counts: Counts, *, seed: int, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> Interval:
    """Percentile bootstrap over documents for micro-F1, never narrower than at the edges of a Wilson interval.

    Args:
        counts: rows (TP, FP, FN, documents), in any order.
        seed: 0 to 2**32 - 1.
        resamples: number of bootstrap samples, at least 40.
        confidence: two-sided, in (0, 1).

    Raises:
        ValueError: micro-F1 is undefined (no entity at all) or an argument is out of range.
    """
    stratum = _ratio_stratum(counts)
    return _bootstrap([(1.0, stratum, stratum, seed)], resamples, confidence, "item-bootstrap")


def mean_interval(
    parts: Sequence[DatasetSample],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    weights: Sequence[float] | None = None,
) -> Interval:
    """Stratified bootstrap for a weighted mean of datasets: each dataset is resampled by itself.

    Args:
        parts: evaluable datasets, no name twice.
        seed: each dataset has its own stream, made from the seed and its name.
        resamples: number of bootstrap samples, at least 40.
        weights: one a dataset, adding up to 1; equal where not given.

    Raises:
        ValueError: no dataset, one without a value, or weights that do not fit.
    """
    shares = [1 / len(parts) for _ in parts] if weights is None else list(weights)
    if not parts or len(shares) != len(parts) or abs(math.fsum(shares) - 1) > 1e-9:
        raise ValueError("weights must fit the datasets and add up to 1")
    strata = [(share, *strata_of(part), stream(seed, part.dataset)) for share, part in zip(shares, parts, strict=True)]
    return _bootstrap(strata, resamples, CONFIDENCE, "stratified-bootstrap")


def sample_interval(sample: DatasetSample, *, seed: int, resamples: int = RESAMPLES) -> Interval:
    """The interval of one dataset: Wilson for single answers, else a bootstrap over items.

    Raises:
        ValueError: the dataset has no value.
    """
    if sample.metric is Metric.ACCURACY and sample.repeats == 1:
        return wilson(sum(row[0] * row[2] for row in sample.histogram), sample.n)
    strata = [(1.0, *strata_of(sample), stream(seed, sample.dataset))]
    return _bootstrap(strata, resamples, CONFIDENCE, "item-bootstrap")


def stream(seed: int, name: str) -> int:
    """A seed of its own for each dataset: first 32 bits (big-endian) of SHA-256 of ``seed:name``."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:4], "big")


@dataclass(frozen=True)
class Stratum:
    """Items of one dataset as (gain, size, items), sorted; the value is total gain / total size."""

    rows: tuple[Row, ...]

    @property
    def value(self) -> float:
        """The estimate, in [0, 1]."""
        return sum(gain * items for gain, _, items in self.rows) / self.total

    @property
    def total(self) -> int:
        """Sum of sizes."""
        return sum(size * items for _, size, items in self.rows)

    @property
    def n(self) -> int:
        """Number of items."""
        return sum(items for _, _, items in self.rows)

    def margins(self, z: float) -> tuple[float, float]:
        """Least distance of the ends from the value: as if z² more items of mean size were all wrong, all right.

        z² / (n + z²) is the width of Wilson's interval at 0 and at 1. Where sizes differ, n is Kish's effective
        number (sum of sizes)² / (sum of squared sizes).
        """
        effective = self.total**2 / sum(size * size * items for _, size, items in self.rows)
        share = z * z / (effective + z * z)
        return self.value * share, (1 - self.value) * share


def strata_of(sample: DatasetSample) -> tuple[Stratum, Stratum]:
    """The items of a dataset as gains and sizes, with open verdicts against the model and in its favour; the same
    items in the same order.

    Raises:
        ValueError: a dataset without any value.
    """
    if sample.metric is Metric.MICRO_F1:
        stratum = _ratio_stratum([(row[0], row[1], row[2], row[3]) for row in sample.histogram])
        return stratum, stratum
    if not sample.n:
        raise ValueError(f"{sample.dataset} has no value")
    if sample.metric.judged:
        rows = sorted(sample.histogram)
        return tuple(Stratum(tuple((row[end], SCALE, row[2]) for row in rows)) for end in (0, 1))  # type: ignore[return-value]
    stratum = Stratum(tuple(sorted((row[0], row[1], row[2]) for row in sample.histogram)))
    return stratum, stratum


def _ratio_stratum(counts: Counts) -> Stratum:
    if micro_f1(counts) is None:
        raise ValueError("micro-F1 is undefined: no entity in any document")
    return Stratum(tuple(sorted((2 * tp, 2 * tp + fp + fn, items) for tp, fp, fn, items in counts if items)))


def _bootstrap(
    strata: Sequence[tuple[float, Stratum, Stratum, int]], resamples: int, confidence: float, method: str
) -> Interval:
    """The ends are the k-th smallest resampled value with open verdicts against the model, and the k-th largest with
    them in its favour; k = floor(resamples * (1 - c) / 2)."""
    import numpy as np

    z = _z(confidence)
    k = int(resamples * (1 - confidence) / 2 + 1e-9)
    if k < 1:
        raise ValueError(f"{resamples} resamples are too few")
    lows, highs = np.zeros(resamples), np.zeros(resamples)
    value = most = below = above = 0.0
    for weight, least, best, seed in strata:
        low, high = _resample(least, seed, resamples)
        high = high if best is least else _resample(best, seed, resamples)[1]
        lows, highs = lows + weight * low, highs + weight * high
        value, most = value + weight * least.value, most + weight * best.value
        below, above = below + (weight * least.margins(z)[0]) ** 2, above + (weight * best.margins(z)[1]) ** 2
    n = sum(least.n for _, least, _, _ in strata)
    low_end = min(float(np.sort(lows)[k - 1]), value - math.sqrt(below))
    high_end = max(float(np.sort(highs)[resamples - k]), most + math.sqrt(above))
    interval = _interval(value, low_end, high_end, n, method)
    most = round(most, DECIMALS)
    return interval if most <= interval.value else replace(interval, most=most, high=max(interval.high, most))


def _resample(stratum: Stratum, seed: int, resamples: int) -> tuple[Floats, Floats]:
    """Values of ``resamples`` samples of n items; where a sample holds no entity: 0 among the low, 1 among the high."""
    import numpy as np

    table = np.asarray(stratum.rows, dtype=np.int64)
    gains, sizes = (np.repeat(table[:, column], table[:, 2]) for column in (0, 1))
    random = np.random.RandomState(seed)
    at_once = max(1, _CHUNK // stratum.n)
    gain, size = np.empty(resamples, dtype=np.int64), np.empty(resamples, dtype=np.int64)
    for start in range(0, resamples, at_once):
        stop = min(start + at_once, resamples)
        picks = random.randint(0, stratum.n, size=(stop - start, stratum.n), dtype=np.uint32)
        gain[start:stop], size[start:stop] = gains[picks].sum(axis=1), sizes[picks].sum(axis=1)
    empty = size == 0
    ratio = gain / np.where(empty, 1, size)
    return ratio, np.where(empty, 1.0, ratio)


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence}")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _interval(value: float, low: float, high: float, n: int, method: str) -> Interval:
    value = round(value, DECIMALS)
    low, high = (round(min(1.0, max(0.0, end)), DECIMALS) for end in (low, high))
    return Interval(value, min(low, value), max(high, value), n, method)
