"""``judge calibrate``: a real model of one's own, the authors' layout, and how it ends for every fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.cli import main
from mlb_offline.demo.tiny_gguf import write_tiny_gguf
from mlb_offline.judge.panels import kept_panels

ROWS = [
    {"id": "1", "dataset": "MARecord", "topic": "主诉", "evaluation_point": "发热", "answer": "发热3天", "label": "是"},
    {"id": "2", "dataset": "MARecord", "topic": "主诉", "evaluation_point": "咳嗽", "answer": "发热3天", "label": "否"},
    {"id": "3", "dataset": "GeneralSafety", "question": "问", "output": "不可以", "label": "安全"},
]
MODELS = Path(__file__).parents[2] / "models"
Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ask:
    monkeypatch.setattr("mlb_offline.language._current", "en")
    monkeypatch.setenv("MLB_STATE", str(tmp_path / "state"))

    def asked(*words: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["judge", "calibrate", *map(str, words)])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return int(end.value.code or 0), told.out, told.err

    return asked


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def test_a_model_of_ones_own_is_measured_and_its_record_told(tmp_path: Path, ask: Ask) -> None:
    labelled = write(tmp_path / "set.jsonl", ROWS)
    model = write_tiny_gguf(tmp_path / "own.gguf")
    words = ("--set", labelled, "--judge", model, "--models", MODELS, "--accept-unlisted")
    code, out, err = ask(*words, "--json")
    assert code == 0, err
    told = json.loads(out)
    # It knows nothing and would say something else: that is no 否.
    assert (told["n"], told["answered"], told["abstained"]) == (3, 0, 3)
    assert told["records"][0]["accepted"] is True
    assert set(told["by_family"]) == {"points", "safety"}
    assert "abstained 3" in ask(*words)[1]


def test_the_authors_layout_needs_no_judge(tmp_path: Path, ask: Ask) -> None:
    row = {"messages": [{"role": "user", "content": "问"}], "labels": "是", "response": "是"}
    code, out, _ = ask("--set", write(tmp_path / "r.jsonl", [row, row | {"response": "否"}]), "--json")
    assert code == 0
    assert json.loads(out)["confusion"] == {"tp": 1, "fp": 0, "fn": 1, "tn": 0, "unread_yes": 0, "unread_no": 0}


def test_an_unlisted_model_is_not_used_unasked(tmp_path: Path, ask: Ask) -> None:
    labelled, model = write(tmp_path / "set.jsonl", ROWS), write_tiny_gguf(tmp_path / "own.gguf")
    code, _, err = ask("--set", labelled, "--judge", model, "--models", MODELS)
    assert code == 4
    assert "--accept-unlisted" in err


@pytest.mark.parametrize("content", ["no model", "GGUF"])
def test_a_file_that_is_no_model_is_bad_input(tmp_path: Path, ask: Ask, content: str) -> None:
    (tmp_path / "own.gguf").write_text(content)
    labelled = write(tmp_path / "set.jsonl", ROWS)
    code, _, err = ask("--set", labelled, "--judge", tmp_path / "own.gguf", "--models", MODELS, "--accept-unlisted")
    assert code == 3
    assert "own.gguf" in err


def test_the_same_model_twice_is_no_panel(tmp_path: Path, ask: Ask) -> None:
    labelled, model = write(tmp_path / "set.jsonl", ROWS), write_tiny_gguf(tmp_path / "own.gguf")
    twin = write_tiny_gguf(tmp_path / "twin.gguf")
    words = ("--set", labelled, "--judge", model, "--judge", twin, "--models", MODELS, "--accept-unlisted")
    code, _, err = ask(*words)
    assert code == 2
    assert "differ" in err


def test_a_faulty_set_names_its_line(tmp_path: Path, ask: Ask) -> None:
    labelled = write(tmp_path / "set.jsonl", [*ROWS, {"id": "4", "dataset": "MARecord"}])
    code, _, err = ask("--set", labelled, "--models", MODELS)
    assert code == 3
    assert "set.jsonl:4" in err


def test_two_files_of_one_name_are_refused_for_they_could_not_be_told_apart(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "other").mkdir()
    labelled, model = write(tmp_path / "set.jsonl", ROWS), write_tiny_gguf(tmp_path / "own.gguf")
    other = write_tiny_gguf(tmp_path / "other" / "own.gguf", seed="another")
    words = ("--set", labelled, "--judge", model, "--judge", other, "--models", MODELS, "--accept-unlisted")
    assert ask(*words)[0] == 2


def test_a_judge_named_beside_replies_is_refused_for_it_would_not_be_asked(tmp_path: Path, ask: Ask) -> None:
    row = {"messages": [{"role": "user", "content": "问"}], "labels": "是", "response": "是"}
    code, _, err = ask("--set", write(tmp_path / "r.jsonl", [row]), "--judge", tmp_path / "own.gguf")
    assert code == 2
    assert "no judge is asked" in err


def pair(folder: Path) -> tuple[str | Path, ...]:
    own, other = write_tiny_gguf(folder / "own.gguf"), write_tiny_gguf(folder / "other.gguf", seed="another")
    return ("--judge", own, "--judge", other, "--models", MODELS, "--accept-unlisted")


def test_a_pair_is_kept_in_the_state_folder_with_its_set_and_who_labelled_it(tmp_path: Path, ask: Ask) -> None:
    labelled, state = write(tmp_path / "set.jsonl", ROWS), tmp_path / "state"
    words = ("--set", labelled, *pair(tmp_path), "--state", state)
    code, out, err = ask(*words, "--keep", "--labelled-by", "two physicians", "--json")
    assert code == 0, err
    assert json.loads(out)["kept_panel"] == str(state / "panels.json")
    (kept,) = kept_panels(state)
    assert (kept.set_name, kept.n, kept.labelled_by) == ("set.jsonl", 3, "two physicians")
    # Both abstain on everything, which is no 是.
    assert kept.questions == {"points": [[0, 1, 1, 0, 1]], "safety": [[0, 1, 0, 0, 1]]}
    assert [one.sha256 for one in kept.judges] == [record["sha256"] for record in json.loads(out)["records"]]
    assert not (MODELS / "lock").exists()


def test_with_models_alone_it_is_kept_beside_them(tmp_path: Path, ask: Ask) -> None:
    labelled, models = write(tmp_path / "set.jsonl", ROWS), tmp_path / "models"
    models.mkdir()
    for name in ("MANIFEST.json", "MANIFEST.json.sig"):
        (models / name).write_bytes((MODELS / name).read_bytes())
    words = [models if word == MODELS else word for word in pair(tmp_path)]
    code, out, err = ask("--set", labelled, *words, "--keep", "--labelled-by", "two physicians")
    assert code == 0, err
    assert str(models / "panels.json") in out
    assert len(kept_panels(models)) == 1
    assert not (tmp_path / "state").exists()


def test_nothing_is_kept_unasked(tmp_path: Path, ask: Ask) -> None:
    code, out, err = ask("--set", write(tmp_path / "set.jsonl", ROWS), *pair(tmp_path), "--json")
    assert code == 0, err
    assert "kept_panel" not in json.loads(out)
    assert kept_panels(tmp_path / "state") == ()


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--keep",), "--labelled-by"),
        (("--labelled-by", "two physicians"), "--labelled-by"),
        (("--keep", "--labelled-by", "two physicians", "--judge", "own.gguf"), "--judge"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_measured(
    tmp_path: Path, ask: Ask, words: tuple[str, ...], field: str
) -> None:
    code, _, err = ask("--set", tmp_path / "absent.jsonl", *words)
    assert code == 2
    assert field in err


def test_replies_hold_no_pair_to_keep(tmp_path: Path, ask: Ask) -> None:
    row = {"messages": [{"role": "user", "content": "问"}], "labels": "是", "response": "是"}
    code, _, err = ask("--set", write(tmp_path / "r.jsonl", [row]), "--keep", "--labelled-by", "x")
    assert code == 2
    assert "--keep" in err
