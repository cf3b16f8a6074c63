"""What the engine tells the store: each change of state as a small frozen value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mlb_offline.judge.panel import Opinions
from mlb_offline.run.events import EventType
from mlb_offline.scoring.outcome import Score


class Slot(NamedTuple):
    """One item asked once: ``repeat`` counts from 0."""

    dataset: str
    item: str
    repeat: int


@dataclass(frozen=True)
class PlannedItem:
    """A slot as it is entered before the first request.

    Attributes:
        digest: first 16 hex digits of the item's SHA-256.
        absent_fn: false negatives that count if no answer ever comes (micro-F1 sets; else 0).
    """

    slot: Slot
    digest: str
    absent_fn: int


@dataclass(frozen=True)
class Sent:
    """A request is about to leave; ``attempt`` counts the requests for this slot from 1."""

    slot: Slot
    attempt: int


@dataclass(frozen=True)
class Retried:
    """A request came to nothing (``cause``, a short code); the next one is ``attempt``, in ``wait`` seconds."""

    slot: Slot
    attempt: int
    cause: str
    wait: float


@dataclass(frozen=True)
class Answered:
    """An answer came and was scored; ``response`` is kept encrypted only."""

    slot: Slot
    attempt: int
    response: Mapping[str, Any]
    score: Score


@dataclass(frozen=True)
class Failed:
    """No answer will come; ``reason`` ({code, message}) may quote the server, so it is kept encrypted only.

    Attributes:
        score: outcome ``failed``; its note is the target's short code, such as ``timeout``.
    """

    slot: Slot
    attempt: int
    reason: Mapping[str, str]
    score: Score


@dataclass(frozen=True)
class Judged:
    """The panel has given its opinions on the answer of request ``attempt``; they are kept encrypted only."""

    slot: Slot
    attempt: int
    opinions: Opinions


@dataclass(frozen=True)
class Planned:
    """How large the random samples for physicians are: dataset → chance of each item."""

    shares: Mapping[str, float]


Criterion = tuple[str, str, int, str]
"""(dataset, item, repeat, name) of a criterion of an answer."""


def as_criterion(value: Sequence[Any]) -> Criterion:
    """A criterion as JSON holds it, a list of four.

    Raises:
        ValueError: it is something else.
    """
    dataset, item, repeat, name = value
    return str(dataset), str(item), int(repeat), str(name)


@dataclass(frozen=True)
class Packed:
    """Criteria are given out to be labelled.

    Attributes:
        packet: UUID.
        created: RFC 3339 UTC.
        tasks: task id → the criterion that it hides.
        plaintext: given out unencrypted.
    """

    packet: str
    created: str
    tasks: Mapping[str, Criterion]
    plaintext: bool


@dataclass(frozen=True)
class Labelled:
    """A reviewer's labels of a packet; ``verdicts`` are 是, 否 or ? by task id."""

    packet: str
    reviewer: str
    saved: str
    verdicts: Mapping[str, str]
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Noted:
    """Something that concerns the whole run."""

    type: EventType
    body: Mapping[str, Any]


Change = Sent | Retried | Answered | Failed | Judged | Planned | Packed | Labelled | Noted
