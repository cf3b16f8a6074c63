"""Tables go out without formulas and come back row by row, each fault with its line and column."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import openpyxl
import pytest
from adjudication_cases import KEY, PACKET, REVIEWER, TRUST, task

from mlb_offline.adjudication.result import make_result, open_result
from mlb_offline.adjudication.tables import COLUMNS, read_table, write_table
from mlb_offline.errors import InputError, UsageError

FORMULA = replace(
    PACKET,
    tasks=(
        task(1, "a", answer='=HYPERLINK("x")', question="+1", topic="-2", criterion="@SUM(A1)"),
        task(2, "b", answer="\t=1", criterion="bell \x07 here", topic=""),
        task(3, "c", answer="第一行\r\n第二行\n\n“,”;\"'", criterion="'quoted"),
    ),
)
EXPECTED = ({"t0001": "是", "t0002": "?", "t0003": "否"}, {"t0002": "看不清"})


def filled(path, edit=lambda rows: rows):
    """The table with verdicts, as a physician would save it; ``edit`` changes the rows (header first)."""
    words = ["是", "无法判断", "否", "", "", ""]
    if path.suffix == ".csv":
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    else:
        rows = [["" if v is None else v for v in row] for row in openpyxl.load_workbook(path).active.values]
    for row, word in zip(rows[1:], words, strict=False):
        row[6] = word
    if len(rows) > 2:
        rows[2][7] = " 看不清 "
    rows = edit(rows)
    out = path.with_name("back" + path.suffix)
    if path.suffix == ".csv":
        with out.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    else:
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append([None if value == "" else value for value in row])
        for cells in book.active.iter_rows():
            for cell in cells:
                if cell.data_type == "f":
                    cell.data_type = "s"
        book.save(out)
    return out


@pytest.fixture(params=[".csv", ".xlsx"])
def table(request, tmp_path):
    path = tmp_path / f"packet{request.param}"
    write_table(FORMULA, path)
    return path


def test_what_a_physician_fills_in_comes_back(table) -> None:
    assert read_table(filled(table), FORMULA) == EXPECTED


def test_an_untouched_table_has_no_verdicts(table) -> None:
    assert read_table(table, FORMULA) == ({}, {})


def test_rows_may_be_sorted_or_left_out(table) -> None:
    back = filled(table, lambda rows: [rows[0], rows[3], rows[1]])
    assert read_table(back, FORMULA) == ({"t0003": "否", "t0001": "是"}, {})


def test_it_is_private_and_never_written_over_another(table) -> None:
    assert table.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InputError, match="never overwritten"):
        write_table(FORMULA, table)


def test_no_cell_is_a_formula(table) -> None:
    if table.suffix == ".csv":
        raw = table.read_bytes()
        assert raw.startswith(b"\xef\xbb\xbf")
        cells = [cell for row in csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")) for cell in row]
    else:
        sheet = openpyxl.load_workbook(table).active
        assert not [cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
        cells = [str(cell.value or "") for row in sheet.iter_rows() for cell in row]
    assert '\'=HYPERLINK("x")' in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_columns_are_those_documented(table) -> None:
    assert COLUMNS == ("编号", "类别", "问题", "回答", "主题", "评定内容", "评定(是/否/无法判断)", "备注")
    with pytest.raises(InputError, match="no column '备注'"):
        read_table(filled(table, lambda rows: [row[:7] for row in rows]), FORMULA)


def put(row: int, column: int, value: object):
    def edit(rows):
        rows[row][column] = value
        return rows

    return edit


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (put(2, 6, "也许"), "评定(是/否/无法判断)"),
        (put(2, 0, "t0099"), "编号"),
        (put(2, 0, "t0001"), "编号"),
        (put(2, 0, ""), "编号"),
        (put(2, 5, "另一要点"), "评定内容"),
        (put(2, 3, "另一回答"), "回答"),
        (put(2, 7, "字" * 501), "备注"),
    ],
)
def test_a_faulty_row_is_refused_with_line_and_column(table, edit, field) -> None:
    with pytest.raises(InputError) as caught:
        read_table(filled(table, edit), FORMULA)
    assert (caught.value.line, caught.value.field) == (3, field)
    assert caught.value.file is not None


def test_a_column_sorted_on_its_own_is_refused(table) -> None:
    def sort_criteria(rows):
        texts = [row[5] for row in rows[1:]]
        for row, text in zip(rows[1:], reversed(texts), strict=True):
            row[5] = text
        return rows

    with pytest.raises(InputError, match="moved or changed"):
        read_table(filled(table, sort_criteria), FORMULA)


def test_other_suffixes_and_texts_too_long_for_a_cell_are_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="not supported"):
        write_table(PACKET, tmp_path / "x.ods")
    long = replace(PACKET, tasks=(task(1, "a", answer="字" * 32_767),))
    with pytest.raises(UsageError, match="too long") as caught:
        write_table(long, tmp_path / "x.xlsx")
    assert caught.value.field == "回答"
    assert not list(tmp_path.iterdir())


def test_verdicts_of_a_table_can_be_signed(table) -> None:
    verdicts, notes = read_table(filled(table), FORMULA)
    raw = make_result(FORMULA, KEY, REVIEWER, verdicts, notes)
    result = open_result(raw, FORMULA, KEY, TRUST, file="r")
    assert (result.verdicts, result.notes, result.complete) == (*EXPECTED, True)
