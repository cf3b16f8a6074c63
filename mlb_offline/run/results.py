"""What a run found: every outcome, with everything the report says of how it came about."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from mlb_offline.airgap.evidence import Snapshot, failed
from mlb_offline.errors import TrustError
from mlb_offline.judge.panel import Opinions
from mlb_offline.language import tr
from mlb_offline.run.changes import Criterion, Slot, as_criterion
from mlb_offline.run.check import check_store
from mlb_offline.run.database import STORE_NAME, open_for_reading, reading_errors
from mlb_offline.run.events import EventType
from mlb_offline.run.labels import Adjudication, Labels
from mlb_offline.run.record import unpack
from mlb_offline.run.rows import ItemRow, RecordRow, read_header, read_items, read_records
from mlb_offline.run.sealing import Place, RunKey, Sealed, unwrap_run_key
from mlb_offline.run.told import LABELS, OPINIONS, PACKET, RecordKey, Told, altered
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.trust.keys import RecipientKey


@dataclass(frozen=True)
class ItemOutcome:
    """The outcome of one slot; for one never answered, ``missing`` with the false negatives that count.

    Attributes:
        digest: first 16 hex digits of the item's SHA-256.
        repeat: from 0.
        note: short machine words on how it was read or why it failed.
        opinions: what the judges said; None unless ``judged``.
        physicians: marks of a physician on its criteria (``scoring.judged``); empty where none has looked at it.
    """

    dataset: str
    item: str
    digest: str
    repeat: int
    outcome: Outcome
    tp: int
    fp: int
    fn: int
    note: str
    opinions: Opinions | None = None
    physicians: str = ""

    @property
    def judges(self) -> str:
        """What the judges make of each criterion, as marks; empty unless ``judged``."""
        return "" if self.opinions is None else self.opinions.marks

    @property
    def signs(self) -> Sequence[str]:
        """Why it was set aside (``judge.panel.ASIDE``); empty where it was not."""
        return () if self.opinions is None else self.opinions.signs


@dataclass(frozen=True)
class Session:
    """One stretch of work; times RFC 3339 UTC.

    Attributes:
        ended: None where the process was killed, or is at work still.
        ending: ``finished``, ``operator``, ``target``, ``storage``, ``egress``, ``error``, ``killed``; ``open`` for a
            last session that has not said how it ended.
        details: body of its first event: concurrency, probe, attempt, state, rollback override, egress evidence.
        egress_at_end: evidence when it ended; None where it has not said how, or evidence could not be taken.
    """

    started: str
    ended: str | None
    ending: str
    details: Mapping[str, Any]
    egress_at_end: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class RunResults:
    """A run as the report needs it.

    Attributes:
        run_id: UUID.
        identity: fixed before the first request (docs/run-store.md).
        identity_sha256: of its canonical JSON.
        started, finished: RFC 3339 UTC; ``finished`` None while incomplete.
        complete: every slot has an outcome.
        outcomes: all slots in the order of asking.
        event_head: hash of the last event, hex.
        events: number of events.
        sessions: in order.
        retries: requests that had to be repeated.
        finish_reasons: dataset → finish reason (``unknown`` where none was given) → answers.
        models: names under which the server answered, in the order of first use, with the number of answers.
        attempt: number of this target's attempt on this bundle as far as recorded, wherever the target was reached;
            None where unknown.
        state_created: the state folder records only since the bundle was issued or later, and no earlier attempt
            of this target: earlier ones, if any, are not recorded.
        indicative: why this run can never pass: codes in a fixed order (``_indicative``).
        notes: ``{"code": …, …}``: things a reader should know.
        attempts_on_bundle: number of this run among all on this bundle, of any target, as far as recorded.
        state_since: RFC 3339 UTC; the state folder has recorded attempts since then.
        adjudication: what physicians had to do with it; None where nothing was planned.
    """

    run_id: str
    identity: Mapping[str, Any]
    identity_sha256: str
    started: str
    finished: str | None
    complete: bool
    outcomes: tuple[ItemOutcome, ...]
    event_head: str
    events: int
    sessions: tuple[Session, ...]
    retries: int
    finish_reasons: Mapping[str, Mapping[str, int]]
    models: Mapping[str, int]
    attempt: int | None
    state_created: bool | None
    indicative: tuple[str, ...]
    notes: tuple[Mapping[str, Any], ...]
    attempts_on_bundle: int | None = None
    state_since: str | None = None
    adjudication: Adjudication | None = None


def read_results(directory: Path, key: RecipientKey) -> RunResults:
    """Verify, decrypt and read a run.

    Args:
        directory: what ``run --out`` wrote.
        key: the hospital's private key.

    Raises:
        InputError: there is no run.
        TrustError: anything in it was altered or damaged, or it is encrypted for another key.
    """
    db = open_for_reading(directory)
    file = directory / STORE_NAME
    try:
        with reading_errors(file):
            told = check_store(db, file)
            header = read_header(db)
            run_key = unwrap_run_key(header, key, file)
            answers = _read_answers(db, run_key, told)
            adjudication = _adjudication(told, answers)
            marks = {} if adjudication is None else adjudication.marks()
            outcomes = tuple(_outcome(row, answers.opinions, marks) for row in read_items(db))
    finally:
        db.close()
    identity: dict[str, Any] = json.loads(header.identity)
    sessions = _sessions(told)
    first = sessions[0].details if sessions else {}
    return RunResults(
        run_id=header.id,
        identity=identity,
        identity_sha256=header.identity_sha256,
        started=header.created,
        finished=told.finished,
        complete=all(outcome.outcome is not Outcome.MISSING for outcome in outcomes),
        outcomes=outcomes,
        event_head=told.last.hash,
        events=told.last.seq,
        sessions=sessions,
        retries=told.retries,
        finish_reasons=answers.finish_reasons,
        models=answers.models,
        attempt=first.get("attempt"),
        state_created=first.get("state_created"),
        indicative=_indicative(identity, sessions, answers.models),
        notes=_notes(sessions, answers.models, answers.finish_reasons),
        attempts_on_bundle=first.get("attempts_on_bundle"),
        state_since=first.get("state_since"),
        adjudication=adjudication,
    )


def _outcome(row: ItemRow, opinions: Mapping[Slot, Opinions], marks: Mapping[Criterion, str]) -> ItemOutcome:
    slot = row.slot
    if slot in opinions:
        said = opinions[slot]
        settled = "".join(marks.get((*slot, name), "-") for name in said.names)
        return ItemOutcome(
            slot.dataset, slot.item, row.digest, slot.repeat, Outcome.JUDGED, 0, 0, 0, row.note, said, settled
        )
    if row.outcome is None:
        missing = Outcome.MISSING
        return ItemOutcome(slot.dataset, slot.item, row.digest, slot.repeat, missing, 0, 0, row.absent_fn, "")
    outcome = Outcome(row.outcome)
    return ItemOutcome(slot.dataset, slot.item, row.digest, slot.repeat, outcome, row.tp, row.fp, row.fn, row.note)


@dataclass(frozen=True)
class _Answers:
    """What leaves the records of a run: counts, and the judges' opinions."""

    finish_reasons: dict[str, Counter[str]] = field(default_factory=dict)
    models: Counter[str] = field(default_factory=Counter)
    opinions: dict[Slot, Opinions] = field(default_factory=dict)
    packets: dict[str, dict[str, Criterion]] = field(default_factory=dict)
    labels: dict[int, Mapping[str, Any]] = field(default_factory=dict)


