"""The run store for the one process that runs the run: create, open to resume, apply changes, close.

Every change of state and the event that tells of it are committed in one transaction, so that the log and the
tables can never disagree. The caller sees ``apply`` return only when the disk has it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import rfc8785
from sqlite_utils import Database

from mlb_offline.errors import TargetError, TrustError
from mlb_offline.language import tr
from mlb_offline.run.changes import (
    Answered,
    Change,
    Failed,
    Judged,
    Labelled,
    Noted,
    Packed,
    Planned,
    PlannedItem,
    Retried,
    Sent,
    Slot,
    as_criterion,
)
from mlb_offline.run.check import check_store
from mlb_offline.run.clock import timestamp
from mlb_offline.run.database import (
    LOCK_NAME,
    STORE_NAME,
    create_database,
    database_errors,
    make_directory,
    open_database,
    reading_errors,
    take_lock,
)
from mlb_offline.run.events import Event, EventType, next_event
from mlb_offline.run.record import pack, score_values, unpack
from mlb_offline.run.rows import Header, items_sha256, read_header
from mlb_offline.run.sealing import Place, RunKey, Sealed, new_secret, unwrap_run_key, wrap_info
from mlb_offline.run.told import LABELS, OPINIONS, PACKET, packet_slot
from mlb_offline.scoring.outcome import Outcome, Score
from mlb_offline.trust.keys import RecipientKey, RecipientPublicKey


class RunStore:
    """One run's file, open for writing and locked; made by ``create`` or ``open``.

    Attributes:
        directory, file: where it is.
        header: what never changes again.
        finished: the log says that every item has its outcome.
        first_session: body of the first session's event when the store was opened; None where none had begun.
    """

    def __init__(
        self,
        directory: Path,
        *,
        db: Database,
        lock: int,
        key: RunKey,
        header: Header,
        last: Event,
        finished: bool = False,
        first_session: Mapping[str, Any] | None = None,
    ) -> None:
        self.directory = directory
        self.file = directory / STORE_NAME
        self.header = header
        self.finished = finished
        self.first_session = first_session
        self._db = db
        self._lock = lock
        self._key = key
        self._last = last

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        run_id: str,
        identity: Mapping[str, Any],
        invocation: Mapping[str, Any],
        items: Sequence[PlannedItem],
        recipient: RecipientPublicKey,
    ) -> Self:
        """Make a new run in a folder that does not exist or is empty, and enter every item of it.

        Args:
            directory: DIR; made with mode 0700, the file in it with 0600.
            run_id: UUID of the run.
            identity: what may not change (``identity.py``), fixed from here on.
            invocation: what a resume needs to find its inputs again; no secrets.
            items: all slots in the order of asking.
            recipient: the hospital's key, for which the run key is wrapped.

        Raises:
            TargetError: identity or invocation cannot be recorded; no folder is made.
            UsageError: the folder holds something.
            InputError: it cannot be written, or another process holds it.
        """
        text, invoked = recordable(identity), recordable(invocation)
        make_directory(directory)
        lock = take_lock(directory)
        try:
            digest = hashlib.sha256(text).hexdigest()
            secret = new_secret()
            header = Header(
                id=run_id,
                identity=text.decode(),
                identity_sha256=digest,
                wrapped_key=recipient.wrap(secret, wrap_info(run_id, digest)),
                recipient=recipient.keyid,
                invocation=invoked.decode(),
                created=timestamp(),
            )
            file = directory / STORE_NAME
            with database_errors(file):
                db = create_database(directory)
                with db.atomic():
                    first = _enter(db, header, items)
        except BaseException:
            # Half a run would be taken for a whole one at the next attempt.
            for name in (LOCK_NAME, STORE_NAME, f"{STORE_NAME}-wal", f"{STORE_NAME}-shm"):
                (directory / name).unlink(missing_ok=True)
            os.close(lock)
            raise
        key = RunKey(secret, run_id)
        return cls(directory, db=db, lock=lock, key=key, header=header, last=first)

    @classmethod
    def open(cls, directory: Path, key: RecipientKey) -> Self:
        """An existing run, to go on with it; its log is verified first.

        Raises:
            InputError: there is none, it cannot be written, or another process holds it.
            TrustError: it was altered, or ``key`` is not the key it is encrypted for.
        """
        if not (directory / STORE_NAME).is_file():
            open_database(directory)
        lock = take_lock(directory)
        db: Database | None = None
        try:
            db = open_database(directory)
            file = directory / STORE_NAME
            with reading_errors(file):
                told = check_store(db, file)
                header = read_header(db)
            run_key = unwrap_run_key(header, key, file)
        except BaseException:
            if db is not None:
                db.close()
            os.close(lock)
            raise
        return cls(
            directory,
            db=db,
            lock=lock,
            key=run_key,
            header=header,
            last=told.last,
            finished=told.finished is not None,
            first_session=told.sessions[0][1] if told.sessions else None,
        )

    def pending(self) -> list[tuple[Slot, int]]:
        """Slots without an outcome, each with the number of requests already made.

        Those tried most come last: an item that brings its server down must not do so first in every session.
        """
        with database_errors(self.file):
            rows = self._db.execute(
                "SELECT dataset, item, repeat, attempts FROM items WHERE outcome IS NULL ORDER BY attempts, position"
            ).fetchall()
        return [(Slot(*row[:3]), row[3]) for row in rows]

    def unjudged(self) -> list[tuple[Slot, int, str]]:
        """Answers that wait for the judges, each with its attempt and text, in the order of asking.

        Raises:
            TrustError: a record was altered.
        """
        return self._texts(judged=False)

    def judged_texts(self) -> dict[Slot, str]:
        """The answers that the judges have seen, in the order of asking.

        Raises:
            TrustError: a record was altered.
        """
        return {slot: text for slot, _attempt, text in self._texts(judged=True)}

    def _texts(self, *, judged: bool) -> list[tuple[Slot, int, str]]:
        known = (
            "SELECT r.dataset, r.item, r.repeat, r.attempt, r.nonce, r.ciphertext"
            " FROM items AS i JOIN records AS r USING (dataset, item, repeat)"
            " WHERE i.outcome = 'unjudged' AND r.kind = 'response' AND ? = EXISTS (SELECT 1 FROM records AS o"
            " WHERE o.kind = ? AND o.dataset = i.dataset AND o.item = i.item AND o.repeat = i.repeat)"
            " ORDER BY i.position"
        )
        with database_errors(self.file):
            rows = self._db.execute(known, (judged, OPINIONS)).fetchall()
        found = []
        for *place, attempt, nonce, ciphertext in rows:
            slot = Slot(*place)
            record = unpack(self._key.open(Place(*slot, "response", attempt), Sealed(nonce, ciphertext)))
            found.append((slot, attempt, str(record.content["text"])))
        return found

    def packets(self) -> list[Packed]:
        """What was given out to be labelled, in the order in which it was.

        Raises:
            TrustError: a record was altered.
        """
        with database_errors(self.file):
            rows = self._db.execute(
                "SELECT item, nonce, ciphertext FROM records WHERE kind = ? ORDER BY rowid", (PACKET,)
            ).fetchall()
        found = []
        for packet, nonce, ciphertext in rows:
            place = Place(*packet_slot(packet), PACKET, 1)
            content = unpack(self._key.open(place, Sealed(nonce, ciphertext))).content
            tasks = {name: as_criterion(one) for name, one in content["tasks"].items()}
            found.append(Packed(packet, content["created"], tasks, bool(content["plaintext"])))
        return found

    def packet_key(self, packet: str) -> bytes:
        """The key of a packet, 32 bytes, that only who can open the run can make (HKDF-SHA-256 of the run key)."""
        return self._key.derive(f"mlb-offline/v1/packet/{packet}")

    def judged_count(self) -> int:
        """Number of answers that the panel has judged."""
        with database_errors(self.file):
            return int(self._db.execute("SELECT count(*) FROM records WHERE kind = ?", (OPINIONS,)).fetchone()[0])

    def outcome_counts(self) -> dict[tuple[str, str | None], int]:
        """Number of slots by (dataset, outcome); outcome None for those not done."""
        with database_errors(self.file):
            rows = self._db.execute("SELECT dataset, outcome, count(*) FROM items GROUP BY 1, 2").fetchall()
        return {(row[0], row[1]): row[2] for row in rows}

    def apply(self, changes: Iterable[Change]) -> None:
        """Commit all changes, or none of them.

        Raises:
            InputError: the disk is full or cannot be written; nothing of these changes is kept.
            TrustError: adjudication that no reader of the log would accept; nothing of it is kept.
        """
        before = self._last
        try:
            with database_errors(self.file), self._db.atomic():
                for change in changes:
                    self._apply(change)
                if self.finished:
                    check_store(self._db, self.file)
        except BaseException:
            self._last = before
            raise

    def close(self) -> None:
        """Fold the write-ahead log into the file, close it and let go of the lock.

        Outside WAL the file can be read from read-only media. Where the disk is full or somebody is reading, the log
        stays beside the file, which loses nothing.
        """
        try:
            with contextlib.suppress(sqlite3.DatabaseError):
                self._db.execute("PRAGMA journal_mode=DELETE")
        finally:
            self._db.close()
            os.close(self._lock)

    @property
    def identity(self) -> dict[str, Any]:
        """The identity fixed at the start."""
        identity: dict[str, Any] = json.loads(self.header.identity)
        return identity

    @property
    def last_time(self) -> str:
        """When the last event so far happened, RFC 3339 UTC."""
        return self._last.at

    @property
    def events(self) -> int:
        """Number of events so far."""
        return self._last.seq

    def _apply(self, change: Change) -> None:
        match change:
            case Sent():
                self._count_attempt(change.slot, change.attempt)
                self._log(EventType.SENT, change.slot, {"attempt": change.attempt})
            case Retried():
                self._count_attempt(change.slot, change.attempt)
                body = {"attempt": change.attempt, "cause": change.cause, "wait_ms": round(change.wait * 1000)}
                self._log(EventType.RETRIED, change.slot, body)
            case Answered():
                self._keep("response", change, change.response)
                self._settle(EventType.SCORED, change)
            case Failed():
                self._keep("failure", change, change.reason)
                self._settle(EventType.FAILED, change)
            case Judged():
                self._judge(change)
            case Planned():
                self._append(EventType.PLANNED, {"shares": dict(change.shares)})
            case Packed():
                self._pack(change)
            case Labelled():
                self._label(change)
            case Noted():
                self._append(change.type, change.body)

    def _count_attempt(self, slot: Slot, attempt: int) -> None:
        asked = self._db.execute(
            "UPDATE items SET state = 'asked', attempts = ?"
            " WHERE dataset = ? AND item = ? AND repeat = ? AND outcome IS NULL",
            (attempt, *slot),
        )
        self._require_one(asked.rowcount, slot)

    def _keep(self, kind: str, change: Answered | Failed, content: Mapping[str, Any]) -> None:
        record = self._record(kind, change.slot, change.attempt, content, change.score)
        body = {"attempt": change.attempt, "kind": kind, "record": record}
        self._log(EventType.RECEIVED, change.slot, body)

    def _judge(self, change: Judged) -> None:
        slot, opinions = change.slot, change.opinions
        waiting = self._db.execute(
            "SELECT count(*) FROM items WHERE dataset = ? AND item = ? AND repeat = ? AND outcome = 'unjudged'"
            " AND NOT EXISTS (SELECT 1 FROM records AS r WHERE r.kind = ?"
            " AND r.dataset = items.dataset AND r.item = items.item AND r.repeat = items.repeat)",
            (*slot, OPINIONS),
        ).fetchone()[0]
        self._require_one(waiting, slot)
        record = self._record(OPINIONS, slot, change.attempt, opinions.to_json(), Score(Outcome.UNJUDGED))
        still_open = sum(finding.verdict is None for finding in opinions.findings())
        body = {"criteria": len(opinions.names), "open": still_open, "record": record}
        self._log(EventType.JUDGED, slot, {"attempt": change.attempt, **body})

    def _pack(self, change: Packed) -> None:
        content = {
            "created": change.created,
            "plaintext": change.plaintext,
            "tasks": {name: list(one) for name, one in change.tasks.items()},
        }
        record = self._record(PACKET, packet_slot(change.packet), 1, content, Score(Outcome.JUDGED))
        body = {"plaintext": change.plaintext, "record": record, "tasks": len(change.tasks)}
        self._append(EventType.PACKED, {"packet": change.packet, **body})

    def _label(self, change: Labelled) -> None:
        number = 1 + int(self._db.execute("SELECT count(*) FROM records WHERE kind = ?", (LABELS,)).fetchone()[0])
        content = {
            "notes": dict(change.notes),
            "reviewer": change.reviewer,
            "saved": change.saved,
            "verdicts": dict(change.verdicts),
        }
        record = self._record(LABELS, packet_slot(change.packet), number, content, Score(Outcome.JUDGED))
        body = {"number": number, "record": record, "reviewer": change.reviewer, "verdicts": len(change.verdicts)}
        self._append(EventType.LABELLED, {"packet": change.packet, **body})

    def _record(self, kind: str, slot: Slot, attempt: int, content: Mapping[str, Any], score: Score) -> str:
        """Seal a record into its place; its digest."""
        sealed = self._key.seal(Place(*slot, kind, attempt), pack(self._last.hash, content, score))
        self._db.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (kind, *slot, attempt, sealed.nonce, sealed.ciphertext, sealed.sha256),
        )
        return sealed.sha256

    def _settle(self, kind: EventType, change: Answered | Failed) -> None:
        outcome = score_values(change.score)
        settled = self._db.execute(
            "UPDATE items SET state = 'done', outcome = ?, tp = ?, fp = ?, fn = ?, note = ?, attempts = ?"
            " WHERE dataset = ? AND item = ? AND repeat = ? AND outcome IS NULL",
            (*outcome.values(), change.attempt, *change.slot),
        )
        self._require_one(settled.rowcount, change.slot)
        self._log(kind, change.slot, {"attempts": change.attempt, **outcome})

    def _require_one(self, rows: int, slot: Slot) -> None:
        if rows != 1:
            raise TrustError(
                tr(
                    f"{slot} 已有结果，或不是本次运行的条目", f"{slot} has an outcome already or is no item of this run"
                ),
                file=self.file,
                remedy=tr("从备份恢复运行目录，或重新运行", "restore the run folder from a backup, or run again"),
            )

    def _log(self, kind: EventType, slot: Slot, body: Mapping[str, Any]) -> None:
        self._append(kind, {"dataset": slot.dataset, "item": slot.item, "repeat": slot.repeat, **body})

    def _append(self, kind: EventType, body: Mapping[str, Any]) -> None:
        event = next_event(self._last, timestamp(), kind, body)
        _insert_event(self._db, event)
        self._last = event


def recordable(value: Mapping[str, Any]) -> bytes:
    """Canonical JSON of something that the store will hold.

    Raises:
        TargetError: it has none: a name or number in it cannot be written.
    """
    try:
        return rfc8785.dumps(dict(value))
    except (ValueError, RecursionError) as error:
        raise TargetError(
            tr(
                f"目标的名称、地址或参数无法记录（{_plain(error)}）",
                f"the target's name, address or settings cannot be recorded ({_plain(error)})",
            ),
            field="target",
            remedy=tr(
                "检查服务器给出的模型名称（须为有效的 Unicode 文本）、路径和目标配置中的数值",
                "look at the model name that the server gives (it must be valid Unicode), at the paths, and at the "
                "numbers in the target config",
            ),
        ) from None


def _plain(error: Exception) -> str:
    return str(error).encode("ascii", "backslashreplace").decode()


def _enter(db: Database, header: Header, items: Sequence[PlannedItem]) -> Event:
    db.execute(
        "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            header.id,
            header.identity,
            header.identity_sha256,
            header.wrapped_key,
            header.recipient,
            header.invocation,
            header.created,
        ),
    )
    rows = [(n, *item.slot, item.digest, item.absent_fn) for n, item in enumerate(items)]
    db.conn.executemany(
        "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, 'pending', NULL, 0, 0, 0, '', 0)",
        rows,
    )
    event = next_event(None, header.created, EventType.CREATED, header.event_body(len(rows), items_sha256(rows)))
    _insert_event(db, event)
    return event


def _insert_event(db: Database, event: Event) -> None:
    db.execute(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
        (event.seq, event.at, event.type, event.body, event.previous, event.hash),
    )
