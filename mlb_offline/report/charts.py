"""The layout of the chart of scores: a dot and a 95 % interval a row, on one axis from 0 to 100 %.

Pure arithmetic; the drawing is the template's. Lengths are units of the picture (``WIDTH`` wide).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlb_offline.benchmark.catalogue import DATASETS

if TYPE_CHECKING:
    from mlb_offline.report.data import Figure, Reason, ReportData, Score

WIDTH = 760
LEFT = 190
SPAN = 370
ROW = 21
TOP = 26


@dataclass(frozen=True)
class Row:
    """One line of the chart; ``kind`` is ``overall``, ``dimension`` or ``dataset``; x in units, as text."""

    id: str
    kind: str
    y: int
    x: str | None
    most: str | None
    low: str | None
    high: str | None
    gate: str | None
    figure: Figure | None
    reason: Reason | None


@dataclass(frozen=True)
class Chart:
    """The rows from top to bottom, the axis marks as (x, percent), and the size."""

    rows: tuple[Row, ...]
    marks: tuple[tuple[str, int], ...]
    width: int
    height: int


def _x(share: float) -> str:
    return f"{LEFT + SPAN * share:.1f}"


def _row(kind: str, score: Score, y: int, gates: dict[tuple[str, str], float]) -> Row:
    figure, gate = score.figure, gates.get((kind, score.id))
    return Row(
        id=score.id,
        kind=kind,
        y=y,
        x=None if figure is None else _x(figure.value),
        most=None if figure is None or figure.most is None else _x(figure.most),
        low=None if figure is None else _x(figure.low),
        high=None if figure is None else _x(figure.high),
        gate=None if gate is None else _x(gate),
        figure=figure,
        reason=score.reason,
    )


def chart(data: ReportData) -> Chart:
    """Lay out every dimension with its datasets beneath it, and the overall score last."""
    findings = data.findings
    gates = {(gate.scope, gate.id): gate.min for gate in findings.gates}
    rows: list[Row] = []
    y = TOP
    for dimension in findings.dimensions:
        members = [score for score in findings.datasets if DATASETS[score.id].dimension == dimension.id]
        for kind, score in [("dimension", dimension), *(("dataset", member) for member in members)]:
            y += ROW
            rows.append(_row(kind, score, y, gates))
        y += ROW // 2
    y += ROW
    rows.append(_row("overall", findings.overall, y, gates))
    marks = tuple((_x(percent / 100), percent) for percent in range(0, 101, 20))
    return Chart(tuple(rows), marks, WIDTH, y + ROW)
