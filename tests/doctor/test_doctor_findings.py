"""A finding says what to do; a check that breaks becomes one; the worst decides the exit code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlb_offline.doctor import finding as finding_module
from mlb_offline.doctor.finding import Area, Checks, Finding, collect, failed, failure, ok, warning, worst
from mlb_offline.errors import Exit, InputError, NotEvaluableError, TrustError


def a_failure(code: Exit) -> Finding:
    return failure(Area.KEY, "x", "m", "r", code)


@pytest.mark.parametrize(
    ("level", "remedy", "code"),
    [("warning", "", Exit.DONE), ("failure", "", Exit.TRUST), ("failure", "do", Exit.DONE), ("ok", "", Exit.TRUST)],
)
def test_a_finding_without_remedy_or_with_the_wrong_code_cannot_be_made(level: str, remedy: str, code: Exit) -> None:
    with pytest.raises(ValueError, match=r"key\.x"):
        Finding("key.x", Area.KEY, level, "m", remedy, code)  # type: ignore[arg-type]


def test_the_exit_code_is_that_of_the_most_severe_failure() -> None:
    codes = [Exit.USAGE, Exit.INCOMPLETE, Exit.BAD_INPUT, Exit.TRUST, Exit.EGRESS]
    for count in range(1, len(codes) + 1):
        assert worst(map(a_failure, codes[:count])) is codes[count - 1]
    assert worst([ok(Area.CPU, "x", "m"), warning(Area.CPU, "y", "m", "r")]) is Exit.DONE
    assert worst([a_failure(Exit.INTERNAL)]) is Exit.INTERNAL
    assert worst([a_failure(Exit.INTERNAL), a_failure(Exit.USAGE)]) is Exit.USAGE


def test_an_error_keeps_its_place_message_and_remedy() -> None:
    found = failed(Area.KEY, "opened", TrustError("is wrong", file="k.json", field="kind", remedy="take another"))
    assert (found.message, found.remedy, found.exit_code) == (
        "k.json: field kind: is wrong",
        "take another",
        Exit.TRUST,
    )
    assert failed(Area.KEY, "opened", NotEvaluableError("no")).remedy  # never without one


def breaking(error: Exception) -> Checks[int]:
    yield ok(Area.DISK, "first", "seen before")
    raise error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("bad", remedy="r"), Exit.BAD_INPUT, "bad"),
        (PermissionError(13, "Permission denied", "/proc/x"), Exit.BAD_INPUT, "/proc/x: .*Permission denied"),
        (OSError("odd"), Exit.BAD_INPUT, "OSError"),
        (ZeroDivisionError("by zero"), Exit.INTERNAL, "ZeroDivisionError: by zero"),
    ],
)
def test_a_check_that_breaks_is_a_finding_and_hides_no_other(error: Exception, code: Exit, said: str) -> None:
    found: list[Finding] = []
    assert collect(found, Area.DISK, "space", breaking(error)) is None
    assert [one.id for one in found] == ["disk.first", "disk.space"]
    assert found[1].exit_code is code
    assert re.search(said, found[1].message)
    assert found[1].remedy


def test_a_check_hands_its_result_on() -> None:
    def check() -> Checks[int]:
        yield ok(Area.DISK, "first", "m")
        return 7

    assert collect([], Area.DISK, "x", check()) == 7


def test_no_module_of_the_doctor_is_long() -> None:
    folder = Path(finding_module.__file__).parent
    assert all(len(file.read_text(encoding="utf-8").splitlines()) < 300 for file in folder.glob("*.py"))
