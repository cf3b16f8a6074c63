"""Does the log hold together, and do the tables say what the log says? Needs no key.

Each check is one function that raises ``TrustError`` naming the first event, item or record at fault. Passing
means that nothing was damaged or edited after it was written; it cannot show that the operator was honest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from mlb_offline.errors import TrustError
from mlb_offline.language import tr
from mlb_offline.run.changes import Slot
from mlb_offline.run.events import Event, EventType, broken_link
from mlb_offline.run.rows import (
    Header,
    ItemRow,
    RecordRow,
    items_sha256,
    read_events,
    read_header,
    read_items,
    read_records,
)
from mlb_offline.run.sealing import Sealed
from mlb_offline.scoring.outcome import Outcome

_OF_SESSIONS = frozenset({EventType.STARTED, EventType.RESUMED, EventType.INTERRUPTED, EventType.FINISHED})
RecordKey = tuple[Slot, str, int]


@dataclass
class Told:
    """What the events say, gathered in one pass.

    Attributes:
        outcomes: slot → (number of the event, outcome, tp, fp, fn, note, attempts).
        attempts: slot → requests made, for slots without an outcome.
        records: (slot, kind, attempt) → (number of the event, digest of the record).
        sessions: the session events in order.
        retries: how many requests had to be repeated.
    """

    first: Event
    created: dict[str, Any]
    last: Event
    outcomes: dict[Slot, tuple[int, tuple[str, int, int, int, str, int]]] = field(default_factory=dict)
    attempts: dict[Slot, tuple[int, int]] = field(default_factory=dict)
    records: dict[RecordKey, tuple[int, str]] = field(default_factory=dict)
    sessions: list[tuple[Event, dict[str, Any]]] = field(default_factory=list)
    retries: int = 0
    finished: str | None = None
    settled_at_end: int | None = None


def check_store(db: Database, file: Path) -> Told:
    """All checks on one run; what the log tells.

    Raises:
        TrustError: the chain is broken, or a table disagrees with it.
    """
    _check_chain(db, file)
    told = _gather(read_events(db), file)
    try:
        header = read_header(db)
    except ValueError:
        raise _altered(file, tr("表 run 应恰有一行", "table run must have exactly one row")) from None
    _check_items(read_items(db), header, told, file)
    _check_records(read_records(db), told, file)
    return told


def _altered(file: Path, what: str, event: int | None = None) -> TrustError:
    return TrustError(
        what,
        file=file,
        line=event,
        remedy=tr(
            "该运行记录在写成后被改动或损坏：从备份恢复，或重新运行",
            "this run was edited or damaged after it was written: restore a backup, or run again",
        ),
    )


def _check_chain(db: Database, file: Path) -> None:
    seq = broken_link(read_events(db))
    if seq is not None:
        raise _altered(
            file,
            tr(f"事件链在第 {seq} 个事件处断开", f"the event chain breaks at event {seq}"),
            seq,
        )


def _gather(events: Iterable[Event], file: Path) -> Told:
    told: Told | None = None
    for event in events:
        body = _body(event, file)
        if (told is None) != (event.type == EventType.CREATED):
            break
        if told is None:
            told = Told(first=event, created=body, last=event)
        told.last = event
        try:
            _take(told, event, body)
        except (KeyError, TypeError, ValueError):
            what = tr(f"第 {event.seq} 个事件的内容无法理解", f"event {event.seq} makes no sense")
            raise _altered(file, what, event.seq) from None
    else:
        if told is not None:
            return told
    raise _altered(file, tr("日志应以唯一的 run.created 开头", "the log must begin with its only run.created"))


def _body(event: Event, file: Path) -> dict[str, Any]:
    try:
        body = json.loads(event.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        what = tr(f"第 {event.seq} 个事件的内容无法理解", f"event {event.seq} makes no sense")
        raise _altered(file, what, event.seq)
    return body


def _take(told: Told, event: Event, body: dict[str, Any]) -> None:
    if event.type == EventType.FINISHED:
        told.finished = event.at
        told.settled_at_end = body["items"]
    if event.type in _OF_SESSIONS:
        told.sessions.append((event, body))
    if event.type in _OF_SESSIONS or event.type == EventType.CREATED:
        return
    slot = Slot(body["dataset"], body["item"], body["repeat"])
    if event.type in {EventType.SENT, EventType.RETRIED}:
        told.attempts[slot] = (event.seq, body["attempt"])
        told.retries += event.type == EventType.RETRIED
    elif event.type == EventType.RECEIVED:
        told.records[slot, body["kind"], body["attempt"]] = (event.seq, body["record"])
    else:
        outcome = (Outcome(body["outcome"]).value, body["tp"], body["fp"], body["fn"], body["note"], body["attempts"])
        told.outcomes[slot] = (event.seq, outcome)


def _check_items(items: Iterable[ItemRow], header: Header, told: Told, file: Path) -> None:
    planned = []
    for row in items:
        _check_item(row, told, file)
        planned.append((row.position, *row.slot, row.digest, row.absent_fn))
    if told.finished is not None and not len(planned) == len(told.outcomes) == told.settled_at_end:
        raise _altered(file, tr("日志称已完成，但并非如此", "the log says finished, but items are open"), told.last.seq)
    body = header.event_body(len(planned), items_sha256(planned))
    wrong = sorted(key for key in body | told.created if body.get(key) != told.created.get(key))
    wrong += ["created"] if header.created != told.first.at else []
    wrong += ["identity_sha256"] if header.identity_sha256 != body["identity_sha256"] else []
    if wrong:
        names = ", ".join(wrong)
        raise _altered(
            file,
            tr(f"表 run 或 items 与第 1 个事件不符：{names}", f"tables run or items disagree with event 1: {names}"),
            1,
        )


def _check_item(row: ItemRow, told: Told, file: Path) -> None:
    if row.slot in told.outcomes:
        seq, outcome = told.outcomes[row.slot]
        expected: tuple[Any, ...] = ("done", *outcome)
    elif row.slot in told.attempts:
        seq, attempts = told.attempts[row.slot]
        expected = ("asked", None, 0, 0, 0, "", attempts)
    else:
        seq, expected = 1, ("pending", None, 0, 0, 0, "", 0)
    if (row.state, row.outcome, row.tp, row.fp, row.fn, row.note, row.attempts) != expected:
        name = " ".join(map(str, row.slot))
        raise _altered(
            file,
            tr(f"条目 {name} 的状态与第 {seq} 个事件不符", f"the state of item {name} disagrees with event {seq}"),
            seq,
        )


def _check_records(records: Iterable[RecordRow], told: Told, file: Path) -> None:
    missing = dict(told.records)
    for row in records:
        seq, digest = missing.pop((row.slot, row.kind, row.attempt), (told.last.seq, ""))
        if not row.sha256 == digest == Sealed(row.nonce, row.ciphertext).sha256:
            name = " ".join(map(str, row.slot))
            raise _altered(
                file,
                tr(f"条目 {name} 的记录与第 {seq} 个事件不符", f"the record of item {name} disagrees with event {seq}"),
                seq,
            )
    for (slot, _kind, _attempt), (seq, _digest) in missing.items():
        name = " ".join(map(str, slot))
        raise _altered(
            file,
            tr(f"缺少条目 {name} 的记录（第 {seq} 个事件）", f"the record of item {name} is gone (event {seq})"),
            seq,
        )
