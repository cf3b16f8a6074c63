"""Every error says where, what and what to do, in both languages."""

from collections.abc import Iterator

import pytest

from mlb_offline import errors
from mlb_offline.language import current, from_environment, set_language, tr


@pytest.fixture(autouse=True)
def _keep_language() -> Iterator[None]:
    before = current()
    yield
    set_language(before)


def test_exit_codes_are_those_of_the_design() -> None:
    codes = {
        errors.UsageError: 2,
        errors.InputError: 3,
        errors.TrustError: 4,
        errors.TargetError: 5,
        errors.EgressError: 6,
        errors.NotEvaluableError: 7,
        errors.InterruptedRunError: 130,
    }
    assert {kind: int(kind.exit_code) for kind in codes} == codes


def test_diagnostics_name_file_line_field_and_remedy() -> None:
    set_language("en")
    error = errors.InputError("no such option", file="a.jsonl", line=3, field="answer", remedy="use A to D")
    assert error.diagnostics() == "a.jsonl:3: field answer: no such option\nWhat to do: use A to D"
    assert error.to_json()["error"] == {
        "kind": "InputError",
        "exit_code": 3,
        "message": "no such option",
        "remedy": "use A to D",
        "file": "a.jsonl",
        "line": 3,
        "field": "answer",
    }


def test_an_error_without_a_place_is_its_message() -> None:
    assert errors.TrustError("bad signature").diagnostics() == "bad signature"


def test_messages_come_in_the_language_in_use() -> None:
    set_language("zh")
    assert tr("你好", "hello") == "你好"
    assert "字段 x" in errors.InputError("坏", file="f", field="x").diagnostics()
    set_language("en")
    assert tr("你好", "hello") == "hello"


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LC_ALL": "en_GB.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_locale_chooses_the_language(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], language: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert from_environment() == language
