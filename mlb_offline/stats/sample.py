"""What was counted in one dataset: a histogram of items, so that order does not matter.

An item is the unit everywhere: its repeats are added up before anything is estimated (clustering by item).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from mlb_offline.benchmark.catalogue import Dataset, Metric
from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.scoring.outcome import Outcome

Row = tuple[int, ...]

_POSSIBLE: Mapping[Metric, frozenset[Outcome]] = {
    Metric.ACCURACY: frozenset({Outcome.RIGHT, Outcome.WRONG}),
    Metric.MICRO_F1: frozenset({Outcome.SCORED}),
}
_ABSENT = frozenset({Outcome.UNREADABLE, Outcome.FAILED, Outcome.MISSING})
_LARGEST = 2**53 - 1


class Answer(Protocol):
    """One scored answer; ``run.results.ItemOutcome`` is one."""

    @property
    def item(self) -> str:
        """Id of the item."""
        ...

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        ...

    @property
    def tp(self) -> int:
        """Units both in the answer and in the reference."""
        ...

    @property
    def fp(self) -> int:
        """Units only in the answer."""
        ...

    @property
    def fn(self) -> int:
        """Units only in the reference."""
        ...


@dataclass(frozen=True)
class DatasetSample:
    """The counts of one dataset.

    Attributes:
        dataset: its official name.
        metric: how it is scored.
        official_n: its official number of items.
        n: items in this run, missing and failed ones included.
        tally: answers (items times repeats) by outcome value; outcomes that never occurred may be absent.
        histogram: sorted rows, none twice. Accuracy: (right answers, answers, items). Micro-F1: (TP, FP, FN,
            items), each summed over an item's repeats. Judged datasets: none.

    Raises:
        InputError: counts are negative, unsorted or contradict each other.
    """

    dataset: str
    metric: Metric
    official_n: int
    n: int
    tally: Mapping[str, int]
    histogram: tuple[Row, ...] = ()

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem is not None:
            field, zh, en = problem
            raise InputError(
                tr(f"数据集 {self.dataset} 的计数有误：{zh}", f"the counts of {self.dataset} are wrong: {en}"),
                field=f"{self.dataset}.{field}",
                remedy=tr("从运行结果重新统计", "count the run's results again"),
            )

    @property
    def repeats(self) -> int:
        """Answers an item; 1 where there are no items."""
        return sum(self.tally.values()) // self.n if self.n else 1


def sample_of(dataset: Dataset, answers: Iterable[Answer]) -> DatasetSample:
    """Count the answers of one dataset.

    Args:
        dataset: whose answers they are.
        answers: one for each item and repeat, in any order; missing ones too.

    Raises:
        InputError: items differ in the number of their answers, or an outcome does not fit the metric.
    """
    tally: Counter[str] = Counter()
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])  # right, answers, tp, fp, fn
    for answer in answers:
        tally[answer.outcome.value] += 1
        parts = (answer.outcome is Outcome.RIGHT, 1, answer.tp, answer.fp, answer.fn)
        sums[answer.item] = [total + int(part) for total, part in zip(sums[answer.item], parts, strict=True)]
    columns = {Metric.ACCURACY: slice(0, 2), Metric.MICRO_F1: slice(2, 5)}.get(dataset.metric)
    rows: Counter[Row] = Counter(tuple(row[columns]) for row in sums.values()) if columns else Counter()
    if len({row[1] for row in sums.values()}) > 1:
        raise InputError(
            tr("各条目的作答次数不同", "items differ in the number of their answers"),
            field=dataset.id,
            remedy=tr("补全运行", "complete the run"),
        )
    return DatasetSample(
        dataset=dataset.id,
        metric=dataset.metric,
        official_n=dataset.n,
        n=len(sums),
        tally={outcome.value: tally[outcome.value] for outcome in Outcome},
        histogram=tuple(sorted((*row, items) for row, items in rows.items())),
    )


Problem = tuple[str, str, str] | None


def _problem(sample: DatasetSample) -> Problem:
    return _tally_problem(sample) or _histogram_problem(sample)


def _counts(values: Iterable[object]) -> bool:
    return all(type(value) is int and 0 <= value <= _LARGEST for value in values)


def _tally_problem(sample: DatasetSample) -> Problem:
    if not _counts([sample.n, sample.official_n, *sample.tally.values()]):
        return "tally", "计数应为非负整数", "counts must be integers of at least 0"
    unknown = sorted(set(sample.tally) - {outcome.value for outcome in Outcome})
    if unknown:
        return "tally", f"未知结果 {unknown}", f"unknown outcomes {unknown}"
    answers = sum(sample.tally.values())
    if (answers % sample.n if sample.n else answers) or (sample.n and not answers):
        return "tally", f"{answers} 个回答不是 {sample.n} 的倍数", f"{answers} answers for {sample.n} items"
    possible = _POSSIBLE.get(sample.metric, frozenset({Outcome.UNJUDGED})) | _ABSENT
    strange = sorted(key for key, count in sample.tally.items() if count and key not in possible)
    if strange:
        return "tally", f"结果与指标不符：{strange}", f"outcomes that the metric cannot have: {strange}"
    return None


def _histogram_problem(sample: DatasetSample) -> Problem:
    rows = sample.histogram
    width = {Metric.ACCURACY: 3, Metric.MICRO_F1: 4}.get(sample.metric)
    if width is None:
        return ("histogram", "裁判数据集不应有直方图", "a judged dataset has no histogram") if rows else None
    if not all(isinstance(row, tuple) and len(row) == width and _counts(row) and row[-1] for row in rows):
        return "histogram", f"每行应为 {width} 个非负整数", f"a row is {width} integers of at least 0"
    if list(rows) != sorted({row[:-1]: row for row in rows}.values()):
        return "histogram", "行应有序且不重复", "rows must be sorted, none twice"
    if sum(row[-1] for row in rows) != sample.n:
        return "histogram", f"条目数之和不等于 {sample.n}", f"items do not add up to {sample.n}"
    return _accuracy_problem(sample) if sample.metric is Metric.ACCURACY else None


def _accuracy_problem(sample: DatasetSample) -> Problem:
    rows = sample.histogram
    if any(row[0] > row[1] or row[1] != sample.repeats for row in rows):
        return "histogram", "作对次数或作答次数有误", "right answers exceed answers, or answers differ"
    if sum(row[0] * row[2] for row in rows) != sample.tally.get(Outcome.RIGHT, 0):
        return "histogram", "与正确数不符", "right answers differ from the tally"
    return None
