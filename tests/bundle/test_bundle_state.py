"""The state folder: made at first use, whole after any write, refused when damaged or not writable."""

from __future__ import annotations

import json
import multiprocessing
import re
from pathlib import Path

import pytest

from mlb_offline.bundle.state import Seen, State, default_folder, existing_state, open_state
from mlb_offline.errors import InputError, TrustError

PUBLISHER = "a" * 64


def test_it_is_created_at_first_use_and_only_then(tmp_path):
    assert open_state(tmp_path / "new" / "state").created
    assert not open_state(tmp_path / "new" / "state").created


def test_an_empty_folder_made_by_somebody_else_is_first_use(tmp_path):
    assert open_state(tmp_path).created


def test_only_its_owner_may_look_into_it(tmp_path):
    assert open_state(tmp_path / "s").folder.stat().st_mode & 0o077 == 0


def test_what_is_remembered_never_goes_back(state):
    def advance(version, signed):
        return state.advance(PUBLISHER, "s", ["A"], Seen(version, signed))

    assert advance(3, "2026-01-03T00:00:00Z")
    assert not advance(2, "2026-01-02T00:00:00Z")
    assert advance(2, "2026-01-04T00:00:00Z")
    assert state.rollback(PUBLISHER, "s", "A") == Seen(3, "2026-01-04T00:00:00Z")


def test_records_are_kept_apart_by_publisher_series_and_dataset(state):
    state.advance(PUBLISHER, "s", ["A", "B"], Seen(1, "2026-01-01T00:00:00Z"))
    assert state.rollback("b" * 64, "s", "A") is None
    assert state.rollback(PUBLISHER, "t", "A") is None
    assert state.rollback(PUBLISHER, "s", "C") is None
    assert state.rollback(PUBLISHER, "s", "B") is not None


def test_the_latest_signature_is_that_of_the_publisher_whatever_the_series(state):
    assert state.latest_signed(PUBLISHER) is None
    state.advance(PUBLISHER, "s", ["A"], Seen(1, "2026-01-01T00:00:00Z"))
    state.advance(PUBLISHER, "t", ["A"], Seen(1, "2026-02-01T00:00:00Z"))
    state.advance("b" * 64, "t", ["A"], Seen(1, "2027-02-01T00:00:00Z"))
    assert state.latest_signed(PUBLISHER) == "2026-02-01T00:00:00Z"
    assert state.latest_signed() == "2027-02-01T00:00:00Z"


