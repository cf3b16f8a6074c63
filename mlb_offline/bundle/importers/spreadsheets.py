"""Rows of an XLSX sheet, with limits against files made to exhaust memory, and no value made up.

A cell counts only if its text is what its author saw: strings and whole numbers. Fractions and dates (a sheet
stores them without their look: ``0.50``, ``3-5`` turned into 5 March), booleans, error values and formulas
without a stored result make the row that needs them unreadable.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError  # only its name: openpyxl parses

from mlb_offline.bundle.importers.files import MAX_BYTES, read_bytes
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.errors import InputError
from mlb_offline.language import tr

MAX_ROWS = 200_000
MAX_COLUMNS = 256
MAX_PARTS = 5_000
MAX_RATIO = 300
"""A part over 1 MiB that inflates more than this many times is a bomb, not a table."""

_ERRORS = frozenset({"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"})
_BROKEN = (
    zipfile.BadZipFile,
    ParseError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    OSError,
    EOFError,
)


class _Formula:
    """Stands for a formula whose result is not stored in the file."""


FORMULA = _Formula()


def read_sheet(path: Path, sheet: str | None = None) -> list[tuple[int, tuple[Any, ...]]]:
    """The rows of a sheet that are not blank, the header row first.

    Args:
        path: an ``.xlsx`` file.
        sheet: its name; None for the first.

    Returns:
        Row number as the spreadsheet shows it, and the cells as ``cell_text`` takes them: as many as the header
        has, and one more, which is empty in a regular row.

    Raises:
        InputError: not an XLSX file, no such sheet, or over one of the limits.
    """
    data = read_bytes(path)
    _check_archive(data, path)
    try:
        rows = _rows(data, path, sheet, stored=True)
        if any(None in cells[:-1] for _, cells in rows):
            rows = _with_formulas(rows, _rows(data, path, sheet, stored=False))
    except _BROKEN as error:
        raise _not_a_spreadsheet(path, f"{type(error).__name__}: {error}") from None
    return [(number, cells) for number, cells in rows if any(cell is not None for cell in cells)]


def cell_text(cell: Any) -> str | None:
    """The text of a cell as its author saw it; None for an empty one.

    Raises:
        RowError: the cell holds something whose look the file does not tell.
    """
    if cell is None or (isinstance(cell, str) and cell not in _ERRORS):
        return cell
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, _Formula):
        raise RowError(tr("单元格是没有存储结果的公式", "a cell is a formula without a stored result"))
    if isinstance(cell, str):
        raise RowError(tr(f"单元格是错误值 {cell}", f"a cell holds the error value {cell}"))
    kind = type(cell).__name__
    raise RowError(
        tr(
            f"单元格不是文本而是 {kind}（{cell}），其显示形式未知；请改为文本格式",
            f"a cell is not text but {kind} ({cell}), whose look is not known; format it as text",
        )
    )


def _check_archive(data: bytes, path: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            total = sum(part.file_size for part in parts)
            bombs = [
                part.filename
                for part in parts
                if part.file_size > 1024 * 1024 and part.file_size > MAX_RATIO * max(part.compress_size, 1)
            ]
            if len(parts) > MAX_PARTS or total > MAX_BYTES or bombs:
                raise InputError(
                    tr(f"解压后过大（{total} 字节）", f"it is too large when unpacked ({total} bytes)"),
                    file=path,
                    remedy=tr("拆分表格，或导出为 CSV", "split the table, or export it as CSV"),
                )
            for part in parts:
                if part.filename.endswith((".xml", ".rels")):
                    with archive.open(part) as stream:
                        if b"<!DOCTYPE" in stream.read(1024):
                            raise _not_a_spreadsheet(path, f"DOCTYPE in {part.filename}")
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise _not_a_spreadsheet(path, str(error)) from None


def _not_a_spreadsheet(path: Path, detail: str) -> InputError:
    return InputError(
        tr(f"不是可读的 XLSX 文件（{detail}）", f"not a readable XLSX file ({detail})"),
        file=path,
        remedy=tr("用表格软件另存为 .xlsx，或导出为 CSV", "save it again as .xlsx, or export it as CSV"),
    )


def _rows(data: bytes, path: Path, sheet: str | None, *, stored: bool) -> list[tuple[int, tuple[Any, ...]]]:
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=stored)
    try:
        page = _page(book.worksheets, book.sheetnames, sheet, path)
        # What a sheet says of its own size may be wrong, by accident or on purpose.
        page.reset_dimensions()
        width = _width(page, path)
        rows: list[tuple[int, tuple[Any, ...]]] = []
        # One cell more than the header has, so that a value outside the table is seen.
        for number, cells in enumerate(page.iter_rows(max_col=width + 1), start=1):
            if number > MAX_ROWS:
                raise InputError(
                    tr(f"超过 {MAX_ROWS} 行", f"more than {MAX_ROWS} rows"),
                    file=path,
                    remedy=tr("拆分表格", "split the table"),
                )
            values = (cell.value if stored or cell.data_type != "f" else FORMULA for cell in cells)
            rows.append((number, tuple(values)))
    finally:
        book.close()
    return rows


def _width(page: Any, path: Path) -> int:
    """How many columns the header row has."""
    header = next(iter(page.iter_rows(max_row=1)), ())
    width = max((index for index, cell in enumerate(header, start=1) if cell.value is not None), default=0)
    if not 0 < width <= MAX_COLUMNS:
        raise InputError(
            tr(f"第一行应为 1–{MAX_COLUMNS} 个列名", f"the first row must hold 1 to {MAX_COLUMNS} column names"),
            file=path,
            line=1,
            remedy=tr("把列名放在工作表的第一行", "put the column names into the first row of the sheet"),
        )
    return width


def _page(pages: Sequence[Any], names: Sequence[str], sheet: str | None, path: Path) -> Any:
    if sheet is None and pages:
        return pages[0]
    for page in pages:
        if page.title == sheet:
            return page
    raise InputError(
        tr(f"没有名为“{sheet}”的工作表", f"there is no sheet named {sheet!r}"),
        file=path,
        field="xlsx.sheet",
        remedy=tr("现有工作表：", "the sheets are: ") + ", ".join(names),
    )


def _with_formulas(
    stored: list[tuple[int, tuple[Any, ...]]], formulas: list[tuple[int, tuple[Any, ...]]]
) -> list[tuple[int, tuple[Any, ...]]]:
    merged = []
    for (number, values), (_, sources) in zip(stored, formulas, strict=True):
        pairs = zip(values, sources, strict=True)
        merged.append(
            (number, tuple(FORMULA if value is None and source is FORMULA else value for value, source in pairs))
        )
    return merged
