"""The one-sided lower bound that fits a dataset or a mean of datasets; rounded down, never up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlb_offline.benchmark.catalogue import Metric
from mlb_offline.scoring.judged import SCALE
from mlb_offline.stats.bounds import (
    ALPHA,
    Counts,
    betting_lower,
    clopper_pearson_lower,
    effective_cap,
    micro_f1_lower,
    runaways,
)
from mlb_offline.stats.powered import Powered, powered_lower
from mlb_offline.stats.sample import Audit, DatasetSample

SMALLEST_SIZE_CAP = 8
"""Smallest cap that a policy may set: a perfect answer of 4 entities. Below it most documents would be cut."""
DEFAULT_SIZE_CAP = 32
"""Cap of 2TP + FP + FN of one answer, unless the policy sets another: a perfect document of the benchmark's
example items has 6 entities, so size 12; bounds are sharpest at two to three times the mean size
(docs/statistics.md)."""

SizeCap = Callable[[str], int]
"""The cap of a dataset, for one answer; with repeats it is multiplied by their number."""


def default_size_cap(_dataset: str) -> int:
    """The same cap for every dataset."""
    return DEFAULT_SIZE_CAP


@dataclass(frozen=True)
class Bound:
    """A lower bound and how it was made.

    Attributes:
        low: holds with probability of at least 1 - alpha; in [0, 1], 6 decimals, rounded down.
        method: ``clopper-pearson``, ``betting``, ``betting-micro-f1``, ``prediction-powered`` or ``bonferroni``.
    """

    low: float
    method: str


def dataset_lower(sample: DatasetSample, *, alpha: float = ALPHA, size_cap: SizeCap = default_size_cap) -> Bound:
    """Lower bound of one dataset's score.

    Single 0/1 answers: Clopper-Pearson. Repeats: betting bound on the items' means. Micro-F1: betting bound with
    capped sizes, 0 where an answer ran away (``runaway``). Judged: from the physician's sample, whatever the judges
    are worth (``powered``); what the physician left open counts as 否.

    Raises:
        ValueError: the dataset has no value (no items), or is judged and has no physician's sample.
    """
    if not sample.n or (sample.metric.judged and sample.audit is None):
        raise ValueError(f"{sample.dataset} has no value")
    if sample.audit is not None:
        return Bound(_down(powered_lower(_powered(sample.audit), sample.audit.share, alpha)), "prediction-powered")
    if sample.metric is Metric.MICRO_F1:
        cap = size_cap(sample.dataset) * sample.repeats
        return Bound(_down(micro_f1_lower(_counts(sample), alpha=alpha, size_cap=cap)), "betting-micro-f1")
    if sample.repeats == 1:
        right = sum(row[0] * row[2] for row in sample.histogram)
        return Bound(_down(clopper_pearson_lower(right, sample.n, alpha)), "clopper-pearson")
    means = [row[0] / row[1] for row in sample.histogram for _ in range(row[2])]
    return Bound(_down(betting_lower(means, alpha)), "betting")


def mean_lower(
    samples: Sequence[DatasetSample],
    weights: Sequence[float],
    *,
    alpha: float = ALPHA,
    size_cap: SizeCap = default_size_cap,
) -> Bound:
    """Lower bound of a weighted mean of datasets: each with its share of alpha, then averaged (Bonferroni).

    All k bounds hold together with probability of at least 1 - alpha, however the datasets depend on each other.
    Where an answer ran away in one of them the bound is 0: what has no bound in one part has none in the mean.

    Raises:
        ValueError: no dataset, one without a value, or weights of another number.
    """
    if not samples:
        raise ValueError("no dataset")
    bounds = [dataset_lower(sample, alpha=alpha / len(samples), size_cap=size_cap).low for sample in samples]
    total = math.fsum(weight * bound for weight, bound in zip(weights, bounds, strict=True))
    ran_away = any(runaway(sample, size_cap=size_cap) for sample in samples)
    return Bound(0.0 if ran_away else _down(total), "bonferroni")


@dataclass(frozen=True)
class Runaway:
    """Items of one dataset whose answers ran away.

    Attributes:
        dataset: where.
        items: how many.
        largest: most errors, FP + FN, of one item; above ``cap``.
        cap: the effective cap of one item.
    """

    dataset: str
    items: int
    largest: int
    cap: int


def item_cap(sample: DatasetSample, *, size_cap: SizeCap = default_size_cap) -> int:
    """The effective cap of one item of a micro-F1 dataset, over its repeats (``bounds.effective_cap``)."""
    return effective_cap(_counts(sample), size_cap(sample.dataset) * sample.repeats)


def runaway(sample: DatasetSample, *, size_cap: SizeCap = default_size_cap) -> Runaway | None:
    """The items with more errors than the effective cap, so that no lower bound but 0 exists; None without any."""
    if sample.metric is not Metric.MICRO_F1:
        return None
    counts = _counts(sample)
    items = runaways(counts, size_cap(sample.dataset) * sample.repeats)
    if not items:
        return None
    largest = max(fp + fn for _, fp, fn, _ in counts)
    return Runaway(sample.dataset, items, largest, item_cap(sample, size_cap=size_cap))


def _powered(audit: Audit) -> list[Powered]:
    drawn = [Powered(row[0] / SCALE, True, row[1] / SCALE) for row in audit.drawn for _ in range(row[-1])]
    return drawn + [Powered(row[0] / SCALE, False) for row in audit.others for _ in range(row[-1])]


def _counts(sample: DatasetSample) -> Counts:
    return [(row[0], row[1], row[2], row[3]) for row in sample.histogram]


def _down(value: float) -> float:
    """Rounded down to 6 decimals; a value that lies on them but for floating-point noise stays."""
    scaled = value * 1e6
    nearest = round(scaled)
    return (nearest if abs(scaled - nearest) < 1e-6 else math.floor(scaled)) / 1e6
