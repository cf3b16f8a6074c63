"""A packet as a table for a spreadsheet, and the verdicts written into it.

A table is not encrypted and does not say who filled it in: whoever takes it in signs for it (``result.make_result``).
Rows may be sorted or left out; a row whose text is not that of its task is refused, so that a column sorted on its own
cannot give one task's verdict to another.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from mlb_offline.adjudication.packet import MAX_NOTE, Packet, Task, Verdict
from mlb_offline.bundle.importers import tables
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.errors import InputError, UsageError
from mlb_offline.language import tr
from mlb_offline.trust.files import create

ID, CRITERION, ANSWER, VERDICT, NOTE = "编号", "评定内容", "回答", "评定(是/否/无法判断)", "备注"
COLUMNS = (ID, "类别", "问题", ANSWER, "主题", CRITERION, VERDICT, NOTE)

_LONGEST_CELL = 32_767
"""UTF-16 units that a spreadsheet cell can hold; more would be cut off silently."""
_WIDTHS = (9, 12, 40, 60, 14, 40, 14, 24)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WORDS: dict[str, Verdict] = {"是": "是", "否": "否", "无法判断": "?", "?": "?", "？": "?"}


def is_table(path: Path) -> bool:
    """Whether a file is a table, by its suffix."""
    return path.suffix.lower() in {".csv", ".xlsx"}


def require_table(path: Path) -> None:
    """Refuse a name that is no table's.

    Raises:
        UsageError: its suffix is another.
    """
    if not is_table(path):
        raise UsageError(
            tr(f"不支持后缀“{path.suffix}”", f"the suffix {path.suffix!r} is not supported"),
            file=path,
            remedy=tr("使用 .xlsx 或 .csv", "use .xlsx or .csv"),
        )


def table_of(packet: Packet, path: Path) -> bytes:
    """The file that ``write_table`` would write.

    Raises:
        UsageError: another suffix, or a text that is too long for a cell.
    """
    require_table(path)
    rows = [COLUMNS, *(_row(task, path) for task in packet.tasks)]
    return _csv(rows) if path.suffix.lower() == ".csv" else _xlsx(rows)


def write_table(packet: Packet, path: Path) -> None:
    """Write a packet's tasks to a new ``.xlsx`` or ``.csv`` file (UTF-8 with a byte order mark), mode 0600.

    Text that a spreadsheet would take for a formula gets an apostrophe in front; control characters become U+FFFD.

    Raises:
        UsageError: another suffix, or a text that is too long for a cell.
        InputError: the file exists or cannot be written.
    """
    create(path, table_of(packet, path), mode=0o600)


def read_table(path: Path, packet: Packet) -> tuple[dict[str, Verdict], dict[str, str]]:
    """The verdicts and notes of a table that ``write_table`` wrote, by task id; empty cells are none.

    Raises:
        InputError: the file cannot be read, or a row has an unknown or repeated id, another task's text, a verdict that
            is none, or a note that is too long; names line and field.
    """
    by_id = {task.id: task for task in packet.tasks}
    verdicts: dict[str, Verdict] = {}
    notes: dict[str, str] = {}
    seen: set[str] = set()
    for row in tables.read_table(path, needed=COLUMNS):
        task = by_id.get(_cell(row, ID, path))
        if task is None or task.id in seen:
            raise _refused(path, row.number, ID, "编号未知或重复", "the id is unknown or occurs twice")
        seen.add(task.id)
        _check_same(row, task, path)
        word = _cell(row, VERDICT, path)
        if word and word not in _WORDS:
            raise _refused(path, row.number, VERDICT, f"不是评定：“{word[:20]}”", f"no verdict: {word[:20]!r}")
        if word:
            verdicts[task.id] = _WORDS[word]
        note = _cell(row, NOTE, path)
        if len(note) > MAX_NOTE:
            raise _refused(path, row.number, NOTE, f"超过 {MAX_NOTE} 个字符", f"more than {MAX_NOTE} characters")
        if note:
            notes[task.id] = note
    return verdicts, notes


def _row(task: Task, path: Path) -> tuple[str, ...]:
    texts = (task.id, task.title, task.question, task.answer, task.topic, task.criterion)
    for name, text in zip(COLUMNS, texts, strict=False):
        if len(text.encode("utf-16-le")) // 2 >= _LONGEST_CELL:
            raise UsageError(
                tr(f"{task.id} 的内容放不进表格单元格", f"a text of {task.id} is too long for a spreadsheet cell"),
                file=path,
                field=name,
                remedy=tr("改用评定网页", "use the page instead"),
            )
    return (*(_neutral(text) for text in texts), "", "")


def _neutral(text: str) -> str:
    text = _CONTROL.sub("\ufffd", text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def _xlsx(rows: list[tuple[str, ...]]) -> bytes:
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "评定"
    for row in rows:
        sheet.append(row)
    for letter, width in zip("ABCDEFGH", _WIDTHS, strict=True):
        sheet.column_dimensions[letter].width = width
    for cells in sheet.iter_rows():
        for cell in cells:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            cell.number_format = "@"  # text: the spreadsheet makes no number or date of it
            cell.font = Font(bold=cell.row == 1)
    sheet.freeze_panes = "B2"
    choice = DataValidation(type="list", formula1='"是,否,无法判断"', allow_blank=True)
    sheet.add_data_validation(choice)
    choice.add(f"G2:G{len(rows)}")
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def _cell(row: tables.Row, name: str, path: Path) -> str:
    try:
        return (row.text(name) or "").strip()
    except RowError as error:
        raise _refused(path, row.number, name, str(error), str(error)) from None


def _check_same(row: tables.Row, task: Task, path: Path) -> None:
    for name, text in ((ANSWER, task.answer), (CRITERION, task.criterion)):
        if _visible(_cell(row, name, path)) != _visible(_neutral(text)):
            raise _refused(
                path,
                row.number,
                name,
                f"与 {task.id} 的内容不同；行内容错位或被改动",
                f"not the text of {task.id}: cells were moved or changed",
            )


def _visible(text: str) -> str:
    """Without white space and an apostrophe in front: spreadsheets change line ends, and some drop the apostrophe."""
    return "".join(text.split()).removeprefix("'")


def _refused(path: Path, line: int, field: str, zh: str, en: str) -> InputError:
    return InputError(
        tr(zh, en),
        file=path,
        line=line,
        field=field,
        remedy=tr(
            f"只填写“{VERDICT}”与“{NOTE}”两列，其余保持原样",
            f"fill in the columns {VERDICT} and {NOTE} alone, and leave the rest as it is",
        ),
    )
