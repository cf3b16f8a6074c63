"""Gates and verdicts: the whole matrix, and that nothing passes by accident."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlb_offline.benchmark.catalogue import DATASETS, Metric
from mlb_offline.policy.evaluate import PolicyOutcome, evaluate
from mlb_offline.policy.model import Policy, load_policy, parse_policy
from mlb_offline.stats.reasons import Reason
from mlb_offline.stats.sample import Audit, DatasetSample
from mlb_offline.stats.summary import Summary, summarise

APPROVED = '[[approvers]]\nname = "NAME"\nrole = "ROLE"\ndate = 2026-01-31\n'


def policy(*gates: tuple[str, str, float, str], extra: str = "", approved: bool = True, head: str = "") -> Policy:
    text = f'name = "p"\nversion = "1"\n{head}\n'
    for scope, name, minimum, on_fail in gates:
        text += f'[[gate]]\nscope = "{scope}"\nid = "{name}"\nmin = {minimum}\non_fail = "{on_fail}"\n'
    return parse_policy((text + extra + (APPROVED if approved else "")).encode(), file="p.toml")


def accuracy(name: str, right: int, n: int, unreadable: int = 0) -> DatasetSample:
    tally = {"right": right, "wrong": n - right - unreadable, "unreadable": unreadable}
    rows = tuple(row for row in ((0, 1, n - right), (1, 1, right)) if row[2])
    return DatasetSample(name, DATASETS[name].metric, DATASETS[name].n, n, tally, rows)


STARTED = datetime(2026, 3, 1, 8, tzinfo=UTC)


def summary(*samples: DatasetSample) -> Summary:
    return summarise({sample.dataset: sample for sample in samples}, seed=0)


def verdict(asked: Policy, found: Summary, *indicative: str, **more: object) -> PolicyOutcome:
    reasons = [Reason(code) for code in indicative]
    return evaluate(asked, found, indicative_reasons=reasons, **{"started": STARTED, **more})  # type: ignore[arg-type]


GOOD = accuracy("CMExam", 95, 100)
BAD = accuracy("MAExam", 100, 200)


def test_all_gates_met_is_a_pass_without_reasons() -> None:
    outcome = verdict(policy(("dataset", "CMExam", 0.8, "fail")), summary(GOOD))
    assert (outcome.verdict, outcome.reasons, outcome.indicative) == ("pass", (), False)
    (gate,) = outcome.gates
    assert (gate.value, gate.n, gate.minimum_n, gate.method) == (0.95, 100, 100, "clopper-pearson")
    assert gate.bound == pytest.approx(0.898, abs=1e-3)
    assert gate.reason is None


def test_the_bound_counts_and_not_the_estimate() -> None:
    outcome = verdict(policy(("dataset", "CMExam", 0.93, "fail")), summary(GOOD))
    assert outcome.verdict == "fail"
    assert outcome.gates[0].value == 0.95
    assert outcome.gates[0].reason == Reason("bound-below-minimum", {"bound": outcome.gates[0].bound or 0, "min": 0.93})


def test_a_bound_that_equals_the_threshold_passes_and_one_millionth_more_fails() -> None:
    bound = verdict(policy(("dataset", "CMExam", 0.5, "fail")), summary(GOOD)).gates[0].bound
    assert bound is not None
    assert verdict(policy(("dataset", "CMExam", bound, "fail")), summary(GOOD)).verdict == "pass"
    assert verdict(policy(("dataset", "CMExam", round(bound + 1e-6, 6), "fail")), summary(GOOD)).verdict == "fail"


# Three gates, each in one of four states; the verdict is that of the module's text, written here a second time.
STATES = {
    "pass": ("CMExam", 0.5, "fail"),
    "miss-fail": ("CMExam", 0.99, "fail"),
    "miss-conditional": ("CMExam", 0.99, "conditional"),
    "unknown": ("MAEthic", 0.5, "fail"),
    "unknown-conditional": ("MAEthic", 0.5, "conditional"),
}
SETS = {"CMExam": ["CMExam", "MAExam", "MASafety"], "MAEthic": ["MAEthic", "MACompliance", "GeneralSafety"]}


def unjudged(name: str) -> DatasetSample:
    row = DATASETS[name]
    return DatasetSample(name, row.metric, row.n, row.n, {"unjudged": row.n}, ((0, 1_000_000, row.n),))


def audited(name: str, share: float, drawn: tuple[int, int, int, int], others: tuple[int, int]) -> DatasetSample:
    """Items of which one row was labelled and one was not, all judged as the rows say."""
    row, n = DATASETS[name], drawn[-1] + others[-1]
    rows = sorted({(drawn[1], drawn[2]): drawn[3], (others[0], others[0]): others[1]}.items())
    if (drawn[1], drawn[2]) == (others[0], others[0]):
        rows = [((others[0], others[0]), n)]
    histogram = tuple((*ends, items) for ends, items in rows)
    audit = Audit(share, (drawn,), (others,), ((1, 0, 0, 0, 0, drawn[-1]),))
    return DatasetSample(name, row.metric, row.n, n, {"judged": n}, histogram, audit)


def test_judges_alone_meet_no_gate() -> None:
    row = DATASETS["MAEthic"]
    alone = DatasetSample("MAEthic", row.metric, 200, 200, {"judged": 200}, ((1_000_000, 1_000_000, 200),))
    (gate,) = verdict(policy(("dataset", "MAEthic", 0.1, "fail")), summary(alone)).gates
    assert (gate.outcome, gate.value, gate.bound) == ("not evaluable", 1.0, None)
    assert gate.reason == Reason("no-physician-sample", {"dataset": "MAEthic"})


def test_a_judged_gate_rests_on_the_physicians_sample() -> None:
    good = audited("MAEthic", 0.5, (1_000_000, 1_000_000, 1_000_000, 100), (1_000_000, 100))
    (gate,) = verdict(policy(("dataset", "MAEthic", 0.8, "fail")), summary(good)).gates
    assert (gate.outcome, gate.method) == ("pass", "prediction-powered")
    flattered = audited("MAEthic", 0.5, (1_000_000, 0, 0, 100), (1_000_000, 100))
    (gate,) = verdict(policy(("dataset", "MAEthic", 0.3, "fail")), summary(flattered)).gates
    assert (gate.outcome, gate.value) == ("fail", 0.5), "what the judges say of the others helps nothing"


@pytest.mark.parametrize(("count_as", "expected"), [("not-evaluable", "not evaluable"), ("wrong", "fail")])
def test_what_the_physician_left_open_is_not_evaluable_or_wrong_as_the_policy_says(
    count_as: str, expected: str
) -> None:
    left = audited("MAEthic", 0.5, (1_000_000, 0, 1_000_000, 100), (1_000_000, 100))
    asked = policy(("dataset", "MAEthic", 0.5, "fail"), extra=f'[disputes]\ncount_as = "{count_as}"\n')
    outcome = verdict(asked, summary(left))
    assert outcome.verdict == expected
    if expected == "not evaluable":
        assert outcome.gates[0].reason == Reason("physician-sample-open", {"dataset": "MAEthic", "items": 100})


@pytest.mark.parametrize("states", list(itertools.combinations_with_replacement(STATES, 3)))
def test_verdict_matrix(states: tuple[str, ...]) -> None:
    gates = []
    for place, state in enumerate(states):
        kind, minimum, on_fail = STATES[state]
        gates.append(("dataset", SETS[kind][place], minimum, on_fail))
    samples = [accuracy(name, DATASETS[name].n - 2, DATASETS[name].n) for name in SETS["CMExam"]]
    samples += [unjudged(n) for n in SETS["MAEthic"]]
    found = summary(*samples)
    if "miss-fail" in states:
        expected = "fail"
    elif any(state.startswith("unknown") for state in states):
        expected = "not evaluable"
    elif "miss-conditional" in states:
        expected = "conditional"
    else:
        expected = "pass"
    outcome = verdict(policy(*gates), found)
    assert outcome.verdict == expected
    assert bool(outcome.reasons) == (expected != "pass")
    assert len(outcome.gates) == 3
    held = verdict(policy(*gates), found, "limit")
    assert (held.verdict, held.indicative, held.reasons) == ("not evaluable", True, (Reason("limit"),))
    assert held.gates == outcome.gates  # listed all the same
    assert verdict(policy(*gates, approved=False), found).verdict == "not evaluable"


def test_no_thresholds_is_not_evaluable() -> None:
    outcome = verdict(load_policy(None), summary(GOOD))
    assert (outcome.verdict, outcome.reasons, outcome.gates) == ("not evaluable", (Reason("no-thresholds"),), ())


def test_thresholds_without_approver_do_not_count() -> None:
    outcome = verdict(policy(("dataset", "CMExam", 0.5, "fail"), approved=False), summary(GOOD))
    assert (outcome.verdict, outcome.reasons) == ("not evaluable", (Reason("no-approver"),))
    assert outcome.gates[0].outcome == "pass"


@pytest.mark.parametrize(
    ("started", "late"),
    [
        (datetime(2026, 3, 1, 8, tzinfo=UTC), False),
        (datetime(2026, 1, 31, 0, tzinfo=UTC), False),
        (datetime(2026, 1, 30, 10, tzinfo=UTC), False),  # already 31 January in the easternmost time zone
        (datetime(2026, 1, 30, 9, 59, tzinfo=UTC), True),
        (datetime(2025, 12, 1, tzinfo=UTC), True),
    ],
)
def test_an_approval_dated_after_the_start_of_the_run_does_not_count(started: datetime, late: bool) -> None:
    asked = policy(("dataset", "CMExam", 0.8, "fail"), extra=APPROVED.replace("2026-01-31", "2025-01-01"))
    outcome = verdict(asked, summary(GOOD), started=started)
    assert outcome.verdict == ("not evaluable" if late else "pass")
    expected = Reason("approval-after-start", {"date": "2026-01-31", "started": started.date().isoformat()})
    assert outcome.reasons == ((expected,) if late else ())
    failing = verdict(policy(("dataset", "CMExam", 0.99, "fail")), summary(GOOD), started=started)
    assert failing.verdict == ("not evaluable" if late else "fail")


def test_indicative_runs_give_all_their_reasons() -> None:
    outcome = verdict(load_policy(None), summary(GOOD), "answers-file", "limit")
    assert [reason.code for reason in outcome.reasons] == ["answers-file", "limit", "no-thresholds"]


def test_a_run_with_nothing_in_it_never_passes() -> None:
    asked = policy(("dataset", "CMExam", 0.5, "fail"))
    empty = DatasetSample("CMExam", Metric.ACCURACY, 100, 0, {})
    for found, code in ((summary(), "dataset-missing"), (summary(empty), "no-items")):
        outcome = verdict(asked, found)
        assert outcome.verdict == "not evaluable"
        (gate,) = outcome.gates
        assert (gate.outcome, gate.bound, gate.value, gate.n) == ("not evaluable", None, None, 0)
        assert gate.reason is not None
        assert gate.reason.code == code


def test_judged_datasets_are_not_evaluable_for_want_of_a_judge() -> None:
    judged = unjudged("MAEthic")
    outcome = verdict(policy(("dataset", "MAEthic", 0.1, "fail")), summary(judged))
    assert outcome.gates[0].reason == Reason("no-judge")


def test_too_few_items_are_not_evaluable_however_good_or_bad() -> None:
    for right in (0, 99):
        outcome = verdict(policy(("dataset", "CMExam", 0.01, "fail")), summary(accuracy("CMExam", right, 99)))
        assert outcome.gates[0].outcome == "not evaluable"
        expected = Reason("below-minimum-n", {"dataset": "CMExam", "n": 99, "minimum_n": 100})
        assert outcome.gates[0].reason == expected
    smaller = policy(("dataset", "CMExam", 0.5, "fail"), head="minimum_n = 99")
    assert verdict(smaller, summary(accuracy("CMExam", 99, 99))).verdict == "pass"


def test_a_dimension_gate_needs_every_dataset_with_its_own_minimum() -> None:
    asked = policy(("dimension", "MedKQA", 0.6, "fail"))
    outcome = verdict(asked, summary(GOOD, accuracy("MAExam", 190, 200)))
    (gate,) = outcome.gates
    assert (outcome.verdict, gate.method, gate.n, gate.minimum_n) == ("pass", "bonferroni", 300, 300)
    assert gate.value == 0.95
    assert verdict(asked, summary(GOOD)).gates[0].reason == Reason("dataset-missing", {"datasets": "MAExam"})
    few = verdict(asked, summary(accuracy("CMExam", 500, 500), accuracy("MAExam", 20, 20))).gates[0]
    assert few.reason == Reason("below-minimum-n", {"dataset": "MAExam", "n": 20, "minimum_n": 200})
    asked = policy(("dimension", "MedKQA", 0.72, "fail"))
    assert verdict(asked, summary(GOOD, BAD)).verdict == "fail"


def test_dimensions_and_the_whole_with_judged_datasets_are_not_evaluable() -> None:
    judged = [unjudged(name) for name, row in DATASETS.items() if row.metric.judged]
    asked = policy(("dimension", "SmartCare", 0.5, "fail"), ("overall", "overall", 0.5, "fail"))
    outcome = verdict(asked, summary(*judged))
    codes = [gate.reason.code for gate in outcome.gates if gate.reason]
    assert codes == ["dataset-not-evaluable", "dataset-missing"]
    assert outcome.verdict == "not evaluable"


def micro(name: str, *rows: tuple[int, int, int, int]) -> DatasetSample:
    n = sum(row[3] for row in rows)
    return DatasetSample(name, Metric.MICRO_F1, DATASETS[name].n, n, {"scored": n}, tuple(sorted(rows)))


@pytest.mark.parametrize(("on_fail", "expected"), [("fail", "fail"), ("conditional", "conditional")])
def test_a_runaway_answer_misses_every_gate_that_its_dataset_is_part_of(on_fail: str, expected: str) -> None:
    others = [micro(name, (6, 0, 0, DATASETS[name].n)) for name in DATASETS if DATASETS[name].dimension == "MedRU"]
    ran = micro("CMeEE", (6, 0, 0, 99), (6, 500, 0, 1))
    gates = (("dataset", "CMeEE", 0.0001, on_fail), ("dimension", "MedRU", 0.0001, on_fail))
    found = summary(*(ran if sample.dataset == "CMeEE" else sample for sample in others))
    outcome = verdict(policy(*gates), found)
    assert outcome.verdict == expected
    params = {"dataset": "CMeEE", "items": 1, "largest": 500, "cap": 32}
    for gate in outcome.gates:
        assert (gate.outcome, gate.bound, gate.reason) == ("fail", 0.0, Reason("runaway-answers", params))
        assert gate.value is not None
        assert gate.size_caps["CMeEE"] == 32
    assert verdict(policy(*gates), summary(*others)).verdict == "pass"


def test_a_runaway_answer_never_turns_a_fail_into_not_evaluable_nor_into_a_pass() -> None:
    asked = policy(("dataset", "CMeEE", 0.9, "fail"))
    bad, worse = ((0, 6, 6, 99), (0, 6, 6, 1)), ((0, 6, 6, 99), (0, 500, 6, 1))
    for rows in ((*bad[:1], (1, 0, 0, 1)), worse):
        assert verdict(asked, summary(micro("CMeEE", *rows))).verdict == "fail"


def test_unreadable_answers_with_large_references_are_not_cut() -> None:
    asked = policy(("dataset", "CMeEE", 0.6, "fail"))
    assert verdict(asked, summary(micro("CMeEE", (5, 0, 0, 90), (5, 0, 1, 10)))).verdict == "pass"
    outcome = verdict(asked, summary(micro("CMeEE", (5, 0, 0, 90), (0, 0, 100, 10))))
    (gate,) = outcome.gates
    assert outcome.verdict == "fail"
    assert dict(gate.size_caps) == {"CMeEE": 200}
    assert (gate.bound or 0) < (gate.value or 0) < 0.5


def test_the_weights_of_the_policy_count_in_gates() -> None:
    asked = policy(("dimension", "MedKQA", 0.6, "fail"), extra="[weights.datasets]\nCMExam = 9\n")
    found = {sample.dataset: sample for sample in (GOOD, BAD)}
    outcome = evaluate(
        asked, summarise(found, seed=0, weighting=asked.weighting), indicative_reasons=[], started=STARTED
    )
    plain = verdict(policy(("dimension", "MedKQA", 0.6, "fail")), summary(GOOD, BAD))
    assert (outcome.gates[0].value, plain.gates[0].value) == (0.905, 0.725)
    assert (outcome.gates[0].bound or 0) > (plain.gates[0].bound or 0) + 0.1
    with pytest.raises(ValueError, match="weights"):
        verdict(asked, summary(GOOD, BAD))


def test_the_size_cap_of_the_policy_is_used() -> None:
    sample = DatasetSample("CMeEE", Metric.MICRO_F1, 100, 100, {"scored": 100}, ((3, 0, 1, 60), (8, 2, 1, 40)))
    bounds = []
    for cap in (8, 20, 200):
        asked = policy(("dataset", "CMeEE", 0.5, "fail"), extra=f"[size_caps]\nCMeEE = {cap}\n")
        bounds.append(verdict(asked, summary(sample)).gates[0].bound)
    assert bounds[1] is not None
    assert bounds[0] is not None
    assert bounds[2] is not None
    assert bounds[1] > max(bounds[0], bounds[2])


# --- critical failures ----------------------------------------------------------------------------------------------

PASSING = ("dataset", "CMExam", 0.5, "fail")


def test_a_critical_item_that_is_wrong_fails_whatever_the_score() -> None:
    asked = policy(PASSING, extra='[[critical]]\ndataset = "CMExam"\nitems = ["a", "b"]\n')
    seen = {"CMExam": {"a": True, "b": True}}
    assert verdict(asked, summary(GOOD), critical_outcomes=seen).verdict == "pass"
    outcome = verdict(asked, summary(GOOD), critical_outcomes={"CMExam": {"a": True, "b": False}})
    assert outcome.verdict == "fail"
    assert outcome.reasons == (Reason("critical-failed", {"dataset": "CMExam", "count": 1, "max_count": 0}),)


def test_a_critical_item_that_was_not_seen_is_not_evaluable_but_a_seen_failure_is_certain() -> None:
    asked = policy(PASSING, extra='[[critical]]\ndataset = "CMExam"\nitems = ["a", "b"]\n')
    for seen in (None, {}, {"CMExam": {"a": True}}):
        outcome = verdict(asked, summary(GOOD), critical_outcomes=seen)
        assert outcome.verdict == "not evaluable"
        expected = Reason("critical-not-evaluable", {"dataset": "CMExam", "why": "item-unseen"})
        assert outcome.critical[0].reason == expected
    assert verdict(asked, summary(GOOD), critical_outcomes={"CMExam": {"a": False}}).verdict == "fail"


@pytest.mark.parametrize(("unreadable", "expected"), [(0, "pass"), (2, "pass"), (3, "fail")])
def test_critical_outcomes_are_counted(unreadable: int, expected: str) -> None:
    extra = '[[critical]]\ndataset = "CMExam"\noutcomes = ["unreadable"]\nmax_count = 2\n'
    found = summary(accuracy("CMExam", 95, 100, unreadable))
    assert verdict(policy(PASSING, extra=extra), found).verdict == expected


def test_a_critical_rule_over_nothing_too_little_or_judged_sets_is_not_evaluable() -> None:
    judged = unjudged("MAEthic")
    cases = [
        ('dataset = "MASafety"', "no-items"),
        ('dataset = "MAExam"', "below-minimum-n"),
        ('dataset = "MAEthic"', "judges-alone"),
        ('dataset = "MAEthic"\nitems = ["a"]', "judges-alone"),
    ]
    for rule, why in cases:
        found = summary(GOOD, judged, accuracy("MAExam", 10, 10))
        asked = policy(PASSING, extra=f"[[critical]]\n{rule}\n")
        outcome = verdict(asked, found, critical_outcomes={"MAEthic": {"a": True}})
        assert outcome.verdict == "not evaluable"
        assert outcome.critical[0].reason is not None
        assert outcome.critical[0].reason.params["why"] == why


def test_a_critical_failure_in_a_conditional_policy_is_still_a_fail() -> None:
    asked = policy(("dataset", "CMExam", 0.99, "conditional"), extra='[[critical]]\ndataset = "CMExam"\n')
    assert verdict(asked, summary(GOOD)).verdict == "fail"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100), st.floats(0.001, 0.999))
def test_more_right_answers_never_make_a_gate_worse(right: int, minimum: float) -> None:
    asked = policy(("dataset", "CMExam", minimum, "fail"))
    outcome = verdict(asked, summary(accuracy("CMExam", right, 100)))
    if outcome.verdict == "pass" and right < 100:
        assert verdict(asked, summary(accuracy("CMExam", right + 1, 100))).verdict == "pass"
    assert (outcome.verdict == "pass") == ((outcome.gates[0].bound or 0) >= minimum)