def _read_answers(db: Database, key: RunKey, told: Told) -> _Answers:
    """Decrypt every record and hold outcome and log against it."""
    found = _Answers()
    for row in read_records(db):
        content = _open_record(row, key, told)
        if row.kind == "response":
            reason = content["finish_reason"] or "unknown"
            found.finish_reasons.setdefault(row.slot.dataset, Counter())[reason] += 1
            found.models[content["model"] or "unknown"] += 1
        elif row.kind == OPINIONS:
            found.opinions[row.slot] = _opinions(row.slot, content, told)
        elif row.kind == PACKET:
            found.packets[row.slot.item] = _tasks(row.slot.item, content, told)
        elif row.kind == LABELS:
            found.labels[row.attempt] = content
    return found


def _adjudication(told: Told, answers: _Answers) -> Adjudication | None:
    if told.shares is None:
        return None
    labels = []
    for body in told.labels:
        content, tasks = answers.labels[body.number], answers.packets[body.packet]
        if content["reviewer"] != body.reviewer or content["verdicts"].keys() != tasks.keys():
            what = tr("医生的标注与日志不符", "a reviewer's labels are not those that the log counts")
            raise altered(told.file, what)
        verdicts = {tasks[task]: verdict for task, verdict in content["verdicts"].items()}
        labels.append(Labels(body.packet, body.reviewer, content["saved"], verdicts))
    exports = sum(body.plaintext for body in told.packets.values())
    return Adjudication(told.seed, told.shares, tuple(labels), len(told.packets), exports)