def test_a_look_makes_nothing_and_refuses_what_is_damaged(tmp_path):
    assert existing_state(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()
    open_state(tmp_path / "s").advance(PUBLISHER, "s", ["A"], Seen(1, "2026-01-01T00:00:00Z"))
    before = sorted(tmp_path.rglob("*"))
    assert existing_state(tmp_path / "s").latest_signed() == "2026-01-01T00:00:00Z"
    assert sorted(tmp_path.rglob("*")) == before
    for name in ("rollback.json", "attempts.json", "state.json"):
        (tmp_path / "s" / name).write_text("{")
        with pytest.raises(TrustError, match="damaged"):
            existing_state(tmp_path / "s")
        (tmp_path / "s" / name).unlink()


def test_attempts_are_counted_by_target_and_bundle_and_once_a_run(state):
    assert [state.next_attempt("t", "b", run).of_target for run in ("r1", "r2", "r1", "r3")] == [1, 2, 1, 3]
    assert state.next_attempt("t", "other", "r9") == (1, 1)
    assert state.next_attempt("other", "b", "r9").of_target == 1
    assert open_state(state.folder).next_attempt("t", "b", "r2").of_target == 2


def test_runs_on_a_bundle_are_counted_whatever_the_target_is_called(state):
    asked = [("t", "r1"), ("renamed", "r2"), ("t", "r3"), ("renamed", "r2")]
    assert [state.next_attempt(target, "b", run) for target, run in asked] == [(1, 1), (1, 2), (2, 3), (1, 2)]
    assert open_state(state.folder).next_attempt("third", "b", "r4") == (1, 4)


@pytest.mark.parametrize(
    "content",
    [
        '{"format": "mlb-offline/attempts/v1", "attempts": {"t b": "r"}}',
        '{"format": "mlb-offline/attempts/v1", "attempts": {"t b": [1]}}',
        '{"format": "mlb-offline/attempts/v1", "bundles": {"b": {}}}',
        '{"format": "mlb-offline/attempts/v1", "bundles": []}',
    ],
)
def test_damaged_attempts_are_refused_and_left_alone(state, content):
    (state.folder / "attempts.json").write_text(content)
    with pytest.raises(TrustError, match="damaged"):
        state.next_attempt("t", "b", "r")
    assert (state.folder / "attempts.json").read_text() == content


def test_it_says_since_when_it_has_recorded_and_that_never_changes(state, tmp_path):
    since = state.since()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", since)
    file = state.folder / "state.json"
    file.write_text(file.read_text().replace(since, "2026-01-31T08:00:00Z"))
    state.next_attempt("t", "b", "r")
    assert open_state(state.folder).since() == "2026-01-31T08:00:00Z"


@pytest.mark.parametrize("created", ["1", '"today"', '"2026-01-31T08:00:00+08:00"', "null"])
def test_a_state_folder_that_cannot_say_since_when_is_damaged(state, created):
    (state.folder / "state.json").write_text(f'{{"format": "mlb-offline/state/v1", "created": {created}}}')
    with pytest.raises(TrustError, match="damaged"):
        open_state(state.folder)


def _attempt(folder: Path, number: int) -> None:
    State(folder, created=False).next_attempt("t", "b", f"run-{number}")


def test_two_processes_never_count_the_same_attempt(state):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_attempt, args=(state.folder, number)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert state.next_attempt("t", "b", "last") == (9, 9)


def seen(value: str) -> str:
    return '{"format": "mlb-offline/rollback/v1", "seen": {"' + PUBLISHER + ' s A": ' + value + "}}"


DAMAGE = [
    "",
    "{",
    "[]",
    '{"format": "else"}',
    '{"format": "mlb-offline/rollback/v1", "seen": []}',
    seen('{"version": true, "signed": "x"}'),
    seen('{"version": 1}'),
    seen("1"),
    seen('{"version": 1, "signed": 2}'),
    seen('{"version": 1, "signed": "soon"}'),
]


@pytest.mark.parametrize("content", DAMAGE)
def test_a_damaged_record_is_refused_and_never_taken_for_an_empty_one(state, content):
    (state.folder / "rollback.json").write_text(content)
    for ask in (
        lambda: state.rollback(PUBLISHER, "s", "A"),
        lambda: state.latest_signed(PUBLISHER),
        lambda: state.advance(PUBLISHER, "s", ["A"], Seen(1, "2026-01-01T00:00:00Z")),
    ):
        with pytest.raises(TrustError, match="damaged"):
            ask()
    assert (state.folder / "rollback.json").read_text() == content


def test_a_damaged_state_file_is_refused_on_opening(state):
    (state.folder / "state.json").write_text("{}")
    with pytest.raises(TrustError, match="damaged"):
        open_state(state.folder)


def test_a_place_where_no_folder_can_be_made_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used"):
        open_state(tmp_path / "file" / "state")


def test_a_folder_that_cannot_be_written_is_bad_input(tmp_path, state):
    # A folder in the place of a file: not even root can write there.
    (state.folder / "lock").unlink()
    (state.folder / "lock").mkdir()
    with pytest.raises(InputError, match="cannot be used"):
        open_state(state.folder)


def test_a_record_that_cannot_be_written_or_read_is_bad_input(state):
    (state.folder / "attempts.partial").mkdir()
    with pytest.raises(InputError, match="cannot be used"):
        state.next_attempt("t", "b", "r")
    (state.folder / "rollback.json").mkdir()
    with pytest.raises(InputError, match="cannot be used"):
        state.latest_signed(PUBLISHER)


def test_overrides_are_kept_beside_what_was_seen(state):
    state.advance(PUBLISHER, "s", ["A"], Seen(2, "2026-01-01T00:00:00Z"))
    state.record_override({"version": 1})
    state.record_override({"version": 1})
    content = json.loads((state.folder / "rollback.json").read_text())
    assert len(content["overrides"]) == 2
    assert state.rollback(PUBLISHER, "s", "A") == Seen(2, "2026-01-01T00:00:00Z")


def test_where_state_is_kept_unless_named(monkeypatch, tmp_path):
    monkeypatch.setenv("MLB_STATE", str(tmp_path / "m"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "x"))
    monkeypatch.setenv("HOME", str(tmp_path / "h"))
    assert default_folder() == tmp_path / "m"
    assert open_state(None).folder == tmp_path / "m"
    monkeypatch.delenv("MLB_STATE")
    assert default_folder() == tmp_path / "x" / "mlb-offline"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_folder() == tmp_path / "h" / ".local" / "state" / "mlb-offline"
