"""From a summary and a policy to gates and a verdict. Pure: a verifier computes the same again.

The verdict, first rule that applies:

1. an indicative run: *not evaluable*, with the reasons; gates are listed all the same;
2. no thresholds, no approver, or an approval dated after the run's start: *not evaluable*;
3. a critical rule broken, or a gate missed whose ``on_fail`` is ``fail``: *fail*, whatever else is unknown;
4. a gate or critical rule that cannot be evaluated: *not evaluable*;
5. a gate missed whose ``on_fail`` is ``conditional``: *conditional*;
6. every gate met: *pass* (an intersection-union test: each at 5 %, no correction).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from mlb_offline.benchmark.catalogue import DATASETS, Metric
from mlb_offline.policy.model import Critical, Gate, Policy
from mlb_offline.stats.lower import Bound, dataset_lower, item_cap, mean_lower, runaway
from mlb_offline.stats.reasons import Reason
from mlb_offline.stats.summary import DatasetResult, Summary, members, weights

Verdict = Literal["pass", "conditional", "fail", "not evaluable"]
GateOutcome = Literal["pass", "fail", "not evaluable"]
CriticalOutcomes = Mapping[str, Mapping[str, bool]]
"""Dataset → item id → whether every answer to it was wholly right; only items that policies name are needed."""

_EARLIEST_DAY = timedelta(hours=14)
"""How long before 00:00 UTC a date begins in the easternmost time zone; approvals have a date without a zone."""


@dataclass(frozen=True)
class GateResult:
    """What became of one gate.

    Attributes:
        scope: dataset, dimension or overall.
        id: of the dataset or dimension, or ``overall``.
        min: the threshold.
        bound: one-sided 95 % lower bound; None where not evaluable.
        value: the estimate; None where there is none.
        n: items of all datasets concerned.
        minimum_n: items needed, added up over these datasets; each needs its own.
        outcome: ``pass`` if and only if the bound is at least the threshold and n suffices. Where an answer ran
            away (``stats.lower.runaway``) the bound is 0, so the gate is missed: it is the model's doing.
        method: how the bound was made; empty where there is none.
        reason: why it is no pass.
        on_fail: what a miss makes of the verdict.
        size_caps: effective cap of one item, by micro-F1 dataset concerned; empty where there is no bound.
    """

    scope: str
    id: str
    min: float
    bound: float | None
    value: float | None
    n: int
    minimum_n: int
    outcome: GateOutcome
    method: str
    reason: Reason | None
    on_fail: Literal["fail", "conditional"] = "fail"
    size_caps: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class CriticalResult:
    """What became of one critical rule: ``count`` failures of ``max_count`` allowed."""

    dataset: str
    count: int | None
    max_count: int
    outcome: GateOutcome
    reason: Reason | None


@dataclass(frozen=True)
class PolicyOutcome:
    """The verdict, with all that led to it.

    Attributes:
        verdict: see the module's text.
        gates: in the order of the policy.
        reasons: why it is no pass; empty for a pass.
        indicative: whether the run can never pass.
        critical: in the order of the policy.
    """

    verdict: Verdict
    gates: tuple[GateResult, ...]
    reasons: tuple[Reason, ...]
    indicative: bool
    critical: tuple[CriticalResult, ...] = ()


def evaluate(
    policy: Policy,
    summary: Summary,
    *,
    indicative_reasons: Sequence[Reason],
    started: datetime,
    critical_outcomes: CriticalOutcomes | None = None,
) -> PolicyOutcome:
    """Hold a summary against a policy.

    Args:
        policy: what is asked.
        summary: what was found, with the policy's weights.
        indicative_reasons: why this run can never pass (``answers:``, ``--limit``, demonstration keys …).
        started: when the run started, with time zone; approvals dated later do not count.
        critical_outcomes: needed where the policy names critical items; an item not in it is not evaluable.

    Raises:
        ValueError: the summary was made with other weights.
    """
    if summary.weighting != policy.weighting:
        raise ValueError("the summary's weights are not the policy's")
    gates = tuple(_gate(policy, gate, summary) for gate in policy.gate)
    critical = tuple(_critical(policy, rule, summary, critical_outcomes or {}) for rule in policy.critical)
    verdict, reasons = _verdict(_unapproved(policy, started), gates, critical, tuple(indicative_reasons))
    return PolicyOutcome(verdict, gates, reasons, bool(indicative_reasons), critical)


def _verdict(
    unapproved: tuple[Reason, ...],
    gates: tuple[GateResult, ...],
    critical: tuple[CriticalResult, ...],
    indicative: tuple[Reason, ...],
) -> tuple[Verdict, tuple[Reason, ...]]:
    if indicative or unapproved:
        return "not evaluable", indicative + unapproved
    broken = [rule.reason for rule in critical if rule.outcome == "fail"]
    failed = _gate_reasons(gates, "fail", "fail", "gate-failed")
    unknown = [rule.reason for rule in critical if rule.outcome == "not evaluable"]
    open_gates = [
        *_gate_reasons(gates, "not evaluable", "fail", "gate-not-evaluable"),
        *_gate_reasons(gates, "not evaluable", "conditional", "gate-not-evaluable"),
    ]
    missed = _gate_reasons(gates, "fail", "conditional", "gate-conditional")
    reasons = tuple(reason for reason in [*broken, *failed, *unknown, *open_gates, *missed] if reason is not None)
    if broken or failed:
        return "fail", reasons
    if unknown or open_gates:
        return "not evaluable", reasons
    if missed:
        return "conditional", reasons
    # Said positively: nothing but gates that were all met can pass.
    met = bool(gates) and all(gate.outcome == "pass" for gate in gates) and not reasons
    return ("pass" if met else "not evaluable"), reasons


def _unapproved(policy: Policy, started: datetime) -> tuple[Reason, ...]:
    if not policy.gate:
        return (Reason("no-thresholds"),)
    if not policy.approvers:
        return (Reason("no-approver"),)
    # The policy's bytes were fixed at the start, so a later date had not come when it was written down.
    late = sorted(who.date for who in policy.approvers if _begins(who.date) - started > _EARLIEST_DAY)
    started_on = started.astimezone(UTC).date().isoformat()
    return (Reason("approval-after-start", {"date": late[-1], "started": started_on}),) if late else ()


def _begins(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), UTC)


def _gate_reasons(gates: Sequence[GateResult], outcome: str, on_fail: str, code: str) -> list[Reason]:
    return [
        Reason(code, {"scope": gate.scope, "id": gate.id})
        for gate in gates
        if gate.outcome == outcome and gate.on_fail == on_fail
    ]


def _gate(policy: Policy, gate: Gate, summary: Summary) -> GateResult:
    names = (gate.id,) if gate.scope == "dataset" else members(gate.id)
    found = [summary.datasets[name] for name in names if name in summary.datasets]
    minimum_n = sum(policy.minimum_of(gate, name) for name in names)
    value = _value(gate, summary)
    reason = _gap(gate, names, summary) or _too_few(policy, gate, found) or _unlabelled(policy, found)
    bound, caps = None, {}
    if reason is None and value is not None:
        bound = _bound(policy, names, found, summary)
        caps = {r.dataset: item_cap(r.sample, size_cap=policy.cap_of) for r in found if r.metric == Metric.MICRO_F1}
        if bound.low < gate.min:
            below = Reason("bound-below-minimum", {"bound": bound.low, "min": gate.min})
            reason = _ran_away(policy, found) or below
    outcome: GateOutcome = "not evaluable"
    if bound is not None:
        outcome = "pass" if bound.low >= gate.min else "fail"
    return GateResult(
        scope=gate.scope,
        id=gate.id,
        min=gate.min,
        bound=None if bound is None else bound.low,
        value=value,
        n=sum(result.n for result in found),
        minimum_n=minimum_n,
        outcome=outcome,
        method="" if bound is None else bound.method,
        reason=reason,
        on_fail=gate.on_fail,
        size_caps=caps,
    )


def _unlabelled(policy: Policy, found: Sequence[DatasetResult]) -> Reason | None:
    """Why judges' scores decide nothing: a physician has seen no sample, or left something in it open."""
    for result in found:
        audit = result.sample.audit
        if not DATASETS[result.dataset].metric.judged:
            continue
        if audit is None or not audit.seen:
            return Reason("no-physician-sample", {"dataset": result.dataset})
        if audit.still_open and policy.disputes.count_as == "not-evaluable":
            return Reason("physician-sample-open", {"dataset": result.dataset, "items": audit.still_open})
    return None


