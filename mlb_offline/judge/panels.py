"""What a pair of judges is worth on a labelled set, to correct rates of 是 by: ``panels.json`` in the state folder, or
beside the models.

A panel says 是 where both judges do; where they differ, one abstains or both say 否, it does not. What is kept counts
only for the judges that were measured: the same files, asked the same, their probabilities corrected the same.
Risks and qualities of the ethics sets are kept apart (``scoring.judged.Question``): judges err differently at them.
Nobody signs the record; rates corrected by it are indicative.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Final, Self

import pydantic
from pydantic import ConfigDict, Field

from mlb_offline import __version__
from mlb_offline.bundle.manifest import Digest, Positive, Text
from mlb_offline.bundle.state import default_folder
from mlb_offline.bundle.state_files import locked, read_record, write_record
from mlb_offline.configuration import explain
from mlb_offline.errors import InputError, TrustError
from mlb_offline.installation import data_folder
from mlb_offline.judge.annotation import Criterion, Family
from mlb_offline.language import tr
from mlb_offline.regular_file import measured
from mlb_offline.scoring.judged import RISKS, Question, Verdict

FORMAT: Final = "mlb-offline/panels/v1"
NAME = "panels.json"
SEATS = 2
MAX_ANSWERS = 150_000
"""Most answers of a labelled set: whoever verifies a report counts them again."""

Row = Annotated[list[Annotated[int, Field(ge=0, le=10**6)]], Field(min_length=5, max_length=5)]


class _Strict(pydantic.BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Scale(_Strict):
    """Correction of log-odds: p = sigmoid(scale × logit + shift)."""

    scale: Annotated[float, Field(gt=0)]
    shift: float


class Seated(_Strict):
    """All that a judge's verdicts depend on (``opening.Seat``): its file, what it is asked, how it is corrected."""

    sha256: Digest
    asked: Annotated[dict[Text, Digest], Field(min_length=1, max_length=100)]
    calibration: dict[Family, Scale]


class PanelCalibration(_Strict):
    """A panel against the labels of one set; it stands in reports as it is.

    Attributes:
        judges: the two; their order makes no difference.
        set_name: of the file of the labelled set, without its folder.
        set_sha256: of that file.
        labelled_by: who labelled it, in the words of whoever measured.
        n: criteria.
        tool_version: of the program that measured.
        questions: for each, sorted rows (是 rightly, not 是 wrongly, not 是 rightly, 是 wrongly, answers), in criteria
            of one answer; none twice, none without a criterion.
    """

    judges: Annotated[list[Seated], Field(min_length=SEATS, max_length=SEATS)]
    set_name: Text
    set_sha256: Digest
    labelled_by: Text
    n: Positive
    tool_version: Text
    questions: Annotated[dict[Question, list[Row]], Field(min_length=1)]

    @pydantic.model_validator(mode="after")
    def _adds_up(self) -> Self:
        every = [row for rows in self.questions.values() for row in rows]
        sorted_rows = all(
            rows == sorted({tuple(row[:-1]): row for row in rows}.values()) for rows in self.questions.values()
        )
        whole = all(row[-1] and sum(row[:-1]) for row in every) and all(self.questions.values())
        if not (sorted_rows and whole and sum(sum(row[:-1]) * row[-1] for row in every) == self.n):
            raise ValueError(tr("混淆计数有误", "the confusion counts are wrong"))
        if sum(row[-1] for row in every) > MAX_ANSWERS:
            raise ValueError(tr(f"回答多于 {MAX_ANSWERS} 个", f"more than {MAX_ANSWERS} answers"))
        return self

    def of_judges(self, judges: Iterable[Mapping[str, Any]]) -> bool:
        """Whether these are the judges that were measured, in whatever order.

        Args:
            judges: as ``Seat.to_json`` gives them, or a run's identity.
        """
        return _sorted(self.model_dump()["judges"]) == _sorted(judges)


