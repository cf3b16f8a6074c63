"""Facts that contradict each other are refused although the trusted key signed them and all findings follow."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import report_cases as cases
import rfc8785
from egress_cases import egress_of
from pydantic import ValidationError

from mlb_offline.errors import InputError, TrustError
from mlb_offline.policy.model import Policy
from mlb_offline.report import facts, scalars
from mlb_offline.report.build import sign
from mlb_offline.report.data import ReportData, embed
from mlb_offline.report.findings import find
from mlb_offline.report.page import render
from mlb_offline.report.statement import PAYLOAD_TYPE, build_statement
from mlb_offline.report.trailer import join
from mlb_offline.report.verify import VerifiedReport, read_limited, verify_bytes, verify_report
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.trust.dsse import sign_envelope
from mlb_offline.trust.store import TrustSet

TRUST = TrustSet((cases.KEY.verify_key,))
CRITICAL = cases.GATED + '[[critical]]\ndataset = "CMExam"\nitems = ["CMExam-0", "CMExam-9", "CMExam-11"]\n'
CRITICAL += '[[critical]]\ndataset = "CMeEE"\nitems = ["CMeEE-0", "CMeEE-1"]\n'
HONEST = cases.data_of(cases.results_of(policy=CRITICAL), CRITICAL)
REPEATED = cases.data_of(cases.results_of(policy=CRITICAL, repeats=3), CRITICAL)
Change = Callable[[dict[str, Any]], object]


def digest(value: Any) -> str:
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()


def lie(change: Change, data: ReportData = HONEST) -> ReportData:
    """Facts changed; every digest, figure and verdict made to follow from them."""
    value = json.loads(data.to_bytes())
    before = json.dumps(value, sort_keys=True)
    change(value)
    assert json.dumps(value, sort_keys=True) != before
    run = value["run"]
    run["identity"]["declaration_sha256"] = digest(run["identity"]["declaration"])
    run["identity_sha256"] = digest(run["identity"])
    lying = ReportData.model_validate(value)
    policy = Policy.from_json(lying.policy.model_dump(mode="json"))
    found = find(lying.samples, lying.run, lying.evidence, policy, lying.critical_items)
    return lying.model_copy(update={"findings": found})


def why_refused(data: ReportData, now: datetime | None = None) -> TrustError:
    with pytest.raises(TrustError) as caught:
        verify_bytes(sign(data, cases.KEY).report, TRUST, file="report.html", now=now)
    assert caught.value.remedy
    return caught.value


def accepted(data: ReportData, now: datetime | None = None) -> None:
    verify_bytes(sign(data, cases.KEY).report, TRUST, file="report.html", now=now)


@pytest.mark.parametrize("data", [HONEST, REPEATED])
def test_honest_facts_stand(data: ReportData) -> None:
    accepted(data)


def identity(value: dict[str, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = value["run"]["identity"]
    return inner


def micro_f1(value: dict[str, Any]) -> dict[str, Any]:
    sample: dict[str, Any] = value["samples"][1]
    assert sample["dataset"] == "CMeEE"
    return sample


def all_failed(value: dict[str, Any], histogram: list[list[int]]) -> None:
    sample = micro_f1(value)
    answers = sum(sample["tally"].values())
    sample["tally"].update(scored=0, unreadable=answers)
    sample["histogram"] = histogram
    value["critical_items"].pop("CMeEE")


@pytest.mark.parametrize("row", [[5, 0, 0, 8], [0, 1, 5, 8]])
def test_answers_that_were_not_scored_have_found_nothing(row: list[int]) -> None:
    assert why_refused(lie(lambda v: all_failed(v, [row]))).field == "data.samples"
    accepted(lie(lambda v: all_failed(v, [[0, 0, 5, 8]])))


def test_what_was_found_over_repeats_needs_as_many_scored_answers() -> None:
    """Eight items of five entities, three repeats: eight times ten found need sixteen scored answers, not fifteen."""

    def found(scored: int) -> ReportData:
        def change(value: dict[str, Any]) -> None:
            all_failed(value, [[10, 0, 5, 8]])
            micro_f1(value)["tally"].update(scored=scored, unreadable=24 - scored)

        return lie(change, REPEATED)

    accepted(found(16))
    assert why_refused(found(15)).field == "data.samples"


def test_the_reference_of_an_item_is_as_large_in_every_repeat() -> None:
    def change(value: dict[str, Any]) -> None:
        micro_f1(value).update(histogram=[[10, 0, 4, 8]])
        value["critical_items"].pop("CMeEE")

    assert "reference" in why_refused(lie(change, REPEATED)).message


SELECTION: dict[str, Change] = {
    "fewer asked than bundled": lambda v: identity(v)["selection"]["datasets"]["CMExam"].update(bundled=100),
    "more asked than the limit": lambda v: identity(v)["selection"].update(limit=10),
    "limit not reached": lambda v: identity(v)["selection"].update(limit=13, datasets=bundled(v, 20)),
    "named is empty": lambda v: identity(v)["selection"].update(named=[]),
    "named and not asked": lambda v: identity(v)["selection"].update(named=["CMExam", "CMeEE", "MAHalt"]),
    "asked and not named": lambda v: identity(v)["selection"].update(named=["CMExam"]),
}


def bundled(value: dict[str, Any], held: int) -> dict[str, Any]:
    return {name: here | {"bundled": held} for name, here in identity(value)["selection"]["datasets"].items()}


@pytest.mark.parametrize("name", SELECTION)
def test_a_selection_that_hides_what_was_not_asked_is_refused(name: str) -> None:
    field = why_refused(lie(SELECTION[name])).field
    assert field is not None
    assert field.startswith("data.run.identity.selection")


def test_limit_and_named_datasets_that_fit_stand() -> None:
    accepted(lie(lambda v: identity(v)["selection"].update(limit=500, named=["CMExam", "CMeEE"])))
    with pytest.raises(ValidationError):
        lie(lambda v: identity(v)["selection"].update(limit=0))


def test_answers_from_a_file_cannot_be_told_as_those_of_a_model() -> None:
    target = {"kind": "answers", "file": "a.jsonl", "sha256": "00" * 32, "answers": 20}
    hidden = lie(lambda v: identity(v).update(target=target, seeds=[]))
    assert why_refused(hidden).field == "data.run.identity.answers_file"
    accepted(lie(lambda v: identity(v).update(target=target, seeds=[], answers_file=True)))


@pytest.mark.parametrize("place", ["bundle", "demonstration"])
def test_a_demonstration_bundle_is_told_in_both_places(place: str) -> None:
    key = {"bundle": "demonstration", "demonstration": "bundle"}[place]
    other = lie(lambda v: identity(v)[place].update({key: True}))
    assert why_refused(other).field == "data.run.identity.demonstration"


@pytest.mark.parametrize(
    "text",
    [
        "9999-99-99T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T08:00:60Z",
        "٢٠٢٦-03-01T08:00:00Z",
        "2026-03-01T08:00:00+00:00",
        "2026-03-01T08:00:00Z\n",
    ],
)
@pytest.mark.parametrize("place", ["run", "bundle", "created"])
def test_a_time_that_is_none_is_refused_and_breaks_nothing(text: str, place: str) -> None:
    value = json.loads(HONEST.to_bytes())
    {
        "run": lambda: value["run"].update(started=text),
        "bundle": lambda: identity(value)["bundle"].update(expires=text),
        "created": lambda: value.update(created=text),
    }[place]()
    with pytest.raises(TrustError) as caught:
        verify_bytes(around(value), TRUST, file="report.html")
    assert caught.value.field is not None
    assert caught.value.field.rpartition(".")[2] in {"started", "expires", "created"}


def around(value: dict[str, Any]) -> bytes:
    """A signed report whose data is any JSON; its page and statement are the honest ones around it."""
    data = HONEST.model_copy()
    object.__setattr__(data, "to_bytes", lambda: rfc8785.dumps(value))
    page = render(HONEST, embed(HONEST)).replace(embed(HONEST).encode(), embed(data).encode())
    body = build_statement(HONEST, hashlib.sha256(page).hexdigest())
    return join(page, sign_envelope(PAYLOAD_TYPE, body, [cases.KEY]))


def test_fractions_of_a_second_are_read() -> None:
    accepted(lie(lambda v: v["run"].update(started="2026-03-01T07:59:59.5Z")))
    accepted(lie(lambda v: v["run"].update(started="2026-03-01T07:59:59.123456Z")))


def dates(issued: str, expires: str) -> Change:
    return lambda v: identity(v)["bundle"].update(issued=f"{issued}T08:00:00Z", expires=f"{expires}T08:00:00Z")


def test_the_bundle_must_have_been_in_force_give_or_take_a_day() -> None:
    """The run started on 2026-03-01 at 08:00."""
    accepted(lie(dates("2026-03-02", "2027-01-01")))
    accepted(lie(dates("2026-01-01", "2026-03-01")))
    for change in (dates("2026-03-03", "2027-01-01"), dates("2026-01-01", "2026-02-28")):
        assert why_refused(lie(change)).field == "data.run.started"


def test_a_report_of_tomorrow_is_refused_by_whatever_clock_is_given() -> None:
    made = datetime.fromisoformat(HONEST.created)
    accepted(HONEST, now=made - timedelta(hours=24))
    assert why_refused(HONEST, now=made - timedelta(hours=24, seconds=1)).field == "data.created"
    future = lie(lambda v: v.update(created="9000-01-01T00:00:00Z"))
    assert why_refused(future).field == "data.created"


def test_a_pass_that_outlives_the_calendar_has_an_end_all_the_same() -> None:
    run = HONEST.run.model_copy(update={"finished": "9999-12-31T00:00:00Z"})
    findings = HONEST.findings.model_copy(update={"verdict": "pass"})
    data = HONEST.model_copy(update={"run": run, "findings": findings})
    assert VerifiedReport(Path("x"), data, (), None, True).valid_until == datetime.max.replace(tzinfo=UTC)


def session(started: str, ended: str | None, ending: str) -> dict[str, Any]:
    times = {"started": f"2026-03-{started}:00Z", "ended": ended and f"2026-03-{ended}:00Z"}
    return {**times, "ending": ending, "egress": egress_of(), "egress_at_end": ended and egress_of()}


FINISHED = session("02T08:00", "03T09:30", "finished") | {"ended": "2026-03-03T09:30:00.250Z"}
SESSIONS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "not finished": [session("02T08:00", "03T09:30", "operator")],
    "finished at another time": [session("02T08:00", "03T09:29", "finished")],
    "went on after the end": [FINISHED, session("03T10:00", "03T10:30", "operator")],
    "finished twice": [session("01T08:00", "01T09:00", "finished"), FINISHED],
    "open in the middle": [session("01T08:00", None, "open"), FINISHED],
    "killed with an end": [session("01T08:00", "01T09:00", "killed"), FINISHED],
    "stopped without an end": [session("01T08:00", None, "operator"), FINISHED],
    "killed at last": [FINISHED, session("03T10:00", None, "killed")],
    "before the run": [session("01T07:00", "01T09:00", "operator"), FINISHED],
    "ended before it started": [session("01T10:00", "01T09:00", "operator"), FINISHED],
    "out of order": [session("02T07:00", "02T07:30", "operator"), session("01T09:00", "01T10:00", "target"), FINISHED],
    "after the end": [session("04T07:00", "04T08:00", "operator"), FINISHED],
}


@pytest.mark.parametrize("name", SESSIONS)
def test_sessions_that_contradict_the_run_are_refused(name: str) -> None:
    def change(value: dict[str, Any]) -> None:
        killed = sum(session["ending"] == "killed" for session in SESSIONS[name])
        value["run"].update(sessions=SESSIONS[name])
        value["run"]["notes"] = [{"code": "sessions-killed", "params": {"sessions": killed}}] if killed else []

    field = why_refused(lie(change)).field
    assert field in {"data.run.sessions", "data.run.finished"}


def test_sessions_of_a_run_that_never_finished_stand_and_a_clock_may_be_set_back_a_little() -> None:
    def change(value: dict[str, Any]) -> None:
        sessions = [session("01T08:00", "01T09:00", "operator"), session("01T08:56", None, "open")]
        value["run"].update(finished=None, sessions=sessions, notes=[])

    accepted(lie(change))


def test_a_run_without_end_or_sessions_has_no_answers() -> None:
    lying = lie(lambda v: v["run"].update(sessions=[], finished=None, notes=[]))
    assert why_refused(lying).field == "data.run.sessions"
    missing = [replace(o, outcome=Outcome.MISSING, tp=0, fp=0) for o in cases.results_of().outcomes]
    results = replace(cases.results_of(outcomes=missing), complete=False, finished=None, sessions=(), notes=())
    accepted(cases.data_of(replace(results, models={})))


@pytest.mark.parametrize("models", [{}, {"m": 20}, {"m": 18}, {"m": 19, "other": 0}])
def test_answers_under_models_names_are_as_many_as_were_received(models: dict[str, int]) -> None:
    """Twenty were asked, one failed."""
    notes = {"notes": [note("model-name-changed", models="m、other"), note("sessions-killed", sessions=1)]}
    change: dict[str, Any] = {"models": models} | (notes if len(models) > 1 else {})
    assert why_refused(lie(lambda v: v["run"].update(change))).field == "data.run.models"


def note(code: str, **params: Any) -> dict[str, Any]:
    return {"code": code, "params": params}


KILLED = note("sessions-killed", sessions=1)
NOTES: dict[str, dict[str, Any]] = {
    "several models, untold": {"models": {"a": 10, "b": 9}, "notes": [KILLED]},
    "one model, told as several": {"notes": [KILLED, note("model-name-changed", models="a")]},
    "killed, untold": {"notes": []},
    "killed, another number": {"notes": [note("sessions-killed", sessions=2)]},
    "told twice": {"notes": [KILLED, KILLED]},
    "cut off, of another number": {"notes": [KILLED, note("answers-cut-off", cut=1, answers=20)]},
    "more cut off than came": {"notes": [KILLED, note("answers-cut-off", cut=20, answers=19)]},
    "none cut off": {"notes": [KILLED, note("answers-cut-off", cut=0, answers=19)]},
}


@pytest.mark.parametrize("name", NOTES)
def test_notes_that_contradict_the_run_are_refused(name: str) -> None:
    assert why_refused(lie(lambda v: v["run"].update(NOTES[name]))).field == "data.run.notes"


def test_the_publisher_is_named_by_its_own_fingerprint() -> None:
    publisher = {"keyid": "ab" * 32, "fingerprint": cases.KEY.verify_key.fingerprint}
    lying = lie(lambda v: identity(v)["bundle"].update(publisher=publisher))
    assert why_refused(lying).field == "data.run.identity.bundle.publisher"


@pytest.mark.parametrize("seeds", [[], [0, 1], [0, 0, 0], [1, 2, 3], [0, 1, 2, 3]])
def test_seeds_are_those_of_the_repeats(seeds: list[int]) -> None:
    assert why_refused(lie(lambda v: identity(v).update(seeds=seeds), REPEATED)).field == "data.run.identity.seeds"


@pytest.mark.parametrize("parameters", [None, {}, {"seed": None}, {"seed": "0"}, {"seed": True}])
def test_a_target_without_a_seed_has_no_seeds(parameters: object) -> None:
    def change(value: dict[str, Any]) -> None:
        identity(value)["target"]["parameters"] = parameters

    assert why_refused(lie(change)).field == "data.run.identity.seeds"


@pytest.mark.parametrize(
    "more",
    [
        {"certified_by": "x"},
        {"hospital": ""},
        {"hospital": "x" * 2001},
        {"weights_sha256": "verified"},
        {"weights_sha256": "AB" * 32},
    ],
)
def test_a_declaration_that_no_hospital_can_make_is_refused(more: dict[str, str]) -> None:
    field = why_refused(lie(lambda v: identity(v)["declaration"].update(more))).field
    assert field is not None
    assert field.startswith("data.run.identity.declaration")


CRITICALS: dict[str, dict[str, dict[str, bool]]] = {
    "dataset not asked": {"MASafety": {"MASafety-1": True}},
    "dataset unknown": {"Nonsense": {"x": True}},
    "item not named": {"CMExam": {"CMExam-5": True}},
    "no items": {"CMExam": {}},
}


@pytest.mark.parametrize("name", CRITICALS)
def test_critical_items_are_those_named_and_asked(name: str) -> None:
    assert why_refused(lie(lambda v: v.update(critical_items=CRITICALS[name]))).field == "data.critical_items"


def test_critical_items_cannot_be_better_or_worse_than_all_items() -> None:
    def exam(right: int, items: dict[str, bool]) -> ReportData:
        def change(value: dict[str, Any]) -> None:
            rows = [[0, 1, 12 - right], [1, 1, right]]
            value["samples"][0]["tally"].update(right=right, wrong=12 - right, failed=0, unreadable=0)
            value["samples"][0]["histogram"] = [row for row in rows if row[-1]]
            value["critical_items"] = {"CMExam": items}
            value["run"].update(models={"m": 20}, notes=[KILLED])

        return lie(change)

    names = ("CMExam-0", "CMExam-9", "CMExam-11")
    for right, good, fits in [(0, 0, True), (0, 1, False), (2, 2, True), (12, 3, True), (12, 2, False), (11, 2, True)]:
        data = exam(right, {name: place < good for place, name in enumerate(names)})
        if fits:
            accepted(data)
        else:
            assert why_refused(data).field == "data.critical_items"


def test_a_critical_item_of_a_micro_f1_set_is_right_only_without_errors() -> None:
    def change(value: dict[str, Any]) -> None:
        micro_f1(value)["histogram"] = [[2, 0, 1, 8]]
        value["critical_items"]["CMeEE"]["CMeEE-0"] = True

    assert why_refused(lie(change)).field == "data.critical_items"


@pytest.mark.parametrize("params", [{"bound": 1e308}, {"why": "x"}, {"cut": 1e308, "answers": 19}])
def test_absurd_numbers_are_refused_and_break_nothing(params: dict[str, float]) -> None:
    value = json.loads(HONEST.to_bytes())
    value["run"]["notes"][0]["params"].update(params)
    lying = ReportData.model_validate(value)
    page = render(HONEST, embed(HONEST)).replace(embed(HONEST).encode(), embed(lying).encode())
    body = build_statement(lying, hashlib.sha256(page).hexdigest())
    with pytest.raises(TrustError):
        verify_bytes(join(page, sign_envelope(PAYLOAD_TYPE, body, [cases.KEY])), TRUST, file="report.html")


def test_counts_beyond_every_answer_are_refused() -> None:
    value = json.loads(HONEST.to_bytes())
    micro_f1(value)["histogram"] = [[10**9 + 1, 0, 0, 8]]
    with pytest.raises(TrustError) as caught:
        verify_bytes(around(value), TRUST, file="report.html")
    assert caught.value.field == "data.samples.1.histogram.0.0"


def sized(items: int, repeats: int) -> dict[str, Any]:
    return {"selection": {"datasets": {"CMExam": {"asked": items, "bundled": items}}, "limit": None, "named": None}} | {
        "repeats": repeats
    }


@pytest.mark.parametrize(("items", "repeats"), [(scalars.MAX_ITEMS + 1, 1), (scalars.MAX_ANSWERS // 100 + 1, 100)])
def test_more_items_or_answers_than_can_be_verified_in_seconds_are_refused_both_ways(items: int, repeats: int) -> None:
    value = json.loads(HONEST.to_bytes())
    identity(value).update(sized(items, repeats))
    with pytest.raises(TrustError, match="at most"):
        verify_bytes(around(value), TRUST, file="report.html")
    with pytest.raises(InputError, match="--limit"):
        cases.data_of(cases.results_of(**sized(items, repeats)))


def test_a_pipe_or_a_device_is_no_report_and_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "report.html"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(InputError):
            read_limited(path, 100)
    path = tmp_path / "real.html"
    path.write_bytes(sign(HONEST, cases.KEY).report)
    os.mkfifo(tmp_path / "real.items.zst")
    with pytest.raises(InputError) as caught:
        verify_report(path, TRUST)
    assert caught.value.file == str(tmp_path / "real.items.zst")


@pytest.mark.parametrize(
    "evidence",
    [
        {"attempt": 4},
        {"attempt": 0},
        {"attempts_on_bundle": None},
        {"state_since": "2099-01-01T00:00:00Z"},
        {"attempt": None, "attempts_on_bundle": None, "state_since": None, "state_created": None},
    ],
)
def test_what_is_recorded_of_attempts_must_fit(evidence: dict[str, Any]) -> None:
    data = cases.data_of(cases.results_of())
    facts.attempts_fit(data, "x")
    with pytest.raises(TrustError, match="attempts"):
        facts.attempts_fit(data.model_copy(update={"evidence": data.evidence.model_copy(update=evidence)}), "x")
