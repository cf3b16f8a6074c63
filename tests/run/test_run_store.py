from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import rfc8785
from egress_cases import egress_of
from run_world import FakeTarget, World, run

from mlb_offline.errors import InputError, TargetError, TrustError, UsageError
from mlb_offline.run import database
from mlb_offline.run.changes import Answered, Noted, PlannedItem, Sent, Slot
from mlb_offline.run.database import open_database, open_for_reading
from mlb_offline.run.events import EventType
from mlb_offline.run.log import verify_log
from mlb_offline.run.migrations import migrations
from mlb_offline.run.results import read_results
from mlb_offline.run.sealing import Place, RunKey, Sealed
from mlb_offline.run.store import RunStore
from mlb_offline.scoring.outcome import Outcome, Score
from mlb_offline.trust.keys import KeyKind, load_recipient_key, new_key

SLOT = Slot("CMExam", "c0", 0)
RESPONSE = {"text": "秘密的回答", "finish_reason": "stop", "model": "m"}


BEGUN = Noted(
    EventType.STARTED,
    {
        "attempt": 1,
        "attempts_on_bundle": 1,
        "concurrency": 1,
        "egress": egress_of("none"),
        "probe": {},
        "rollback_override": False,
        "state_created": False,
        "state_note": "unchanged",
        "state_since": "2026-01-31T08:00:00Z",
    },
)


def make_store(
    world: World, directory: Path, items: int = 1, invocation: Mapping[str, Any] = MappingProxyType({"target": "x"})
) -> RunStore:
    planned = [PlannedItem(Slot("CMExam", f"c{n}", 0), "00" * 8, 0) for n in range(items)]
    asked = rfc8785.dumps([[one.slot.dataset, one.slot.item, one.digest] for one in planned])
    return RunStore.create(
        directory,
        run_id="5b2b5b0a-0000-4000-8000-000000000000",
        identity={"items_sha256": hashlib.sha256(asked).hexdigest(), "repeats": 1},
        invocation=invocation,
        items=planned,
        recipient=world.key.public,
    )


def test_the_folder_and_its_file_are_private(world: World, tmp_path: Path) -> None:
    store = make_store(world, tmp_path / "run")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run").iterdir()}
    store.close()
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert "run.sqlite" in modes


def test_an_empty_folder_is_taken_and_made_private(world: World, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    make_store(world, tmp_path / "run").close()
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_a_folder_that_holds_something_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UsageError) as error:
        make_store(world, tmp_path)
    assert str(tmp_path) in error.value.diagnostics()
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_folder_that_holds_a_run_is_refused_and_resume_is_named(world: World, tmp_path: Path) -> None:
    make_store(world, tmp_path / "run").close()
    with pytest.raises(UsageError) as error:
        make_store(world, tmp_path / "run")
    assert "--resume" in error.value.remedy


def test_a_path_that_cannot_be_made_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as error:
        make_store(world, tmp_path / "file" / "run")
    assert str(tmp_path / "file") in error.value.diagnostics()


def test_a_second_process_is_kept_out(world: World, tmp_path: Path) -> None:
    store = make_store(world, tmp_path / "run")
    with pytest.raises(InputError, match=r"another process|另一个进程"):
        RunStore.open(tmp_path / "run", world.key)
    store.close()
    RunStore.open(tmp_path / "run", world.key).close()


