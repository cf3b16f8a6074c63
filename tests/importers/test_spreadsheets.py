"""XLSX: only text whose look is known counts; broken and hostile files are refused."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from mlb_offline.bundle.importers import spreadsheets
from mlb_offline.bundle.importers.cmexam import import_cmexam
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.bundle.importers.spreadsheets import cell_text, read_sheet
from mlb_offline.errors import InputError

HEADER = ("Question", "Options", "Answer")
GOOD = ("甲？", "A x\nB y", "A")


def workbook(path: Path, *rows: tuple[Any, ...]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "题目"
    for row in rows:
        sheet.append(row)
    book.save(path)
    return path


def rezip(path: Path, change: dict[str, bytes]) -> Path:
    """The same archive with some parts replaced or added."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()} | change
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (0.5, "float"),
        (dt.datetime(2024, 3, 5, tzinfo=None), "datetime"),  # noqa: DTZ001 - a spreadsheet has no time zones
        (True, "bool"),
        ("#N/A", "error value #N/A"),
        ("=A1", "formula without a stored result"),
    ],
)
def test_a_cell_whose_look_is_not_known_refuses_its_row(tmp_path: Path, cell: Any, reason: str) -> None:
    found = import_cmexam(workbook(tmp_path / "a.xlsx", HEADER, GOOD, (cell, *GOOD[1:]), (), ("另一题", *GOOD[1:])))
    assert [item.id for item in found.datasets["CMExam"].items] == ["CMExam-0001", "CMExam-0003"]
    (refusal,) = found.refused
    assert refusal.row == 3
    assert reason in refusal.reason
    assert refusal.reason.startswith("Question: ")


def test_whole_numbers_are_text_and_empty_cells_are_none() -> None:
    assert (cell_text(3), cell_text(None), cell_text("甲")) == ("3", None, "甲")
    with pytest.raises(RowError):
        cell_text(b"x")


def test_a_value_outside_the_table_refuses_its_row(tmp_path: Path) -> None:
    found = import_cmexam(workbook(tmp_path / "a.xlsx", HEADER, (*GOOD, "note"), GOOD))
    assert found.read == 1
    assert "4 cells" in found.refused[0].reason


def test_a_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    file = workbook(tmp_path / "a.xlsx", HEADER, GOOD)
    assert read_sheet(file, "题目") == read_sheet(file)
    with pytest.raises(InputError, match="no sheet named") as caught:
        read_sheet(file, "other")
    assert "题目" in caught.value.remedy


def test_the_first_row_must_hold_the_column_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="first row"):
        read_sheet(workbook(tmp_path / "a.xlsx", (), HEADER))
    with pytest.raises(InputError, match="first row"):
        read_sheet(workbook(tmp_path / "b.xlsx", tuple(f"c{number}" for number in range(300))))


def test_a_sheet_with_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_ROWS", 2)
    with pytest.raises(InputError, match="more than 2 rows"):
        read_sheet(workbook(tmp_path / "a.xlsx", HEADER, GOOD, GOOD))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    file = rezip(workbook(tmp_path / "a.xlsx", HEADER, GOOD), {"xl/media/x.bin": bytes(20 * 1024 * 1024)})
    with pytest.raises(InputError, match="too large when unpacked"):
        read_sheet(file)


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    sheet = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet>&a;</worksheet>'
    file = rezip(workbook(tmp_path / "a.xlsx", HEADER, GOOD), {"xl/worksheets/sheet1.xml": sheet})
    with pytest.raises(InputError, match="DOCTYPE"):
        read_sheet(file)


def archive_of(**parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"not a zip", b"\xd0\xcf\x11\xe0 old format", archive_of(), archive_of(a=b"x"), archive_of(a=b"x")[:-10]],
    ids=["text", "xls", "empty", "other", "cut"],
)
def test_a_file_that_is_no_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.xlsx"
    file.write_bytes(content)
    with pytest.raises(InputError, match="not a readable XLSX") as caught:
        read_sheet(file)
    assert caught.value.file == str(file)


def test_every_truncation_of_a_workbook_is_refused_or_read_but_never_crashes(tmp_path: Path) -> None:
    whole = workbook(tmp_path / "a.xlsx", HEADER, GOOD).read_bytes()
    file = tmp_path / "b.xlsx"
    for length in range(1, len(whole), 97):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_sheet(file)


@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "[Content_Types].xml"])
@pytest.mark.parametrize("data", [b"", b"<a", b"<a/>", b"\xff\xfe\x00"])
def test_a_damaged_part_never_crashes(tmp_path: Path, part: str, data: bytes) -> None:
    with pytest.raises(InputError):
        read_sheet(rezip(workbook(tmp_path / "a.xlsx", HEADER, GOOD), {part: data}))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_sheet(tmp_path / "a.xlsx")
