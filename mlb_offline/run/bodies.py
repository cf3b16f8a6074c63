"""What the body of each event must look like: exact keys, exact types, codes from fixed sets.

Nothing that an honest writer could not have written is read any further (docs/run-store.md lists the keys).
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import rfc8785
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from mlb_offline.airgap.evidence import Snapshot
from mlb_offline.run.changes import Slot
from mlb_offline.run.events import Event, EventType
from mlb_offline.stats.powered import allowed_share

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Second = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
Note = Annotated[str, StringConstraints(max_length=1000)]
Count = Annotated[int, Field(ge=0)]
Number = Annotated[int, Field(ge=1)]

Reason = Literal["operator", "target", "judge", "storage", "egress", "error"]
StateNote = Literal["created", "first-seen", "advanced", "unchanged", "override"]
Kind = Literal["response", "failure"]
OfAnswer = Literal["right", "wrong", "scored", "unreadable", "unjudged"]
OutcomeName = Literal["right", "wrong", "scored", "unreadable", "unjudged", "failed"]


class Body(BaseModel):
    """Any body."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CreatedBody(Body):
    """``run.created``."""

    identity_sha256: Sha256
    invocation_sha256: Sha256
    items: Count
    items_sha256: Sha256
    recipient: Sha256
    run: Uuid
    wrapped_key_sha256: Sha256


class SessionBody(Body):
    """``session.started`` and ``session.resumed``; ``probe`` is what the target said of itself."""

    attempt: Number
    attempts_on_bundle: Number
    concurrency: Number
    egress: Snapshot
    probe: dict[str, Any]
    rollback_override: bool
    state_created: bool
    state_note: StateNote
    state_since: Second


class ItemBody(Body):
    """Any event of one slot."""

    dataset: str
    item: str
    repeat: Count

    @property
    def slot(self) -> Slot:
        """Which one."""
        return Slot(self.dataset, self.item, self.repeat)


class SentBody(ItemBody):
    """``request.sent``."""

    attempt: Number


class RetriedBody(ItemBody):
    """``request.retried``."""

    attempt: Number
    cause: Code
    wait_ms: Count


class ReceivedBody(ItemBody):
    """``response.received``."""

    attempt: Number
    kind: Kind
    record: Sha256


class SettledBody(ItemBody):
    """``item.scored`` and ``item.failed``."""

    attempts: Number
    outcome: OutcomeName
    tp: Count
    fp: Count
    fn: Count
    note: Note


class ScoredBody(SettledBody):
    """``item.scored``."""

    outcome: OfAnswer


class FailedBody(SettledBody):
    """``item.failed``."""

    outcome: Literal["failed"]
    tp: Literal[0]
    fp: Literal[0]
    note: Code


class JudgedBody(ItemBody):
    """``answer.judged``: the record of the opinions, the criteria of the answer, and how many of them are open."""

    attempt: Number
    record: Sha256
    criteria: Number
    open: Count


class InterruptedBody(Body):
    """``session.interrupted``; ``egress`` is null where the evidence could not be taken."""

    done: Count
    judged: Count
    egress: Snapshot | None
    reason: Reason


class FinishedBody(Body):
    """``run.finished``."""

    egress: Snapshot
    items: Count
    judged: Count
    outcomes: dict[OutcomeName, Number]


class PlannedBody(Body):
    """``adjudication.planned``: the chance with which items of each dataset are drawn for a physician."""

    shares: dict[str, Annotated[float, AfterValidator(allowed_share)]]


class PackedBody(Body):
    """``adjudication.packed``: criteria were given out to be labelled, sealed or in ``plaintext``."""

    packet: Uuid
    plaintext: bool
    record: Sha256
    tasks: Number


class LabelledBody(Body):
    """``adjudication.labelled``: a reviewer's labels came back; ``number`` counts such events from 1."""

    number: Number
    packet: Uuid
    record: Sha256
    reviewer: Sha256
    verdicts: Number


BODIES: dict[EventType, type[Body]] = {
    EventType.CREATED: CreatedBody,
    EventType.STARTED: SessionBody,
    EventType.RESUMED: SessionBody,
    EventType.SENT: SentBody,
    EventType.RETRIED: RetriedBody,
    EventType.RECEIVED: ReceivedBody,
    EventType.SCORED: ScoredBody,
    EventType.FAILED: FailedBody,
    EventType.JUDGED: JudgedBody,
    EventType.INTERRUPTED: InterruptedBody,
    EventType.FINISHED: FinishedBody,
    EventType.PLANNED: PlannedBody,
    EventType.PACKED: PackedBody,
    EventType.LABELLED: LabelledBody,
}


def read_body(event: Event) -> Body:
    """The body of an event.

    Raises:
        ValueError: it is not canonical JSON, or not what an event of this type holds.
    """
    try:
        value = json.loads(event.body)
        plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        # The quick spelling is canonical but for rare keys and numbers; doubled keys are canonical in neither.
        if plain != event.body and rfc8785.dumps(value).decode() != event.body:
            raise ValueError("the body is not canonical JSON")
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    return BODIES[EventType(event.type)].model_validate(value)