def test_resuming_where_there_is_no_run_says_so(world: World, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run|没有运行"):
        RunStore.open(tmp_path, world.key)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_migration_is_refused_by_name(world: World, tmp_path: Path) -> None:
    make_store(world, tmp_path / "run").close()
    with sqlite3.connect(tmp_path / "run" / "run.sqlite") as db:
        db.execute("INSERT INTO _migrations (migration_set, name, applied_at) VALUES ('run', 'm999_later', '')")
    db.close()
    for attempt in (lambda: RunStore.open(tmp_path / "run", world.key), lambda: open_for_reading(tmp_path / "run")):
        with pytest.raises(InputError, match="m999_later"):
            attempt()


def test_migrations_are_recorded_in_the_file(world: World, tmp_path: Path) -> None:
    make_store(world, tmp_path / "run").close()
    db = open_database(tmp_path / "run")
    assert [row["name"] for row in db["_migrations"].rows] == ["m001_run_items_records_events"]
    assert migrations.pending(db) == []
    db.close()


def test_the_file_is_durable_at_every_commit(world: World, tmp_path: Path) -> None:
    store = make_store(world, tmp_path / "run")
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()


def test_neither_answers_nor_items_stand_in_the_file_in_clear(world: World, tmp_path: Path) -> None:
    run(world.request(tmp_path), FakeTarget())
    content = b"".join(path.read_bytes() for path in (tmp_path / "run").iterdir())
    for text in ("第0题", "发热", "不能这样做", "甲"):
        assert text.encode() not in content
        assert json.dumps(text)[1:-1].encode() not in content


def test_changes_are_kept_all_or_none(world: World, tmp_path: Path) -> None:
    store = make_store(world, tmp_path / "run")
    head = store.events
    nobody = Slot("CMExam", "nobody", 0)
    for unknown in (Answered(nobody, 1, RESPONSE, Score(Outcome.RIGHT)), Sent(nobody, 1)):
        with pytest.raises(TrustError):
            store.apply([BEGUN, Sent(SLOT, 1), unknown])
    assert store.events == head
    assert store.pending() == [(SLOT, 0)]
    store.apply([BEGUN, Sent(SLOT, 1)])
    assert store.pending() == [(SLOT, 1)]
    store.close()
    RunStore.open(tmp_path / "run", world.key).close()


def test_an_answer_is_never_replaced(world: World, tmp_path: Path) -> None:
    store = make_store(world, tmp_path / "run")
    store.apply([Sent(SLOT, 1), Answered(SLOT, 1, RESPONSE, Score(Outcome.RIGHT))])
    for again in (Answered(SLOT, 2, RESPONSE, Score(Outcome.WRONG)), Sent(SLOT, 2)):
        with pytest.raises(TrustError):
            store.apply([again])
    store.close()


def test_items_tried_most_come_last(world: World, tmp_path: Path) -> None:
    store = make_store(world, tmp_path / "run", items=3)
    store.apply([Sent(SLOT, 1)])
    assert [slot.item for slot, _attempts in store.pending()] == ["c1", "c2", "c0"]
    store.close()


def test_a_full_disk_ends_in_a_message_and_keeps_what_was_committed(world: World, tmp_path: Path) -> None:
    store = make_store(world, tmp_path / "run", items=3)
    store.apply([BEGUN, Sent(SLOT, 1), Answered(SLOT, 1, RESPONSE, Score(Outcome.RIGHT))])
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    big = {**RESPONSE, "text": "长" * 100_000}
    other = Slot("CMExam", "c1", 0)
    with pytest.raises(InputError, match=r"disk is full|磁盘已满"):
        store.apply([Sent(other, 1), Answered(other, 1, big, Score(Outcome.RIGHT))])
    store.close()
    again = RunStore.open(tmp_path / "run", world.key)
    assert again.outcome_counts() == {("CMExam", "right"): 1, ("CMExam", None): 2}
    again.apply([Sent(other, 1), Answered(other, 1, big, Score(Outcome.RIGHT))])
    again.close()


def test_a_disk_too_full_for_a_run_leaves_the_folder_free(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = database._connect

    def small(file: Path, mode: str) -> object:
        db = plain(file, mode)
        db.execute("PRAGMA max_page_count = 12")
        return db

    monkeypatch.setattr(database, "_connect", small)
    with pytest.raises(InputError, match=r"disk is full|磁盘已满"):
        make_store(world, tmp_path / "run", items=2000)
    assert list((tmp_path / "run").iterdir()) == []
    monkeypatch.undo()
    make_store(world, tmp_path / "run").close()


def test_another_key_is_refused_with_the_fingerprint_wanted(world: World, tmp_path: Path) -> None:
    make_store(world, tmp_path / "run").close()
    new_key(KeyKind.HOSPITAL, tmp_path / "other", None)
    other = load_recipient_key(tmp_path / "other" / "hospital.key.json", None)
    with pytest.raises(TrustError) as error:
        RunStore.open(tmp_path / "run", other)
    assert world.key.public.fingerprint in error.value.remedy
    with pytest.raises(TrustError):
        read_results(tmp_path / "run", other)
    RunStore.open(tmp_path / "run", world.key).close()


@pytest.mark.parametrize("change", ["dataset", "item", "repeat", "kind", "attempt"])
def test_a_record_moved_to_another_place_does_not_open(change: str) -> None:
    key = RunKey(bytes(32), "run")
    place = Place("CMExam", "c0", 0, "response", 1)
    sealed = key.seal(place, b"text")
    assert key.open(place, sealed) == b"text"
    other = {**vars(place), change: 9 if change in {"repeat", "attempt"} else "other"}
    for wrong in (lambda: key.open(Place(**other), sealed), lambda: RunKey(bytes(32), "other").open(place, sealed)):
        with pytest.raises(TrustError):
            wrong()


def test_nonces_never_repeat_and_their_length_is_96_bits() -> None:
    key = RunKey(bytes(32), "run")
    sealed = [key.seal(Place("CMExam", "c0", 0, "response", 1), b"text") for _ in range(200)]
    assert len({one.nonce for one in sealed}) == 200
    assert {len(one.nonce) for one in sealed} == {12}
    assert len({one.ciphertext for one in sealed}) == 200
    with pytest.raises(TrustError):
        key.open(Place("CMExam", "c0", 0, "response", 1), Sealed(b"", sealed[0].ciphertext))


def test_a_file_that_is_no_database_is_named(tmp_path: Path, world: World) -> None:
    (tmp_path / "run.sqlite").write_bytes(os.urandom(8192))
    with pytest.raises(TrustError) as error:
        read_results(tmp_path, world.key)
    assert "run.sqlite" in error.value.diagnostics()
    with pytest.raises(TrustError):
        RunStore.open(tmp_path, world.key)


def test_a_database_of_something_else_is_named(tmp_path: Path, world: World) -> None:
    with sqlite3.connect(tmp_path / "run.sqlite") as db:
        db.execute("CREATE TABLE other (a)")
    db.close()
    with pytest.raises(TrustError):
        read_results(tmp_path, world.key)


def test_a_database_that_cannot_be_opened_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.sqlite").write_bytes(b"")

    def refuse(*_arguments: object, **_options: object) -> None:
        with sqlite3.connect("file:/proc/nowhere?mode=ro", uri=True):
            pass

    monkeypatch.setattr("mlb_offline.run.database._connect", refuse)
    with pytest.raises(InputError, match=r"cannot be read or written|无法读写"):
        open_for_reading(tmp_path)


def test_what_cannot_be_recorded_is_refused_before_a_folder_is_made(world: World, tmp_path: Path) -> None:
    for bad in ("unix:/\udc80", 2**60, float("nan")):
        with pytest.raises(TargetError) as error:
            make_store(world, tmp_path / "run", invocation={"target": bad})
        assert error.value.remedy
        error.value.diagnostics().encode()
    assert list(tmp_path.iterdir()) == []


def unbegun(directory: Path, how: str) -> None:
    """What a process leaves that is killed while it makes a run."""
    directory.mkdir()
    (directory / "run.lock").touch()
    if how != "lock only":
        (directory / "run.sqlite").touch()
    if how == "tables":
        open_database(directory, new=True).close()
    if how == "write-ahead log":
        with sqlite3.connect(directory / "run.sqlite") as db:
            db.execute("PRAGMA journal_mode=WAL")
        db.close()


@pytest.mark.parametrize("how", ["lock only", "empty file", "write-ahead log", "tables"])
def test_a_run_killed_while_it_was_made_is_named_with_what_to_do(world: World, tmp_path: Path, how: str) -> None:
    unbegun(tmp_path / "run", how)
    resume = world.request(tmp_path, target=None, out=None, resume=tmp_path / "run")
    for attempt in (
        lambda: run(resume, FakeTarget()),
        lambda: RunStore.open(tmp_path / "run", world.key),
        lambda: read_results(tmp_path / "run", world.key),
        lambda: verify_log(tmp_path / "run"),
    ):
        with pytest.raises(InputError, match=r"while making it|建立运行时") as error:
            attempt()
        assert "--out" in error.value.remedy
        assert str(tmp_path / "run") in error.value.diagnostics()


def test_a_run_killed_before_its_first_session_can_be_resumed(world: World, tmp_path: Path) -> None:
    damaged = tmp_path / "state"
    damaged.mkdir()
    (damaged / "attempts.json").write_text("{")
    with pytest.raises(TrustError):
        run(world.request(tmp_path), FakeTarget())
    (damaged / "attempts.json").unlink()
    run(world.request(tmp_path, target=None, out=None, resume=tmp_path / "run"), FakeTarget())
    found = read_results(tmp_path / "run", world.key)
    assert found.complete
    assert [session.ending for session in found.sessions] == ["finished"]


@pytest.mark.parametrize(
    "damage",
    [
        "ALTER TABLE _migrations DROP COLUMN applied_at",
        "ALTER TABLE _migrations RENAME COLUMN name TO title",
        "CREATE TABLE copy AS SELECT * FROM items; DROP TABLE items; ALTER TABLE copy RENAME TO items;"
        " UPDATE items SET item = x'ff'",
        "CREATE TABLE copy AS SELECT * FROM events; DROP TABLE events; ALTER TABLE copy RENAME TO events;"
        " UPDATE events SET body = 1",
        "CREATE TABLE copy AS SELECT * FROM events; DROP TABLE events; ALTER TABLE copy RENAME TO events;"
        " UPDATE events SET at = NULL",
        "CREATE TABLE copy AS SELECT * FROM run; DROP TABLE run; ALTER TABLE copy RENAME TO run;"
        " UPDATE run SET identity = 7",
    ],
)
def test_a_damaged_table_is_no_traceback(world: World, tmp_path: Path, damage: str) -> None:
    make_store(world, tmp_path / "run").close()
    with sqlite3.connect(tmp_path / "run" / "run.sqlite") as db:
        db.executescript(damage)
    db.close()
    for attempt in (
        lambda: verify_log(tmp_path / "run"),
        lambda: read_results(tmp_path / "run", world.key),
        lambda: RunStore.open(tmp_path / "run", world.key),
    ):
        with pytest.raises(TrustError) as error:
            attempt()
        assert "run.sqlite" in error.value.diagnostics()
