"""A report whose parts disagree is refused although the trusted key signed it."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_cases as cases
import rfc8785

from mlb_offline.errors import TrustError
from mlb_offline.policy.model import Policy
from mlb_offline.report import data as document
from mlb_offline.report import trailer
from mlb_offline.report.build import companion, sign
from mlb_offline.report.data import ReportData, embed
from mlb_offline.report.findings import find
from mlb_offline.report.page import render
from mlb_offline.report.statement import PAYLOAD_TYPE, build_statement
from mlb_offline.report.verify import difference, items_match, verify_bytes, verify_report
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.trust.dsse import sign_envelope
from mlb_offline.trust.store import TrustSet

TRUST = TrustSet((cases.KEY.verify_key,))
HONEST = cases.data_of(cases.results_of(policy=cases.GATED), cases.GATED)
Change = Callable[[dict[str, Any]], None]


def signed(page: bytes, body: bytes) -> bytes:
    return trailer.join(page, sign_envelope(PAYLOAD_TYPE, body, [cases.KEY]))


def altered(change: Change, data: ReportData = HONEST) -> ReportData:
    value = json.loads(data.to_bytes())
    change(value)
    assert value != json.loads(data.to_bytes())
    return ReportData.model_validate(value)


def consistent_lie(change: Change, data: ReportData = HONEST) -> bytes:
    """Data changed, page and statement made to follow it, all signed by the trusted key."""
    return sign(altered(change, data), cases.KEY).report


def why_refused(raw: bytes) -> TrustError:
    with pytest.raises(TrustError) as caught:
        verify_bytes(raw, TRUST, file="report.html")
    assert caught.value.message
    return caught.value


def test_the_honest_report_stands() -> None:
    data, _ = verify_bytes(sign(HONEST, cases.KEY).report, TRUST, file="report.html")
    assert data == HONEST


def test_a_page_that_says_something_else_than_its_data_is_refused() -> None:
    page = render(HONEST, embed(HONEST)).replace("达到".encode(), "超过".encode(), 1)
    body = build_statement(HONEST, hashlib.sha256(page).hexdigest())
    assert why_refused(signed(page, body)).field == "report-page"


def test_data_that_says_something_else_than_its_page_is_refused() -> None:
    other = altered(lambda value: value["run"].update(retries=8))
    page = render(HONEST, embed(HONEST)).replace(embed(HONEST).encode(), embed(other).encode())
    body = build_statement(other, hashlib.sha256(page).hexdigest())
    assert why_refused(signed(page, body)).field == "report-page"


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["predicate"].update(result="PASSED"),
        lambda body: body["predicate"]["configuration"][0]["annotations"].update(verdict="pass"),
        lambda body: body["predicate"]["configuration"][0]["annotations"].update(requiredSigners=[]),
        lambda body: body["predicate"]["failedTests"].clear(),
        lambda body: body["subject"][2]["digest"].update(sha256="00" * 32),
        lambda body: body["subject"].pop(),
        lambda body: body.update(extra=1),
        lambda body: body.update(predicateType="https://example.invalid/other"),
    ],
)
def test_a_statement_that_says_something_else_is_refused(change: Change) -> None:
    page = render(HONEST, embed(HONEST))
    body = json.loads(build_statement(HONEST, hashlib.sha256(page).hexdigest()))
    change(body)
    assert why_refused(signed(page, rfc8785.dumps(body))).field == "statement"


@pytest.mark.parametrize("body", [b"{}", b'{"subject":[]}', b'{"subject":7}', b"[]", b"7"])
def test_a_statement_about_no_page_is_refused(body: bytes) -> None:
    assert why_refused(signed(render(HONEST, embed(HONEST)), body)).field == "statement.subject"


def test_a_statement_spelled_otherwise_is_refused() -> None:
    page = render(HONEST, embed(HONEST))
    body = json.loads(build_statement(HONEST, hashlib.sha256(page).hexdigest()))
    assert why_refused(signed(page, json.dumps(body).encode())).field == "statement"


def findings(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = value["findings"]
    return found


LIES: dict[str, Change] = {
    "verdict": lambda v: findings(v).update(verdict="pass"),
    "verdict and reasons": lambda v: findings(v).update(verdict="pass", reasons=[]),
    "gate outcome": lambda v: findings(v)["gates"][1].update(outcome="pass"),
    "gate outcome and bound": lambda v: findings(v)["gates"][1].update(outcome="pass", bound=0.95, reason=None),
    "gate bound": lambda v: findings(v)["gates"][0].update(bound=findings(v)["gates"][0]["bound"] + 2e-6),
    "gate threshold": lambda v: findings(v)["gates"][1].update(min=0.1),
    "gate left out": lambda v: findings(v)["gates"].pop(),
    "gate n": lambda v: findings(v)["gates"][0].update(n=100),
    "score": lambda v: findings(v)["datasets"][0]["figure"].update(value=0.99),
    "interval": lambda v: findings(v)["datasets"][1]["figure"].update(low=0.0),
    "dimension": lambda v: findings(v)["dimensions"][0]["partial"]["figure"].update(low=0.01),
    "score of what has none": lambda v: findings(v).update(
        overall={**findings(v)["overall"], "figure": findings(v)["datasets"][0]["figure"], "reason": None}
    ),
    "dataset left out of the scores": lambda v: findings(v)["datasets"].pop(),
    "critical failures": lambda v: findings(v)["critical"][0].update(count=0, outcome="pass", reason=None),
    "reasons removed": lambda v: findings(v)["reasons"].clear(),
    "histogram": lambda v: v["samples"][0]["histogram"][0].__setitem__(2, v["samples"][0]["histogram"][0][2] + 1),
    "histogram of micro-F1": lambda v: v["samples"][1]["histogram"][0].__setitem__(0, 50),
    "histogram out of order": lambda v: v["samples"][1]["histogram"].reverse(),
    "tally": lambda v: v["samples"][0]["tally"].update(right=12, wrong=0, unreadable=0, failed=0),
    "tally without a key": lambda v: v["samples"][0]["tally"].pop("missing"),
    "dataset left out": lambda v: v["samples"].pop(),
    "official n": lambda v: v["samples"][0].update(official_n=12),
    "metric": lambda v: v["samples"][1].update(metric="accuracy"),
    "n": lambda v: v["samples"][0].update(n=13),
    "number of item records": lambda v: v["items"].update(records=21),
    "not complete": lambda v: v["run"].update(complete=False),
    "policy text": lambda v: v["policy"].update(toml=v["policy"]["toml"].replace("0.9", "0.1")),
    "policy data": lambda v: v["policy"]["policy"]["gate"][1].update(min=0.1),
    "policy digest": lambda v: v["policy"].update(sha256="00" * 32),
    "policy swapped": lambda v: v.update(policy=cases.policy_of(None).to_json()),
    "identity digest": lambda v: v["run"].update(identity_sha256="00" * 32),
    "identity": lambda v: v["run"]["identity"]["target"].update(model="another"),
    "declaration": lambda v: v["run"]["identity"]["declaration"].update(hospital="别的医院"),
    "fingerprint of the signer": lambda v: v["signers"][0].update(fingerprint="00000"),
    "another signer": lambda v: v["signers"][0].update(keyid="00" * 32),
    "one more required signer": lambda v: v["signers"].append({"keyid": "00" * 32, "fingerprint": "x"}),
    "unknown reason code": lambda v: v["run"]["notes"][0].update(code="not-a-code"),
    "note without its number": lambda v: v["run"]["notes"][0].update(params={}),
    "unknown ending": lambda v: v["run"]["sessions"][0].update(ending="not-an-ending"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_consistent_but_lying_report_is_refused(name: str) -> None:
    try:
        raw = consistent_lie(LIES[name])
    except Exception:  # it cannot even be rendered: sign the honest page around the lying data instead
        other = altered(LIES[name])
        page = render(HONEST, embed(HONEST)).replace(embed(HONEST).encode(), embed(other).encode())
        raw = signed(page, build_statement(other, hashlib.sha256(page).hexdigest()))
    why_refused(raw)


def recomputed(change: Change) -> ReportData:
    """Inputs changed and all findings made to follow from them: the lie of one who has this program and the key."""
    lie = altered(change)
    policy = Policy.from_json(lie.policy.model_dump(mode="json"))
    found = find(lie.samples, lie.run, lie.evidence, policy, lie.critical_items)
    return lie.model_copy(update={"findings": found})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda v: v["samples"].pop(), "data.samples"),
        (lambda v: v["samples"].reverse(), "data.samples"),
        (lambda v: v["run"].update(complete=False), "data.run"),
        (lambda v: v.update(policy=cases.policy_of(None).to_json()), "data.policy_sha256"),
        (lambda v: v["run"]["identity"]["selection"].update(limit=5), "data.run.identity_sha256"),
        (lambda v: v["run"]["identity"]["declaration"].update(model="x"), "data.run.identity_sha256"),
        (lambda v: v.update(created="2026-03-03T09:24:59Z"), "data.created"),
        (lambda v: v.update(created="9999-12-31T00:00:00Z"), "data.created"),
        (lambda v: v["run"].update(finished="2026-03-01T07:54:59Z"), "data.run.finished"),
        (lambda v: v["run"].update(started="2026-03-03T09:35:01Z"), "data.run.finished"),
        (lambda v: v["run"].update(started="2026-03-05T00:00:00Z", finished=None), "data.created"),
    ],
)
def test_inputs_that_contradict_the_run_are_refused_though_all_findings_follow(change: Change, field: str) -> None:
    lie = recomputed(change)
    assert why_refused(sign(lie, cases.KEY).report).field == field


def indicative_data() -> ReportData:
    results = cases.results_of(policy=cases.GATED, demonstration={"bundle": False, "keys": True})
    return cases.data_of(results, cases.GATED)


def test_the_indicative_reasons_cannot_be_removed() -> None:
    data = indicative_data()
    assert [reason.code for reason in data.findings.indicative] == ["demonstration-keys"]
    assert data.findings.verdict == "not evaluable"
    passing = HONEST.findings.model_dump(mode="json")
    why_refused(consistent_lie(lambda value: findings(value)["indicative"].clear(), data))
    why_refused(consistent_lie(lambda value: value.update(findings=passing), data))


def test_the_verifier_itself_lets_no_indicative_report_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a faulty policy evaluation would say pass."""
    lie = altered(lambda value: findings(value).update(verdict="pass", reasons=[]), indicative_data())
    monkeypatch.setattr("mlb_offline.report.verify.find", lambda *_args, **_more: lie.findings)
    assert why_refused(sign(lie, cases.KEY).report).field == "data.findings.verdict"


