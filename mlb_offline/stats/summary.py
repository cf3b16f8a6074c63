"""Figures of datasets, dimensions and the whole, each with n and an interval, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlb_offline.benchmark.catalogue import DATASETS, DIMENSIONS, Metric
from mlb_offline.errors import UsageError
from mlb_offline.language import tr
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.stats.bounds import micro_f1
from mlb_offline.stats.intervals import Interval, mean_interval, sample_interval
from mlb_offline.stats.reasons import Reason
from mlb_offline.stats.sample import DatasetSample, Row

__all__ = [
    "EQUAL",
    "DatasetResult",
    "DatasetSample",
    "DimensionResult",
    "Partial",
    "Summary",
    "Weighting",
    "evaluable_reason",
    "members",
    "summarise",
    "weights",
]


@dataclass(frozen=True)
class Weighting:
    """Relative weights, above 0, by dataset within its dimension and by dimension in the whole; 1 where not named."""

    datasets: Mapping[str, float] = field(default_factory=dict)
    dimensions: Mapping[str, float] = field(default_factory=dict)


EQUAL = Weighting()
"""Plain means."""


@dataclass(frozen=True)
class DatasetResult:
    """One dataset: what was counted, and its figure.

    Attributes:
        dataset: official name.
        n: items in this run, missing and failed ones included.
        official_n: official number of items.
        metric: metric value, such as ``accuracy``.
        tally: answers by outcome value.
        counts: the sample's histogram.
        interval: the figure; None where not evaluable.
        evaluable: whether there is a figure.
        reason: why not; None where there is one.
        sample: the counts themselves.
    """

    dataset: str
    n: int
    official_n: int
    metric: str
    tally: Mapping[str, int]
    counts: tuple[Row, ...]
    interval: Interval | None
    evaluable: bool
    reason: Reason | None
    sample: DatasetSample


@dataclass(frozen=True)
class Partial:
    """The mean of those datasets of an unscored dimension that have a figure; never the dimension's score."""

    interval: Interval
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class DimensionResult:
    """A dimension, or with id ``overall`` the whole.

    Attributes:
        id: dimension id or ``overall``.
        datasets: all datasets that it is made of, by the catalogue.
        n: items of those in this run.
        interval: the score: weighted mean of datasets, for ``overall`` of dimensions; None if any part has none.
        reason: why there is no score.
        partial: what can be said instead; for reading only.
    """

    id: str
    datasets: tuple[str, ...]
    n: int
    interval: Interval | None
    reason: Reason | None
    partial: Partial | None = None


@dataclass(frozen=True)
class Summary:
    """All figures, in the order of the catalogue; only datasets that the run holds are listed.

    ``weighting`` is that of all means in it.
    """

    datasets: Mapping[str, DatasetResult]
    dimensions: Mapping[str, DimensionResult]
    overall: DimensionResult
    weighting: Weighting = EQUAL


def summarise(samples: Mapping[str, DatasetSample], *, seed: int, weighting: Weighting = EQUAL) -> Summary:
    """Figures with intervals from counts.

    Args:
        samples: by dataset name.
        seed: of the bootstraps.
        weighting: of datasets and dimensions in means.

    Raises:
        UsageError: a dataset that the catalogue does not know, or not with this name, metric and official n.
    """
    strange = sorted(name for name, sample in samples.items() if not _of_catalogue(name, sample))
    if strange:
        raise UsageError(
            tr(
                f"数据集未知，或名称、指标、官方条目数与目录不符：{strange}",
                f"datasets unknown, or with another name, metric or official n than the catalogue's: {strange}",
            ),
            remedy=tr("只统计目录中的数据集", "count datasets of the catalogue only"),
        )
    datasets = {name: _dataset(samples[name], seed) for name in DATASETS if name in samples}
    dimensions = {name: _dimension(name, datasets, seed, weighting) for name in DIMENSIONS}
    return Summary(datasets, dimensions, _overall(datasets, dimensions, seed, weighting), weighting)


