"""What a report tells of physicians follows from the items file, and whoever signs something else is found out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_cases as cases
from pydantic import ValidationError
from sklearn.metrics import cohen_kappa_score

from mlb_offline.errors import InputError, TrustError
from mlb_offline.policy.model import Policy
from mlb_offline.report import trailer
from mlb_offline.report.build import companion, sign
from mlb_offline.report.data import ReportData, embed
from mlb_offline.report.findings import find
from mlb_offline.report.items import Record, unpack
from mlb_offline.report.page import render
from mlb_offline.report.statement import PAYLOAD_TYPE, build_statement
from mlb_offline.report.verify import verify_bytes, verify_report
from mlb_offline.run.results import RunResults
from mlb_offline.trust.dsse import sign_envelope
from mlb_offline.trust.fingerprint import fingerprint
from mlb_offline.trust.store import TrustSet

TRUST = TrustSet((cases.KEY.verify_key,))
RESULTS = cases.adjudicated(cases.results_of(cases.JUDGED, policy=cases.JUDGED_POLICY))
HONEST = cases.data_of(RESULTS, cases.JUDGED_POLICY)
ITEMS = cases.pack(RESULTS)[0]
Change = Callable[[dict[str, Any]], object]


def sample(value: dict[str, Any], name: str = "MADiagnosis") -> dict[str, Any]:
    return next(one for one in value["samples"] if one["dataset"] == name)


def audit(value: dict[str, Any], name: str = "MADiagnosis") -> dict[str, Any]:
    return dict.__getitem__(sample(value, name), "audit")


def settled(value: dict[str, Any]) -> dict[str, Any]:
    return dict.__getitem__(value, "adjudication")


def changed(change: Change, data: ReportData = HONEST) -> ReportData:
    value = json.loads(data.to_bytes())
    change(value)
    assert value != json.loads(data.to_bytes())
    return ReportData.model_validate(value)


def lie(change: Change, data: ReportData = HONEST) -> ReportData:
    """Inputs changed and all findings made to follow from them: the lie of one who has this program and the key."""
    lying = changed(change, data)
    policy = Policy.from_json(lying.policy.model_dump(mode="json"))
    found = find(
        lying.samples, lying.run, lying.evidence, policy, lying.critical_items, adjudication=lying.adjudication
    )
    return lying.model_copy(update={"findings": found})


def verify(data: ReportData, folder: Path, items: bytes = ITEMS) -> None:
    path = folder / "report.html"
    path.write_bytes(sign(data, cases.KEY).report)
    companion(path, "items.zst").write_bytes(items)
    assert verify_report(path, TRUST).items is not None


def refused_alone(data: ReportData) -> TrustError:
    """By the page alone, without the items file."""
    try:
        raw = sign(data, cases.KEY).report
    except InputError:  # it cannot even be rendered: sign the honest page around the lying data instead
        page = render(HONEST, embed(HONEST)).replace(embed(HONEST).encode(), embed(data).encode())
        body = build_statement(data, hashlib.sha256(page).hexdigest())
        raw = trailer.join(page, sign_envelope(PAYLOAD_TYPE, body, [cases.KEY]))
    with pytest.raises(TrustError) as caught:
        verify_bytes(raw, TRUST, file="report.html")
    return caught.value


def test_the_honest_report_stands(tmp_path: Path) -> None:
    verify(HONEST, tmp_path)
    assert HONEST.findings.verdict == "pass"
    assert [gate.method for gate in HONEST.findings.gates] == ["prediction-powered"] * 2


def belongs(record: Record, share: float) -> bool:
    """As docs/run-store.md and docs/statistics.md say: the first 64 bits of a SHA-256, as a share of 2**64."""
    digest = hashlib.sha256(f"{cases.SEED}/{record.dataset}/{record.item}".encode()).hexdigest()
    return int(digest[:16], 16) / 2**64 < share


def records_of(dataset: str) -> list[Record]:
    return [one for one in unpack(ITEMS, file="items")[1] if one.dataset == dataset]


@pytest.mark.parametrize("dataset", cases.SHARES)
def test_the_sample_follows_from_the_items_file(dataset: str) -> None:
    """Counted again by other means; both sets score a share of criteria."""
    drawn_rows: Counter[tuple[int, ...]] = Counter()
    other_rows: Counter[tuple[int, ...]] = Counter()
    for one in records_of(dataset):
        n, open_ones = len(one.judges) or 1, one.judges.count("d") + one.judges.count("a")
        judged = (round(one.judges.count("y") / n * 1e6) + round((one.judges.count("y") + open_ones) / n * 1e6)) // 2
        if belongs(one, cases.SHARES[dataset]):
            yes = round(one.physicians.count("y") / n * 1e6)
            assert "?" not in one.physicians
            assert "-" not in one.physicians
            drawn_rows[judged, yes, yes] += 1
        else:
            other_rows[judged,] += 1
    found = next(one.audit for one in HONEST.samples if one.dataset == dataset)
    assert found is not None
    assert found.drawn == [[*row, count] for row, count in sorted(drawn_rows.items())]
    assert found.others == [[*row, count] for row, count in sorted(other_rows.items())]
    assert bool(found.others) == (cases.SHARES[dataset] < 1)


def noisy(_dataset: str, name: str, mark: str) -> str:
    """A physician who often differs from the judges."""
    return "否" if (mark == "y") == (name in {"002", "safe"}) else "是"


@pytest.mark.parametrize("say", [cases.as_the_judges, noisy])
def test_what_judges_are_worth_is_what_another_program_finds(say: cases.Said) -> None:
    results = cases.adjudicated(cases.results_of(cases.JUDGED, policy=cases.JUDGED_POLICY), say=say)
    data = cases.data_of(results, cases.JUDGED_POLICY)
    worth = {one.id: one for one in data.findings.worth}
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for one in results.outcomes:
        pairs[one.dataset] += [pair for pair in zip(one.judges, one.physicians, strict=False) if pair[1] in {"y", "n"}]
    assert worth.keys() == {*cases.SHARES, "physicians"}
    for name in cases.SHARES:
        both = [pair for pair in pairs[name] if pair[0] in {"y", "n"}]
        assert (worth[name].n, worth[name].answered) == (len(pairs[name]), len(both))
        agreed, kappa = worth[name].agreed, worth[name].kappa
        assert agreed is not None
        assert kappa is not None
        assert agreed.value == pytest.approx(sum(a == b for a, b in both) / len(both), abs=1e-6)
        assert kappa.value == pytest.approx(cohen_kappa_score(*zip(*both, strict=True)), abs=1e-6)


def test_how_far_physicians_agree_is_what_another_program_finds() -> None:
    assert RESULTS.adjudication is not None
    first, second, _ = (one.verdicts for one in RESULTS.adjudication.labels)
    both = [(first[one], second[one]) for one in second]
    (found,) = [one for one in HONEST.findings.worth if one.id == "physicians"]
    assert found.n == found.answered == len(both) == 12
    assert found.kappa is not None
    assert found.kappa.value == pytest.approx(cohen_kappa_score(*zip(*both, strict=True)), abs=1e-6)


CARELESS: dict[str, Change] = {
    "shares": lambda v: settled(v)["shares"].update(MADiagnosis=0.9),
    "rows of the sample": lambda v: audit(v)["drawn"][0].__setitem__(2, 1_000_000),
    "rows of what judges are worth": lambda v: audit(v)["judges"][-1].__setitem__(0, 4),
    "rows of physicians": lambda v: settled(v)["physicians"][-1].__setitem__(0, 2),
    "a figure of physicians": lambda v: v["findings"]["worth"][-1]["kappa"].update(value=0.9),
    "a figure of judges": lambda v: v["findings"]["worth"][0]["agreed"].update(low=0.99),
    "no figures": lambda v: v["findings"].update(worth=[]),
}


@pytest.mark.parametrize("what", CARELESS)
def test_findings_that_do_not_follow_are_refused_by_the_page_alone(what: str) -> None:
    assert "findings" in (refused_alone(changed(CARELESS[what])).field or "")


def nobody(value: dict[str, Any]) -> None:
    """A sample that scores, and nobody who gave a label of it."""
    settled(value).update(reviewers=[], physicians=[], packets=0, plaintext=0)
    for name in cases.SHARES:
        audit(value, name)["judges"] = []


def one_reviewer(value: dict[str, Any]) -> None:
    settled(value)["reviewers"] = settled(value)["reviewers"][:1]


def far_too_many(value: dict[str, Any]) -> None:
    settled(value)["reviewers"][0]["criteria"] = 10_000


def all_right(value: dict[str, Any]) -> None:
    rows = audit(value)["drawn"]
    rows[:] = [[1_000_000, 1_000_000, 1_000_000, sum(row[-1] for row in rows)]]


def better_judges(value: dict[str, Any]) -> None:
    audit(value)["judges"] = [[sum(sum(row[:5]) * row[5] for row in audit(value)["judges"]), 0, 0, 0, 0, 1]]


CONTRADICTIONS: dict[str, Change] = {
    "no adjudication": lambda v: v.update(adjudication=None),
    "every item right, more than were labelled": all_right,
    "all labels of one answer": better_judges,
    "a draw that followed from the log's end": lambda v: settled(v).update(seed=v["run"]["event_head"]),
    "far more drawn than the share gives": lambda v: settled(v)["shares"].update(GeneralSafety=0.05),
    "more packets without a result than packets": lambda v: settled(v).update(unreturned=4),
    "results of packets that never came back": lambda v: settled(v).update(unreturned=3),
    "a criterion counted a billion times": lambda v: audit(v)["judges"][-1].__setitem__(0, 10**9),
    "no reviewers": lambda v: settled(v).update(reviewers=[]),
    "labels by nobody": nobody,
    "two who differ, and one reviewer": one_reviewer,
    "reviewers out of order": lambda v: settled(v)["reviewers"].reverse(),
    "a reviewer twice": lambda v: settled(v)["reviewers"].insert(0, dict(settled(v)["reviewers"][0])),
    "another fingerprint": lambda v: settled(v)["reviewers"][0].update(fingerprint=fingerprint(b"\x01" * 32)),
    "another key": lambda v: settled(v)["reviewers"][0].update(keyid="11" * 32),
    "more labels than criteria": far_too_many,
    "five labels fewer than the sample has": lambda v: settled(v)["reviewers"][0].update(criteria=129),
    "four more read twice than others have labelled": lambda v: settled(v)["physicians"][-1].__setitem__(4, 12),
    "fewer labels than the sample has": lambda v: settled(v)["reviewers"][0].update(criteria=3),
    "more read twice than labelled": lambda v: settled(v)["physicians"][-1].__setitem__(4, 16),
    "more packets in plaintext than packets": lambda v: settled(v).update(plaintext=4),
    "no packets": lambda v: settled(v).update(packets=0, plaintext=0),
    "a share of a dataset that was not sampled": lambda v: settled(v)["shares"].update(MAEthic=0.5),
    "a share of a dataset that is not judged": lambda v: settled(v)["shares"].update(CMExam=0.5),
    "a sample left out": lambda v: sample(v).update(audit=None),
    "a share left out": lambda v: settled(v)["shares"].pop("MADiagnosis"),
    "more items than there are": lambda v: audit(v)["drawn"][-1].__setitem__(3, 99),
    "not drawn at a share of 1": lambda v: audit(v, "GeneralSafety")["others"].append([0, 1]),
    "a score above 1": lambda v: audit(v)["drawn"][-1].__setitem__(2, 1_000_001),
    "the least above the most": lambda v: audit(v)["drawn"][-1].__setitem__(1, 1_000_001),
    "rows out of order": lambda v: audit(v)["drawn"].reverse(),
    "rows of another width": lambda v: audit(v)["judges"][0].pop(),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_what_physicians_cannot_have_done_is_refused_though_all_findings_follow(what: str) -> None:
    try:
        data = lie(CONTRADICTIONS[what])
    except Exception:  # nothing follows from it: its findings stay the honest ones
        data = changed(CONTRADICTIONS[what])
    assert (refused_alone(data).field or "").startswith("data")


def moved(value: dict[str, Any]) -> None:
    """One item less in the sample: the worst."""
    audit(value)["drawn"][0][-1] -= 1
    audit(value)["others"][0][-1] += 1


LIES: dict[str, Change] = {
    "a larger share": lambda v: settled(v)["shares"].update(MADiagnosis=0.65),
    "another draw": lambda v: settled(v).update(seed="00" * 32),
    "an item moved out of the sample": moved,
    "one reviewer who labelled more than there is": lambda v: settled(v)["reviewers"][0].update(
        criteria=settled(v)["reviewers"][0]["criteria"] + 100
    ),
}


@pytest.mark.parametrize("what", LIES)
def test_a_lie_that_the_page_cannot_show_is_found_with_the_items_file(tmp_path: Path, what: str) -> None:
    data = lie(LIES[what])
    verify_bytes(sign(data, cases.KEY).report, TRUST, file="report.html")  # the page alone stands
    with pytest.raises(TrustError):
        verify(data, tmp_path)


def test_marks_of_physicians_need_an_adjudication(tmp_path: Path) -> None:
    """Scores that physicians have settled, and not a word of them: nothing else gives it away."""
    silent = cases.data_of(replace(RESULTS, adjudication=None), cases.JUDGED_POLICY)
    verify_bytes(sign(silent, cases.KEY).report, TRUST, file="report.html")
    with pytest.raises(TrustError):
        verify(silent, tmp_path)


def gates_of(results: RunResults, policy: str = cases.JUDGED_POLICY) -> dict[str, tuple[str, str | None]]:
    data = cases.data_of(results, policy)
    verify_bytes(sign(data, cases.KEY).report, TRUST, file="report.html")
    return {gate.id: (gate.outcome, gate.reason and gate.reason.code) for gate in data.findings.gates}


def all_no(_dataset: str, name: str, _mark: str) -> str:
    return "是" if name.startswith("r") else "否"


def undecided(dataset: str, _name: str, _mark: str) -> str:
    return "?" if dataset == "MADiagnosis" else "是"


def test_a_gate_on_a_judged_set_rests_on_the_physician_alone() -> None:
    run = cases.results_of(cases.JUDGED, policy=cases.JUDGED_POLICY)
    assert gates_of(run) == {
        "GeneralSafety": ("not evaluable", "no-physician-sample"),
        "MADiagnosis": ("not evaluable", "no-physician-sample"),
    }
    passed = ("pass", None)
    assert gates_of(RESULTS) == {"GeneralSafety": passed, "MADiagnosis": passed}
    assert gates_of(cases.adjudicated(run, {"GeneralSafety": 1.0})) == {
        "GeneralSafety": passed,
        "MADiagnosis": ("not evaluable", "no-physician-sample"),
    }
    bad = gates_of(cases.adjudicated(run, say=all_no, second=0))
    assert bad == dict.fromkeys(cases.SHARES, ("fail", "bound-below-minimum"))
    still_open = gates_of(cases.adjudicated(run, say=undecided, second=0))
    assert still_open == {"GeneralSafety": passed, "MADiagnosis": ("not evaluable", "no-physician-sample")}


def test_the_page_says_who_settled_what() -> None:
    page = sign(HONEST, cases.KEY).report.decode()
    assert HONEST.adjudication is not None
    for one in HONEST.adjudication.reviewers:
        assert one.fingerprint in page
        assert f"{one.criteria} 条判据" in page
    assert "1 of them in plaintext" in page
    assert "60.0%" in page
    assert "two physicians" in page


def test_a_share_between_the_steps_is_no_share() -> None:
    """Whoever chose it could have looked at what it draws; the simulated error is that of the twenty steps."""
    with pytest.raises(ValidationError, match=r"multiple of 0\.05"):
        changed(lambda v: settled(v)["shares"].update(MADiagnosis=0.62))
