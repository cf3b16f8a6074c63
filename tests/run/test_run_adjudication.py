"""What physicians are given and what they say is part of the log after the run: it cannot be told otherwise."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from retelling import Told, body, execute, move, place, retell
from run_world import FakeTarget, World, judges, make_world, run

from mlb_offline.cli import main
from mlb_offline.errors import TrustError
from mlb_offline.language import set_language
from mlb_offline.run.changes import Labelled, Packed, Planned
from mlb_offline.run.log import verify_log
from mlb_offline.run.results import read_results
from mlb_offline.run.store import RunStore

FIRST, LAST = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2))
ONE, TWO = "ab" * 32, "cd" * 32
TEXTS = 4
AT = "2026-01-31T08:00:00Z"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("texts"), choices=2, extractions=1, texts=TEXTS)


@pytest.fixture(scope="module")
def settled(texts: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Planned; a packet of two criteria, labelled by two; then one of one criterion, in plaintext."""
    folder = tmp_path_factory.mktemp("settled")
    run(texts.request(folder), FakeTarget(), seats=judges(lambda _: 0.9, lambda one: 0.1 if "t1" in one.id else 0.9))
    store = RunStore.open(folder / "run", texts.key)

    def criterion(number: int) -> tuple[str, str, int, str]:
        return "GeneralSafety", f"t{number}", 0, "safe"

    store.apply([Planned({"GeneralSafety": 0.5})])
    store.apply([Packed(FIRST, AT, {"a": criterion(0), "b": criterion(1)}, plaintext=False)])
    store.apply([Labelled(FIRST, ONE, AT, {"a": "是", "b": "否"}, {"b": "不妥"})])
    store.apply([Labelled(FIRST, TWO, AT, {"a": "否", "b": "否"}, {})])
    store.apply([Packed(LAST, AT, {"c": criterion(2)}, plaintext=True)])
    store.close()
    return folder / "run"


@pytest.fixture
def copy(settled: Path, tmp_path: Path) -> Path:
    set_language("en")
    return Path(shutil.copytree(settled, tmp_path / "copy"))


def test_the_log_tells_who_was_given_what_and_the_key_what_they_said(settled: Path, texts: World) -> None:
    report = verify_log(settled)
    assert (report.judged, report.criteria, report.open) == (TEXTS, TEXTS, 1)
    assert (report.shares, report.packets, report.plaintext) == ({"GeneralSafety": 0.5}, 2, 1)
    assert report.labels == {ONE: 1, TWO: 1}
    found = read_results(settled, texts.key)
    assert found.adjudication is not None
    assert (found.adjudication.packets, found.adjudication.exports) == (2, 1)
    assert {one.item: one.physicians for one in found.outcomes if one.judges} == {
        "t0": "?", "t1": "n", "t2": "-", "t3": "-",
    }  # fmt: skip
    assert found.event_head == report.head


