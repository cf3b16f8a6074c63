"""``policy show|check|explain``: what they print, in JSON too, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlb_offline.cli.policy import app
from mlb_offline.errors import InputError

FILE = """\
name = "example"
version = "3"
size_cap = 24
[[gate]]
scope = "dataset"
id = "CMExam"
min = 0.6
[[gate]]
scope = "dimension"
id = "MedRU"
min = 0.5
[[gate]]
scope = "overall"
min = 0.5
[[critical]]
dataset = "MASafety"
"""
APPROVER = '[[approvers]]\nname = "NAME"\nrole = "ROLE"\ndate = 2026-01-31\n'


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlb_offline.language._current", "en")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "p.toml"
    path.write_text(FILE)
    return path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_show_without_a_file_shows_the_shipped_policy() -> None:
    assert "the verdict is always not evaluable" in run("show")


def test_show_names_gates_critical_rules_and_approvers(file: Path) -> None:
    text = run("show", str(file))
    assert "gate dataset/CMExam: lower bound >= 0.6" in text
    assert "critical failures in MASafety: at most 0" in text
    assert "no approver" in text
    file.write_text(FILE + APPROVER)
    assert "approved by NAME (ROLE) on 2026-01-31" in run("show", str(file))
    assert json.loads(run("show", str(file), "--json"))["policy"]["version"] == "3"


def test_check_lists_what_keeps_it_from_a_pass(file: Path) -> None:
    text = run("check", str(file))
    assert "readable: example 3" in text
    assert "no approver" in text
    found = json.loads(run("check", str(file), "--json"))
    assert found["readable"] is True
    assert len(found["warnings"]) == 3
    assert "CMeEE 24" in found["warnings"][-1]


def test_explain_works_out_each_gate(file: Path) -> None:
    text = run("explain", str(file))
    assert "at least 69 of 100 right" in text
    assert "cap of 2TP+FP+FN: CHIP-CDN 24" in text
    gates = json.loads(run("explain", str(file), "--json"))["gates"]
    assert [gate["method"] for gate in gates] == ["clopper-pearson", "bonferroni", ""]
    assert gates[0]["right_needed"] == 69


def test_an_unreadable_policy_leaves_as_bad_input(file: Path) -> None:
    file.write_text("name = ")
    result = CliRunner().invoke(app, ["check", str(file)])
    assert isinstance(result.exception, InputError)
    assert result.exception.line == 1
