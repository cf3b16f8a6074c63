"""Judges outside their domain: public pairs of a claim and an answer that no judge was trained on.

Two sets, both read in place and never copied:

* GAPS-NSCLC preview (an XLSX sheet): questions on lung cancer, each with claims of experts (positive: a good answer
  says this; negative: a fault that an answer may have) and the answers of three models. It has no labels of pairs;
  ours stand in a JSON Lines file of places, ``{row, model, claim, label: 是|否, doubt?: true}``, without any text.
* K-QA (a CSV table, English): statements, answers, and for each pair what three physicians said of it.

是 means that the answer holds the whole claim in meaning; for a negative claim, that the answer has the whole fault.
Both become criteria of the family ``points``, with the question as the topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mlb_offline.bundle.importers.files import parse_json, read_text
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.bundle.importers.tables import Row, read_table
from mlb_offline.configuration import explain
from mlb_offline.errors import InputError
from mlb_offline.judge.agreement import Rate, agreement
from mlb_offline.judge.annotation import Criterion
from mlb_offline.language import tr

GAPS_SHEET = "Sheet1"
GAPS_MODELS = ("gpt_5_answer", "gemini_2_5_pro_answer", "claude_opus_4_answer")
"""Columns of answers; models are numbered from 1 in this order."""
CLAIMS_OF_AN_ANSWER = 3
EVERY = 5
"""One answer in five is drawn; prime to the number of models, so that each of them comes in turn."""

KQA_PHYSICIANS = ("label_0", "label_1", "label_2")
ENTAILED = "Entailment"
_KQA_LABELS = (ENTAILED, "Neutral", "Contradiction")


class _Claim(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    id: int
    claim: str = Field(min_length=1)
    level: str
    type: Literal["positive", "negative"]


class _Label(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    row: int = Field(ge=2)
    model: int = Field(ge=1, le=len(GAPS_MODELS))
    claim: int
    label: Literal["是", "否"]
    doubt: Literal[True] | None = None


_CLAIMS = TypeAdapter(list[_Claim])


@dataclass(frozen=True)
class GapsLabel:
    """What was read of one pair.

    Attributes:
        row: of the sheet, as the spreadsheet shows it; the header is row 1.
        model: from 1, in the order of ``GAPS_MODELS``.
        claim: the ``id`` of the claim in the row's rubrics.
        label: whether the answer holds the whole claim.
        doubt: whether another reader might well say the opposite.
        line: of the file of labels.
    """

    row: int
    model: int
    claim: int
    label: bool
    doubt: bool
    line: int

    @property
    def answer_id(self) -> str:
        """Of the answer, the same for all its claims."""
        return f"GAPS/{self.row}/{self.model}"

    @property
    def id(self) -> str:
        """Of the criterion that ``gaps_pairs`` makes of it."""
        return f"{self.answer_id}/{self.claim}"


@dataclass(frozen=True)
class KqaPair:
    """A statement and an answer; the criterion's label is what most physicians said, ``physicians`` what each did.

    Attributes:
        physicians: ``Entailment``, ``Neutral`` or ``Contradiction``, in the order of ``KQA_PHYSICIANS``.
    """

    criterion: Criterion
    physicians: tuple[str, ...]


@dataclass(frozen=True)
class PhysicianKappa:
    """How far two of the physicians agree on 是 (entailed) against the rest; None where the first gave one class."""

    first: str
    second: str
    kappa: Rate | None


def gaps_drawn(claims: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
    """Which pairs are labelled: a rule without chance, so that none was picked for being easy.

    Answers are numbered a = 0, 1, 2 ... by question, then by model, and every fifth is drawn. Of its n claims (in
    the order of the rubrics, in which negative ones stand last) those at the places (a + j·n // 3) mod n are taken,
    j = 0, 1, 2.

    Args:
        claims: how many claims each question has, in the order of the sheet.

    Returns:
        Places of question, model and claim, each from 0, in ascending order.
    """
    drawn = []
    for answer in range(0, len(claims) * len(GAPS_MODELS), EVERY):
        question, model = divmod(answer, len(GAPS_MODELS))
        n = claims[question]
        places = {(answer + part * n // CLAIMS_OF_AN_ANSWER) % n for part in range(CLAIMS_OF_AN_ANSWER) if n}
        drawn += [(question, model, place) for place in sorted(places)]
    return tuple(drawn)


def read_gaps_labels(labels: Path) -> tuple[GapsLabel, ...]:
    """The labels, in the order of the file.

    Raises:
        InputError: the file cannot be read, or a line is not JSON, not of the form, or repeats a pair; names line and
            field.
    """
    found: dict[str, GapsLabel] = {}
    for number, line in enumerate(read_text(labels).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = _Label.model_validate(parse_json(line))
        except ValidationError as error:
            field, message = explain(error)
            raise _refused(labels, number, field, message, message) from None
        except ValueError as error:
            raise _refused(labels, number, None, f"不是有效的 JSON：{error}", f"is not valid JSON: {error}") from None
        one = GapsLabel(row.row, row.model, row.claim, row.label == "是", row.doubt is True, number)
        if one.id in found:
            earlier = found[one.id].line
            raise _refused(labels, number, None, f"与第 {earlier} 行是同一对", f"is the same pair as line {earlier}")
        found[one.id] = one
    return tuple(found.values())


def gaps_pairs(file: Path, labels: Path) -> tuple[Criterion, ...]:
    """The labelled pairs of GAPS-NSCLC, in the order of the labels.

    Args:
        file: the workbook.
        labels: what was read, as ``read_gaps_labels`` takes it.

    Returns:
        Criteria of the dataset ``GAPS``; ``kind`` is ``positive`` or ``negative``, as the claim is.

    Raises:
        InputError: a file cannot be read, the sheet, a column, a cell or a claim is missing or broken, or a label
            names a pair that does not exist; names file, row and column.
    """
    rows = _gaps_rows(file)
    pairs = []
    for label in read_gaps_labels(labels):
        row = rows.get(label.row)
        if row is None:
            raise _refused(labels, label.line, "row", f"表中没有第 {label.row} 行", f"there is no row {label.row}")
        claim = next((one for one in _claims(file, row) if one.id == label.claim), None)
        if claim is None:
            raise _refused(
                labels,
                label.line,
                "claim",
                f"第 {label.row} 行没有要点 {label.claim}",
                f"row {label.row} has no claim {label.claim}",
            )
        pairs.append(
            Criterion(
                id=label.id,
                answer_id=label.answer_id,
                family="points",
                dataset="GAPS",
                name="point",
                topic=_text(file, row, "question"),
                text=claim.claim,
                question="",
                answer=_text(file, row, GAPS_MODELS[label.model - 1]),
                label=label.label,
                kind=claim.type,
            )
        )
    return tuple(pairs)


def gaps_claims(file: Path) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Row number and ids of the claims of every question, in the order of the sheet; errors as ``gaps_pairs``."""
    return tuple((n, tuple(one.id for one in _claims(file, row))) for n, row in _gaps_rows(file).items())


def kqa_pairs(file: Path) -> tuple[KqaPair, ...]:
    """All pairs of K-QA, in order.

    Returns:
        Criteria of the dataset ``K-QA``, 是 where at least two physicians said that the answer entails the statement;
        ``kind`` is the statement's category, ``Must_have`` or ``Nice_to_have``.

    Raises:
        InputError: the file cannot be read, or a column, a cell or a label is missing or broken; names file, line and
            column.
    """
    columns = ("Question", "llm_x", "answer", "claim", "category_x", *KQA_PHYSICIANS)
    pairs: list[KqaPair] = []
    answers: dict[tuple[str, str], str] = {}
    for number, row in enumerate(read_table(file, form="csv", needed=columns), start=1):
        question, model, answer, claim, category = (_text(file, row, column) for column in columns[:5])
        said = tuple(_kqa_label(file, row, column) for column in KQA_PHYSICIANS)
        criterion = Criterion(
            id=f"K-QA/{number}",
            answer_id=answers.setdefault((question, model), f"K-QA/{number}"),
            family="points",
            dataset="K-QA",
            name="point",
            topic=question,
            text=claim,
            question="",
            answer=answer,
            label=said.count(ENTAILED) >= 2,
            kind=category,
        )
        pairs.append(KqaPair(criterion, said))
    return tuple(pairs)


def physician_kappa(pairs: Sequence[KqaPair]) -> tuple[PhysicianKappa, ...]:
    """Cohen's kappa of each two of the three physicians, with intervals clustered by answer.

    A judge's kappa against their majority may be read beside it; it is no strict ceiling, for a majority is steadier
    than any one of them.
    """
    answers = [pair.criterion.answer_id for pair in pairs]
    entailed = [[pair.physicians[which] == ENTAILED for pair in pairs] for which in range(len(KQA_PHYSICIANS))]
    return tuple(
        PhysicianKappa(
            KQA_PHYSICIANS[first],
            KQA_PHYSICIANS[second],
            agreement(entailed[first], [float(said) for said in entailed[second]], answers).kappa,
        )
        for first, second in combinations(range(len(KQA_PHYSICIANS)), 2)
    )


def _gaps_rows(file: Path) -> dict[int, Row]:
    needed = ("question", "rubrics", *GAPS_MODELS)
    return {row.number: row for row in read_table(file, form="xlsx", sheet=GAPS_SHEET, needed=needed)}


def _claims(file: Path, row: Row) -> list[_Claim]:
    try:
        claims = _CLAIMS.validate_python(parse_json(_text(file, row, "rubrics")))
    except ValidationError as error:
        field, message = explain(error)
        where = "rubrics" if field is None else f"rubrics.{field}"
        raise _refused(file, row.number, where, message, message) from None
    except ValueError as error:
        raise _refused(
            file, row.number, "rubrics", f"不是有效的 JSON：{error}", f"is not valid JSON: {error}"
        ) from None
    if len({one.id for one in claims}) < len(claims):
        raise _refused(file, row.number, "rubrics", "要点的 id 重复", "an id of the claims occurs twice")
    return claims


def _kqa_label(file: Path, row: Row, column: str) -> str:
    label = _text(file, row, column)
    if label not in _KQA_LABELS:
        names = ", ".join(_KQA_LABELS)
        raise _refused(
            file, row.number, column, f"只能是 {names}，不是 {label!r}", f"must be one of {names}, not {label!r}"
        )
    return label


def _text(file: Path, row: Row, column: str) -> str:
    """The cell as text that is not blank."""
    try:
        text = row.text(column)
    except RowError as error:
        raise _refused(file, row.number, column, str(error), str(error)) from None
    if text is None or not text.strip():
        raise _refused(file, row.number, column, "单元格为空", "the cell is empty")
    return text


def _refused(file: Path, line: int, field: str | None, zh: str, en: str) -> InputError:
    return InputError(
        tr(zh, en),
        file=file,
        line=line,
        field=field,
        remedy=tr(
            "更正该处，或核对文件是否为公布的原样",
            "mend the place, or check that the file is the one that was published",
        ),
    )
