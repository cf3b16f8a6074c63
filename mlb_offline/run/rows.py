"""Rows of a run store as values, and the digests by which the first event commits to them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import rfc8785
from sqlite_utils import Database

from mlb_offline.run.changes import Slot
from mlb_offline.run.events import Event

PlannedRow = tuple[int, str, str, int, str, int]
"""(position, dataset, item, repeat, digest, absent_fn)"""


@dataclass(frozen=True)
class Header:
    """The one row of table ``run``; ``identity`` and ``invocation`` are canonical JSON text."""

    id: str
    identity: str
    identity_sha256: str
    wrapped_key: bytes
    recipient: str
    invocation: str
    created: str

    def event_body(self, items: int, items_digest: str) -> dict[str, Any]:
        """Body of ``run.created``: digests of everything that never changes again."""
        return {
            "identity_sha256": hashlib.sha256(self.identity.encode()).hexdigest(),
            "invocation_sha256": hashlib.sha256(self.invocation.encode()).hexdigest(),
            "items": items,
            "items_sha256": items_digest,
            "recipient": self.recipient,
            "run": self.id,
            "wrapped_key_sha256": hashlib.sha256(self.wrapped_key).hexdigest(),
        }


@dataclass(frozen=True)
class ItemRow:
    """One row of table ``items``."""

    position: int
    slot: Slot
    digest: str
    absent_fn: int
    state: str
    outcome: str | None
    tp: int
    fp: int
    fn: int
    note: str
    attempts: int


@dataclass(frozen=True)
class RecordRow:
    """One row of table ``records``."""

    kind: str
    slot: Slot
    attempt: int
    nonce: bytes
    ciphertext: bytes
    sha256: str


def items_sha256(rows: Iterable[PlannedRow]) -> str:
    """SHA-256 (hex) over the canonical JSON of each row in order, each followed by a newline."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(rfc8785.dumps(list(row)) + b"\n")
    return digest.hexdigest()


def read_header(db: Database) -> Header:
    """The row of table ``run``; ValueError where there is not exactly one."""
    (row,) = db.execute(
        "SELECT id, identity, identity_sha256, wrapped_key, recipient, invocation, created FROM run"
    ).fetchall()
    return Header(*row)


def read_items(db: Database) -> Iterator[ItemRow]:
    """All items in the order of asking."""
    for row in db.execute(
        "SELECT position, dataset, item, repeat, digest, absent_fn, state, outcome, tp, fp, fn, note, attempts"
        " FROM items ORDER BY position"
    ):
        yield ItemRow(row[0], Slot(*row[1:4]), *row[4:])


def read_records(db: Database) -> Iterator[RecordRow]:
    """All encrypted records."""
    for row in db.execute(
        "SELECT kind, dataset, item, repeat, attempt, nonce, ciphertext, sha256 FROM records"
        " ORDER BY dataset, item, repeat, kind, attempt"
    ):
        yield RecordRow(row[0], Slot(*row[1:4]), *row[4:])


def read_events(db: Database) -> Iterator[Event]:
    """The log in order."""
    for row in db.execute("SELECT seq, at, type, body, previous, hash FROM events ORDER BY seq"):
        yield Event(*row)
