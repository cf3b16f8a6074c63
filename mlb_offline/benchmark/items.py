"""Items as they stand in a source folder and in a bundle, checked on the way in.

An item is one JSON object (DESIGN, section 4). Its ``answer`` keeps the benchmark's own form: ``"B,C"`` for
choices, a candidate line for CHIP-CDN, JSON for extraction and records, nothing for free text.
"""

from __future__ import annotations

import hashlib
import string
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mlb_offline.benchmark.catalogue import Dataset, Form
from mlb_offline.configuration import explain
from mlb_offline.errors import InputError
from mlb_offline.language import tr

LETTERS = string.ascii_uppercase
NonEmpty = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]


def plain(text: str) -> str:
    """A text in Unicode NFKC, without white space and case."""
    return "".join(unicodedata.normalize("NFKC", text).split()).casefold()


class EvaluationPoint(BaseModel):
    """One fact that a judged answer must contain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: str
    point: NonEmpty


class Item(BaseModel):
    """One item of one dataset.

    Attributes:
        id: unique within its dataset.
        options: texts of the options without their letters, in order (A first); for CHIP-CDN the
            candidate lines.
        answer: the reference answer in the benchmark's form, or None where the dataset has none.
        note: the author's reason for the answer, for reviewers; never shown to a model.
        reviewed_by: who reviewed it, or ``none (not physician-reviewed)``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: NonEmpty
    specialty: str
    question: NonEmpty
    source: NonEmpty
    licence: NonEmpty
    reviewed_by: NonEmpty
    difficulty: str | None = None
    options: Annotated[list[NonEmpty], Field(max_length=200)] = Field(default_factory=list)
    scenario: str | None = None
    answer: Any = None
    evaluation_points: list[EvaluationPoint] = Field(default_factory=list)
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The item as a JSON object without its empty fields."""
        return self.model_dump(exclude_none=True, exclude_defaults=True)

    def content(self) -> str:
        """What is asked, spelled so that a copy under another id is the same: scenario, question, sorted options.

        Unicode NFKC, without white space and case.
        """
        return "\x1f".join([plain(self.scenario or ""), plain(self.question), *sorted(map(plain, self.options))])

    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON (RFC 8785) of the item."""
        return hashlib.sha256(rfc8785.dumps(self.to_json())).hexdigest()[:16]


Problem = tuple[str, str] | None
"""The field at fault and what is wrong with it."""


def load_item(dataset: Dataset, raw: Any, *, file: str | Path, line: int | None = None) -> Item:
    """Check one JSON value and make it an item of the dataset.

    Args:
        dataset: whose item it is to be.
        raw: a parsed JSON value.
        file: where it comes from, for messages.
        line: its line or row there, from 1.

    Raises:
        InputError: a field is missing, unknown, of the wrong type, or the answer is not of the dataset's form.
    """
    try:
        item = Item.model_validate(raw)
    except ValidationError as error:
        field, message = explain(error)
        raise InputError(
            tr(f"条目无效：{message}", f"not a valid item: {message}"),
            file=file,
            line=line,
            field=field,
            remedy=tr("按 docs/format.md 修正该条目", "correct the item as docs/format.md says"),
        ) from None
    problem = _not_canonical(item) or _answer_problem(dataset, item)
    if problem is not None:
        field, message = problem
        raise InputError(
            message,
            file=file,
            line=line,
            field=field,
            remedy=tr(f"条目 {item.id}：修正该字段", f"correct this field of item {item.id}"),
        )
    return item


def _not_canonical(item: Item) -> Problem:
    try:
        item.digest()
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        return "answer", tr(f"JSON 无法精确表示：{error}", f"JSON cannot hold it exactly: {error}")
    return None


def _answer_problem(dataset: Dataset, item: Item) -> Problem:
    return _CHECKS[dataset.form](dataset, item)


