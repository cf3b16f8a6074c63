"""CMExam: the published validation set, and small tables with every fault a row can have."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlb_offline.benchmark.prompts import render_prompt
from mlb_offline.bundle.importers.cmexam import import_cmexam
from mlb_offline.errors import InputError

# Each of these rows was read by a person against the published file; docs/importers.md says what is wrong with it.
REFUSED_BY_HAND = {
    1852: "the same question and options as row 185",
    4718: "the same question and options as row 1559",
    5358: "there is no answer",
    5591: "A is missing",
    5598: "A is missing",
    6029: "option B is followed by D",
    6164: "option B has the same text as the right option C",
}


def test_the_published_validation_set_is_read_but_for_seven_rows(shared_data: Path) -> None:
    found = import_cmexam(shared_data / "cmexam" / "val.xlsx")
    assert found.read == 6811 - len(REFUSED_BY_HAND)
    assert found.read >= 0.99 * 6811
    assert {refusal.row for refusal in found.refused} == set(REFUSED_BY_HAND)
    assert all(REFUSED_BY_HAND[refusal.row] in refusal.reason for refusal in found.refused)
    items = found.datasets["CMExam"].items
    assert {len(item.options) for item in items} == {4, 5}
    assert sum(len(item.answer) > 1 for item in items) == 210
    first = items[0]
    assert (first.id, first.answer) == ("CMExam-0001", "C")
    assert first.options == ["原发病", "出血部位", "出血量", "在胃内停留时间", "以上均非"]
    assert first.note is not None
    assert items[-1].id == "CMExam-6811"
    assert not any(item.note == "nan" for item in items)
    entry = found.datasets["CMExam"]
    assert "A.原发病\nB.出血部位" in render_prompt(entry.dataset, entry.prompt, first)


def table(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("Question", "Options", "Answer")) -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def test_a_csv_is_read_with_real_or_written_line_breaks_and_several_answers(tmp_path: Path) -> None:
    rows = [["甲？", "A x\nB y\nC z", "BC"], ["乙？", r"A x\nB y", "b"], ["丙？", "A x B y", "A"]]
    items = import_cmexam(table(tmp_path / "a.csv", rows)).datasets["CMExam"].items
    assert [(item.options, item.answer) for item in items] == [
        (["x", "y", "z"], "B,C"),
        (["x", "y"], "B"),
        (["x", "y"], "A"),
    ]
    assert [item.source.rsplit(", ", 1)[1] for item in items] == ["row 2", "row 5", "row 6"]


def test_annotations_become_specialty_and_difficulty_and_other_columns_are_named(tmp_path: Path) -> None:
    header = ["Question", "Options", "Answer", "Clinical Department", "Difficulty level", "Competency"]
    found = import_cmexam(table(tmp_path / "a.csv", [["甲？", "A x\nB y", "A", "内科", "nan", "c"]], header))
    item = found.datasets["CMExam"].items[0]
    assert (item.specialty, item.difficulty) == ("内科", None)
    assert found.notes == ("columns left aside: Competency",)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["", "A x\nB y", "A"], "no question"),
        (["甲", "", "A"], "no options"),
        (["甲", "nan", "A"], "no options"),
        (["甲", "A x\nB y", "nan"], "no answer"),
        (["甲", "A x\nB y", "C"], "not among"),
        (["甲", "选：A x B y", "A"], "before option A"),
        (["甲", "A x\nB y", "A", "more"], "4 cells, the header has 3"),
        (["甲", "A x\nB y"], "2 cells, the header has 3"),
    ],
)
def test_a_row_with_a_fault_is_refused_with_its_row(tmp_path: Path, row: list[str], reason: str) -> None:
    found = import_cmexam(table(tmp_path / "a.csv", [["甲", "A x\nB y", "A"], row]))
    assert found.read == 1
    (refusal,) = found.refused
    assert refusal.row == 4
    assert reason in refusal.reason


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Question,Answer\nx,A\n", "no column 'Options'"),
        (b"Question,Options,Answer\n", "no rows"),
        (b'Question,Options,Answer\n"x', "not valid CSV"),
        (b"Question,Question,Answer\nx,y,z\n", "twice"),
        ("题,Options,Answer\n".encode("gb18030"), "not text in utf-8"),
    ],
)
def test_a_table_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        import_cmexam(file)
    assert caught.value.remedy


def test_the_format_is_known_by_the_suffix_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not tell"):
        import_cmexam(tmp_path / "a.xls")
