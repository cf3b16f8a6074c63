"""A packet holds what a physician needs, nothing that would tell whose answer it is, and has one spelling."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace

import pytest
from adjudication_cases import PACKET, TASKS, task

from mlb_offline.adjudication.packet import Packet, Task, parse_packet
from mlb_offline.errors import InputError


def test_a_packet_is_read_again_as_it_was_written() -> None:
    assert parse_packet(PACKET.content, file="p") == PACKET
    assert PACKET.content_sha256 == hashlib.sha256(PACKET.content).hexdigest()


def test_it_has_no_field_for_a_model_an_item_or_a_judge() -> None:
    assert {field.name for field in fields(Task)} == {
        "id", "dataset", "title", "question", "answer", "topic", "criterion", "group",
    }  # fmt: skip
    assert {field.name for field in fields(Packet)} == {"id", "run", "identity_sha256", "created", "tasks"}


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("id", {"id": "5F0C1A52-7C1E-4D5E-9F0A-1B2C3D4E5F60"}),
        ("run", {"run": "run-1"}),
        ("identity_sha256", {"identity_sha256": "AB" * 32}),
        ("created", {"created": "2026-02-30T08:00:00Z"}),
        ("created", {"created": "2026-01-31 08:00:00"}),
        ("tasks", {"tasks": ()}),
        ("tasks", {"tasks": (TASKS[0], TASKS[0])}),
        ("tasks", {"tasks": (task(1, "a"), task(2, "b"), task(3, "a"))}),
        ("tasks", {"tasks": (task(1, "a"), task(2, "a", answer="another"))}),
        ("tasks.0.id", {"tasks": (task(1, "a", id="__proto__"),)}),
        ("tasks.0.criterion", {"tasks": (task(1, "a", criterion=" "),)}),
        ("tasks", {"tasks": (task(1, "a", answer="\ud800"),)}),
    ],
)
def test_what_breaks_a_rule_is_refused_by_field(field, change) -> None:
    with pytest.raises(InputError) as caught:
        replace(PACKET, **change)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda value: value | {"format": "x/v2"}, "of this version"),
        (lambda value: value | {"model": "m"}, "keys must be exactly"),
        (lambda value: value | {"run": 1}, "must be a string"),
        (lambda value: value | {"tasks": "t"}, "of this version"),
        (lambda value: value | {"tasks": [value["tasks"][0] | {"verdict": "是"}]}, "keys must be exactly"),
        (lambda value: value | {"tasks": [value["tasks"][0] | {"topic": None}]}, "must be a string"),
    ],
)
def test_a_file_that_is_no_packet_is_refused_by_name(change, words) -> None:
    from mlb_offline.trust.canonical import canonical_json

    with pytest.raises(InputError, match=words) as caught:
        parse_packet(canonical_json(change(json.loads(PACKET.content))), file="f.json")
    assert caught.value.file == "f.json"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", PACKET.content + b"\n"])
def test_bytes_in_any_other_spelling_are_refused(raw) -> None:
    with pytest.raises(InputError):
        parse_packet(raw, file="f")