def _sorted(judges: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    known = [{name: judge[name] for name in Seated.model_fields} for judge in judges]
    return sorted(known, key=lambda judge: str(judge["sha256"]))


def confusion(criteria: Sequence[Criterion], verdicts: Sequence[Verdict]) -> dict[Question, list[list[int]]]:
    """The panel against labels, as ``PanelCalibration.questions``.

    Args:
        criteria: labelled.
        verdicts: of the panel on each; None: the judges differ, or one abstains.
    """
    cells: dict[tuple[Question, str], Counter[tuple[bool, bool]]] = defaultdict(Counter)
    for one, verdict in zip(criteria, verdicts, strict=True):
        cells[_question(one), one.answer_id][one.label, verdict is True] += 1
    rows: dict[Question, Counter[tuple[int, ...]]] = defaultdict(Counter)
    for (question, _answer), found in cells.items():
        rows[question][tuple(found[cell] for cell in _CELLS)] += 1
    return {question: sorted([*row, answers] for row, answers in counted.items()) for question, counted in rows.items()}


_CELLS = ((True, True), (True, False), (False, False), (False, True))
"""Label and verdict: tp, fn, tn, fp."""


def _question(criterion: Criterion) -> Question:
    if criterion.family == "ethics":
        return "risk" if criterion.name in RISKS else "quality"
    return criterion.family


class _File(_Strict):
    format: str
    panels: list[PanelCalibration] = []

    @pydantic.model_validator(mode="after")
    def _each_once(self) -> Self:
        if any(one.of_judges(other.model_dump()["judges"]) for one, other in combinations(self.panels, 2)):
            raise ValueError(tr("同一对裁判出现两次", "a pair of judges stands twice"))
        return self


def kept_panels(folder: Path) -> tuple[PanelCalibration, ...]:
    """All that a state folder, or a folder of models, holds; none where it has no record.

    Raises:
        InputError: the record cannot be read.
        TrustError: it is damaged.
    """
    path = folder / NAME
    content = read_record(path, FORMAT, _damaged)
    try:
        return tuple(_File.model_validate(content).panels)
    except pydantic.ValidationError as error:
        field, message = explain(error)
        raise _damaged(path, field, message) from None


def calibration_of(judges: Sequence[Mapping[str, Any]], folders: Iterable[Path]) -> PanelCalibration | None:
    """What is kept of a panel in the first of the folders that has it; None where none has.

    Args:
        judges: as ``PanelCalibration.of_judges``.
        folders: of state, or of models.

    Raises:
        InputError, TrustError: as ``kept_panels``.
    """
    found = (panel for folder in folders for panel in kept_panels(folder) if panel.of_judges(judges))
    return next(found, None)


def calibration_here(judges: Sequence[Mapping[str, Any]], state: Path | None) -> PanelCalibration | None:
    """What is known of a run's judges: by the state folder (None: the default one), else by the models' folder.

    Raises:
        InputError, TrustError: as ``kept_panels``; there is no folder of models.
    """
    if not judges:
        return None
    return calibration_of(judges, (state or default_folder(), data_folder() / "models"))


def keep(folder: Path, calibration: PanelCalibration, *, lock: bool = True) -> Path:
    """Write what a panel was found to be worth into a folder, in place of what was kept of it; the file's path.

    Args:
        folder: the state folder, or a folder of models.
        calibration: as ``measured_panel`` gives it.
        lock: keep others out meanwhile.

    Raises:
        InputError: the folder cannot be read or written.
        TrustError: its record is damaged.
    """
    judges = calibration.model_dump()["judges"]
    with locked(folder) if lock else nullcontext():
        others = [one for one in kept_panels(folder) if not one.of_judges(judges)]
        content = [one.model_dump(mode="json") for one in (*others, calibration)]
        write_record(folder / NAME, {"format": FORMAT, "panels": content})
    return folder / NAME


def measured_panel(
    seats: Sequence[Mapping[str, Any]], labelled: Path, labelled_by: str, questions: Mapping[Question, Any]
) -> PanelCalibration:
    """What is to be kept of a panel that was just measured.

    Args:
        seats: the judges, as ``Seat.to_json`` gives them.
        labelled: the file of the labelled set.
        labelled_by: who labelled it.
        questions: as ``confusion`` gives them.

    Raises:
        InputError: the set cannot be read, or what is said of it cannot be recorded.
    """
    try:
        return PanelCalibration(
            judges=[Seated(**{name: one[name] for name in Seated.model_fields}) for one in seats],
            set_name=labelled.name,
            set_sha256=measured(labelled)[0],
            labelled_by=labelled_by,
            n=sum(sum(row[:-1]) * row[-1] for rows in questions.values() for row in rows),
            tool_version=__version__,
            questions=dict(questions),
        )
    except OSError as error:
        raise _unkept(labelled, error.strerror or str(error)) from None
    except pydantic.ValidationError as error:
        field, message = explain(error)
        raise _unkept(labelled, message, field) from None


def _unkept(file: Path, message: str, field: str | None = None) -> InputError:
    return InputError(
        tr(f"测量结果无法保存：{message}", f"what was measured cannot be kept: {message}"),
        file=file,
        field={"labelled_by": "--labelled-by", "set_name": "--set"}.get(field or "", field),
        remedy=tr("更正后重新测量", "mend it and measure again"),
    )


def _damaged(path: Path, field: str | None = None, message: str = "") -> TrustError:
    more = f": {message}" if message else ""
    return TrustError(
        tr(f"裁判组标定的记录已损坏{more}", f"the record of calibrated panels is damaged{more}"),
        file=path,
        field=field,
        remedy=tr(
            "从备份恢复该文件；或移走它并用 judge calibrate --keep 重新标定",
            "restore it from a backup, or remove it and calibrate again with judge calibrate --keep",
        ),
    )