def _tasks(packet: str, content: Mapping[str, Any], told: Told) -> dict[str, Criterion]:
    """What a packet asks, if the log tells of it as it is."""
    said, tasks = told.packets[packet], {task: as_criterion(one) for task, one in content["tasks"].items()}
    if (len(tasks), content["plaintext"]) != (said.tasks, said.plaintext):
        what = tr(
            f"任务包 {packet} 与日志所记不符",
            f"packet {packet} is not what the log tells of it",
        )
        raise altered(told.file, what)
    return tasks


def _opinions(slot: Slot, content: Mapping[str, Any], told: Told) -> Opinions:
    """The judges' opinions, if the log counts them as they are."""
    opinions, said = Opinions.from_json(content), told.judged[slot]
    still_open = sum(finding.verdict is None for finding in opinions.findings())
    if (len(opinions.names), still_open) != (said.criteria, said.open):
        name = " ".join(map(str, slot))
        what = tr(
            f"条目 {name} 的裁判意见与日志的计数不符",
            f"the judges' opinions on item {name} are not those that the log counts",
        )
        raise altered(told.file, what, said.seq)
    return opinions


def _open_record(row: RecordRow, key: RunKey, told: Told) -> Mapping[str, Any]:
    """What was kept, if the log up to it and the outcome are those that were sealed with it."""
    try:
        record = unpack(key.open(Place(*row.slot, row.kind, row.attempt), Sealed(row.nonce, row.ciphertext)))
    except TrustError as error:
        error.file = str(told.file)
        raise
    kept = told.records[RecordKey(row.slot, row.kind, row.attempt)]
    settled = told.outcomes.get(row.slot)
    name = " ".join(map(str, row.slot))
    if settled is not None and record.score != settled[1:6]:
        what = tr(
            f"条目 {name} 的结果不是与回答一同加密保存的结果",
            f"the outcome of item {name} is not the one that was sealed with its answer",
        )
        raise altered(told.file, what, settled.seq)
    if record.after != kept.after:
        what = tr(
            f"第 {kept.seq} 个事件之前的日志不是保存条目 {name} 的回答时的日志",
            f"the log before event {kept.seq} is not the one that stood there when item {name} was answered",
        )
        raise altered(told.file, what, kept.seq)
    return record.content


def _sessions(told: Told) -> tuple[Session, ...]:
    sessions: list[Session] = []
    for event, body in told.sessions:
        if event.type in {EventType.STARTED, EventType.RESUMED}:
            if sessions and sessions[-1].ending == "open":
                sessions[-1] = Session(sessions[-1].started, None, "killed", sessions[-1].details)
            sessions.append(Session(event.at, None, "open", body))
        elif sessions:
            ending = "finished" if event.type == EventType.FINISHED else str(body.get("reason", "error"))
            sessions[-1] = Session(sessions[-1].started, event.at, ending, sessions[-1].details, body["egress"])
    return tuple(sessions)


def _indicative(
    identity: Mapping[str, Any], sessions: tuple[Session, ...], models: Mapping[str, int]
) -> tuple[str, ...]:
    reasons = {
        "demonstration-keys": identity["demonstration"]["keys"],
        "demonstration-bundle": identity["demonstration"]["bundle"],
        "answers-file": identity["answers_file"],
        "limited": identity["selection"]["limit"] is not None,
        "datasets-subset": identity["selection"]["named"] is not None,
        "rollback-override": any(session.details.get("rollback_override") for session in sessions),
        "egress-failed": any(_egress_failed(session) for session in sessions),
        # Whichever of them is meant to be certified, some of the answers are not its own.
        "several-models": len(models) > 1,
    }
    return tuple(code for code, holds in reasons.items() if holds)


def _egress_failed(session: Session) -> bool:
    seen = (session.details.get("egress"), session.egress_at_end)
    return failed(session.ending, (None if one is None else Snapshot.model_validate(one) for one in seen))


def _notes(
    sessions: tuple[Session, ...], models: Mapping[str, int], finish_reasons: Mapping[str, Mapping[str, int]]
) -> tuple[Mapping[str, Any], ...]:
    notes: list[Mapping[str, Any]] = []
    if len(models) > 1:
        notes.append({"code": "model-name-changed", "models": list(models)})
    answers = sum(sum(counts.values()) for counts in finish_reasons.values())
    cut = sum(counts.get("length", 0) for counts in finish_reasons.values())
    if cut:
        notes.append({"code": "answers-cut-off", "cut": cut, "answers": answers})
    killed = sum(session.ending == "killed" for session in sessions)
    if killed:
        notes.append({"code": "sessions-killed", "sessions": killed})
    return tuple(notes)
