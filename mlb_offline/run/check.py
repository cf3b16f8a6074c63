"""Does the log hold together, and do the tables say what the log says? Needs no key.

Each check is one function that raises ``TrustError`` naming the first event, item or record at fault. Passing
means that nothing was damaged, and nothing edited without making the chain anew; whether outcomes and chain are
those that were written with the records, only the hospital's key can tell (``results.read_results``). Neither
shows that the operator was honest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import rfc8785
from sqlite_utils import Database

from mlb_offline.language import tr
from mlb_offline.run.events import broken_link
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
from mlb_offline.run.told import RecordKey, Told, altered, gather
from mlb_offline.scoring.outcome import Outcome


def check_store(db: Database, file: Path) -> Told:
    """All checks on one run; what the log tells.

    Raises:
        TrustError: the chain is broken, tells what cannot have happened, or a table disagrees with it.
    """
    _check_chain(db, file)
    items = list(read_items(db))
    told = gather(read_events(db), {row.slot: row.absent_fn for row in items}, file)
    try:
        header = read_header(db)
    except ValueError:
        raise altered(file, tr("表 run 应恰有一行", "table run must have exactly one row")) from None
    for row in items:
        _check_item(row, told, file)
    _check_first(items, header, told, file)
    _check_plan(items, header, file)
    _check_records(read_records(db), told, file)
    _check_judged(header, told, file)
    return told


def _check_chain(db: Database, file: Path) -> None:
    seq = broken_link(read_events(db))
    if seq is not None:
        raise altered(
            file,
            tr(f"事件链在第 {seq} 个事件处断开", f"the event chain breaks at event {seq}"),
            seq,
        )


def _check_first(items: Sequence[ItemRow], header: Header, told: Told, file: Path) -> None:
    planned = [(row.position, *row.slot, row.digest, row.absent_fn) for row in items]
    body, created = header.event_body(len(planned), items_sha256(planned)), told.created.model_dump()
    wrong = sorted(key for key in body | created if body.get(key) != created.get(key))
    wrong += ["created"] if header.created != told.first.at else []
    wrong += ["identity_sha256"] if header.identity_sha256 != body["identity_sha256"] else []
    if wrong:
        names = ", ".join(wrong)
        raise altered(
            file,
            tr(f"表 run 或 items 与第 1 个事件不符：{names}", f"tables run or items disagree with event 1: {names}"),
            1,
        )


def _check_plan(items: Sequence[ItemRow], header: Header, file: Path) -> None:
    """The items are those of the identity, to which the run key is bound: none can be left out or put in."""
    try:
        identity = json.loads(header.identity)
        repeats, digest = identity["repeats"], identity["items_sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise altered(file, tr("运行的标识无法理解", "the identity of the run makes no sense"), 1) from None
    once = [[row.slot.dataset, row.slot.item, row.digest] for row in items if row.slot.repeat == 0]
    found = [(row.position, row.slot.dataset, row.slot.item, row.digest, row.slot.repeat) for row in items]
    whole = [
        (number, *once[number % len(once)], number // len(once))
        for number in range(len(items) if once and len(items) == len(once) * repeats else 0)
    ]
    if found != whole or hashlib.sha256(rfc8785.dumps(once)).hexdigest() != digest:
        raise altered(
            file, tr("条目不是运行标识所定的条目", "the items are not those that the identity of the run names"), 1
        )


def _check_judged(header: Header, told: Told, file: Path) -> None:
    """Answers are judged by the judges of the identity: by none where it names none, else all before the end."""
    judges = json.loads(header.identity).get("judges")
    waiting = [slot for slot, one in told.outcomes.items() if one.outcome == Outcome.UNJUDGED]
    if (told.judged and not judges) or (judges and told.finished and len(told.judged) < len(waiting)):
        raise altered(
            file,
            tr("已裁判的回答与运行的裁判不符", "the answers judged are not those that the run's judges had to judge"),
            told.last.seq,
        )


def _check_item(row: ItemRow, told: Told, file: Path) -> None:
    if row.slot in told.outcomes:
        seq, *outcome = told.outcomes[row.slot]
        expected: tuple[Any, ...] = ("done", *outcome)
    elif row.slot in told.asked:
        seq, attempts = told.asked[row.slot]
        expected = ("asked", None, 0, 0, 0, "", attempts)
    else:
        seq, expected = 1, ("pending", None, 0, 0, 0, "", 0)
    if (row.state, row.outcome, row.tp, row.fp, row.fn, row.note, row.attempts) != expected:
        name = " ".join(map(str, row.slot))
        raise altered(
            file,
            tr(f"条目 {name} 的状态与第 {seq} 个事件不符", f"the state of item {name} disagrees with event {seq}"),
            seq,
        )


def _check_records(records: Iterable[RecordRow], told: Told, file: Path) -> None:
    missing = dict(told.records)
    for row in records:
        kept = missing.pop(RecordKey(row.slot, row.kind, row.attempt), None)
        seq, digest = (told.last.seq, "") if kept is None else (kept.seq, kept.sha256)
        if not row.sha256 == digest == Sealed(row.nonce, row.ciphertext).sha256:
            name = " ".join(map(str, row.slot))
            raise altered(
                file,
                tr(f"条目 {name} 的记录与第 {seq} 个事件不符", f"the record of item {name} disagrees with event {seq}"),
                seq,
            )
    for key, kept in missing.items():
        name = " ".join(map(str, key.slot))
        raise altered(
            file,
            tr(
                f"缺少条目 {name} 的记录（第 {kept.seq} 个事件）",
                f"the record of item {name} is gone (event {kept.seq})",
            ),
            kept.seq,
        )
