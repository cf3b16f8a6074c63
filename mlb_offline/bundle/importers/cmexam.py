"""CMExam as published: a table (XLSX or CSV) with Question, Options, Answer and, where there, Explanation.

Options are one a line, ``A 原发病``, with a line break or the two characters ``\\n`` between them; answers are
letters, ``C`` or ``ABD``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.prompts import default_prompt
from mlb_offline.bundle.importers.answers import is_missing, read_letters
from mlb_offline.bundle.importers.gathering import gather, item_id
from mlb_offline.bundle.importers.options import split_block
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.bundle.importers.result import Imported
from mlb_offline.bundle.importers.tables import Row, read_table
from mlb_offline.bundle.source import SourceDataset
from mlb_offline.language import tr

LICENCE = "Apache-2.0 (as its authors' repository states)"
SOURCE = "CMExam, arXiv 2306.03030, {name}"
REVIEWED_BY = "the authors of CMExam (as published)"

_NEEDED = ("Question", "Options", "Answer")
_OPTIONAL: Mapping[str, str] = {
    "Explanation": "note",
    "Clinical Department": "specialty",
    "Difficulty level": "difficulty",
}


def import_cmexam(path: Path) -> Imported:
    """Import one CMExam table.

    Args:
        path: an ``.xlsx`` or ``.csv`` file.

    Raises:
        InputError: not such a table, or one of the needed columns is missing.
    """
    dataset = DATASETS["CMExam"]
    rows = read_table(path, needed=_NEEDED)
    makers = [(row.number, partial(_record, path, number, row)) for number, row in enumerate(rows, start=1)]
    items, refused = gather(dataset, path, makers)
    entry = SourceDataset(dataset, default_prompt(dataset), None, items, LICENCE, SOURCE.format(name=path.name))
    return Imported({dataset.id: entry} if items else {}, len(items), refused, _aside(rows))


def _aside(rows: list[Row]) -> tuple[str, ...]:
    names = {name: None for row in rows for name in row.cells if name not in {*_NEEDED, *_OPTIONAL}}
    listed = ", ".join(names)
    return (tr(f"未导入的列：{listed}", f"columns left aside: {listed}"),) if names else ()


def _record(path: Path, number: int, row: Row) -> dict[str, Any]:
    question, block, answer = (row.text(name) for name in _NEEDED)
    if question is None or is_missing(question):
        raise RowError(tr("没有题目", "there is no question"))
    if block is None or is_missing(block):
        raise RowError(tr("没有选项", "there are no options"))
    options = split_block(block.replace("\\n", "\n"))
    record = {
        "id": item_id(DATASETS["CMExam"], number),
        "specialty": "",
        "question": question.strip(),
        "options": list(options),
        "answer": read_letters(answer, options),
        "source": f"{SOURCE.format(name=path.name)}, row {row.number}",
        "licence": LICENCE,
        "reviewed_by": REVIEWED_BY,
    }
    for column, field in _OPTIONAL.items():
        text = row.text(column) if column in row.cells else None
        if text is not None and not is_missing(text):
            record[field] = text.strip()
    return record
