"""A file of answers: looked up by dataset, id and repeat; every mistake in it is found at opening."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_offline.errors import InputError
from mlb_offline.target.answers import open_answers
from mlb_offline.target.config import TargetConfig
from mlb_offline.target.opening import open_target
from mlb_offline.target.types import ItemFailed, Question

GOOD = '{"dataset": "CMExam", "id": "1", "response": "B"}\n'


def test_answers_are_looked_up_and_indicative(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(
        "\ufeff" + GOOD + '{"dataset":"CMExam","id":"1","repeat":1,"response":"\\ud800C"}\r\n'
        '{"dataset":"CMeEE","id":"1","response":""}',
        encoding="utf-8",
    )
    target = open_target(f"answers:{file}", TargetConfig())
    assert target.indicative
    assert target.parallel

    async def go() -> list[str]:
        asked = [("CMExam", 0), ("CMExam", 1), ("CMeEE", 0)]
        return [(await target.ask(Question(dataset, "1", "?", repeat))).text for dataset, repeat in asked]

    assert asyncio.run(go()) == ["B", "�C", ""]
    assert asyncio.run(target.probe()) == {"answers": {"CMExam": 2, "CMeEE": 1}}
    assert target.description == {
        "kind": "answers",
        "file": "a.jsonl",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "answers": 3,
    }
    with pytest.raises(ItemFailed, match="no answer to CMExam/2, repeat 0") as failed:
        asyncio.run(target.ask(Question("CMExam", "2", "?", 0)))
    assert failed.value.reason == "no-answer"
    asyncio.run(target.close())


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        (GOOD.strip(), "id", "as line 1"),
        ('{"dataset": "CMExam", "id": "1", "repeat": 0, "response": "C"}', "id", "as line 1"),
        ("", None, "not JSON"),
        ("{", None, "not JSON"),
        ("[" * 100_000, None, "not JSON"),
        ('"text"', None, "not a JSON object"),
        ('{"dataset": "CMExam", "id": "2"}', "response", "missing"),
        ('{"id": "2", "response": "B"}', "dataset", "missing"),
        ('{"dataset": "CMExam", "id": 2, "response": "B"}', "id", "string"),
        ('{"dataset": "CMExam", "id": "2", "response": null}', "response", "string"),
        ('{"dataset": "CMExam", "id": "2", "response": "B", "answer": "B"}', "answer", "unknown field"),
        ('{"dataset": "CMExam", "id": "2", "response": "B", "response": "C"}', "response", "twice"),
        ('{"dataset": "NoSuch", "id": "2", "response": "B"}', "dataset", "no dataset 'NoSuch'"),
        ('{"dataset": "CMExam", "id": "2", "response": "B", "repeat": -1}', "repeat", "at least 0"),
        ('{"dataset": "CMExam", "id": "2", "response": "B", "repeat": true}', "repeat", "at least 0"),
        ('{"dataset": "CMExam", "id": "2", "response": "B", "repeat": 1.0}', "repeat", "at least 0"),
    ],
)
def test_mistake_is_said_with_line_and_field(tmp_path: Path, line: str, field: str | None, message: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(f"{GOOD}{line}\n{GOOD}")
    with pytest.raises(InputError, match=message) as error:
        open_answers(file)
    assert (error.value.file, error.value.line, error.value.field) == (str(file), 2, field)


def test_empty_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        open_answers(tmp_path / "none")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(InputError, match="holds no answers"):
        open_answers(tmp_path / "empty")
    (tmp_path / "binary").write_bytes(b"\xff\xff\n")
    with pytest.raises(InputError, match="not UTF-8"):
        open_answers(tmp_path / "binary")


@given(st.dictionaries(st.tuples(st.text(), st.integers(0, 3)), st.text(), min_size=1, max_size=8), st.booleans())
def test_what_is_written_is_what_is_answered(
    tmp_path_factory: pytest.TempPathFactory, answers: dict[tuple[str, int], str], ascii_only: bool
) -> None:
    file = tmp_path_factory.mktemp("answers") / "a.jsonl"
    rows = [
        {"dataset": "CMExam", "id": item, "repeat": repeat, "response": text}
        for (item, repeat), text in answers.items()
    ]
    file.write_text("".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows), encoding="utf-8")
    target = open_answers(file)
    for (item, repeat), text in answers.items():
        assert asyncio.run(target.ask(Question("CMExam", item, "?", repeat))).text == text