def _ran_away(policy: Policy, found: Sequence[DatasetResult]) -> Reason | None:
    for result in found:
        ran = runaway(result.sample, size_cap=policy.cap_of)
        if ran is not None:
            return Reason(
                "runaway-answers",
                {"dataset": ran.dataset, "items": ran.items, "largest": ran.largest, "cap": ran.cap},
            )
    return None


def _bound(policy: Policy, names: tuple[str, ...], found: Sequence[DatasetResult], summary: Summary) -> Bound:
    samples = [result.sample for result in found]
    if len(samples) == 1:
        return dataset_lower(samples[0], size_cap=policy.cap_of)
    return mean_lower(samples, weights(names, summary.weighting), size_cap=policy.cap_of)


def _value(gate: Gate, summary: Summary) -> float | None:
    if gate.scope == "dataset":
        result = summary.datasets.get(gate.id)
        interval = result.interval if result is not None else None
    elif gate.scope == "dimension":
        interval = summary.dimensions[gate.id].interval
    else:
        interval = summary.overall.interval
    return None if interval is None else interval.value


def _gap(gate: Gate, names: Sequence[str], summary: Summary) -> Reason | None:
    """Why a score is missing altogether."""
    missing = [name for name in names if name not in summary.datasets]
    if missing:
        return Reason("dataset-missing", {"datasets": ", ".join(missing)})
    if gate.scope == "dataset":
        return summary.datasets[gate.id].reason
    unscored = [name for name in names if not summary.datasets[name].evaluable]
    return Reason("dataset-not-evaluable", {"datasets": ", ".join(unscored)}) if unscored else None


