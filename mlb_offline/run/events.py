"""The event log as a hash chain.

``hash = SHA-256(canonical JSON (RFC 8785) of {at, body, previous, seq, type})``, ``previous`` being the hash of
the event before, and 64 zeros for the first. Whoever holds the head (the report signs it) can tell whether
any event was altered, removed, added or moved. It is self-attested: whoever can write the file can also
make a new chain before the head is signed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import rfc8785

GENESIS = "0" * 64
"""``previous`` of the first event."""

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
"""How a moment is written: RFC 3339, UTC, milliseconds."""


class EventType(StrEnum):
    """What can happen in a run (docs/run-store.md says what each body holds)."""

    CREATED = "run.created"
    STARTED = "session.started"
    RESUMED = "session.resumed"
    SENT = "request.sent"
    RETRIED = "request.retried"
    RECEIVED = "response.received"
    SCORED = "item.scored"
    FAILED = "item.failed"
    JUDGED = "answer.judged"
    INTERRUPTED = "session.interrupted"
    FINISHED = "run.finished"


@dataclass(frozen=True)
class Event:
    """One link of the chain.

    Attributes:
        seq: 1, 2, 3 …
        at: RFC 3339, UTC, milliseconds.
        type: an ``EventType`` value.
        body: canonical JSON text of an object.
        previous: hash of the event before, 64 hex digits.
        hash: hash of this event, 64 hex digits.
    """

    seq: int
    at: str
    type: str
    body: str
    previous: str
    hash: str


def event_hash(seq: int, at: str, kind: str, body: str, previous: str) -> str:
    """The hash that an event with these fields must have, 64 hex digits.

    ``body`` is canonical already and the other fields are plain ASCII, so the canonical JSON of the whole is
    their concatenation; a field that is not plain gives a text that no honest writer made, and no match.
    """
    whole = f'{{"at":"{at}","body":{body},"previous":"{previous}","seq":{seq},"type":"{kind}"}}'
    return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()


def next_event(previous: Event | None, at: str, kind: EventType, body: Mapping[str, Any]) -> Event:
    """The event that follows ``previous`` (None: the first one)."""
    seq, before = (1, GENESIS) if previous is None else (previous.seq + 1, previous.hash)
    text = rfc8785.dumps(dict(body)).decode()
    return Event(seq, at, kind.value, text, before, event_hash(seq, at, kind.value, text, before))


def _well_formed(event: Event) -> bool:
    # The hash joins the fields as text, so a field that could hold a quotation mark must not be taken on trust.
    return TIME.fullmatch(event.at) is not None and event.type in set(EventType)


def broken_link(events: Iterable[Event]) -> int | None:
    """Number (from 1) of the first event that does not fit the one before it; None where all fit."""
    previous = GENESIS
    for seq, event in enumerate(events, start=1):
        expected = event_hash(seq, event.at, event.type, event.body, previous)
        fits = (event.seq, event.previous, event.hash) == (seq, previous, expected)
        if not fits or not _well_formed(event):
            return seq
        previous = event.hash
    return None
