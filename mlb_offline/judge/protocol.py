"""Which binary questions are asked of an answer to an item of a judged dataset, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlb_offline.benchmark.catalogue import Dataset, Metric
from mlb_offline.benchmark.items import EvaluationPoint, Item
from mlb_offline.errors import InputError
from mlb_offline.judge.annotation import ETHICS_NAMES, Criterion, Family, fixed_wording
from mlb_offline.language import tr


def criteria_of(dataset: Dataset, item: Item, answer: str) -> tuple[Criterion, ...]:
    """The criteria of one answer; their labels mean nothing, for nobody knows them yet.

    Args:
        dataset: a judged one.
        item: of it.
        answer: as the model under test gave it.

    Raises:
        InputError: an item judged by points has none, nor a reference answer to take them from.
        ValueError: the dataset is not judged.
    """
    if dataset.metric is Metric.JUDGE_POINTS:
        return tuple(
            _criterion(dataset, item, answer, "points", "point", f"{index:03d}", point.topic, point.point)
            for index, point in enumerate(points_of(dataset, item), start=1)
        )
    names: Mapping[Metric, tuple[Family, tuple[str, ...]]] = {
        Metric.JUDGE_SAFETY: ("safety", ("safe",)),
        Metric.JUDGE_ETHICS: ("ethics", tuple(ETHICS_NAMES)),
    }
    if dataset.metric not in names:
        raise ValueError(f"{dataset.id} is not judged")
    family, fixed = names[dataset.metric]
    return tuple(_criterion(dataset, item, answer, family, name, name, "", fixed_wording()[name]) for name in fixed)


def names_of(criteria: Sequence[Criterion]) -> tuple[str, ...]:
    """Names of the criteria of one answer, each once: their numbers for points, else ``safe`` or ``r1`` … ``q4``."""
    return tuple(one.id.rpartition("/")[2] for one in criteria)


def points_of(dataset: Dataset, item: Item) -> tuple[EvaluationPoint, ...]:
    """The item's evaluation points: its own, or else every statement of its reference answer under its key.

    Raises:
        InputError: it has neither.
    """
    points = tuple(item.evaluation_points) or tuple(_derived(dataset, item.answer))
    if not points:
        raise InputError(
            tr(
                f"条目 {item.id} 没有评估要点，也没有可推出要点的参考答案",
                f"item {item.id} has no evaluation points and no answer",
            ),
            field="evaluation_points",
            remedy=tr("重新构建数据包，为该条目补上要点", "build the bundle again with points for this item"),
        )
    return points


def _derived(dataset: Dataset, answer: Any) -> Iterator[EvaluationPoint]:
    if not isinstance(answer, Mapping):
        return
    for key in dataset.keys:
        value = answer.get(key)
        for text in value if isinstance(value, list) else [value]:
            words = str(text).strip() if isinstance(text, str | int | float) else ""
            if words:
                yield EvaluationPoint(topic=key, point=words)


def _criterion(  # noqa: PLR0917 - a row of the annotation layout
    dataset: Dataset, item: Item, answer: str, family: Family, name: str, number: str, topic: str, text: str
) -> Criterion:
    return Criterion(
        id=f"{dataset.id}/{item.id}/{number}",
        answer_id=f"{dataset.id}/{item.id}",
        family=family,
        dataset=dataset.id,
        name=name,
        topic=topic,
        text=text,
        question="\n".join(part for part in (item.scenario, item.question) if part),
        answer=answer,
        label=False,
        specialty=item.specialty,
    )
