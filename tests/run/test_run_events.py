from __future__ import annotations

import dataclasses
import hashlib

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from mlb_offline.run.events import GENESIS, Event, EventType, broken_link, next_event

AT = "2026-01-31T08:00:00.000Z"
BODIES = st.dictionaries(st.text(max_size=8), st.integers(0, 9) | st.text(max_size=8), max_size=3)


def chain(bodies: list[dict[str, object]]) -> list[Event]:
    events: list[Event] = []
    for body in bodies:
        events.append(next_event(events[-1] if events else None, AT, EventType.SENT, body))
    return events


@given(st.lists(BODIES, max_size=6))
def test_every_chain_made_is_whole(bodies: list[dict[str, object]]) -> None:
    assert broken_link(chain(bodies)) is None


@given(BODIES)
def test_the_hash_is_over_the_canonical_json_of_the_whole_event(body: dict[str, object]) -> None:
    event = next_event(None, AT, EventType.SENT, body)
    whole = {"seq": 1, "at": AT, "type": "request.sent", "body": body, "previous": GENESIS}
    assert event.hash == hashlib.sha256(rfc8785.dumps(whole)).hexdigest()


@given(st.integers(0, 3), st.sampled_from(["seq", "at", "type", "body", "previous", "hash"]), st.data())
def test_any_field_changed_breaks_the_chain_at_that_event(index: int, name: str, data: st.DataObject) -> None:
    events = chain([{"n": n} for n in range(4)])
    old = getattr(events[index], name)
    new = data.draw(st.integers(-5, 99) if name == "seq" else st.text(max_size=80))
    if new == old:
        return
    events[index] = dataclasses.replace(events[index], **{name: new})
    assert broken_link(events) == index + 1


@given(st.integers(0, 3))
def test_an_event_removed_or_doubled_breaks_the_chain_there(index: int) -> None:
    events = chain([{"n": n} for n in range(4)])
    removed = [*events[:index], *events[index + 1 :]]
    doubled = [*events[: index + 1], *events[index:]]
    # Without its head nobody can tell that the end of a chain is missing.
    assert broken_link(removed) == (None if index == 3 else index + 1)
    assert broken_link(doubled) == index + 2


def test_text_moved_between_fields_with_the_same_hash_is_refused() -> None:
    event = next_event(None, AT, EventType.SENT, {})
    moved = dataclasses.replace(event, at=f'{AT}","body":{{}},"previous":"{GENESIS}', previous=GENESIS)
    assert broken_link([moved]) == 1
    unknown = dataclasses.replace(event, type="run.unknown")
    text = f'{{"at":"{AT}","body":{{}},"previous":"{GENESIS}","seq":1,"type":"run.unknown"}}'
    unknown = dataclasses.replace(unknown, hash=hashlib.sha256(text.encode()).hexdigest())
    assert broken_link([unknown]) == 1
