"""From what was counted to figures, gates and verdict: one function for building and for verifying.

Everything here follows from the inputs of ``ReportData``; nothing is taken over from the run's own tallies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlb_offline.airgap.evidence import failed
from mlb_offline.benchmark.catalogue import Metric
from mlb_offline.policy.evaluate import CriticalOutcomes, PolicyOutcome, evaluate
from mlb_offline.policy.model import Policy
from mlb_offline.report.corrected import corrected_of
from mlb_offline.report.data import (
    Adjudication,
    Audit,
    Corrected,
    Critical,
    Evidence,
    Figure,
    Findings,
    Gate,
    Partial,
    Rate,
    Reason,
    Run,
    Sample,
    Score,
    Worth,
)
from mlb_offline.report.scalars import MAX_ANSWERS, MAX_CRITERIA
from mlb_offline.stats import reasons as stats
from mlb_offline.stats import sample as statistics
from mlb_offline.stats.intervals import Interval
from mlb_offline.stats.sample import DatasetSample
from mlb_offline.stats.summary import DatasetResult, DimensionResult, Summary, summarise

if TYPE_CHECKING:
    from mlb_offline.judge.panels import PanelCalibration

SEED = 2026
"""Seed of every bootstrap of report format v1: fixed, so that no signer can choose among intervals."""


def find(
    samples: Sequence[Sample],
    run: Run,
    evidence: Evidence,
    policy: Policy,
    critical_items: CriticalOutcomes,
    *,
    adjudication: Adjudication | None = None,
    calibration: PanelCalibration | None = None,
) -> Findings:
    """All findings of a report.

    Args:
        samples: what was counted, one a dataset.
        run: the run, for what makes it indicative.
        evidence: likewise.
        policy: its gates are evaluated.
        critical_items: whether the items that its critical rules name were answered right.
        adjudication: what physicians had to do with it.
        calibration: what is known of the run's judges.

    Raises:
        ValueError: the run's start is no instant.
        InputError: counts that contradict each other.
        UsageError: a dataset that the catalogue does not know.
    """
    shares = {} if adjudication is None else adjudication.shares
    counts = {sample.dataset: counted(sample, shares.get(sample.dataset)) for sample in samples}
    summary = summarise(counts, seed=SEED, weighting=policy.weighting)
    indicative = indicative_reasons(run, evidence)
    outcome = evaluate(
        policy,
        summary,
        indicative_reasons=indicative,
        started=datetime.fromisoformat(run.started),
        critical_outcomes=critical_items,
    )
    worth, corrected = worth_of(samples, adjudication), corrected_of(samples, calibration)
    return _findings(summary, outcome, indicative, worth=worth, corrected=corrected)


def worth_of(samples: Sequence[Sample], adjudication: Adjudication | None) -> list[Worth]:
    """What judges are worth by the physician's sample, and how far physicians agree; answers are the clusters."""
    tables = {sample.dataset: sample.audit.judges for sample in samples if sample.audit and sample.audit.judges}
    if adjudication is not None and adjudication.physicians:
        tables["physicians"] = [[*row[:4], 0, row[4]] for row in adjudication.physicians]
    return [_worth(name, rows) for name, rows in tables.items()]


def _worth(name: str, rows: Sequence[Sequence[int]]) -> Worth:
    from mlb_offline.judge.agreement import agreement

    if sum(row[-1] for row in rows) > MAX_ANSWERS or sum(sum(row[:-1]) * row[-1] for row in rows) > MAX_CRITERIA:
        raise ValueError(f"{name}: more criteria than a report can hold")
    labels: list[bool] = []
    said: list[float | None] = []
    answers: list[str] = []
    number = 0
    for *cells, count in rows:
        for _ in range(count):
            number += 1
            # In a cell that is open the label makes no difference.
            for (label, verdict), times in zip(_CELLS, cells, strict=True):
                labels += [label] * times
                said += [verdict] * times
                answers += [str(number)] * times
    found = agreement(labels, said, answers)
    return Worth(
        id=name,
        n=found.n,
        answered=found.answered,
        agreed=None if found.accuracy is None else Rate(**found.accuracy.to_json()),
        kappa=None if found.kappa is None else Rate(**found.kappa.to_json()),
    )


_CELLS = ((True, 1.0), (False, 1.0), (True, 0.0), (False, 0.0), (True, None))


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


def counted(sample: Sample, share: float | None) -> DatasetSample:
    """The counts as the statistics want them; ``share`` is that of the physician's sample.

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
        said={question: tuple(map(tuple, rows)) for question, rows in sample.said.items()},
        aside=sample.aside,
        audit=None if sample.audit is None or share is None else _audit(sample.audit, share),
    )


def _audit(audit: Audit, share: float) -> statistics.Audit:
    drawn, others, judges = (tuple(map(tuple, rows)) for rows in (audit.drawn, audit.others, audit.judges))
    return statistics.Audit(share, drawn, others, judges)


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
        said={question: [list(row) for row in rows] for question, rows in sample.said.items()},
        aside=dict(sample.aside),
        audit=None
        if sample.audit is None
        else Audit(
            drawn=[list(row) for row in sample.audit.drawn],
            others=[list(row) for row in sample.audit.others],
            judges=[list(row) for row in sample.audit.judges],
        ),
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


def _findings(
    summary: Summary,
    outcome: PolicyOutcome,
    indicative: list[stats.Reason],
    *,
    worth: list[Worth],
    corrected: list[Corrected],
) -> Findings:
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
        worth=worth,
        corrected=corrected,
        indicative=_reasons(indicative),
        reasons=_reasons(reason for reason in outcome.reasons if reason not in indicative),
        verdict=outcome.verdict,
    )