def test_a_report_made_in_the_second_in_which_the_run_ended_stands() -> None:
    data = recomputed(lambda v: v.update(created="2026-03-03T09:30:00Z"))
    verify_bytes(sign(data, cases.KEY).report, TRUST, file="report.html")


def test_a_signer_cannot_leave_out_that_the_server_answered_under_several_names() -> None:
    lie = altered(lambda v: v["run"].update(models={"a": 19, "unknown": 1}))
    assert why_refused(sign(lie, cases.KEY).report).field is not None
    data = recomputed(lambda v: v["run"].update(models={"b": 19, "a": 1, "unknown": 0}))
    (reason,) = data.findings.indicative
    assert (reason.code, reason.params) == ("several-models", {"count": 3, "models": "a、b、unknown"})
    assert data.findings.verdict == "not evaluable"


def test_a_demonstration_report_key_makes_the_report_indicative() -> None:
    key = replace(cases.KEY, demonstration=True)
    data = cases.data_of(cases.results_of(policy=cases.GATED), cases.GATED, key)
    assert [reason.code for reason in data.findings.indicative] == ["demonstration-keys"]


def embedded(text: bytes) -> bytes:
    page = render(HONEST, embed(HONEST)).replace(embed(HONEST).encode(), text)
    return signed(page, build_statement(HONEST, hashlib.sha256(page).hexdigest()))