@pytest.mark.parametrize("json_flag", [True, False])
def test_log_verify_says_so(settled: Path, json_flag: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--lang", "en", "log", "verify", str(settled), *(["--json"] if json_flag else [])])
    assert end.value.code == 0
    said = capsys.readouterr().out
    if not json_flag:
        assert "judged: 4 criteria of 4 answers, 1 of them open" in said
        assert "shares of the physicians' sample: GeneralSafety 0.5" in said
        assert "packets: 2 given out (1 in plaintext), 2 results taken in, of 2 reviewers" in said
        return
    assert '"judged": {"answers": 4, "criteria": 4, "open": 1}' in said
    assert '"shares": {"GeneralSafety": 0.5}, "packets": 2, "plaintext": 1' in said


def append(story: Told, kind: str, told: dict[str, Any]) -> None:
    story.append((AT.replace("Z", ".000Z"), kind, told))


def last(story: Told, kind: str) -> int:
    return max(number for number, (_, one, _) in enumerate(story) if one == kind)


def a_third_result(story: Told, **changes: Any) -> None:
    append(story, "adjudication.labelled", {**body(story, "adjudication.labelled"), "number": 3, **changes})


def unknown_packet(story: Told) -> None:
    a_third_result(story, packet=ONE[:8] + LAST[8:])


def counted_wrong(story: Told) -> None:
    body(story, "adjudication.labelled")["number"] = 2


def packed_twice(story: Told) -> None:
    append(story, "adjudication.packed", story[place(story, "adjudication.packed")][2])


def labelled_too_many(story: Told) -> None:
    body(story, "adjudication.labelled")["verdicts"] = 3


def planned_during_the_run(story: Told) -> None:
    move(story, place(story, "adjudication.planned"), place(story, "run.finished"))


IMPOSSIBLE: dict[str, tuple[Callable[[Told], Any], str]] = {
    "planned twice": (lambda s: append(s, "adjudication.planned", {"shares": {}}), "fixed before"),
    "a sample of what was not judged": (
        lambda s: body(s, "adjudication.planned")["shares"].update(CMExam=0.5),
        "not judged",
    ),
    "packed before it was planned": (
        lambda s: move(s, place(s, "adjudication.packed"), place(s, "adjudication.planned")),
        "nothing was planned",
    ),
    "never planned": (lambda s: s.pop(place(s, "adjudication.planned")), "nothing was planned"),
    "the same packet twice": (packed_twice, "the packet is there already"),
    "labels of an unknown packet": (
        lambda s: a_third_result(s, packet=ONE[:8] + LAST[8:], reviewer="ef" * 32),
        "no packet",
    ),
    "labels before the packet": (
        lambda s: move(s, place(s, "adjudication.labelled"), place(s, "adjudication.packed")),
        "no packet that waits",
    ),
    "labels of one reviewer twice": (a_third_result, "no packet that waits"),
    "more labels than tasks": (labelled_too_many, "no packet that waits"),
    "fewer tasks than labels": (lambda s: body(s, "adjudication.packed").update(tasks=1), "no packet that waits"),
    "labels not counted one by one": (
        lambda s: body(s, "adjudication.labelled").update(number=2),
        "no packet that waits",
    ),
    "labels left out": (lambda s: s.pop(place(s, "adjudication.labelled")), "no packet that waits"),
    "planned before the end": (planned_during_the_run, "the run has not finished"),
    "all of it without an end": (lambda s: s.pop(place(s, "run.finished")), "the run has not finished"),
    "a session afterwards": (lambda s: append(s, "session.resumed", body(s, "session.started")), "had finished"),
    "a second end": (lambda s: append(s, "run.finished", body(s, "run.finished")), "had finished"),
    "a request afterwards": (lambda s: append(s, "request.sent", body(s, "request.sent")), "had finished"),
    "an opinion afterwards": (lambda s: append(s, "answer.judged", body(s, "answer.judged")), "had finished"),
    "a second beginning": (lambda s: append(s, "run.created", s[0][2]), "had finished"),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_story_that_cannot_have_happened_is_refused_without_a_key(copy: Path, what: str) -> None:
    change, words = IMPOSSIBLE[what]
    retell(copy, change)
    with pytest.raises(TrustError) as error:
        verify_log(copy)
    assert words in error.value.message
    assert error.value.line is not None


def test_the_same_story_told_again_is_the_same_log(copy: Path, settled: Path, texts: World) -> None:
    retell(copy, lambda _story: None)
    assert verify_log(copy) == verify_log(settled)
    assert read_results(copy, texts.key) == read_results(settled, texts.key)


MISSHAPEN: dict[str, Callable[[Told], Any]] = {
    "a share of 0": lambda s: body(s, "adjudication.planned")["shares"].update(GeneralSafety=0),
    "a share below the smallest": lambda s: body(s, "adjudication.planned")["shares"].update(GeneralSafety=9e-5),
    "a share above 1": lambda s: body(s, "adjudication.planned")["shares"].update(GeneralSafety=1.5),
    "a share that is text": lambda s: body(s, "adjudication.planned")["shares"].update(GeneralSafety="0.5"),
    "a truth value for a share": lambda s: body(s, "adjudication.planned")["shares"].update(GeneralSafety=True),
    "an unknown key of a plan": lambda s: body(s, "adjudication.planned").update(more=1),
    "a packet without a name": lambda s: body(s, "adjudication.packed").update(packet="p"),
    "a packet without tasks": lambda s: body(s, "adjudication.packed").update(tasks=0),
    "a number for a truth value": lambda s: body(s, "adjudication.packed").update(plaintext=1),
    "a packet without its record": lambda s: body(s, "adjudication.packed").pop("record"),
    "a reviewer without a key": lambda s: body(s, "adjudication.labelled").update(reviewer="dr"),
    "labels numbered 0": lambda s: body(s, "adjudication.labelled").update(number=0),
    "no verdicts": lambda s: body(s, "adjudication.labelled").update(verdicts=0),
}


@pytest.mark.parametrize("what", MISSHAPEN)
def test_a_body_that_no_desk_writes_is_refused_without_a_key(copy: Path, what: str) -> None:
    retell(copy, MISSHAPEN[what])
    with pytest.raises(TrustError, match="makes no sense"):
        verify_log(copy)


@pytest.mark.parametrize("kind", ["packet", "labels"])
@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM records WHERE rowid = (SELECT max(rowid) FROM records WHERE kind = ?)",
        "UPDATE records SET nonce = zeroblob(12) WHERE kind = ?",
        "UPDATE records SET ciphertext = CAST(ciphertext || x'00' AS BLOB) WHERE kind = ?",
        "UPDATE records SET sha256 = replace(sha256, substr(sha256, 1, 1), 'x') WHERE kind = ?",
        "UPDATE records SET attempt = attempt + 5 WHERE kind = ?",
        "UPDATE records SET item = 'x' || attempt || item WHERE kind = ?",
        "UPDATE records SET kind = 'other' WHERE kind = ?",
    ],
)
def test_a_record_of_adjudication_that_was_edited_is_found_without_a_key(copy: Path, kind: str, edit: str) -> None:
    execute(copy, edit, kind)
    with pytest.raises(TrustError):
        verify_log(copy)


