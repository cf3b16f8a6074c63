"""From what was counted to figures, gates and verdict: one function for building and for verifying.

Everything here follows from the inputs of ``ReportData``; nothing is taken over from the run's own tallies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from mlb_offline.airgap.evidence import failed
from mlb_offline.benchmark.catalogue import Metric
from mlb_offline.policy.evaluate import CriticalOutcomes, PolicyOutcome, evaluate
from mlb_offline.policy.model import Policy
from mlb_offline.report.data import (
    Critical,
    Evidence,
    Figure,
    Findings,
    Gate,
    Partial,
    Reason,
    Run,
    Sample,
    Score,
)
from mlb_offline.stats import reasons as stats
from mlb_offline.stats.intervals import Interval
from mlb_offline.stats.sample import DatasetSample
from mlb_offline.stats.summary import DatasetResult, DimensionResult, Summary, summarise

SEED = 2026
"""Seed of every bootstrap of report format v1: fixed, so that no signer can choose among intervals."""


def find(
    samples: Sequence[Sample],
    run: Run,
    evidence: Evidence,
    policy: Policy,
    critical_items: CriticalOutcomes,
) -> Findings:
    """All findings of a report.

    Args:
        samples: what was counted, one a dataset.
        run: the run, for what makes it indicative.
        evidence: likewise.
        policy: its gates are evaluated.
        critical_items: whether the items that its critical rules name were answered right.

    Raises:
        ValueError: the run's start is no instant.
        InputError: counts that contradict each other.
        UsageError: a dataset that the catalogue does not know.
    """
    counts = {sample.dataset: counted(sample) for sample in samples}
    summary = summarise(counts, seed=SEED, weighting=policy.weighting)
    indicative = indicative_reasons(run, evidence)
    outcome = evaluate(
        policy,
        summary,
        indicative_reasons=indicative,
        started=datetime.fromisoformat(run.started),
        critical_outcomes=critical_items,
    )
    return _findings(summary, outcome, indicative)


def indicative_reasons(run: Run, evidence: Evidence) -> list[stats.Reason]:
    """Why a report can never count as a pass, by the facts of its run; empty where nothing stands against it."""
    identity = run.identity
    selection, demonstration = identity.selection, identity.demonstration
    # Sorted: the embedded data keeps no order of names. Answers without a name stand as one of their own.
    names = sorted(run.models)
    facts: list[tuple[bool, str, dict[str, str | int | float]]] = [
        (demonstration.keys or evidence.demonstration_report_key, "demonstration-keys", {}),
        (demonstration.bundle or identity.bundle.demonstration, "demonstration-bundle", {}),
        (identity.answers_file, "answers-file", {}),
        (selection.limit is not None, "limited", {"limit": selection.limit or 0}),
        (selection.named is not None, "datasets-subset", {"count": len(selection.named or ())}),
        (evidence.rollback_override, "rollback-override", {}),
        (
            any(failed(session.ending, (session.egress, session.egress_at_end)) for session in run.sessions),
            "egress-failed",
            {},
        ),
        (len(names) > 1, "several-models", {"count": len(names), "models": "、".join(names)}),
        (not run.complete or run.finished is None, "run-not-finished", {}),
    ]
    return [stats.Reason(code, params) for holds, code, params in facts if holds]


def counted(sample: Sample) -> DatasetSample:
    """The counts as the statistics want them.

    Raises:
        InputError: they contradict each other.
    """
    return DatasetSample(
        dataset=sample.dataset,
        metric=Metric(sample.metric),
        official_n=sample.official_n,
        n=sample.n,
        tally=sample.tally,
        histogram=tuple(tuple(row) for row in sample.histogram),
        criteria=sample.criteria,
    )


def as_sample(sample: DatasetSample) -> Sample:
    """The counts as they stand in a report."""
    return Sample(
        dataset=sample.dataset,
        metric=sample.metric.value,
        official_n=sample.official_n,
        n=sample.n,
        tally=dict(sample.tally),
        histogram=[list(row) for row in sample.histogram],
        criteria=dict(sample.criteria),
    )


def _reason(reason: stats.Reason | None) -> Reason | None:
    return None if reason is None else Reason(code=reason.code, params=dict(reason.params))


def _reasons(reasons: Iterable[stats.Reason]) -> list[Reason]:
    return [Reason(code=reason.code, params=dict(reason.params)) for reason in reasons]


def _figure(interval: Interval) -> Figure:
    return Figure(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=interval.n,
        method=interval.method,
        most=interval.most,
    )


def _dataset(result: DatasetResult) -> Score:
    figure = None if result.interval is None else _figure(result.interval)
    return Score(id=result.dataset, n=result.n, figure=figure, reason=_reason(result.reason), partial=None)


def _dimension(result: DimensionResult) -> Score:
    partial = None
    if result.partial is not None:
        partial = Partial(figure=_figure(result.partial.interval), datasets=list(result.partial.datasets))
    figure = None if result.interval is None else _figure(result.interval)
    return Score(id=result.id, n=result.n, figure=figure, reason=_reason(result.reason), partial=partial)


def _findings(summary: Summary, outcome: PolicyOutcome, indicative: list[stats.Reason]) -> Findings:
    gates = [
        Gate(
            scope=gate.scope,
            id=gate.id,
            min=gate.min,
            value=gate.value,
            bound=gate.bound,
            n=gate.n,
            minimum_n=gate.minimum_n,
            outcome=gate.outcome,
            method=gate.method,
            reason=_reason(gate.reason),
            on_fail=gate.on_fail,
            size_caps=dict(gate.size_caps),
        )
        for gate in outcome.gates
    ]
    critical = [
        Critical(
            dataset=rule.dataset,
            count=rule.count,
            max_count=rule.max_count,
            outcome=rule.outcome,
            reason=_reason(rule.reason),
        )
        for rule in outcome.critical
    ]
    return Findings(
        datasets=[_dataset(result) for result in summary.datasets.values()],
        dimensions=[_dimension(result) for result in summary.dimensions.values()],
        overall=_dimension(summary.overall),
        gates=gates,
        critical=critical,
        indicative=_reasons(indicative),
        reasons=_reasons(reason for reason in outcome.reasons if reason not in indicative),
        verdict=outcome.verdict,
    )
