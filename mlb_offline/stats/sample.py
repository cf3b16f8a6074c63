"""What was counted in one dataset: a histogram of items, so that order does not matter.

An item is the unit everywhere: its repeats are added up before anything is estimated (clustering by item).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mlb_offline.benchmark.catalogue import Dataset, Metric
from mlb_offline.errors import InputError
from mlb_offline.judge.panel import ASIDE
from mlb_offline.language import tr
from mlb_offline.scoring.judged import QUESTIONS, SCALE, EthicsWeights, Question, Range, score_range, verdicts_of
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.stats.powered import SMALLEST_SHARE

Row = tuple[int, ...]

_POSSIBLE: Mapping[Metric, frozenset[Outcome]] = {
    Metric.ACCURACY: frozenset({Outcome.RIGHT, Outcome.WRONG}),
    Metric.MICRO_F1: frozenset({Outcome.SCORED}),
}
_JUDGED = frozenset({Outcome.JUDGED, Outcome.UNJUDGED})
_WIDTH = {Metric.ACCURACY: 3, Metric.MICRO_F1: 4}
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

    @property
    def judges(self) -> str:
        """What the judges make of each criterion (``scoring.judged``); empty unless it was judged."""
        ...

    @property
    def physicians(self) -> str:
        """What a physician does; empty where none has looked at it."""
        ...

    @property
    def signs(self) -> Sequence[str]:
        """Why it was put to no judge (``judge.panel.ASIDE``); empty where it was not set aside."""
        ...


@dataclass(frozen=True)
class Audit:
    """A physician's labels on a random sample of a judged dataset's items, all criteria of each.

    Attributes:
        share: the chance with which each item was drawn, apart from all others, in (0, 1].
        drawn: sorted rows (judges' score, least and most score by the physician, items), in millionths, none twice.
        others: sorted rows (judges' score, items) of the items that were not drawn.
        judges: what the judges are worth on the items drawn: sorted rows (both 是 and the physician too, both 是 and
            he 否, both 否 and he 是, both 否 and he too, not both the same, answers), in criteria that he decided.
    """

    share: float
    drawn: tuple[Row, ...]
    others: tuple[Row, ...]
    judges: tuple[Row, ...] = ()

    @property
    def n(self) -> int:
        """Items, drawn or not."""
        return sum(row[-1] for row in (*self.drawn, *self.others))

    @property
    def labelled(self) -> int:
        """Items drawn."""
        return sum(row[-1] for row in self.drawn)

    @property
    def seen(self) -> bool:
        """Whether a physician has decided anything in it, or nothing in it needs one."""
        return bool(self.judges) or (bool(self.drawn) and not any(row[2] for row in self.drawn))

    @property
    def still_open(self) -> int:
        """Items drawn of which the physician left something open."""
        return sum(row[-1] for row in self.drawn if row[1] < row[2])


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
            items), each summed over an item's repeats. Judged datasets: (least, most, items), the scores that an
            item's answers can have, on average over its repeats, in millionths; they differ where verdicts are open.
        audit: a physician's sample of a judged dataset; None where there is none.
        criteria: of a judged dataset, how many criteria bear each mark of the judges; empty elsewhere.
        said: of a judged dataset, for each question that its criteria ask, sorted rows (criteria to which both judges
            said 是, criteria judged, items), each summed over an item's repeats, none twice; empty elsewhere.
        aside: of a judged dataset, answers that were set aside, ``any`` and by reason (``judge.panel.ASIDE``), of which
            an answer may have several; empty elsewhere.

    Raises:
        InputError: counts are negative, unsorted or contradict each other.
    """

    dataset: str
    metric: Metric
    official_n: int
    n: int
    tally: Mapping[str, int]
    histogram: tuple[Row, ...] = ()
    audit: Audit | None = None
    criteria: Mapping[str, int] = field(default_factory=dict)
    said: Mapping[Question, tuple[Row, ...]] = field(default_factory=dict)
    aside: Mapping[str, int] = field(default_factory=dict)

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


def sample_of(
    dataset: Dataset,
    answers: Iterable[Answer],
    *,
    weights: EthicsWeights | None = None,
    share: float | None = None,
    drawn: Callable[[str], bool] = lambda _: False,
) -> DatasetSample:
    """Count the answers of one dataset.

    Args:
        dataset: whose answers they are.
        answers: one for each item and repeat, in any order; missing ones too.
        weights: of the qualities of the ethics sets.
        share: of the physician's sample; None where there is none.
        drawn: whether an item belongs to it.

    Raises:
        InputError: items differ in the number of their answers, or an outcome does not fit the metric.
    """
    by_item: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_item[answer.item].append(answer)
    if len({len(group) for group in by_item.values()}) > 1:
        raise InputError(
            tr("各条目的作答次数不同", "items differ in the number of their answers"),
            field=dataset.id,
            remedy=tr("补全运行", "complete the run"),
        )
    every = [answer for group in by_item.values() for answer in group]
    tally = Counter(answer.outcome.value for answer in every)
    marks = Counter(mark for answer in every for mark in answer.judges)
    audit = None if share is None else _audit(dataset.metric, by_item, weights, share, drawn)
    return DatasetSample(
        dataset=dataset.id,
        metric=dataset.metric,
        official_n=dataset.n,
        n=len(by_item),
        tally={outcome.value: tally[outcome.value] for outcome in Outcome},
        histogram=_counted(_row(dataset.metric, group, weights) for group in by_item.values()),
        audit=audit,
        criteria={mark: marks[mark] for mark in "ynda"} if dataset.metric.judged else {},
        said={
            question: _counted(_said(group, place) for group in by_item.values())
            for question, place in QUESTIONS.get(dataset.metric, {}).items()
        },
        aside=_aside(every) if dataset.metric.judged else {},
    )


def _counted(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted((*row, items) for row, items in Counter(rows).items()))


def _row(metric: Metric, answers: Sequence[Answer], weights: EthicsWeights | None) -> Row:
    if metric is Metric.ACCURACY:
        return sum(answer.outcome is Outcome.RIGHT for answer in answers), len(answers)
    if metric is Metric.MICRO_F1:
        return tuple(sum(getattr(answer, name) for answer in answers) for name in ("tp", "fp", "fn"))
    return _mean(_range(metric, answer, weights, answer.physicians) for answer in answers)


def _said(answers: Iterable[Answer], place: slice) -> Row:
    """Criteria of one question over an item's answers: to which both judges said 是, and all that were judged."""
    marks = "".join(answer.judges[place] for answer in answers)
    return marks.count("y"), len(marks)


def _aside(answers: Sequence[Answer]) -> dict[str, int]:
    reasons = Counter(reason for answer in answers for reason in answer.signs)
    return {"any": sum(bool(answer.signs) for answer in answers), **{reason: reasons[reason] for reason in ASIDE}}


def _range(metric: Metric, answer: Answer, weights: EthicsWeights | None, physicians: str) -> Range:
    """What an answer scores: nothing where there is none, anything while nobody has judged it."""
    if answer.outcome is Outcome.UNJUDGED:
        return Range(0.0, 1.0)
    if answer.outcome is not Outcome.JUDGED:
        return Range(0.0, 0.0)
    return score_range(metric, verdicts_of(answer.judges, physicians), weights)


def _mean(ranges: Iterable[Range]) -> tuple[int, int]:
    low, high = (math.fsum(ends) / len(ends) for ends in zip(*ranges, strict=True))
    return round(low * SCALE), round(high * SCALE)


def _audit(
    metric: Metric,
    by_item: Mapping[str, Sequence[Answer]],
    weights: EthicsWeights | None,
    share: float,
    drawn: Callable[[str], bool],
) -> Audit:
    labelled, others, worth = [], [], []
    for item, group in by_item.items():
        # What the judges say alone: the bound sets it against the physician's labels.
        judged = sum(_mean(_range(metric, answer, weights, "") for answer in group)) // 2
        if drawn(item):
            labelled.append((judged, *_mean(_settled(metric, answer, weights) for answer in group)))
            worth += [row for answer in group if any(row := _worth(answer))]
        else:
            others.append((judged,))
    return Audit(share, _counted(labelled), _counted(others), _counted(worth))


def _worth(answer: Answer) -> Row:
    pairs = Counter(zip(answer.judges, answer.physicians, strict=False))
    same = [pairs[pair] for pair in (("y", "y"), ("y", "n"), ("n", "y"), ("n", "n"))]
    return (*same, sum(count for (judges, physician), count in pairs.items() if judges in "da" and physician in "yn"))


def _settled(metric: Metric, answer: Answer, weights: EthicsWeights | None) -> Range:
    """What the physician's labels alone say of an answer; whatever is not labelled is open."""
    if answer.outcome is not Outcome.JUDGED:
        return _range(metric, answer, weights, "")
    return score_range(metric, verdicts_of("d" * len(answer.judges), answer.physicians), weights)


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
    possible = _POSSIBLE.get(sample.metric, _JUDGED) | _ABSENT
    strange = sorted(key for key, count in sample.tally.items() if count and key not in possible)
    if strange:
        return "tally", f"结果与指标不符：{strange}", f"outcomes that the metric cannot have: {strange}"
    return None


def _rows_problem(field: str, rows: tuple[Row, ...], width: int) -> Problem:
    if not all(isinstance(row, tuple) and len(row) == width and _counts(row) and row[-1] for row in rows):
        return field, f"每行应为 {width} 个非负整数", f"a row is {width} integers of at least 0"
    if list(rows) != sorted({row[:-1]: row for row in rows}.values()):
        return field, "行应有序且不重复", "rows must be sorted, none twice"
    return None


def _histogram_problem(sample: DatasetSample) -> Problem:
    rows = sample.histogram
    problem = _rows_problem("histogram", rows, _WIDTH.get(sample.metric, 3))
    if problem is not None:
        return problem
    if sum(row[-1] for row in rows) != sample.n:
        return "histogram", f"条目数之和不等于 {sample.n}", f"items do not add up to {sample.n}"
    if sample.said and not sample.metric.judged:
        return "said", "不是裁判评分的数据集", "no judge says anything of this dataset"
    if sample.metric is Metric.ACCURACY:
        return _accuracy_problem(sample)
    return _judged_problem(sample) if sample.metric.judged else None


def _accuracy_problem(sample: DatasetSample) -> Problem:
    rows = sample.histogram
    if any(row[0] > row[1] or row[1] != sample.repeats for row in rows):
        return "histogram", "作对次数或作答次数有误", "right answers exceed answers, or answers differ"
    if sum(row[0] * row[2] for row in rows) != sample.tally.get(Outcome.RIGHT, 0):
        return "histogram", "与正确数不符", "right answers differ from the tally"
    return None


def _judged_problem(sample: DatasetSample) -> Problem:
    if any(not row[0] <= row[1] <= SCALE for row in sample.histogram):
        return "histogram", "得分范围有误", "a range of scores is none"
    answers, judged = sum(sample.tally.values()), sample.tally.get(Outcome.JUDGED, 0)
    came = judged + sample.tally.get(Outcome.UNJUDGED, 0)
    most = sum(row[1] * row[2] for row in sample.histogram)
    if answers and most > came * sample.n / answers * SCALE + sample.n:
        return "histogram", "得分高于已有回答所能得", "scores are higher than the answers that came can have"
    return _said_problem(sample) or _audit_problem(sample)


def _said_problem(sample: DatasetSample) -> Problem:
    for rows in sample.said.values():
        problem = _rows_problem("said", rows, 3)
        if problem is not None:
            return problem
        if any(yes > criteria for yes, criteria, _items in rows) or sum(row[-1] for row in rows) != sample.n:
            return "said", "裁判所说的计数有误", "what the judges said is not of these items"
    return None


def _audit_problem(sample: DatasetSample) -> Problem:
    audit = sample.audit
    if audit is None:
        return None
    widths = ((audit.drawn, 4), (audit.others, 2), (audit.judges, 6))
    problem = next((found for rows, width in widths if (found := _rows_problem("audit", rows, width))), None)
    if problem is not None:
        return problem
    fits = all(row[0] <= SCALE and row[1] <= row[2] <= SCALE for row in audit.drawn)
    fits = fits and all(row[0] <= SCALE for row in audit.others) and audit.n == sample.n
    if not fits or not SMALLEST_SHARE <= audit.share <= 1 or (audit.share == 1 and audit.others):
        return "audit", "医生抽样有误", "the physician's sample is none of these items"
    return None
