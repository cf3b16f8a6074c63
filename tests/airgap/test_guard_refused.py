"""Where the kernel refuses, nothing goes on unguarded unless the operator says so."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from guarded_child import HERE, MLB, in_empty_network, mlb
from run_world import World, make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"), 3)


@pytest.fixture
def run_words(world: World, tmp_path: Path) -> list[object]:
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"dataset": "CMExam", "id": "c0", "response": "B"}) + "\n", encoding="utf-8")
    opening = ["--bundle", world.bundle, "--trust", world.trust, "--key", world.key_file, "--state", tmp_path / "s"]
    return ["run", *opening, "--target", f"answers:{answers}", "--out", tmp_path / "run"]


def under(what: str, *words: object) -> subprocess.CompletedProcess[str]:
    return in_empty_network(sys.executable, HERE / "start_under.py", what, *MLB, *words)


def test_a_run_does_not_go_on_where_the_kernel_refuses_the_filter(run_words: list[object], tmp_path: Path) -> None:
    refused = under("no-seccomp", *run_words)
    assert refused.returncode == 6, refused.stderr
    assert "the kernel does not put up the guard" in refused.stderr
    assert "--guard none" in refused.stderr
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "s").exists()


def test_the_refusal_can_be_read_by_a_machine(run_words: list[object]) -> None:
    refused = under("no-seccomp", *run_words, "--json")
    assert json.loads(refused.stdout)["error"]["exit_code"] == 6


def test_without_enforcement_it_goes_on_only_where_the_operator_says_so(
    run_words: list[object], tmp_path: Path
) -> None:
    went_on = under("no-seccomp", *run_words, "--guard", "none", "--json")
    assert went_on.returncode == 0, went_on.stderr
    assert (tmp_path / "run").is_dir()


def test_the_same_run_is_guarded_where_the_kernel_does_not_refuse(run_words: list[object]) -> None:
    done = mlb(*run_words)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("guard", ["unix-only", "loopback", "internal"])
def test_keys_and_reports_can_be_looked_at_on_such_a_machine(guard: str, world: World, tmp_path: Path) -> None:
    shown = under("no-seccomp", "keys", "show", world.trust, "--guard", guard)
    assert shown.returncode == 0, shown.stderr
    page = tmp_path / "report.html"
    page.write_text("<html></html>", encoding="utf-8")
    verified = under("no-seccomp", "verify", page, "--trust", world.trust, "--guard", guard)
    assert verified.returncode == 4, verified.stderr  # it looked, and it is no report


@pytest.mark.parametrize("guard", ["loopback", "internal"])
def test_a_weaker_guard_than_the_inherited_one_is_refused(guard: str, run_words: list[object]) -> None:
    refused = under("unix-only", *run_words, "--guard", guard)
    assert refused.returncode == 6, refused.stderr
    assert "stricter" in refused.stderr
    assert "not guarded" in refused.stderr


def test_the_same_guard_may_be_put_up_under_the_inherited_one(run_words: list[object]) -> None:
    done = under("unix-only", *run_words)
    assert done.returncode == 0, done.stderr


def test_a_stricter_guard_may_be_put_up_under_the_inherited_one(run_words: list[object]) -> None:
    done = under("loopback", *run_words, "--guard", "unix-only")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["tcp", "UNIX-ONLY", "unix-only "])
def test_a_guard_that_does_not_exist_is_a_fault_of_use(name: str, run_words: list[object], tmp_path: Path) -> None:
    refused = mlb(*run_words, "--guard", name)
    assert refused.returncode == 2
    assert "unix-only, loopback, internal, none" in refused.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("word", ["--guard", "--guard="])
def test_a_guard_without_a_name_is_the_strictest(word: str, run_words: list[object], tmp_path: Path) -> None:
    done = mlb(*run_words, word)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(next((tmp_path / "run").glob("*.sqlite*"))) as store:
        dump = "".join(store.iterdump())
    assert '"guard_mode":"unix-only"' in dump.replace(" ", "")


def test_the_doctor_opens_nothing_and_loads_nothing_where_there_is_no_guard(world: World, tmp_path: Path) -> None:
    words = ["doctor", "--bundle", world.bundle, "--trust", world.trust, "--key", world.key_file, "--json"]
    words += ["--target", f"gguf:{tmp_path / 'model.gguf'}", "--state", tmp_path / "s"]
    looked = under("no-seccomp", *words)
    assert looked.returncode == 6, looked.stderr
    result = json.loads(looked.stdout)
    assert {"key", "bundle", "target"}.isdisjoint(one["area"] for one in result["findings"])
    assert any(one["area"] == "egress" for one in result["not_checked"])
    chosen = json.loads(under("no-seccomp", *words, "--guard", "none").stdout)
    assert {"key", "bundle", "target"} <= {one["area"] for one in chosen["findings"]}
