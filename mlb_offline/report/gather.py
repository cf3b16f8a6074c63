"""From the results of a run to the data of its report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mlb_offline import __version__
from mlb_offline.airgap.evidence import Snapshot
from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.configuration import explain
from mlb_offline.errors import InputError, UsageError
from mlb_offline.language import tr
from mlb_offline.policy.model import Policy
from mlb_offline.report import measured
from mlb_offline.report.data import (
    FORMAT,
    TEMPLATE,
    Adjudication,
    Evidence,
    Identity,
    Items,
    PolicyText,
    Reason,
    ReportData,
    Reviewer,
    Run,
    Sample,
    Session,
    Signer,
    Tool,
    misplaced_time,
    parse,
)
from mlb_offline.report.findings import as_sample, find
from mlb_offline.report.items import Record, critical_items
from mlb_offline.run import labels
from mlb_offline.run.results import ItemOutcome, RunResults
from mlb_offline.run.results import Session as RecordedSession
from mlb_offline.scoring.judged import EthicsWeights
from mlb_offline.stats.draw import drawn
from mlb_offline.stats.sample import DatasetSample, sample_of
from mlb_offline.trust.fingerprint import fingerprint
from mlb_offline.trust.signing import SigningKey

if TYPE_CHECKING:
    from mlb_offline.judge.panels import PanelCalibration

Outcomes = ItemOutcome | Record
"""An outcome of the run, or of the items file."""


def gather(
    results: RunResults,
    policy: Policy,
    signing_key: SigningKey,
    *,
    items: bytes,
    now: datetime,
    calibration: PanelCalibration | None = None,
) -> ReportData:
    """The data of a report.

    Args:
        results: what the run found.
        policy: the one that was fixed with the run.
        signing_key: who will sign.
        items: the packed items file.
        now: when the report is made; any time zone.
        calibration: of the run's judges.

    Raises:
        UsageError: the policy is not the run's.
        InputError: the run is of another version, holds what a report cannot say, or its times are out of order.
    """
    run = _run(results)
    created = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    _times_in_order(created, run)
    if policy.digest != run.identity.policy_sha256:
        raise UsageError(
            tr("该策略不是运行开始时所定的策略", "this policy is not the one that was fixed when the run started"),
            remedy=tr(
                f"恢复摘要为 {run.identity.policy_sha256} 的策略文件",
                f"restore the policy file with digest {run.identity.policy_sha256}",
            ),
        )
    evidence = Evidence(
        self_attested=True,
        attempt=results.attempt,
        attempts_on_bundle=results.attempts_on_bundle,
        state_since=results.state_since,
        state_created=results.state_created,
        rollback_override=any(session.details.get("rollback_override") for session in results.sessions),
        demonstration_report_key=signing_key.demonstration,
    )
    adjudication = _adjudication(results.adjudication)
    samples = count(results.outcomes, policy.ethics.values, adjudication)
    critical = critical_items(policy, results.outcomes)
    findings = find(samples, run, evidence, policy, critical, adjudication=adjudication, calibration=calibration)
    _all_said(results, [reason.code for reason in findings.indicative])
    program = measured.installed()
    key = signing_key.verify_key
    data = ReportData(
        format=FORMAT,
        template=TEMPLATE,
        created=created,
        tool=Tool(name="mlb-offline", version=__version__, files=program.files, files_sha256=program.sha256),
        signers=[Signer(keyid=key.keyid, fingerprint=key.fingerprint)],
        run=run,
        evidence=evidence,
        policy=PolicyText(**policy.to_json()),
        samples=samples,
        adjudication=adjudication,
        calibration=calibration,
        critical_items=critical,
        items=Items(sha256=hashlib.sha256(items).hexdigest(), records=len(results.outcomes)),
        findings=findings,
    )
    # What is rendered and signed is what a reader will parse, down to 1.0 having become 1.
    return parse(data.to_bytes(), file="report")


def count(outcomes: Iterable[Outcomes], weights: EthicsWeights, adjudication: Adjudication | None) -> list[Sample]:
    """The counts of every dataset that has outcomes, in the order of the catalogue.

    Args:
        outcomes: of all answers.
        weights: of the qualities of the ethics sets.
        adjudication: says which items were drawn for a physician.

    Raises:
        InputError: items of one dataset differ in the number of their answers, or an outcome does not fit.
    """
    by_dataset: dict[str, list[Outcomes]] = {}
    for outcome in outcomes:
        by_dataset.setdefault(outcome.dataset, []).append(outcome)
    return [
        as_sample(_sample(name, by_dataset[name], weights, adjudication)) for name in DATASETS if name in by_dataset
    ]


def _sample(
    name: str, outcomes: Sequence[Outcomes], weights: EthicsWeights, adjudication: Adjudication | None
) -> DatasetSample:
    share = None if adjudication is None else adjudication.shares.get(name)
    if adjudication is None or share is None:
        return sample_of(DATASETS[name], outcomes, weights=weights)
    belongs = partial(_belongs, adjudication.seed, name, share)
    return sample_of(DATASETS[name], outcomes, weights=weights, share=share, drawn=belongs)


def _belongs(seed: str, dataset: str, share: float, item: str) -> bool:
    return drawn(seed, dataset, item, share)


def _adjudication(found: labels.Adjudication | None) -> Adjudication | None:
    if found is None:
        return None
    return Adjudication(
        seed=found.seed,
        shares=dict(found.shares),
        packets=found.packets,
        plaintext=found.exports,
        unreturned=found.unreturned,
        reviewers=[
            Reviewer(keyid=keyid, fingerprint=fingerprint(bytes.fromhex(keyid)), criteria=criteria)
            for keyid, criteria in found.labelled().items()
        ],
        physicians=[list(row) for row in labels.double_reviewed(found)],
    )


def _run(results: RunResults) -> Run:
    try:
        identity = Identity.model_validate(dict(results.identity))
        return Run(
            id=results.run_id,
            identity=identity,
            identity_sha256=results.identity_sha256,
            started=results.started,
            finished=results.finished,
            complete=results.complete,
            sessions=[_session(session) for session in results.sessions],
            retries=results.retries,
            models=dict(results.models),
            notes=[_note(note) for note in results.notes],
            event_head=results.event_head,
            events=results.events,
        )
    except ValidationError as error:
        field, message = explain(error)
        raise InputError(
            tr(f"无法为这次运行出具报告：{message}", f"no report can be made of this run: {message}"),
            field=field,
            remedy=tr("使用与该运行同版本的程序", "use the program version that made the run"),
        ) from None


def _session(session: RecordedSession) -> Session:
    end = session.egress_at_end
    return Session(
        started=session.started,
        ended=session.ended,
        ending=session.ending,
        egress=Snapshot.model_validate(session.details["egress"]),
        egress_at_end=None if end is None else Snapshot.model_validate(end),
    )


def _times_in_order(created: str, run: Run) -> None:
    """No verifier would accept a report that was made before its run ended, or a run that ended before it began."""
    place = misplaced_time(created, run)
    if place is not None:
        times = f"{run.started}, {run.finished}, {created}"
        raise InputError(
            tr(
                f"运行开始、结束与报告生成的时间次序颠倒：{times}",
                f"start and end of the run and the report's time are out of order: {times}",
            ),
            field=place,
            remedy=tr(
                "校准本机时钟；若运行期间时钟被拨回，须重新运行",
                "set this machine's clock right; if it was set back during the run, run again",
            ),
        )


def _note(note: Mapping[str, Any]) -> Reason:
    params = {
        key: "、".join(str(part) for part in value) if isinstance(value, (list, tuple)) else value
        for key, value in note.items()
        if key != "code"
    }
    return Reason(code=note["code"], params=params)


def _all_said(results: RunResults, codes: list[str]) -> None:
    """A reason that the run knows and the report cannot recompute must stop the report, not vanish from it."""
    lost = sorted(set(results.indicative) - set(codes))
    if lost:
        raise InputError(
            tr(f"报告无法说明该运行的限制：{lost}", f"the report has no way to say why the run is indicative: {lost}"),
            remedy=tr("使用与该运行同版本的程序", "use the program version that made the run"),
        )
