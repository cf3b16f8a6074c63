"""``bundle import``: what it writes, what it says, and that a part is never built in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from mlb_offline.bundle.importers.landing import import_named, land
from mlb_offline.bundle.source import read_source
from mlb_offline.cli.bundle_import import import_command
from mlb_offline.errors import InputError, UsageError

GOOD = {"question": "甲？A.x B.y", "answer": "B"}
BAD = {"question": "没有选项", "answer": "B"}

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    app = typer.Typer()
    app.command()(import_command)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def official(folder: Path, name: str, *examples: dict[str, Any]) -> Path:
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"system_prompt": "${question}${options}", "examples": examples}), encoding="utf-8")
    return file


def test_a_clean_import_writes_a_source_folder_that_reads_back(tmp_path: Path, run: Run) -> None:
    result = run("mlb", official(tmp_path, "MAExam", GOOD), "--out", tmp_path / "src")
    assert result.exit_code == 0
    assert "1 rows read, 0 refused" in result.output
    assert read_source(tmp_path / "src").datasets["MAExam"].items[0].options == ["x", "y"]
    assert not list((tmp_path / "src").glob("refused-*"))


def test_further_imports_are_added_to_the_same_folder(tmp_path: Path, run: Run) -> None:
    for name in ("MAExam", "MAHalt"):
        assert run("mlb", official(tmp_path, name, GOOD), "--out", tmp_path / "src").exit_code == 0
    assert set(read_source(tmp_path / "src").datasets) == {"MAExam", "MAHalt"}
    again = run("mlb", official(tmp_path, "MAHalt", GOOD), "--out", tmp_path / "src")
    assert isinstance(again.exception, InputError)


def test_with_a_refusal_nothing_is_written_and_the_exit_code_is_3(tmp_path: Path, run: Run) -> None:
    file = official(tmp_path, "MAExam", GOOD, BAD)
    result = run("mlb", file, "--out", tmp_path / "src")
    assert result.exit_code == 3
    assert "1 rows read, 1 refused" in result.output
    assert f"{file}:2: no options" in result.output
    assert not (tmp_path / "src").exists()


def test_refusals_that_are_accepted_are_listed_in_the_folder(tmp_path: Path, run: Run) -> None:
    for name in ("MAExam", "MAHalt"):
        file = official(tmp_path, name, GOOD, BAD)
        result = run("mlb", file, "--out", tmp_path / "src", "--accept-refusals")
        assert result.exit_code == 0
        assert "1 refused" in result.output
    listed = json.loads((tmp_path / "src" / "refused-mlb.json").read_text(encoding="utf-8"))
    assert [(entry["file"], entry["row"]) for entry in listed] == [
        (str(tmp_path / "MAExam.json"), 2),
        (str(tmp_path / "MAHalt.json"), 2),
    ]
    assert all("no options" in entry["reason"] for entry in listed)
    assert set(read_source(tmp_path / "src").datasets) == {"MAExam", "MAHalt"}


@pytest.mark.parametrize("accept", [[], ["--accept-refusals"]])
def test_json_says_how_many_and_which(tmp_path: Path, run: Run, accept: list[str]) -> None:
    result = run("mlb", official(tmp_path, "MAExam", GOOD, BAD), "--out", tmp_path / "src", "--json", *accept)
    told = json.loads(result.stdout)
    assert (told["read"], len(told["refused"]), told["datasets"]) == (1, 1, {"MAExam": 1})
    assert ("error" in told, told["out"]) == ((False, str(tmp_path / "src")) if accept else (True, None))
    assert told["refused"][0]["row"] == 2


def test_a_long_list_of_refusals_is_cut_for_people_only(tmp_path: Path, run: Run) -> None:
    file = official(tmp_path, "MAExam", GOOD, *[BAD] * 25)
    assert "and 5 more" in run("mlb", file, "--out", tmp_path / "src").output
    assert len(json.loads(run("mlb", file, "--out", tmp_path / "src", "--json").stdout)["refused"]) == 25


def test_an_import_of_nothing_is_an_error_even_if_refusals_are_accepted(tmp_path: Path, run: Run) -> None:
    result = run("mlb", official(tmp_path, "MAExam", BAD), "--out", tmp_path / "src", "--accept-refusals")
    assert isinstance(result.exception, InputError)
    assert result.exception.line == 1
    assert not (tmp_path / "src").exists()


@pytest.mark.parametrize(
    ("importer", "dataset", "mapping", "message"),
    [
        ("cblue", None, None, "not in this version"),
        ("csv", None, None, "no importer named"),
        ("table", None, None, "--mapping goes with table"),
        ("mlb", None, Path("m.toml"), "--mapping goes with table"),
        ("cmexam", "MAExam", None, "CMExam only"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(
    importer: str, dataset: str | None, mapping: Path | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        import_named(importer, Path("x"), dataset=dataset, mapping=mapping)


def test_each_importer_is_reached_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Question,Options,Answer\n甲,A x B y,A\n", encoding="utf-8")
    (tmp_path / "m.toml").write_text(
        'licence="l"\nsource="s"\nreviewed_by="r"\n[columns]\nquestion="Question"\n[options]\ncolumn="Options"\n'
        '[answer]\ncolumn="Answer"\nread="letters"\n',
        encoding="utf-8",
    )
    assert import_named("cmexam", tmp_path / "a.csv", dataset="CMExam", mapping=None).read == 1
    assert import_named("table", tmp_path / "a.csv", dataset="MAExam", mapping=tmp_path / "m.toml").read == 1


@pytest.mark.parametrize(("content", "message"), [("{", "not valid JSON"), ("{}", "must be a JSON list")])
def test_an_earlier_list_of_refusals_is_never_lost(tmp_path: Path, content: str, message: str) -> None:
    out = tmp_path / "src"
    imported = import_named("mlb", official(tmp_path, "MAExam", GOOD, BAD), dataset=None, mapping=None)
    out.mkdir()
    (out / "refused-mlb.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        land(imported, out, "mlb")


def test_a_list_of_refusals_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = import_named("mlb", official(tmp_path, "MAExam", GOOD, BAD), dataset=None, mapping=None)
    write = Path.write_text

    def full(self: Path, *arguments: Any, **options: Any) -> int:
        if self.name == "refused-mlb.json":
            raise OSError(28, "No space left on device")
        return write(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match="No space left"):
        land(imported, tmp_path / "src", "mlb")
