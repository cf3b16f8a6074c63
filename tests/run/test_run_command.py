"""``mlb-offline run`` and ``log verify`` as a user sees them, in this process."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from run_world import World

from mlb_offline.cli import main
from mlb_offline.language import current, set_language
from mlb_offline.run.estimate import estimate_tokens
from mlb_offline.run.invocation import stored_start
from mlb_offline.run.progress import BarDisplay, LineDisplay, open_display
from mlb_offline.run.results import read_results
from mlb_offline.run.tally import Tally
from mlb_offline.trust.keys import KeyKind, new_key


@pytest.fixture(autouse=True)
def english() -> Any:
    before = current()
    set_language("en")
    yield
    set_language(before)


def answers(world: World, folder: Path, leave_out: str = "") -> Path:
    rows = [
        {"dataset": name, "id": item.id, "response": "B" if name == "CMExam" else "不"}
        for name, part in world.source.datasets.items()
        for item in part.items
        if item.id != leave_out
    ]
    file = folder / "answers.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def mlb(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def opening(world: World, tmp_path: Path) -> tuple[object, ...]:
    return ("--bundle", world.bundle, "--trust", world.trust, "--key", world.key_file, "--state", tmp_path / "state")


def start(world: World, tmp_path: Path, *more: object, leave_out: str = "") -> int:
    target = f"answers:{answers(world, tmp_path, leave_out)}"
    return mlb("run", *opening(world, tmp_path), "--target", target, "--out", tmp_path / "run", *more)


def test_a_run_ends_with_a_table_the_place_and_the_next_command(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(world, tmp_path, leave_out="c3") == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line[:1].isupper()}
    #                         n   right wrong scored unreadable failed unjudged
    assert rows["CMExam"] == ["12", "11", "0", "0", "0", "1", "0"]
    assert rows["GeneralSafety"] == ["2", "0", "0", "0", "0", "0", "2"]
    assert rows["MAEESymp"] == ["3", "0", "0", "0", "3", "0", "0"]
    assert str(tmp_path / "run") in out
    assert f"mlb-offline report build {tmp_path / 'run'}" in out


def test_as_json_it_is_one_object_on_stdout(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(world, tmp_path, "--json", "--dataset", "CMExam", "--limit", "4") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["datasets"] == {
        "CMExam": {"n": 4, "right": 4, "wrong": 0, "scored": 0, "unreadable": 0, "failed": 0, "unjudged": 0}
    }
    results = read_results(tmp_path / "run", world.key)
    assert results.run_id == found["run"]
    assert results.indicative == ("answers-file", "limited", "datasets-subset")


def test_an_estimate_asks_nothing_and_writes_no_run(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = f"answers:{answers(world, tmp_path)}"
    words = ("run", *opening(world, tmp_path), "--target", target, "--estimate", "--repeats", "2")
    assert mlb(*words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["requests"] == 2 * world.slots
    prompts = [world.prompt(name, n) for name, part in world.source.datasets.items() for n in range(len(part.items))]
    assert found["characters"] == 2 * sum(map(len, prompts))
    assert found["tokens"] == 2 * sum(map(estimate_tokens, prompts))
    assert mlb(*words) == 0
    told = capsys.readouterr().out
    assert "Nothing was asked" in told
    assert f"at 60 s an answer, one at a time: {2 * world.slots / 60:.1f} h" in told
    assert not (tmp_path / "run").exists()


def test_tokens_are_estimated_by_width() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("医" * 100) == 70
    assert estimate_tokens("a" * 100) == 30


def test_log_verify_says_what_it_proves_and_what_not(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(world, tmp_path) == 0
    capsys.readouterr()
    assert mlb("log", "verify", tmp_path / "run") == 0
    out = capsys.readouterr().out
    assert "not a dishonest operator" in out
    assert "17 of 17" in out
    assert mlb("log", "verify", tmp_path / "run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["self_attested"] is True
    assert found["head"] == read_results(tmp_path / "run", world.key).event_head


def test_log_verify_of_an_altered_run_exits_4_and_names_the_event(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    assert start(world, tmp_path) == 0
    with sqlite3.connect(tmp_path / "run" / "run.sqlite") as db:
        db.execute("UPDATE events SET at = '2020-01-01T00:00:00.000Z' WHERE seq = 3")
    db.close()
    capsys.readouterr()
    assert mlb("log", "verify", tmp_path / "run", "--json") == 4
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["line"] == 3
    assert "event 3" in captured.err
    assert mlb("log", "verify", tmp_path / "nothing") == 3


def test_a_key_with_a_passphrase_is_opened_with_its_file_and_named_in_the_resume_command(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from datetime import UTC, datetime

    from mlb_offline.bundle.build import build_bundle
    from mlb_offline.run.prepare import RunRequest, prepare
    from mlb_offline.run.session import resume_command
    from mlb_offline.trust.keys import load_recipient_public, load_signing_key

    new_key(KeyKind.HOSPITAL, tmp_path / "k", "geheim", demonstration=True)
    (tmp_path / "pass").write_text("geheim\n")
    (tmp_path / "pass").chmod(0o600)
    key = tmp_path / "k" / "hospital.key.json"
    public = load_recipient_public(tmp_path / "k" / "hospital.recipient.json")
    bundle = tmp_path / "p.mlbb"
    signing = load_signing_key(world.folder / "publisher.key.json", None)
    build_bundle(world.source, signing, [public], bundle, now=datetime.now(UTC))
    target = f"answers:{answers(world, tmp_path)}"
    words = ["run", "--bundle", bundle, "--trust", world.trust, "--key", key, "--state", tmp_path / "s"]
    words += ["--target", target, "--out", tmp_path / "run"]
    assert mlb(*words) == 4
    assert mlb(*words, "--passphrase-file", tmp_path / "pass") == 0
    options: dict[str, Any] = {"bundle": bundle, "trust": (world.trust,), "key": key, "passphrase": "geheim"}
    request = RunRequest(
        **options, target=target, out=tmp_path / "x y", passphrase_file=tmp_path / "pass", allow_rollback=True
    )
    command = resume_command(prepare(request), tmp_path / "x y")
    assert f"--resume '{tmp_path}/x y'" in command
    assert f"--passphrase-file {tmp_path}/pass" in command
    assert "geheim" not in command
    assert command.endswith("--allow-rollback --guard none")  # this process is under no guard
    from mlb_offline.trust.keys import load_recipient_key

    assert read_results(tmp_path / "run", load_recipient_key(key, "geheim")).indicative == (
        "demonstration-keys",
        "answers-file",
    )


def test_a_resume_of_a_folder_without_a_run_exits_3(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mlb("run", "--resume", tmp_path / "none", *opening(world, tmp_path)) == 3
    assert "there is no run" in capsys.readouterr().err


def tally() -> Tally:
    found = Tally.of({"CMExam": 10, "MAExam": 5}, {("CMExam", "right"): 4, ("CMExam", None): 6})
    found.started = time.monotonic() - 2
    return found


def test_the_rate_counts_this_session_only() -> None:
    found = tally()
    assert found.finished == 4
    assert found.rate() == 0
    assert found.seconds_left() is None
    found.settle("CMExam", "failed")
    assert found.rate() == pytest.approx(0.5, rel=0.1)
    assert found.seconds_left() == pytest.approx(20, rel=0.1)
    assert found.outcomes == Counter(right=4, failed=1)


def test_without_a_terminal_progress_is_a_line_when_something_changed() -> None:
    stream = io.StringIO()
    display = open_display(stream)
    assert isinstance(display, LineDisplay)
    found = tally()
    display.show(found)
    display.show(found)
    found.settle("CMExam", "failed")
    display.show(found)
    display.close()
    first, second = stream.getvalue().splitlines()
    assert first.startswith("4/15")
    assert second.startswith("5/15")
    assert "failed 1" in second
    assert "CMExam" in second
    assert "left 0:00:20" in second or "left 0:00:2" in second or "left 0:00:1" in second


def test_on_a_terminal_progress_is_a_bar_for_the_run_and_each_dataset_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    display = open_display(stream)
    assert isinstance(display, BarDisplay)
    found = tally()
    display.show(found)
    found.settle("CMExam", "right")
    display.show(found)
    display.close()
    assert "5/15" in stream.getvalue()
    assert "CMExam" in stream.getvalue()
    assert "MAExam" not in stream.getvalue()


def test_a_slow_rate_is_shown_by_the_minute() -> None:
    stream = io.StringIO()
    found = tally()
    found.started = time.monotonic() - 100
    found.settle("CMExam", "right")
    LineDisplay(stream).show(found)
    assert "/min" in stream.getvalue()


def test_a_clock_set_back_stops_a_resume_before_anything_is_asked(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(world, tmp_path) == 0

    class Yesterday(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - timedelta(hours=1)

    monkeypatch.setattr("mlb_offline.run.session.datetime", Yesterday)
    assert mlb("run", "--resume", tmp_path / "run", *opening(world, tmp_path)) == 3
    assert "clock is before the run's last event" in capsys.readouterr().err


def test_an_old_bundle_is_not_let_in_through_a_run_that_never_began(world: World, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    assert start(world, tmp_path) == 0
    (tmp_path / "state" / "attempts.json").write_text("{")
    target = f"answers:{answers(world, tmp_path)}"
    assert mlb("run", *opening(world, tmp_path), "--target", target, "--out", tmp_path / "second") == 4
    assert stored_start(tmp_path / "run").core is not None
    assert stored_start(tmp_path / "second").core is None


def test_commands_to_paste_begin_as_the_operator_began(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLB_COMMAND", "./mlb-offline.sh --mount '/data/my models'")
    assert start(world, tmp_path) == 0
    assert "next: ./mlb-offline.sh --mount '/data/my models' report build" in capsys.readouterr().out
    from mlb_offline.run.prepare import prepare
    from mlb_offline.run.session import resume_command

    request = world.request(tmp_path, target=f"answers:{answers(world, tmp_path)}", out=tmp_path / "other")
    command = resume_command(prepare(request), tmp_path / "other")
    assert command.startswith("./mlb-offline.sh --mount '/data/my models' run --resume ")
    assert f"--target answers:{tmp_path}" in command
