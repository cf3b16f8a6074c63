"""The locked requirements belong to pyproject.toml, and to one another."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def plain(name: str) -> str:
    """The name of a package as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: Iterable[str]) -> set[str]:
    return {plain(re.split(r"[\[<>=!~; ]", one, maxsplit=1)[0]) for one in requirements}


def pins(lock: str) -> dict[str, set[str]]:
    """Package → versions: several where they differ by Python's version."""
    text = (REPOSITORY / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^ ;\n]+)", text, re.MULTILINE):
        found.setdefault(plain(name), set()).add(version)
    return found


def test_what_the_evaluator_imports_is_locked_for_the_image_and_for_development() -> None:
    assert names(PROJECT["dependencies"]) <= pins("runtime").keys() <= pins("dev").keys()


@pytest.mark.parametrize(("extra", "lock"), [("demo", "dev"), ("dev", "dev"), ("train", "train")])
def test_what_an_extra_adds_is_locked_and_is_no_dependency_already(extra: str, lock: str) -> None:
    added = PROJECT["optional-dependencies"][extra]
    assert names(added) <= pins(lock).keys()
    anew = [one for one in added if "[" not in one]  # and not a dependency's own extra
    assert not names(anew) & names(PROJECT["dependencies"])


@pytest.mark.parametrize("lock", ["dev", "train"])
def test_no_package_is_locked_otherwise_than_for_the_image(lock: str) -> None:
    locked, runtime = pins(lock), pins("runtime")
    assert {name for name in locked.keys() & runtime.keys() if locked[name] != runtime[name]} == set()


def test_training_locks_nothing_that_is_locked_for_all() -> None:
    assert not pins("train").keys() & pins("runtime").keys()