def _check_choice(_dataset: Dataset, item: Item) -> Problem:
    count = len(item.options)
    if not 2 <= count <= len(LETTERS):
        return "options", tr(f"选项数为 {count}，应为 2–26", f"{count} options, there must be 2 to 26")
    if not isinstance(item.answer, str) or not item.answer:
        return "answer", tr("选择题必须有答案，如 B 或 B,C", "a choice item needs an answer such as B or B,C")
    letters = item.answer.split(",")
    if letters != sorted(set(letters)) or not set(letters) <= set(LETTERS[:count]):
        return "answer", tr(
            f"答案“{item.answer}”应为按序、不重复、以英文逗号分隔且在 A–{LETTERS[count - 1]} 内的大写字母",
            f"the answer {item.answer!r} must be capital letters A to {LETTERS[count - 1]}, "
            "in order, without repeats, with commas between",
        )
    return None


def _check_terms(_dataset: Dataset, item: Item) -> Problem:
    if not item.options:
        return "options", tr("缺少候选标准词", "there are no candidate lines")
    if item.answer not in item.options:
        return "answer", tr("答案不是候选行之一", "the answer is not one of the candidate lines")
    return None


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) and entry.strip() for entry in value)


def _check_entities(dataset: Dataset, item: Item) -> Problem:
    answer = item.answer
    if not isinstance(answer, Mapping) or not answer:
        return "answer", tr("答案应为 JSON 对象：实体类型 → 字符串列表", "the answer must be an object: type → list")
    for key, value in answer.items():
        if key not in dataset.keys:
            return f"answer.{key}", tr(f"未知的实体类型“{key}”", f"unknown entity type {key!r}")
        if not _is_strings(value):
            return f"answer.{key}", tr("应为非空字符串的列表", "must be a list of non-empty strings")
    return None


def _check_events(dataset: Dataset, item: Item) -> Problem:
    if not isinstance(item.answer, list):
        return "answer", tr("答案应为事件列表", "the answer must be a list of events")
    subject, state, *lists = dataset.keys
    for index, event in enumerate(item.answer):
        field = f"answer.{index}"
        if not isinstance(event, Mapping) or set(event) != set(dataset.keys):
            return field, tr("事件的键应恰为 ", "an event has exactly the keys ") + "、".join(dataset.keys)
        if not isinstance(event[subject], str) or not event[subject].strip() or not isinstance(event[state], str):
            return field, tr(f"{subject} 与 {state} 应为字符串", f"{subject} and {state} must be strings")
        if not all(_is_strings(event[key]) for key in lists):
            return field, tr(f"{'、'.join(lists)} 应为字符串列表", f"{', '.join(lists)} must be lists of strings")
    return None


def _check_relations(dataset: Dataset, item: Item) -> Problem:
    answer = item.answer
    root = dataset.keys[0]
    if not isinstance(answer, Mapping) or set(answer) != {root} or not isinstance(answer[root], list):
        return "answer", tr('答案应为 {"关系": [...]}', 'the answer must be {"关系": [...]}')
    for index, relation in enumerate(answer[root]):
        good = (
            isinstance(relation, Mapping)
            and set(relation) == set(dataset.keys)
            and all(isinstance(value, str) and value.strip() for value in relation.values())
        )
        if not good:
            return f"answer.{root}.{index}", tr(
                "关系应恰有三个非空字符串：关系、头实体、尾实体",
                "a relation has exactly three non-empty strings: 关系, 头实体, 尾实体",
            )
    return None


def _check_text(_dataset: Dataset, item: Item) -> Problem:
    if item.options:
        return "options", tr("该数据集没有选项", "this dataset has no options")
    return None


def _check_record(dataset: Dataset, item: Item) -> Problem:
    if item.answer is None and not item.evaluation_points:
        return "answer", tr("需要参考答案或评估要点", "a reference answer or evaluation points are needed")
    if item.answer is not None and (not isinstance(item.answer, Mapping) or not set(item.answer) <= set(dataset.keys)):
        return "answer", tr("答案的键应在 ", "the answer is an object with keys among ") + "、".join(dataset.keys)
    return None


_CHECKS: Mapping[Form, Callable[[Dataset, Item], Problem]] = {
    Form.CHOICE: _check_choice,
    Form.TERMS: _check_terms,
    Form.ENTITIES: _check_entities,
    Form.EVENTS: _check_events,
    Form.RELATIONS: _check_relations,
    Form.TEXT: _check_text,
    Form.RECORD: _check_record,
}