def packed(raw: bytes) -> bytes:
    return b"\n".join(
        base64.b64encode(zlib.compress(raw))[start : start + 100]
        for start in range(0, len(base64.b64encode(zlib.compress(raw))), 100)
    )


def test_embedded_data_is_read_strictly() -> None:
    honest = HONEST.to_bytes()
    value = json.loads(honest)
    verify_bytes(embedded(packed(honest)), TRUST, file="report.html")
    bad = {
        "spaces": packed(json.dumps(value).encode()),
        "unknown key": packed(rfc8785.dumps({**value, "extra": 1})),
        "missing key": packed(rfc8785.dumps({key: value[key] for key in value if key != "items"})),
        "wrong type": packed(rfc8785.dumps({**value, "samples": "none"})),
        "float for a count": packed(rfc8785.dumps({**value, "items": {**value["items"], "records": 20.5}})),
        "other format": packed(rfc8785.dumps({**value, "format": "mlb-offline/report/v2"})),
        "no JSON": packed(b"\xff"),
        "more after zlib": base64.b64encode(zlib.compress(honest) + b"x"),
        "zlib cut short": base64.b64encode(zlib.compress(honest)[:-1]),
        "no zlib": base64.b64encode(b"no zlib"),
        "no base64": b"*",
        "other line breaks": packed(honest).replace(b"\n", b""),
        "carriage returns": packed(honest).replace(b"\n", b"\r\n"),
        "twice": packed(honest) + document.CLOSE + document.OPEN + packed(honest),
    }
    for name, text in bad.items():
        field = why_refused(embedded(text)).field
        assert field is not None, name
        assert field.startswith("data"), name


