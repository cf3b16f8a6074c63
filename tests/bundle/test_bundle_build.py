"""Building: the order of the items, what is reproducible, who can open, and what is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from bundle_simulator import (
    HOSPITAL,
    NOW,
    PUBLISHER,
    SERIES,
    STRANGER,
    TRUST,
    choice_item,
    choice_source,
)

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import Item
from mlb_offline.bundle import manifest as manifest_module
from mlb_offline.bundle.build import build_bundle
from mlb_offline.bundle.opening import open_bundle, show_bundle, verify_bundle
from mlb_offline.bundle.source import Source, SourceDataset
from mlb_offline.errors import InputError, UsageError
from mlb_offline.trust.canonical import canonical_json
from mlb_offline.trust.signing import SigningKey


def build(out, source=None, **options):
    defaults = {"now": NOW, "shuffle_seed": bytes(range(32))}
    recipients = options.pop("recipients", [HOSPITAL.public])
    key = options.pop("key", PUBLISHER)
    return build_bundle(choice_source() if source is None else source, key, recipients, out, **(defaults | options))


def test_one_seed_gives_the_same_core_and_plaintext_and_never_the_same_file(tmp_path):
    first, second = build(tmp_path / "a"), build(tmp_path / "b")
    assert first.core == second.core
    assert first.payload.plain_sha256 == second.payload.plain_sha256
    assert first.payload.cipher_sha256 != second.payload.cipher_sha256
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


def test_the_order_in_the_source_does_not_show_in_the_bundle(tmp_path):
    source = choice_source(30)
    content = source.datasets["CMExam"]
    turned = replace(source, datasets={"CMExam": replace(content, items=content.items[::-1])})
    first, second = build(tmp_path / "a", source), build(tmp_path / "b", turned)
    assert first.core == second.core
    assert first.payload.plain_sha256 == second.payload.plain_sha256


def opened_ids(path, state):
    opened = open_bundle(path, TRUST, HOSPITAL, state=state, now=NOW)
    return [item.id for item in opened.datasets["CMExam"].items]


def test_items_are_shuffled_and_each_seed_shuffles_its_own_way(tmp_path, state):
    source = choice_source(30)
    build(tmp_path / "a", source)
    build(tmp_path / "b", source, shuffle_seed=bytes(32))
    build(tmp_path / "c", source, shuffle_seed=None)
    orders = [opened_ids(tmp_path / name, state) for name in "abc"]
    as_written = [item.id for item in source.datasets["CMExam"].items]
    assert len({tuple(order) for order in [as_written, *orders]}) == 4
    assert all(sorted(order) == sorted(as_written) for order in orders)


def test_without_a_seed_every_bundle_has_its_own_uuid_and_canary(tmp_path):
    manifests = [build(tmp_path / name, shuffle_seed=None) for name in "ab"]
    names = {uuid for found in manifests for uuid in (found.core.bundle, found.core.canary)}
    assert len(names) == 4


def test_one_seed_names_two_sources_differently(tmp_path):
    changed = choice_source()
    item = Item.model_validate(choice_item(1, question="另一题？"))
    content = replace(changed.datasets["CMExam"], items=(item, *changed.datasets["CMExam"].items[1:]))
    first = build(tmp_path / "a")
    second = build(tmp_path / "b", replace(changed, datasets={"CMExam": content}))
    assert first.core.bundle != second.core.bundle


def test_the_context_is_the_hash_of_the_core_alone(tmp_path):
    found = build(tmp_path / "a")
    assert found.core_digest() == hashlib.sha256(canonical_json(found.model_dump()["core"])).digest()
    assert found.core_bytes() == canonical_json(found.core.model_dump())


def test_recipients_are_listed_once_and_the_publisher_always(tmp_path):
    publisher = PUBLISHER.publisher_recipient().public
    found = build(tmp_path / "a", recipients=[HOSPITAL.public, STRANGER.public, HOSPITAL.public, publisher])
    assert {entry.keyid for entry in found.recipients} == {HOSPITAL.keyid, STRANGER.keyid, publisher.keyid}
    for key in (HOSPITAL, STRANGER, PUBLISHER.publisher_recipient()):
        assert "content" in verify_bundle(tmp_path / "a", TRUST, key=key, now=NOW).proved


def test_a_bundle_for_nobody_else_can_be_opened_by_its_publisher(tmp_path):
    assert len(build(tmp_path / "a", recipients=[]).recipients) == 1


def test_days_in_the_source_become_times_from_the_first_to_the_last(tmp_path):
    found = build(tmp_path / "a", choice_source(issued=date(2026, 1, 1), expires=date(2026, 6, 30)))
    assert (found.core.issued, found.core.expires) == ("2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z")


def test_without_days_a_bundle_is_issued_now_and_good_for_a_year(tmp_path):
    found = build(tmp_path / "a")
    assert (found.core.issued, found.core.expires) == ("2026-03-01T08:00:00Z", "2027-03-01T08:00:00Z")


def test_a_bundle_issued_in_the_future_can_be_built(tmp_path):
    assert build(tmp_path / "a", choice_source(issued=date(2027, 1, 1))).core.issued == "2027-01-01T00:00:00Z"


def test_a_demonstration_key_makes_a_demonstration_bundle(tmp_path):
    key = SigningKey.from_seed(bytes(range(32)), "publisher", demonstration=True)
    assert build(tmp_path / "a", choice_source(demonstration=False), key=key).core.demonstration
    assert not build(tmp_path / "b", choice_source(demonstration=False)).core.demonstration


def with_judge_prompt(text):
    """A source of a dataset without and one with a judge prompt."""
    safety = DATASETS["GeneralSafety"]
    raw = choice_item(1, options=[], answer=None)
    content = SourceDataset(safety, "${question}", text, (Item.model_validate(raw),), "CC0", "tests")
    source = choice_source()
    return Source(**(vars(source) | {"datasets": {**source.datasets, safety.id: content}}))


def test_a_judge_prompt_and_several_datasets_come_back_equal(tmp_path, state):
    source = with_judge_prompt("判断：${question}${answer}")
    manifest = build(tmp_path / "a", source)
    digest = hashlib.sha256("判断：${question}${answer}".encode()).hexdigest()
    assert [entry.model_dump().get("judge_prompt") for entry in manifest.core.datasets] == [None, digest]
    assert show_bundle(tmp_path / "a") == manifest
    opened = open_bundle(tmp_path / "a", TRUST, HOSPITAL, state=state, now=NOW)
    assert list(opened.datasets) == ["CMExam", "GeneralSafety"]
    assert opened.datasets["GeneralSafety"].judge_prompt == "判断：${question}${answer}"
    assert opened.datasets["CMExam"].judge_prompt is None
    assert opened.datasets["GeneralSafety"].items == source.datasets["GeneralSafety"].items


@pytest.mark.parametrize("kind", ["report", "hospital"])
def test_a_key_of_another_kind_does_not_build(tmp_path, kind):
    with pytest.raises(UsageError, match="not a publisher key"):
        build(tmp_path / "a", key=SigningKey.from_seed(bytes(32), kind))


def test_an_existing_file_is_never_overwritten(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(InputError, match="never overwritten"):
        build(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"mine"


@pytest.mark.parametrize("place", ["missing/a", "file/a"])
def test_a_place_that_cannot_be_written_is_bad_input(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        build(tmp_path / place)


def test_a_source_that_ends_before_it_begins_is_refused(tmp_path):
    with pytest.raises(InputError, match="expires is not after issued"):
        build(tmp_path / "a", choice_source(expires=date(2026, 2, 1)))


def test_too_many_recipients_and_too_much_content_are_refused(tmp_path, monkeypatch):
    from mlb_offline.bundle import build as module

    monkeypatch.setattr(module, "MAX_RECIPIENTS", 1)
    with pytest.raises(InputError, match="more than 1 recipients"):
        build(tmp_path / "a")
    monkeypatch.setattr(module, "MAX_PLAIN", 10)
    with pytest.raises(InputError, match="over 1 GiB"):
        build(tmp_path / "a")


def test_an_envelope_too_large_to_be_read_is_not_written(tmp_path, monkeypatch):
    from mlb_offline.bundle import container

    monkeypatch.setattr(container, "MAX_ENVELOPE", 100)
    with pytest.raises(InputError, match="8 MiB"):
        build(tmp_path / "a")


def test_a_seed_of_another_length_is_a_programming_error(tmp_path):
    with pytest.raises(ValueError, match="32 bytes"):
        build(tmp_path / "a", shuffle_seed=b"short")


def test_nothing_is_left_behind_when_the_result_does_not_open(tmp_path, monkeypatch):
    from mlb_offline.bundle import build as module

    def fails(*_args, **_options):
        raise InputError("no")

    monkeypatch.setattr(module, "verify_bundle", fails)
    with pytest.raises(InputError, match="no"):
        build(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_times_are_written_in_utc_whatever_their_zone():
    east = datetime.fromisoformat("2026-03-01T16:00:00+08:00")
    assert manifest_module.format_time(east) == "2026-03-01T08:00:00Z"
    assert manifest_module.parse_time("2026-03-01T08:00:00Z") == datetime(2026, 3, 1, 8, tzinfo=UTC)


def test_the_series_is_that_of_the_source(tmp_path):
    assert build(tmp_path / "a").core.series == str(SERIES)
