"""Labelled criteria on disk: the annotation layout of DESIGN section 10, one JSON object a line.

Three forms, told apart by ``dataset``:

* points: ``{id, dataset, topic, evaluation_point, answer, label: 是|否}`` for MADiagnosis, MAInspection, MARecord;
* safety: ``{id, dataset: GeneralSafety, question, output, label: 安全|不安全}``;
* ethics: ``{id, dataset, scenario, question, output, risk: [r1, r2], quality: [q1, q2, q3, q4]}`` for MACompliance
  and MAEthic, r in {-1, 0} and q in {0, 1}.

``kind``, ``specialty``, ``concept`` and ``reviewed_by`` may stand in any of them. A points or safety row is one
criterion, an ethics row six.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlb_offline.configuration import explain
from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.regular_file import open_regular

if TYPE_CHECKING:
    from pydantic import BaseModel

Family = Literal["points", "safety", "ethics"]

POINT_DATASETS = frozenset({"MADiagnosis", "MAInspection", "MARecord"})
SAFETY_DATASETS = frozenset({"GeneralSafety"})
ETHICS_DATASETS = frozenset({"MACompliance", "MAEthic"})
ETHICS_NAMES = ("r1", "r2", "q1", "q2", "q3", "q4")


@dataclass(frozen=True)
class Criterion:
    """One binary question on one answer, with the right verdict.

    Attributes:
        id: of the criterion; an ethics row's id with ``/r1`` ... ``/q4``.
        answer_id: the same for all criteria of one answer; data is split and figures are clustered by it.
        family: ``points``, ``safety`` or ``ethics``.
        dataset: of the benchmark.
        name: ``point``, ``safe``, or one of ``ETHICS_NAMES``.
        topic: of a point; otherwise empty.
        text: the evaluation point, or the fixed wording of criteria.toml.
        question: what was asked, with the scenario in front; empty in annotations of points.
        answer: the answer under judgement, as the model gave it.
        label: whether 是 is right (安全 for ``safe``; -1 for a risk; 1 for a quality).
        kind: what makes it easy or hard, as its author named it; empty if unknown.
        specialty: of the case; empty if unknown.
        concept: what the case is about; empty if unknown.
    """

    id: str
    answer_id: str
    family: Family
    dataset: str
    name: str
    topic: str
    text: str
    question: str
    answer: str
    label: bool
    kind: str = ""
    specialty: str = ""
    concept: str = ""


@cache
def fixed_wording() -> dict[str, str]:
    """The wording of the fixed criteria (criteria.toml) by name: ``safe``, ``r1`` ... ``q4``."""
    document = tomllib.loads(files("mlb_offline.judge").joinpath("criteria.toml").read_text(encoding="utf-8"))
    return {str(one["name"]): str(one["text"]) for one in document["criterion"]}


def read_annotations(path: Path) -> tuple[Criterion, ...]:
    """All criteria of a file, in order.

    Raises:
        InputError: the file cannot be read, or a line is not UTF-8, not JSON, of no known form, or repeats an id;
            names line and field.
    """
    return tuple(parse_annotations(read_lines(path), file=path))


def read_lines(path: Path) -> list[bytes]:
    """The lines of a file of annotations.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with open_regular(path) as file:
            return file.read().split(b"\n")
    except OSError as error:
        raise InputError(
            tr(f"标注文件无法读取：{error.strerror}", f"the annotations cannot be read: {error.strerror}"),
            file=path,
            remedy=tr("检查路径与权限", "check the path and its permissions"),
        ) from None


def parse_annotations(lines: Iterable[bytes], *, file: Path) -> Iterator[Criterion]:
    """As ``read_annotations``, from lines."""
    seen: dict[str, int] = {}
    answers: dict[tuple[str, str], str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _row(line, file, number)
        if row.id in seen:
            raise _refused(
                file,
                number,
                "id",
                f"{row.id} 已在第 {seen[row.id]} 行出现",
                f"{row.id} stands on line {seen[row.id]} already",
            )
        seen[row.id] = number
        body = str(row.answer if row.dataset in POINT_DATASETS else row.output)
        yield from _criteria(row, answers.setdefault((row.dataset, body), row.id))


def _refused(file: Path, line: int, field: str | None, zh: str, en: str) -> InputError:
    return InputError(
        tr(zh, en),
        file=file,
        line=line,
        field=field,
        remedy=tr("按标注格式更正该行（见 docs/judge.md）", "mend the line: the layout is in docs/judge.md"),
    )


def _row(line: bytes, file: Path, number: int) -> Any:
    from pydantic import ValidationError

    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _refused(file, number, None, f"不是有效的 JSON：{error}", f"is not valid JSON: {error}") from None
    dataset = raw.get("dataset") if isinstance(raw, dict) else None
    model = _forms().get(dataset) if isinstance(dataset, str) else None
    if model is None:
        names = ", ".join(sorted(_forms()))
        raise _refused(
            file,
            number,
            "dataset",
            f"只能是 {names}，不是 {dataset!r}",
            f"must be one of {names}, not {dataset!r}",
        )
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        field, message = explain(error)
        raise _refused(file, number, field, message, message) from None


@cache
def _forms() -> dict[str, type[BaseModel]]:
    from pydantic import BaseModel, ConfigDict, Field

    class Row(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        id: str = Field(min_length=1)
        dataset: str
        kind: str = ""
        specialty: str = ""
        concept: str = ""
        reviewed_by: str = ""

    class Point(Row):
        topic: str = Field(min_length=1)
        evaluation_point: str = Field(min_length=1)
        answer: str = Field(min_length=1)
        label: Literal["是", "否"]

    class Safety(Row):
        question: str = Field(min_length=1)
        output: str = Field(min_length=1)
        label: Literal["安全", "不安全"]

    class Ethics(Row):
        scenario: str = ""
        question: str = Field(min_length=1)
        output: str = Field(min_length=1)
        risk: list[Literal[-1, 0]] = Field(min_length=2, max_length=2)
        quality: list[Literal[0, 1]] = Field(min_length=4, max_length=4)

    forms: dict[str, type[BaseModel]] = dict.fromkeys(POINT_DATASETS, Point)
    forms |= dict.fromkeys(SAFETY_DATASETS, Safety)
    return forms | dict.fromkeys(ETHICS_DATASETS, Ethics)


def _criteria(row: Any, answer_id: str) -> Iterator[Criterion]:
    shared = {"kind": row.kind, "specialty": row.specialty, "concept": row.concept}
    if row.dataset in POINT_DATASETS:
        yield Criterion(
            id=row.id,
            answer_id=answer_id,
            family="points",
            dataset=row.dataset,
            name="point",
            topic=row.topic,
            text=row.evaluation_point,
            question="",
            answer=row.answer,
            label=row.label == "是",
            **shared,
        )
    elif row.dataset in SAFETY_DATASETS:
        yield Criterion(
            id=row.id,
            answer_id=answer_id,
            family="safety",
            dataset=row.dataset,
            name="safe",
            topic="",
            text=fixed_wording()["safe"],
            question=row.question,
            answer=row.output,
            label=row.label == "安全",
            **shared,
        )
    else:
        verdicts = [value == -1 for value in row.risk] + [value == 1 for value in row.quality]
        for name, label in zip(ETHICS_NAMES, verdicts, strict=True):
            yield Criterion(
                id=f"{row.id}/{name}",
                answer_id=answer_id,
                family="ethics",
                dataset=row.dataset,
                name=name,
                topic="",
                text=fixed_wording()[name],
                question="\n".join(part for part in (row.scenario, row.question) if part),
                answer=row.output,
                label=label,
                **shared,
            )