def test_a_record_of_adjudication_more_is_found(copy: Path) -> None:
    execute(copy, f"INSERT INTO records VALUES ('labels', '', '{FIRST}', 0, 3, x'00', x'00', '')")
    with pytest.raises(TrustError):
        verify_log(copy)


def without_last(story: Told) -> None:
    story.pop(last(story, "adjudication.packed"))


def swapped_records(story: Told) -> None:
    one, two = (told for _, kind, told in story if kind == "adjudication.labelled")
    one["record"], two["record"] = two["record"], one["record"]


def another_reviewer(story: Told) -> None:
    without_last(story)
    story[last(story, "adjudication.labelled")][2]["reviewer"] = "ef" * 32


FORGET_LAST = f"DELETE FROM records WHERE item = '{LAST}'"
SWAP = (
    "UPDATE records SET attempt = -attempt WHERE kind = 'labels'",
    "UPDATE records SET attempt = 3 + attempt WHERE kind = 'labels'",
)
FORGED: dict[str, tuple[Callable[[Told], Any], tuple[str, ...], str]] = {
    "other shares": (
        lambda s: body(s, "adjudication.planned")["shares"].update(GeneralSafety=0.25),
        (),
        "the log before event",
    ),
    "a plaintext packet told as sealed": (
        lambda s: s[last(s, "adjudication.packed")][2].update(plaintext=False),
        (),
        "not what the log tells",
    ),
    "more tasks than the packet has": (
        lambda s: s[last(s, "adjudication.packed")][2].update(tasks=9),
        (),
        "not what the log tells",
    ),
    "another reviewer": (another_reviewer, (FORGET_LAST,), "a reviewer's labels are not those"),
    "labels of two reviewers exchanged": (swapped_records, SWAP, "altered"),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_the_clear_cannot_show_is_found_with_the_key(copy: Path, texts: World, what: str) -> None:
    change, edits, words = FORGED[what]
    retell(copy, change, *edits)
    verify_log(copy)  # without the key nobody can tell
    with pytest.raises(TrustError, match=words) as error:
        read_results(copy, texts.key)
    assert "run.sqlite" in error.value.diagnostics()


def test_an_honest_log_that_ends_earlier_is_an_earlier_log(copy: Path, texts: World) -> None:
    """Why the report signs the head: the end of a chain can be cut off with its records."""
    retell(copy, without_last, FORGET_LAST)
    assert verify_log(copy).packets == 1
    assert read_results(copy, texts.key).event_head != ""


def test_a_run_that_has_been_adjudicated_is_finished_and_a_resume_changes_nothing(copy: Path, texts: World) -> None:
    head, found = verify_log(copy), read_results(copy, texts.key)
    target, seats = FakeTarget(), judges()
    request = texts.request(copy.parent, target=None, out=None, resume=copy)
    summary = run(request, target, seats=seats)
    assert summary.judged == TEXTS
    assert sum(summary.totals.values()) == sum(summary.counts.values()) == texts.slots
    assert not target.asked
    assert not any(judge.asked for judge in seats.judges)
    assert verify_log(copy) == head
    assert read_results(copy, texts.key) == found
