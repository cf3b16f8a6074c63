"""Corrected rates in a report: computed from its own inputs, shown as indicative, refused where they do not follow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import report_cases as cases
import rfc8785
from test_report_commands import Command, command, keys, make_run  # noqa: F401 - command is a fixture

from mlb_offline.errors import Exit, TrustError
from mlb_offline.judge.panels import keep
from mlb_offline.policy.model import Policy
from mlb_offline.report.build import build_report, sign
from mlb_offline.report.data import Corrected, ReportData
from mlb_offline.report.findings import find
from mlb_offline.report.items import pack
from mlb_offline.report.page import render
from mlb_offline.report.verify import items_match, verify_bytes, verify_report
from mlb_offline.stats.corrected import Confusion, Said, corrected_rate
from mlb_offline.stats.corrected import Corrected as Rate
from mlb_offline.trust.store import TrustSet

TRUST = TrustSet((cases.KEY.verify_key,))
COUNTS = {"CMExam": 12, "GeneralSafety": 30, "MAEthic": 40, "MADiagnosis": 60}
RESULTS = cases.results_of(COUNTS, repeats=2)
KNOWN = cases.reread(cases.data_of(RESULTS, calibration=cases.CALIBRATION))
UNKNOWN = cases.reread(cases.data_of(RESULTS))
Change = Callable[[dict[str, Any]], object]


def corrected(dataset: str, question: str, data: ReportData = KNOWN) -> Corrected:
    (found,) = (one for one in data.findings.corrected if (one.id, one.question) == (dataset, question))
    return found


def lie(change: Change, data: ReportData = KNOWN, *, follow: bool = True) -> ReportData:
    """Inputs changed; digests and, if they are to follow, all findings made anew."""
    value = json.loads(data.to_bytes())
    change(value)
    assert value != json.loads(data.to_bytes())
    value["run"]["identity_sha256"] = hashlib.sha256(rfc8785.dumps(value["run"]["identity"])).hexdigest()
    lying = ReportData.model_validate(value)
    if not follow:
        return lying
    policy = Policy.from_json(lying.policy.model_dump(mode="json"))
    inputs = (lying.samples, lying.run, lying.evidence, policy, lying.critical_items)
    return cases.reread(lying.model_copy(update={"findings": find(*inputs, calibration=lying.calibration)}))


def refused_at(data: ReportData) -> str | None:
    with pytest.raises(TrustError) as caught:
        verify_bytes(sign(data, cases.KEY).report, TRUST, file="report.html")
    return caught.value.field


def sample_of(value: dict[str, Any], dataset: str) -> dict[str, Any]:
    found: dict[str, Any] = next(sample for sample in value["samples"] if sample["dataset"] == dataset)
    return found


@pytest.mark.parametrize("data", [KNOWN, UNKNOWN])
def test_honest_reports_stand(data: ReportData) -> None:
    assert verify_bytes(sign(data, cases.KEY).report, TRUST, file="report.html")[0] == data


def test_the_rate_is_that_of_the_answers_as_clusters() -> None:
    by_item: dict[str, list[str]] = {}
    for outcome in RESULTS.outcomes:
        if outcome.dataset == "MADiagnosis":
            by_item.setdefault(outcome.item, []).append(outcome.judges)
    said = [Said("".join(marks).count("y"), len("".join(marks))) for marks in by_item.values()]
    rows = cases.CALIBRATION.questions["points"]
    expected = corrected_rate(said, [Confusion(*row[:4]) for row in rows for _ in range(row[4])])
    assert isinstance(expected, Rate)
    found = corrected("MADiagnosis", "points")
    assert found.figure is not None
    assert (found.figure.value, found.figure.low, found.figure.high, found.figure.n) == (
        expected.rate.value,
        expected.rate.low,
        expected.rate.high,
        expected.rate.n,
    )
    assert (found.apparent, found.sensitivity, found.specificity) == (
        expected.apparent,
        expected.sensitivity,
        expected.specificity,
    )
    assert (found.criteria, found.labelled) == (sum(one.n for one in said), 340)


def test_what_the_labelled_set_cannot_correct_has_a_reason_and_no_figure() -> None:
    risk, safety = corrected("MAEthic", "risk"), corrected("GeneralSafety", "safety")
    for one, code in ((risk, "calibration-at-chance"), (safety, "calibration-without")):
        assert (one.figure, one.apparent, one.sensitivity, one.specificity) == (None, None, None, None)
        assert one.reason is not None
        assert one.reason.code == code
    assert corrected("MAEthic", "quality").figure is not None


def test_a_dataset_of_which_nothing_was_judged_says_so() -> None:
    failed = [cases.outcome_of("MADiagnosis", 10)]
    results = cases.results_of({"MADiagnosis": 1}, outcomes=failed)
    reason = corrected("MADiagnosis", "points", cases.data_of(results, calibration=cases.CALIBRATION)).reason
    assert reason is not None
    assert reason.code == "no-criteria"


def test_no_gate_score_or_verdict_rests_on_it() -> None:
    same = {"corrected": []}
    assert KNOWN.findings.model_copy(update=same) == UNKNOWN.findings
    assert UNKNOWN.findings.corrected == []


def test_the_page_shows_it_as_indicative_with_set_and_labellers() -> None:
    page = render(KNOWN, "").decode()
    found = corrected("MADiagnosis", "points").figure
    assert found is not None
    for words in (
        "仅供参考，不参与得分、门槛与结论",
        "Indicative: no score, gate or verdict rests on it.",
        "两名主治医师（示例）",
        "院内标注.jsonl",
        "c5" * 32,
        f"{found.low * 100:.1f}% – {found.high * 100:.1f}%",
        "the labelled set holds no criteria of this kind",
    ):
        assert words in page, words


def test_without_a_calibration_the_page_says_so_in_one_line() -> None:
    page = render(UNKNOWN, "").decode()
    assert "没有这两个裁判的标定，未作校正。" in page
    assert "No calibration of these judges" in page
    assert "Rogan" not in page


LIES: dict[str, Change] = {
    "rate": lambda v: v["findings"]["corrected"][-1]["figure"].update(value=0.999),
    "interval": lambda v: v["findings"]["corrected"][-1]["figure"].update(low=0.8),
    "sensitivity": lambda v: v["findings"]["corrected"][-1].update(sensitivity=0.99),
    "labelled": lambda v: v["findings"]["corrected"][-1].update(labelled=1000),
    "left out": lambda v: v["findings"]["corrected"].pop(),
    "confusion counts": lambda v: v["calibration"]["questions"]["points"][-1].__setitem__(slice(0, 2), [4, 0]),
    "no calibration": lambda v: v.update(calibration=None),
    "items said": lambda v: sample_of(v, "MADiagnosis")["said"]["points"][0].__setitem__(2, 1),
}


@pytest.mark.parametrize("name", LIES)
def test_a_corrected_rate_that_does_not_follow_is_refused(name: str) -> None:
    field = refused_at(lie(LIES[name], follow=False))
    assert field is not None
    assert field.startswith("data")


def said(dataset: str, question: str, rows: list[list[int]]) -> Change:
    return lambda value: sample_of(value, dataset)["said"].update({question: rows})


def all_yes(told: dict[str, list[list[int]]]) -> None:
    """To every criterion that was judged both said 是."""
    counts: dict[int, int] = {}
    for _yes, criteria, items in told["safety"]:
        counts[criteria] = counts.get(criteria, 0) + items
    told["safety"] = [[criteria, criteria, items] for criteria, items in sorted(counts.items())]


FACTS: dict[str, tuple[Change, str]] = {
    "more 是 than the marks": (lambda v: all_yes(sample_of(v, "GeneralSafety")["said"]), "data.samples"),
    "fewer criteria than answers": (said("GeneralSafety", "safety", [[0, 0, 30]]), "data.samples"),
    "no question": (lambda v: sample_of(v, "GeneralSafety").update(said={}), "data.samples"),
    "a question of others": (
        lambda v: sample_of(v, "GeneralSafety").update(said={"risk": sample_of(v, "GeneralSafety")["said"]["safety"]}),
        "data.samples",
    ),
    "risks told as qualities": (
        lambda v: sample_of(v, "MAEthic")["said"].update(
            risk=sample_of(v, "MAEthic")["said"]["quality"], quality=sample_of(v, "MAEthic")["said"]["risk"]
        ),
        "data.samples",
    ),
    "of other judges": (lambda v: v["calibration"]["judges"][0].update(sha256="ab" * 32), "data.calibration"),
    "of judges asked otherwise": (
        lambda v: v["calibration"]["judges"][0].update(asked={"large/9": "22" * 32}),
        "data.calibration",
    ),
    "of judges corrected otherwise": (
        lambda v: v["calibration"]["judges"][1].update(calibration={}),
        "data.calibration",
    ),
}


@pytest.mark.parametrize("name", FACTS)
def test_inputs_that_contradict_each_other_are_refused_though_the_rates_follow(name: str) -> None:
    change, field = FACTS[name]
    assert refused_at(lie(change)) == field


def test_more_criteria_of_one_item_than_its_answers_have_are_refused() -> None:
    """Two answers of one criterion each: no item has three, though 是 and criteria of all add up."""
    honest = sample_of(json.loads(KNOWN.to_bytes()), "GeneralSafety")["said"]["safety"]
    counts = {(yes, criteria): items for yes, criteria, items in honest}
    for row, by in {(2, 2): -2, (1, 1): 1, (3, 3): 1}.items():
        counts[row] = counts.get(row, 0) + by
    rows = sorted([*row, items] for row, items in counts.items())
    assert refused_at(lie(said("GeneralSafety", "safety", rows))) == "data.samples"


def test_the_items_file_tells_what_the_judges_said_of_each_item() -> None:
    """The same 是 and criteria in all, spread over items otherwise."""

    def change(value: dict[str, Any]) -> None:
        value["items"]["sha256"] = hashlib.sha256(pack(RESULTS)[0]).hexdigest()
        rows = sample_of(value, "MADiagnosis")["said"]["points"]
        least, most = rows[1], rows[-1]
        assert most[0] - least[0] > 1
        moved = [[least[0] + 1, least[1], 1], [most[0] - 1, most[1], 1]]
        counts = {tuple(row[:2]): row[2] for row in rows}
        for row, by in ((least, -1), (most, -1), *((row, 1) for row in moved)):
            counts[tuple(row[:2])] = counts.get(tuple(row[:2]), 0) + by
        sample_of(value, "MADiagnosis")["said"]["points"] = sorted([*row, n] for row, n in counts.items() if n)

    lying = lie(change)
    verify_bytes(sign(lying, cases.KEY).report, TRUST, file="report.html")
    items_match(pack(RESULTS)[0], KNOWN, file="items")
    with pytest.raises(TrustError, match=r"disagree|不一致"):
        items_match(pack(RESULTS)[0], lying, file="items")


def test_a_report_is_built_with_it(tmp_path: Path) -> None:
    policy = cases.policy_of(None)
    build_report(RESULTS, cases.KEY, tmp_path / "r.html", policy=policy, now=cases.NOW, calibration=cases.CALIBRATION)
    assert verify_report(tmp_path / "r.html", TRUST).data.findings.corrected == KNOWN.findings.corrected


@pytest.mark.parametrize("known", [True, False])
def test_report_build_takes_what_the_state_folder_knows_of_the_runs_judges(
    tmp_path: Path,
    command: Command,  # noqa: F811
    known: bool,
) -> None:
    run, state, out = make_run(tmp_path, judges=cases.JUDGES), tmp_path / "state", tmp_path / "report.html"
    state.mkdir()
    if known:
        keep(state, cases.CALIBRATION)
    built = command("report", "build", run, *keys(tmp_path), "--out", out, "--state", state)
    assert built.code == Exit.DONE, built.err
    seen = json.loads(command("verify", out, "--trust", tmp_path / "keys" / "report.pub.pem", "--json").out)
    told = cases.CALIBRATION.model_dump(mode="json") if known else None
    assert seen["data"]["calibration"] == told


def test_a_damaged_record_of_panels_stops_the_report(
    tmp_path: Path,
    command: Command,  # noqa: F811
) -> None:
    run, state = make_run(tmp_path, judges=cases.JUDGES), tmp_path / "state"
    state.mkdir()
    (state / "panels.json").write_text("{}")
    built = command("report", "build", run, *keys(tmp_path), "--out", tmp_path / "report.html", "--state", state)
    assert built.code == Exit.TRUST
    assert "panels.json" in built.err
    assert not (tmp_path / "report.html").exists()
