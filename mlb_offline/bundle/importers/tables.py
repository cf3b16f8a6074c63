"""Rows of a JSON, JSON Lines, CSV or XLSX file, each with its number and its cells by column name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlb_offline.bundle.importers.files import Encoding, line_of, parse_json, read_text
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.bundle.importers.spreadsheets import cell_text, read_sheet
from mlb_offline.errors import InputError
from mlb_offline.language import tr

Format = Literal["jsonl", "json", "csv", "xlsx"]

_LONGEST_CELL = 16 * 1024 * 1024


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        number: line, spreadsheet row or (in a JSON list) record, from 1.
        cells: by column name; empty where the row is broken.
        fault: why the row as a whole cannot be read, or None.
    """

    number: int
    cells: Mapping[str, Any]
    fault: str | None = None

    def cell(self, name: str) -> Any:
        """The cell of that column: text, None, or (in JSON) a list or object. ``a.b`` is the key b of the object a.

        Raises:
            RowError: the row is broken, lacks the column, or the cell's value cannot be relied on.
        """
        if self.fault is not None:
            raise RowError(self.fault)
        value: Any = self.cells
        for key in [name] if name in self.cells else name.split("."):
            if not isinstance(value, Mapping) or key not in value:
                raise RowError(tr(f"缺少“{name}”", f"{name!r} is missing"))
            value = value[key]
        return value if isinstance(value, list | dict) else _named(name, value)

    def text(self, name: str) -> str | None:
        """The cell as text; None if it is empty.

        Raises:
            RowError: as ``cell``, or it is no text.
        """
        value = self.cell(name)
        if isinstance(value, list | dict):
            raise RowError(tr(f"“{name}”不是文本", f"{name!r} is not text"))
        return None if value is None else str(value)


def _named(name: str, value: Any) -> str | None:
    try:
        return cell_text(value)
    except RowError as error:
        raise RowError(f"{name}: {error}") from None


def read_table(
    path: Path,
    *,
    form: Format | None = None,
    encoding: Encoding = "utf-8",
    delimiter: str = ",",
    quote: str = '"',
    sheet: str | None = None,
    needed: Iterable[str] = (),
) -> list[Row]:
    """Every row of the file; blank lines and blank spreadsheet rows are none.

    Args:
        path: the file.
        form: its format; None: by its suffix, where a ``.json`` that does not begin with ``[`` is JSON Lines.
        encoding: of a text file.
        delimiter: of a CSV file.
        quote: of a CSV file.
        sheet: of a workbook.
        needed: columns that must be there.

    Raises:
        InputError: the file as a whole cannot be read, or a needed column is nowhere in it.
    """
    form = form or _form_of(path)
    if form == "xlsx":
        rows = list(_sheet_rows(path, read_sheet(path, sheet)))
    elif form == "csv":
        rows = list(_csv_rows(path, read_text(path, encoding=encoding), delimiter, quote))
    else:
        rows = _json_rows(path, read_text(path, encoding=encoding), form)
    if not rows:
        raise InputError(
            tr("没有数据行", "there are no rows of data"),
            file=path,
            remedy=tr("核对文件内容", "check what is in the file"),
        )
    _check_columns(path, rows, needed)
    return rows


def _form_of(path: Path) -> Format:
    forms: dict[str, Format] = {".jsonl": "jsonl", ".json": "json", ".csv": "csv", ".xlsx": "xlsx"}
    if path.suffix.lower() not in forms:
        raise InputError(
            tr(f"无法从后缀“{path.suffix}”得知格式", f"the suffix {path.suffix!r} does not tell the format"),
            file=path,
            remedy=tr(
                "使用 .xlsx、.csv、.json 或 .jsonl 文件；table 导入可在映射文件中写明 format",
                "use an .xlsx, .csv, .json or .jsonl file; with table, format in the mapping can say what it is",
            ),
        )
    return forms[path.suffix.lower()]


def _check_columns(path: Path, rows: Sequence[Row], needed: Iterable[str]) -> None:
    there = {name: None for row in rows for name in row.cells}
    for name in needed:
        if name not in there and name.split(".")[0] not in there:
            raise InputError(
                tr(f"没有列“{name}”", f"there is no column {name!r}"),
                file=path,
                field=name,
                remedy=tr("现有的列：", "the columns are: ") + ", ".join(there),
            )


def _header(path: Path, names: Sequence[Any]) -> list[str]:
    texts = [str(name).strip() if name is not None else "" for name in names]
    repeated = {name for name in texts if name and texts.count(name) > 1}
    if repeated:
        raise InputError(
            tr(f"列名重复：{sorted(repeated)}", f"column names occur twice: {sorted(repeated)}"),
            file=path,
            line=1,
            remedy=tr("给每列不同的名称", "give every column a name of its own"),
        )
    return texts


def _sheet_rows(path: Path, rows: list[tuple[int, tuple[Any, ...]]]) -> Iterator[Row]:
    names = _header(path, rows[0][1][:-1])
    for number, cells in rows[1:]:
        yield _row(number, names, cells[:-1] if cells[-1] is None else cells)


def _row(number: int, names: list[str], cells: Sequence[Any]) -> Row:
    if len(cells) != len(names):
        fault = tr(f"有 {len(cells)} 格，表头有 {len(names)} 格", f"{len(cells)} cells, the header has {len(names)}")
        return Row(number, {}, fault)
    named = {name: cell for name, cell in zip(names, cells, strict=True) if name}
    return Row(number, named)


def _csv_rows(path: Path, text: str, delimiter: str, quote: str) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote, strict=True)
    names: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if cells and names is None:
                names = _header(path, cells)
            elif cells and names is not None:
                yield _row(line, names, [cell or None for cell in cells])
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            tr(f"不是有效的 CSV：{error}", f"not valid CSV: {error}"),
            file=path,
            line=line,
            remedy=tr("检查引号与分隔符是否与映射文件一致", "check quotes and delimiter against the mapping"),
        ) from None


def _json_rows(path: Path, text: str, form: Format) -> list[Row]:
    if form == "json" and text.lstrip().startswith("["):
        return [_json_row(number, value) for number, value in enumerate(_whole(path, text), start=1)]
    rows = []
    # Not splitlines(): JSON strings may hold U+2028 and the like.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_json_row(number, parse_json(line)))
        except ValueError as error:
            rows.append(Row(number, {}, tr(f"不是有效的 JSON：{error}", f"not valid JSON: {error}")))
    if rows and all(row.fault for row in rows):
        raise InputError(
            tr(f"没有一行是 JSON 对象；{rows[0].fault}", f"no line is a JSON object; {rows[0].fault}"),
            file=path,
            line=rows[0].number,
            remedy=tr("核对文件格式", "check the format of the file"),
        )
    return rows


def _whole(path: Path, text: str) -> list[Any]:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise InputError(
            tr(f"不是有效的 JSON：{error}", f"not valid JSON: {error}"),
            file=path,
            line=line_of(error),
            remedy=tr("核对文件是否拷贝完整", "check that the file was copied whole"),
        ) from None
    return list(value)


def _json_row(number: int, value: Any) -> Row:
    if isinstance(value, dict):
        return Row(number, value)
    return Row(number, {}, tr("不是 JSON 对象", "not a JSON object"))
