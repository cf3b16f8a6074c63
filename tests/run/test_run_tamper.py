"""Whatever is edited in a finished or interrupted run is found, and never as a traceback."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from egress_cases import egress_of
from retelling import Told, body, execute, move, place, retell, rewrite_chain
from run_world import FakeTarget, World, right_answer, run

from mlb_offline.errors import InputError, MlbError, TrustError
from mlb_offline.language import current, set_language
from mlb_offline.run.log import verify_log
from mlb_offline.run.results import read_results
from mlb_offline.run.rows import items_sha256
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
            for at in {0, len(value) // 2, len(value) - 1}:
                before, after = value[:at], value[at + 1 :]
                if isinstance(value, bytes):
                    yield before + bytes([value[at] ^ 1]) + after
                else:
                    yield before + ("1" if value[at] == "0" else "0") + after


def test_an_untouched_run_verifies(finished: Path, world: World) -> None:
    report = verify_log(finished)
    assert (report.items, report.records, report.outcomes) == (
        6,
        7,
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
    for at in draw.sample(range(len(original)), 250):
        changed = bytearray(original)
        changed[at] ^= 1 << draw.randrange(8)
        file.write_bytes(changed)
        try:
            assert read_results(copy, world.key) == truth
            assert verify_log(copy) == head
        except (TrustError, InputError):
            found += 1
    assert found > 25


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


CHOICE, EXTRACTION, REFUSED, JUDGED = "c", "s", "t0", "t1"
"""How the names of items begin: of a choice, of an extraction, of the one that the target refuses, of the judged."""
FIRST = "(SELECT min(item) FROM items WHERE item LIKE '{}%')"


def append_outcome(story: Told) -> None:
    at, _kind, outcome = story[place(story, "item.failed", REFUSED)]
    story.append((at, "item.scored", {**outcome, "outcome": "right"}))


def second_outcome(story: Told) -> None:
    received, scored = place(story, "response.received", CHOICE), place(story, "item.scored", CHOICE)
    again = [story[received], (*story[scored][:2], {**story[scored][2], "outcome": "wrong"})]
    story[-1:-1] = again


def another_kind(story: Told) -> None:
    body(story, "response.received", REFUSED)["kind"] = "response"


def unasked(story: Told) -> None:
    move(story, place(story, "response.received", CHOICE), place(story, "request.sent", CHOICE))


def asked_in_an_earlier_session(story: Told) -> None:
    at, _kind, begun = story[place(story, "session.started")]
    story.insert(place(story, "response.received", CHOICE), (at, "session.resumed", begun))


def after_an_interruption(story: Told) -> None:
    story.insert(place(story, "response.received", CHOICE), (story[0][0], "session.interrupted", INTERRUPTED))


def retried_unasked(story: Told) -> None:
    slot = body(story, "request.sent", CHOICE)
    retried = {**slot, "cause": "timeout", "wait_ms": 1}
    story.insert(place(story, "request.sent", CHOICE), (story[0][0], "request.retried", retried))


def settled_later(story: Told) -> None:
    move(story, place(story, "item.scored", CHOICE), len(story) - 2)


def never_finished(story: Told) -> None:
    del story[place(story, "item.scored", CHOICE) :]


INTERRUPTED = {"done": 0, "egress": egress_of("none"), "judged": 0, "reason": "operator"}
IMPOSSIBLE: dict[str, tuple[Callable[[Told], Any], str]] = {
    "an outcome after the end": (append_outcome, "after the run had finished"),
    "a session after the end": (lambda s: s.append((s[0][0], "session.interrupted", INTERRUPTED)), "had finished"),
    "a second outcome": (second_outcome, "has its outcome already"),
    "another request after the outcome": (
        lambda s: s.insert(-1, s[place(s, "request.sent", CHOICE)]),
        "has its outcome already",
    ),
    "no record before the outcome": (lambda s: s.pop(place(s, "response.received", CHOICE)), "no record that fits"),
    "a record of another kind": (another_kind, "no record that fits"),
    "a record of another request": (
        lambda s: body(s, "response.received", CHOICE).update(attempt=2),
        "does not belong to the latest request",
    ),
    "an outcome of another request": (
        lambda s: body(s, "item.scored", CHOICE).update(attempts=2),
        "no record that fits",
    ),
    "a record without its outcome": (settled_later, "the record before it has no outcome"),
    "a record at the end": (never_finished, "the record has no outcome"),
    "an answer before the request": (unasked, "was not asked in this session"),
    "an answer to another session": (asked_in_an_earlier_session, "was not asked in this session"),
    "an answer after an interruption": (after_an_interruption, "it is in no session"),
    "a request before any session": (lambda s: move(s, place(s, "session.started"), 4), "it is in no session"),
    "no session": (lambda s: s.pop(place(s, "session.started")), "it is in no session"),
    "a retry without a request": (retried_unasked, "was not asked in this session"),
    "a request left out of the count": (
        lambda s: body(s, "request.sent", CHOICE).update(attempt=2),
        "not counted one by one",
    ),
    "an item of no table": (lambda s: body(s, "request.sent", CHOICE).update(item="c99"), "has no item"),
    "a repeat of no table": (lambda s: body(s, "request.sent", CHOICE).update(repeat=1), "has no item"),
    "other false negatives of a failure": (lambda s: body(s, "item.failed", REFUSED).update(fn=1), "counts otherwise"),
    "fewer items at the end": (lambda s: body(s, "run.finished").update(items=5), "items are open"),
    "an answer judged before it came": (
        lambda s: move(s, place(s, "answer.judged"), place(s, "request.sent", JUDGED)),
        "no such answer to be judged",
    ),
    "a choice that was judged": (
        lambda s: body(s, "answer.judged").update(dataset="CMExam", item=body(s, "item.scored", CHOICE)["item"]),
        "no such answer to be judged",
    ),
    "an answer judged twice": (lambda s: s.insert(-1, s[place(s, "answer.judged")]), "was judged already"),
    "more criteria open than there are": (lambda s: body(s, "answer.judged").update(open=2), "more criteria are open"),
    "an end that counts more judged": (lambda s: body(s, "run.finished").update(judged=2), "are not those"),
    "an end before the last outcome": (
        lambda s: move(s, len(s) - 1, place(s, "request.sent", CHOICE)),
        "items are open",
    ),
    "other counts at the end": (
        lambda s: body(s, "run.finished")["outcomes"].update(right=3),
        "counts of outcomes are not those",
    ),
    "an outcome too many at the end": (
        lambda s: body(s, "run.finished")["outcomes"].update(wrong=1),
        "counts of outcomes are not those",
    ),
    "a first session resumed": (
        lambda s: s.__setitem__(1, (s[1][0], "session.resumed", s[1][2])),
        "begins with session.started",
    ),
    "two first sessions": (lambda s: s.insert(1, s[1]), "begins with session.started"),
    "a second beginning": (lambda s: s.insert(3, s[0]), "only the first event"),
    "an interruption that counts ahead": (
        lambda s: s.insert(2, (s[0][0], "session.interrupted", {**INTERRUPTED, "done": 1})),
        "more outcomes than there are",
    ),
}


@pytest.fixture
def english() -> Iterator[None]:
    before = current()
    set_language("en")
    yield
    set_language(before)


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_story_that_cannot_have_happened_is_refused_without_a_key(copy: Path, what: str) -> None:
    change, words = IMPOSSIBLE[what]
    retell(copy, change)
    with pytest.raises(TrustError) as error:
        verify_log(copy)
    assert words in error.value.message
    assert error.value.line is not None


def test_the_same_story_told_again_is_the_same_log(copy: Path, finished: Path, world: World) -> None:
    retell(copy, lambda _story: None)
    assert verify_log(copy) == verify_log(finished)
    assert read_results(copy, world.key) == read_results(finished, world.key)


def test_an_interruption_and_a_killed_session_are_no_impossible_story(copy: Path) -> None:
    def break_off(story: Told) -> None:
        begun = story[place(story, "session.started")]
        resumed = (begun[0], "session.resumed", begun[2])
        story[2:2] = [(begun[0], "session.interrupted", INTERRUPTED), resumed, resumed]

    retell(copy, break_off)
    assert verify_log(copy).finished is not None


MISSHAPEN: dict[str, Callable[[Told], Any]] = {
    "an unknown key": lambda s: body(s, "request.sent", CHOICE).update(more=1),
    "an unknown key of a session": lambda s: body(s, "session.started").update(more=1),
    "an unknown key of the beginning": lambda s: s[0][2].update(more=1),
    "a missing key": lambda s: body(s, "session.started").pop("state_since"),
    "a truth value for a number": lambda s: body(s, "session.started").update(attempt=True),
    "a number for a truth value": lambda s: body(s, "session.started").update(state_created=1),
    "a text for a number": lambda s: body(s, "request.sent", CHOICE).update(attempt="1"),
    "an attempt 0": lambda s: body(s, "session.started").update(attempt=0),
    "a probe that is no object": lambda s: body(s, "session.started").update(probe="m"),
    "an unknown state of the state folder": lambda s: body(s, "session.started").update(state_note="fine"),
    "no time": lambda s: body(s, "session.started").update(state_since="today"),
    "an unknown reason": lambda s: s.insert(2, (s[0][0], "session.interrupted", {**INTERRUPTED, "reason": "whim"})),
    "a reason that is no text": lambda s: s.insert(2, (s[0][0], "session.interrupted", {**INTERRUPTED, "reason": []})),
    "an unknown kind": lambda s: body(s, "response.received", CHOICE).update(kind="rumour"),
    "no digest": lambda s: body(s, "response.received", CHOICE).update(record="x"),
    "an unknown outcome": lambda s: body(s, "item.scored", CHOICE).update(outcome="best"),
    "a scored failure": lambda s: body(s, "item.scored", CHOICE).update(outcome="failed"),
    "a missing outcome": lambda s: body(s, "item.scored", CHOICE).update(outcome="missing"),
    "a failed success": lambda s: body(s, "item.failed", REFUSED).update(outcome="right"),
    "hits of a failure": lambda s: body(s, "item.failed", REFUSED).update(tp=1),
    "words for a code": lambda s: body(s, "item.failed", REFUSED).update(note="a failure, they said"),
    "negative hits": lambda s: body(s, "item.scored", CHOICE).update(tp=-1),
    "an unknown outcome at the end": lambda s: body(s, "run.finished")["outcomes"].update(best=1),
    "no outcomes at the end": lambda s: body(s, "run.finished").pop("outcomes"),
}


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize("what", MISSHAPEN)
def test_a_body_that_no_run_writes_is_refused_without_a_key(copy: Path, what: str) -> None:
    retell(copy, MISSHAPEN[what])
    with pytest.raises(TrustError, match="makes no sense") as error:
        verify_log(copy)
    assert error.value.line is not None


@pytest.mark.parametrize(
    "text",
    [
        '{{"dataset":"CMExam",{}}}',
        "{{{}, }}",
        "{{ {}}}",
        '{{{},"dataset":"CMExam"}}',
        "[" * 100_000,
    ],
)
def test_a_body_in_another_spelling_is_refused(copy: Path, text: str) -> None:
    def respell(db: sqlite3.Connection) -> None:
        seq, old = db.execute("SELECT seq, body FROM events WHERE type = 'request.sent' LIMIT 1").fetchone()
        db.execute("UPDATE events SET body = ? WHERE seq = ?", (text.format(old[1:-1]), seq))

    rewrite_chain(copy, respell)
    with pytest.raises(TrustError):
        verify_log(copy)


def improve(story: Told) -> None:
    body(story, "item.scored", CHOICE).update(outcome="wrong")
    counts = body(story, "run.finished")["outcomes"]
    counts.update(right=1, wrong=1)


@pytest.mark.usefixtures("english")
def test_an_outcome_changed_everywhere_in_the_clear_is_found_with_the_key(copy: Path, world: World) -> None:
    retell(
        copy,
        improve,
        f"UPDATE items SET outcome = 'wrong' WHERE item = {FIRST.format('c')}",
    )
    assert verify_log(copy).outcomes["wrong"] == 1  # without the key nobody can tell
    with pytest.raises(TrustError, match="sealed with its answer") as error:
        read_results(copy, world.key)
    assert error.value.line is not None


@pytest.mark.parametrize(("column", "value"), [("tp", 2), ("fp", 1), ("fn", 0), ("note", "strict+x")])
def test_every_part_of_a_score_is_sealed(copy: Path, world: World, column: str, value: Any) -> None:
    value_in_sql = repr(value)
    retell(
        copy,
        lambda story: body(story, "item.scored", EXTRACTION).update({column: value}),
        f"UPDATE items SET {column} = {value_in_sql} WHERE item = {FIRST.format('s')}",
    )
    verify_log(copy)
    with pytest.raises(TrustError):
        read_results(copy, world.key)


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    "change",
    [
        lambda story: body(story, "session.started").update(state_created=False),
        lambda story: body(story, "session.started").update(attempt=1, attempts_on_bundle=9),
        lambda story: story.__setitem__(1, ("2020-01-31T08:00:00.000Z", *story[1][1:])),
    ],
)
def test_a_log_told_anew_in_front_of_an_answer_is_found_with_the_key(
    copy: Path, world: World, change: Callable[[Told], None]
) -> None:
    retell(copy, change)
    verify_log(copy)
    with pytest.raises(TrustError, match="the log before event"):
        read_results(copy, world.key)


def without(story: Told, dataset: str) -> None:
    story[:] = [one for one in story if one[2].get("dataset") != dataset]


def test_the_answers_of_a_dataset_cannot_be_made_to_have_never_come(copy: Path, world: World) -> None:
    def forget(story: Told) -> None:
        without(story, "MAEESymp")
        del story[place(story, "run.finished")]

    retell(
        copy,
        forget,
        "DELETE FROM records WHERE dataset = 'MAEESymp'",
        "UPDATE items SET state = 'pending', outcome = NULL, tp = 0, fp = 0, fn = 0, note = '', attempts = 0"
        " WHERE dataset = 'MAEESymp'",
    )
    verify_log(copy)
    with pytest.raises(TrustError):
        read_results(copy, world.key)


def test_a_dataset_cannot_be_made_to_have_never_been_asked(copy: Path) -> None:
    with sqlite3.connect(copy / "run.sqlite") as db:
        # The last one, so that the others keep their places.
        (last,) = db.execute("SELECT dataset FROM items ORDER BY position DESC LIMIT 1").fetchone()
        rows = db.execute(
            "SELECT position, dataset, item, repeat, digest, absent_fn FROM items WHERE dataset != ? ORDER BY position",
            (last,),
        ).fetchall()
    db.close()

    def forget(story: Told) -> None:
        without(story, last)
        settled = Counter(one[2]["outcome"] for one in story if one[1] in {"item.scored", "item.failed"})
        body(story, "run.finished").update(items=settled.total(), outcomes=dict(settled))
        story[0][2].update(items=len(rows), items_sha256=items_sha256(rows))

    tables = ("records", "items")
    retell(copy, forget, *(f"DELETE FROM {table} WHERE dataset = '{last}'" for table in tables))
    with pytest.raises(TrustError, match=r"identity|标识"):
        verify_log(copy)


def test_an_end_without_the_opinions_of_the_judges_is_found(copy: Path) -> None:
    def end(story: Told) -> None:
        del story[place(story, "answer.judged")]
        body(story, "run.finished")["judged"] = 0

    retell(copy, end, "DELETE FROM records WHERE kind = 'opinions'")
    with pytest.raises(TrustError, match="had to judge"):
        verify_log(copy)


def test_opinions_that_the_log_counts_otherwise_are_found_with_the_key(copy: Path, world: World) -> None:
    retell(copy, lambda story: body(story, "answer.judged").update(open=1))
    verify_log(copy)
    with pytest.raises(TrustError):
        read_results(copy, world.key)
