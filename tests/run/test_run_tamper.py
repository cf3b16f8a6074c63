"""Whatever is edited in a finished or interrupted run is found, and never as a traceback."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from run_world import FakeTarget, World, right_answer, run

from mlb_offline.errors import InputError, MlbError, TrustError
from mlb_offline.run.events import GENESIS, event_hash
from mlb_offline.run.log import verify_log
from mlb_offline.run.results import read_results
from mlb_offline.run.sealing import Sealed
from mlb_offline.run.store import RunStore
from mlb_offline.target.types import ItemFailed, Question

TABLES = {"run": "id", "items": "position", "records": "rowid", "events": "seq"}
"""Each with what orders its rows."""


def fail_one(question: Question, before: int) -> Any:
    return ItemFailed("content-filter") if question.item == "t0" else right_answer(question, before)


@pytest.fixture(scope="module")
def finished(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tamper")
    run(world.request(folder, limit=2), FakeTarget(fail_one))
    return folder / "run"


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def execute(directory: Path, sql: str, *values: object) -> None:
    with sqlite3.connect(directory / "run.sqlite") as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute(sql, values)
    db.close()


def cells(directory: Path) -> Iterator[tuple[str, int, str, Any]]:
    db = sqlite3.connect(directory / "run.sqlite")
    for table, order in TABLES.items():
        cursor = db.execute(f"SELECT * FROM {table} ORDER BY {order}")
        for number, row in enumerate(cursor.fetchall()):
            for column, value in zip((column[0] for column in cursor.description), row, strict=True):
                yield table, number, column, value
    db.close()


def variants(value: Any) -> Iterator[Any]:
    match value:
        case int():
            yield value + 1
        case None:
            yield "right"
        case "":
            yield "x"
        case str() | bytes():
            for place in {0, len(value) // 2, len(value) - 1}:
                before, after = value[:place], value[place + 1 :]
                if isinstance(value, bytes):
                    yield before + bytes([value[place] ^ 1]) + after
                else:
                    yield before + ("1" if value[place] == "0" else "0") + after


def test_an_untouched_run_verifies(finished: Path, world: World) -> None:
    report = verify_log(finished)
    assert (report.items, report.records, report.outcomes) == (
        6,
        6,
        {"right": 2, "unjudged": 1, "failed": 1, "scored": 2},
    )
    results = read_results(finished, world.key)
    assert results.event_head == report.head
    assert results.events == report.events


def test_any_stored_value_changed_is_found_without_a_key(finished: Path) -> None:
    missed, found = [], 0
    file = finished / "run.sqlite"
    original = file.read_bytes()
    for table, number, column, value in list(cells(finished)):
        for changed in variants(value):
            order = TABLES[table]
            where = f"{order} = (SELECT {order} FROM {table} ORDER BY {order} LIMIT 1 OFFSET {number})"
            try:
                execute(finished, f"UPDATE {table} SET {column} = ? WHERE {where}", changed)
                verify_log(finished)
                missed.append((table, number, column, changed))
            except sqlite3.IntegrityError:
                continue  # the tables themselves refuse it
            except TrustError:
                found += 1
            finally:
                file.write_bytes(original)
    assert missed == []
    assert found > 300


@pytest.mark.parametrize("table", TABLES)
def test_a_row_taken_away_is_found(copy: Path, table: str) -> None:
    column = "position" if table == "items" else "rowid"
    execute(copy, f"DELETE FROM {table} WHERE {column} = (SELECT max({column}) FROM {table} WHERE {column} < 999)")
    if table == "events":
        # The end of a chain can be cut off; that the tables no longer agree gives it away.
        execute(copy, "DELETE FROM events WHERE seq > (SELECT max(seq) - 3 FROM events)")
    with pytest.raises(TrustError):
        verify_log(copy)


def test_a_record_added_is_found(copy: Path) -> None:
    execute(copy, "INSERT INTO records VALUES ('response', 'CMExam', 'c99', 0, 1, x'00', x'00', '')")
    with pytest.raises(TrustError, match="c99"):
        verify_log(copy)


def test_a_second_header_is_found(copy: Path) -> None:
    execute(copy, "INSERT INTO run SELECT 'other', identity, identity_sha256, wrapped_key, recipient, '', '' FROM run")
    with pytest.raises(TrustError):
        verify_log(copy)


def test_an_altered_run_cannot_be_resumed(copy: Path, world: World) -> None:
    execute(copy, "UPDATE items SET outcome = 'right' WHERE outcome = 'failed'")
    with pytest.raises(TrustError):
        RunStore.open(copy, world.key)


def test_the_message_names_the_first_bad_event(copy: Path) -> None:
    execute(copy, "UPDATE events SET body = '{}' WHERE seq = 5")
    with pytest.raises(TrustError) as error:
        verify_log(copy)
    assert error.value.line == 5
    assert "5" in error.value.message


def test_no_flipped_byte_of_the_file_goes_unnoticed_or_ends_in_a_traceback(copy: Path, world: World) -> None:
    file = copy / "run.sqlite"
    original = file.read_bytes()
    truth, head = read_results(copy, world.key), verify_log(copy)
    draw = random.Random(20260131)
    found = 0
    for place in draw.sample(range(len(original)), 250):
        changed = bytearray(original)
        changed[place] ^= 1 << draw.randrange(8)
        file.write_bytes(changed)
        try:
            assert read_results(copy, world.key) == truth
            assert verify_log(copy) == head
        except (TrustError, InputError):
            found += 1
    assert found > 25


def rewrite_chain(directory: Path, change: Callable[[sqlite3.Connection], None]) -> None:
    """What a forger with the file, but without the key, can do: edit, then make a new chain."""
    with sqlite3.connect(directory / "run.sqlite") as db:
        change(db)
        previous = GENESIS
        for seq, at, kind, body in db.execute("SELECT seq, at, type, body FROM events ORDER BY seq").fetchall():
            following = event_hash(seq, at, kind, body, previous)
            db.execute("UPDATE events SET previous = ?, hash = ? WHERE seq = ?", (previous, following, seq))
            previous = following
    db.close()


def test_a_forged_answer_under_a_new_chain_does_not_open_without_the_key(copy: Path, world: World) -> None:
    def forge(db: sqlite3.Connection) -> None:
        nonce, old = bytes(12), db.execute("SELECT sha256 FROM records WHERE item LIKE 'c%'").fetchone()[0]
        new = Sealed(nonce, bytes(40)).sha256
        db.execute(
            "UPDATE records SET nonce = ?, ciphertext = ?, sha256 = ? WHERE sha256 = ?", (nonce, bytes(40), new, old)
        )
        db.execute("UPDATE events SET body = replace(body, ?, ?)", (old, new))

    head = verify_log(copy).head
    rewrite_chain(copy, forge)
    assert verify_log(copy).head != head  # only whoever signed the head can tell
    with pytest.raises(TrustError) as error:
        read_results(copy, world.key)
    assert "run.sqlite" in error.value.diagnostics()


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM events",
        "UPDATE events SET type = 'session.started', body = '{}' WHERE seq = 1",
        "UPDATE events SET type = 'run.created' WHERE seq = 2",
        "UPDATE events SET body = replace(body, '\"items\":6', '\"items\":5') WHERE type = 'run.finished'",
        "INSERT INTO run SELECT 'other', identity, identity_sha256, wrapped_key, recipient, '', '' FROM run",
        "DELETE FROM run",
        "UPDATE events SET body = '{\"item\":1}' WHERE seq = 4",
        "UPDATE events SET body = '[]' WHERE seq = 4",
        "UPDATE events SET body = '{}' WHERE seq = 4",
        "UPDATE events SET body = '{' WHERE seq = 4",
        'UPDATE events SET body = replace(body, \'"outcome":"right"\', \'"outcome":"best"\')',
    ],
)
def test_a_log_that_cannot_have_been_written_is_refused_even_with_a_whole_chain(copy: Path, edit: str) -> None:
    rewrite_chain(copy, lambda db: db.execute(edit) and None)
    with pytest.raises(TrustError):
        verify_log(copy)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(copy: Path, world: World, share: float) -> None:
    file = copy / "run.sqlite"
    original = file.read_bytes()
    file.write_bytes(original[: int(len(original) * share)])
    with pytest.raises(MlbError):
        read_results(copy, world.key)