def test_a_compressed_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "LIMIT", 1000)
    assert why_refused(sign(HONEST, cases.KEY).report).field == "data"


def written(folder: Path, data: ReportData = HONEST) -> Path:
    path = folder / "report.html"
    path.write_bytes(sign(data, cases.KEY).report)
    return path


def test_the_items_file_is_checked_where_it_lies_beside_the_report(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert verify_report(path, TRUST).items is None
    items = companion(path, "items.zst")
    items.write_bytes(cases.pack(cases.results_of(policy=cases.GATED))[0])
    assert verify_report(path, TRUST).items == items
    for change in (b"x", b""):
        items.write_bytes(change)
        with pytest.raises(TrustError):
            verify_report(path, TRUST)


def test_an_items_file_whose_outcomes_add_up_to_something_else_is_refused(tmp_path: Path) -> None:
    results = cases.results_of(policy=cases.GATED)
    swapped = {Outcome.RIGHT: Outcome.WRONG, Outcome.WRONG: Outcome.RIGHT}
    other = [replace(o, outcome=swapped.get(o.outcome, o.outcome)) for o in results.outcomes]
    mixed = [replace(results.outcomes[-1], item=results.outcomes[0].item, dataset="CMExam", repeat=1)]
    for raw in (
        b"no zstd",
        cases.pack(replace(results, outcomes=(*results.outcomes, *mixed)))[0],
        cases.pack(replace(results, outcomes=tuple(other)))[0],
        cases.pack(replace(results, outcomes=results.outcomes[1:]))[0],
        cases.pack(replace(results, run_id="another"))[0],
    ):
        lie = altered(lambda value, raw=raw: value["items"].update(sha256=hashlib.sha256(raw).hexdigest()))
        path = written(tmp_path, lie)
        companion(path, "items.zst").write_bytes(raw)
        with pytest.raises(TrustError):
            verify_report(path, TRUST)


def test_a_lie_about_how_wrong_answers_were_wrong_shows_with_the_items_file_only(tmp_path: Path) -> None:
    """Nothing in the page contradicts it, so verify says whether the items file was checked."""
    lie = altered(lambda value: value["samples"][0]["tally"].update(unreadable=0, wrong=2))
    path = written(tmp_path, lie)
    assert verify_report(path, TRUST).items is None
    companion(path, "items.zst").write_bytes(cases.pack(cases.results_of(policy=cases.GATED))[0])
    with pytest.raises(TrustError):
        verify_report(path, TRUST)


def test_every_byte_of_the_items_file_counts() -> None:
    raw = bytearray(cases.pack(cases.results_of(policy=cases.GATED))[0])
    items_match(bytes(raw), HONEST, file="items")
    for place in range(len(raw)):
        raw[place] ^= 1
        with pytest.raises(TrustError):
            items_match(bytes(raw), HONEST, file="items")
        raw[place] ^= 1


def test_numbers_may_differ_by_rounding_only_and_true_is_no_number() -> None:
    assert difference({"a": [1.0, 2]}, {"a": [1 + 9e-7, 2]}, "x") is None
    assert difference({"a": [1.0, 2]}, {"a": [1 + 2e-6, 2]}, "x") == "x.a.0"
    assert difference({"a": True}, {"a": 1}, "x") == "x.a"
    assert difference({"a": 1}, {"b": 1}, "x") == "x"
    assert difference([1], [1, 2], "x") == "x"
    assert difference("1", 1, "x") == "x"
