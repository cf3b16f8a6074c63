"""Rules for one item: what a reader of it needs, its points, its options, its canary."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from uuid import UUID

from mlb_offline.benchmark.catalogue import Dataset, Form, Metric
from mlb_offline.benchmark.items import Item, plain
from mlb_offline.benchmark.specialties import SPECIALTIES
from mlb_offline.bundle.lint.likeness import grams
from mlb_offline.bundle.lint.texts import strings
from mlb_offline.language import tr

Found = Iterator[tuple[str, str]]
"""Field and message."""
DIFFICULTIES = ("易", "中", "难")
POINTS = range(3, 9)
"""Evaluation points of an item that is judged by them."""
LONGEST_POINT = 60
"""Characters; a longer one is rarely one fact."""


def incomplete(dataset: Dataset, item: Item) -> Found:
    """What the schema leaves free and a physician who reviews the item needs: difficulty, note, 3 to 8 points."""
    if item.difficulty not in DIFFICULTIES:
        yield "difficulty", tr("应为 易、中 或 难", "must be 易, 中 or 难")
    if not (item.note or "").strip():
        yield "note", tr("没有说明答案的理由与依据", "does not say why the answer is right, and by which source")
    if dataset.metric is Metric.JUDGE_POINTS and len(item.evaluation_points) not in POINTS:
        yield (
            "evaluation_points",
            tr(f"有 {len(item.evaluation_points)} 个，应为 3–8 个", f"{len(item.evaluation_points)}, should be 3 to 8"),
        )
    if dataset.metric is Metric.MICRO_F1 and not any(strings(item.answer)):
        yield "answer", tr("没有任何可得分的内容", "holds nothing that could be scored")
    if dataset.metric is Metric.JUDGE_ETHICS and not (item.scenario or "").strip():
        yield "scenario", tr("没有情境", "there is none")


def specialty(_dataset: Dataset, item: Item) -> Found:
    """The specialty is one of the catalogue."""
    if item.specialty not in SPECIALTIES:
        yield (
            "specialty",
            tr(f"“{item.specialty}”不在 64 个专科之列", f"{item.specialty!r} is none of the 64 specialties"),
        )


def options(dataset: Dataset, item: Item) -> Found:
    """No two options are the same, and none is empty: width, white space, what nobody sees and a last stop aside."""
    seen: dict[str, int] = {}
    for place, option in enumerate(item.options):
        spelled = _seen(option).rstrip("。.；;")
        if not spelled:
            yield f"options.{place}", tr("看上去是空的", "looks empty")
        elif spelled in seen and dataset.form in {Form.CHOICE, Form.TERMS}:
            yield f"options.{place}", tr(f"与第 {seen[spelled] + 1} 项相同", f"is option {seen[spelled] + 1} again")
        seen.setdefault(spelled, place)


def _seen(text: str) -> str:
    """A text as ``plain``, without the characters that nobody sees: Cf, and the Hangul fillers."""
    return "".join(one for one in plain(text) if unicodedata.category(one) != "Cf" and one not in "\u1160\u3164\uffa0")


def canary(item: Item, wanted: UUID | None) -> Found:
    """Where bundle.toml names a canary, every item names it, for items get copied one by one."""
    if wanted is not None and str(wanted) not in item.source:
        yield "source", tr(f"没有写明金丝雀标识 {wanted}", f"does not name the canary {wanted}")


def points(dataset: Dataset, item: Item, task: frozenset[str]) -> Found:
    """A point is one fact, none stands twice, and none is met by repeating what the model was told to do.

    The record under a diagnosis must not name it. What else a record says may be a point: to find it is the task.

    Args:
        dataset: the item's.
        item: with its points.
        task: the runs (``likeness.grams``) of the dataset's prompt.
    """
    head, line, _ = item.question.partition("\n")
    told = task | (grams(head) if line else frozenset())
    seen: set[tuple[str, str]] = set()
    for place, one in enumerate(item.evaluation_points):
        field, spelled = f"evaluation_points.{place}", (_seen(one.topic), _seen(one.point))
        if spelled in seen:
            yield field, tr("重复", "stands twice")
        seen.add(spelled)
        if len(one.point) > LONGEST_POINT or "；" in one.point or ";" in one.point:
            yield field, tr("不止一个事实", "more than one fact")
        if len(one.point) > 4 and grams(one.point) <= told:
            yield field, tr("题目要求中已写明", "the task itself says it")
        if _DIAGNOSIS.search(one.topic) and _named(one.point, item):
            yield field, tr("病历中已写出该诊断", "the record names this diagnosis")
    principal = item.answer.get("诊断") if dataset.id == "MADiagnosis" and isinstance(item.answer, dict) else None
    if isinstance(principal, str) and _named(principal, item):
        yield "answer.诊断", tr("病历中已写出该诊断", "the record names this diagnosis")


_DIAGNOSIS = re.compile(r"诊断(?:名称)?$")
"""Topics of points that name a diagnosis; 诊断依据 and 鉴别诊断依据 are none."""
_FIRST = re.compile(r"[（(；;，,、]")


def _named(diagnosis: str, item: Item) -> bool:
    """Whether the record says a diagnosis, as far as its first bracket or stop."""
    name = _seen(_FIRST.split(diagnosis)[0])
    return len(name) > 2 and name in _seen(item.question)