def _too_few(policy: Policy, gate: Gate, found: Sequence[DatasetResult]) -> Reason | None:
    for result in found:
        minimum = policy.minimum_of(gate, result.dataset)
        if result.n < minimum:
            return Reason("below-minimum-n", {"dataset": result.dataset, "n": result.n, "minimum_n": minimum})
    return None


def _critical(policy: Policy, rule: Critical, summary: Summary, outcomes: CriticalOutcomes) -> CriticalResult:
    counted, why = _count(policy, rule, summary, outcomes)
    if counted > rule.max_count:  # a failure seen is certain, whatever was not seen
        reason = Reason("critical-failed", {"dataset": rule.dataset, "count": counted, "max_count": rule.max_count})
        return CriticalResult(rule.dataset, counted, rule.max_count, "fail", reason)
    if why:
        reason = Reason("critical-not-evaluable", {"dataset": rule.dataset, "why": why})
        return CriticalResult(rule.dataset, None, rule.max_count, "not evaluable", reason)
    return CriticalResult(rule.dataset, counted, rule.max_count, "pass", None)


def _count(policy: Policy, rule: Critical, summary: Summary, outcomes: CriticalOutcomes) -> tuple[int, str]:
    """How many failures there are for certain, and the code of why there may be more (empty: there are not)."""
    result = summary.datasets.get(rule.dataset)
    if result is None or not result.n:
        return 0, "no-items"
    dataset = DATASETS[rule.dataset]
    why = "judges-alone" if dataset.metric.judged else ""
    if not rule.items:
        if result.n < (policy.minimum_n or dataset.n):
            why = "below-minimum-n"
        return sum(result.tally.get(outcome, 0) for outcome in rule.counted), why
    if why:
        return 0, why
    seen = outcomes.get(rule.dataset, {})
    wrong = sum(1 for item in rule.items if seen.get(item) is False)
    return wrong, "" if all(item in seen for item in rule.items) else "item-unseen"