def _of_catalogue(name: str, sample: DatasetSample) -> bool:
    # Else a judged dataset declared as an accuracy set would get a figure.
    row = DATASETS.get(name)
    return row is not None and (row.id, row.metric, row.n) == (sample.dataset, sample.metric, sample.official_n)


def evaluable_reason(sample: DatasetSample) -> Reason | None:
    """Why a dataset has no figure; None where it has one."""
    if not sample.n:
        return Reason("no-items")
    if sample.tally.get(Outcome.UNJUDGED, 0) and not sample.tally.get(Outcome.JUDGED, 0):
        return Reason("no-judge")
    if sample.metric is Metric.MICRO_F1 and micro_f1([(r[0], r[1], r[2], r[3]) for r in sample.histogram]) is None:
        return Reason("no-entities")
    return None


def members(dimension: str) -> tuple[str, ...]:
    """Datasets of a dimension; all 22 for ``overall``."""
    return tuple(name for name, row in DATASETS.items() if dimension in {row.dimension, "overall"})


def weights(datasets: tuple[str, ...], weighting: Weighting = EQUAL) -> list[float]:
    """Share of each dataset in the mean of these datasets' dimensions; all add up to 1.

    A dataset's share of its dimension's share, each in proportion to the weights; equal where none are set.
    """
    sums: dict[str, float] = {}
    for name in datasets:
        sums[DATASETS[name].dimension] = sums.get(DATASETS[name].dimension, 0) + weighting.datasets.get(name, 1.0)
    whole = sum(weighting.dimensions.get(dimension, 1.0) for dimension in sums)
    return [
        weighting.dimensions.get(DATASETS[name].dimension, 1.0)
        / whole
        * weighting.datasets.get(name, 1.0)
        / sums[DATASETS[name].dimension]
        for name in datasets
    ]


def _dataset(sample: DatasetSample, seed: int) -> DatasetResult:
    reason = evaluable_reason(sample)
    return DatasetResult(
        dataset=sample.dataset,
        n=sample.n,
        official_n=sample.official_n,
        metric=sample.metric.value,
        tally=sample.tally,
        counts=sample.histogram,
        interval=None if reason else sample_interval(sample, seed=seed),
        evaluable=reason is None,
        reason=reason,
        sample=sample,
    )


def _dimension(
    dimension: str, datasets: Mapping[str, DatasetResult], seed: int, weighting: Weighting
) -> DimensionResult:
    names = members(dimension)
    n = sum(datasets[name].n for name in names if name in datasets)
    good = tuple(name for name in names if name in datasets and datasets[name].evaluable)
    shares = weights(good, weighting)
    interval = mean_interval([datasets[name].sample for name in good], seed=seed, weights=shares) if good else None
    reason = _gap(names, datasets)
    if reason is None:
        return DimensionResult(dimension, names, n, interval, None)
    partial = Partial(interval, good) if interval is not None else None
    return DimensionResult(dimension, names, n, None, reason, partial)


def _gap(names: tuple[str, ...], datasets: Mapping[str, DatasetResult]) -> Reason | None:
    missing = [name for name in names if name not in datasets]
    if missing:
        return Reason("dataset-missing", {"datasets": ", ".join(missing)})
    unscored = [name for name in names if not datasets[name].evaluable]
    return Reason("dataset-not-evaluable", {"datasets": ", ".join(unscored)}) if unscored else None


def _overall(
    datasets: Mapping[str, DatasetResult], dimensions: Mapping[str, DimensionResult], seed: int, weighting: Weighting
) -> DimensionResult:
    names = members("overall")
    n = sum(result.n for result in datasets.values())
    gaps = [name for name, result in dimensions.items() if result.interval is None]
    if gaps:
        reason = Reason("dimension-not-evaluable", {"dimensions": ", ".join(gaps)})
        return DimensionResult("overall", names, n, None, reason)
    interval = mean_interval([datasets[name].sample for name in names], seed=seed, weights=weights(names, weighting))
    return DimensionResult("overall", names, n, interval, None)
