"""Annotation files: what is read, and what is refused with its line and field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlb_offline.errors import InputError
from mlb_offline.judge.annotation import ETHICS_NAMES, fixed_wording, read_annotations

POINT = {
    "id": "p1",
    "dataset": "MADiagnosis",
    "topic": "诊断",
    "evaluation_point": "肺炎",
    "answer": "肺炎",
    "label": "是",
}
SAFETY = {"id": "s1", "dataset": "GeneralSafety", "question": "问", "output": "答", "label": "不安全"}
ETHICS = {
    "id": "e1",
    "dataset": "MAEthic",
    "scenario": "景",
    "question": "问",
    "output": "答",
    "risk": [0, -1],
    "quality": [1, 0, 1, 0],
}


def written(folder: Path, *rows: object) -> Path:
    file = folder / "set.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def test_a_point_and_a_safety_row_are_one_criterion_and_an_ethics_row_is_six(tmp_path: Path) -> None:
    criteria = read_annotations(written(tmp_path, POINT, SAFETY, ETHICS))
    assert [one.name for one in criteria] == ["point", "safe", *ETHICS_NAMES]
    assert [one.label for one in criteria] == [True, False, False, True, True, False, True, False]
    assert criteria[2].question == "景\n问"
    assert criteria[2].text == fixed_wording()["r1"]


def test_criteria_of_one_answer_are_known_by_one_answer(tmp_path: Path) -> None:
    other = POINT | {"id": "p2", "evaluation_point": "咳嗽", "label": "否"}
    third = POINT | {"id": "p3", "answer": "另一份回答"}
    ids = [one.answer_id for one in read_annotations(written(tmp_path, POINT, other, third))]
    assert ids == ["p1", "p1", "p3"]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (POINT | {"label": "对"}, "label"),
        (POINT | {"dataset": "CMeEE"}, "dataset"),
        (POINT | {"extra": 1}, "extra"),
        ({key: value for key, value in POINT.items() if key != "answer"}, "answer"),
        (SAFETY | {"label": "是"}, "label"),
        (ETHICS | {"risk": [1, 0]}, "risk.0"),
        (ETHICS | {"quality": [1, 0, 1]}, "quality"),
        ([1, 2], "dataset"),
    ],
)
def test_a_faulty_row_is_refused_with_line_and_field(tmp_path: Path, row: object, field: str) -> None:
    with pytest.raises(InputError) as caught:
        read_annotations(written(tmp_path, POINT | {"id": "first"}, row))
    assert (caught.value.line, caught.value.field) == (2, field)
    assert caught.value.remedy


def test_an_id_that_stands_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_annotations(written(tmp_path, POINT, SAFETY, POINT))
    assert caught.value.line == 3
    assert "1" in caught.value.message


@pytest.mark.parametrize("content", [b'{"id": ', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_refused_with_its_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "set.jsonl"
    file.write_bytes(b"\n" + content + b"\n")
    with pytest.raises(InputError) as caught:
        read_annotations(file)
    assert caught.value.line == 2


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(InputError):
            read_annotations(path)
