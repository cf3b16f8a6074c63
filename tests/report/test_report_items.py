"""The items file: what it must be, what its records may say, and how much of it is read."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import report_cases as cases
import rfc8785
import zstandard

from mlb_offline.errors import InputError, TrustError
from mlb_offline.report import items as items_file
from mlb_offline.report.data import ReportData
from mlb_offline.report.items import pack, unpack
from mlb_offline.report.verify import items_match

RESULTS = cases.results_of(policy=cases.GATED, repeats=2)
HONEST = cases.data_of(RESULTS, cases.GATED)
Record = dict[str, Any]


def lines() -> list[Record]:
    plain = zstandard.ZstdDecompressor().decompress(pack(RESULTS)[0])
    return [json.loads(line) for line in plain.splitlines()]


def packed(records: list[Record]) -> bytes:
    return zstandard.ZstdCompressor().compress(b"".join(rfc8785.dumps(record) + b"\n" for record in records))


def why_refused(raw: bytes) -> TrustError:
    with pytest.raises(TrustError) as caught:
        unpack(raw, file="items")
    assert caught.value.remedy
    return caught.value


def test_the_honest_file_is_read() -> None:
    _header, records = unpack(packed(lines()), file="items")
    assert len(records) == 40
    items_match(pack(RESULTS)[0], HONEST, file="items")


def first(outcome: str, dataset: str) -> Callable[[Record], bool]:
    return lambda record: (record.get("outcome"), record.get("dataset")) == (outcome, dataset)


FALSE: dict[str, tuple[str, str, Record]] = {
    "found though unreadable": ("unreadable", "CMExam", {"dataset": "CMeEE", "tp": 5, "fp": 0, "fn": 0}),
    "wrong units though failed": ("failed", "CMExam", {"dataset": "CMeEE", "tp": 0, "fp": 1, "fn": 0}),
    "units in an accuracy set": ("right", "CMExam", {"tp": 0, "fp": 0, "fn": 0}),
    "missed in an accuracy set": ("right", "CMExam", {"fn": 1}),
    "scored in an accuracy set": ("right", "CMExam", {"outcome": "scored"}),
    "unjudged in an accuracy set": ("right", "CMExam", {"outcome": "unjudged"}),
    "right in a micro-F1 set": ("scored", "CMeEE", {"outcome": "right"}),
    "unjudged in a micro-F1 set": ("scored", "CMeEE", {"outcome": "unjudged", "tp": 0, "fp": 0}),
    "right in a judged set": ("right", "CMExam", {"dataset": "MARecord"}),
    "scored in a judged set": ("right", "CMExam", {"dataset": "MARecord", "outcome": "scored"}),
    "unknown dataset": ("right", "CMExam", {"dataset": "Nonsense"}),
    "unknown outcome": ("right", "CMExam", {"outcome": "excellent"}),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_record_whose_counts_do_not_fit_its_outcome_is_refused(name: str) -> None:
    outcome, dataset, change = FALSE[name]
    records = lines()
    record = next(filter(first(outcome, dataset), records))
    record |= change
    assert "not valid" in why_refused(packed([records[0], record | {"repeat": 0}])).message


def test_counts_left_out_of_a_micro_f1_record_are_no_zeros() -> None:
    records = lines()
    record = next(filter(first("scored", "CMeEE"), records))
    del record["fp"]
    assert "not valid" in why_refused(packed([records[0], record])).message


def test_a_report_and_an_items_file_that_agree_on_failures_which_found_everything_are_refused() -> None:
    """The tally says failed, the histogram says all found, and both have the same source."""
    records = lines()
    for record in records[1:]:
        if record["dataset"] == "CMeEE":
            record |= {"outcome": "failed", "tp": 5, "fp": 0, "fn": 0}
    value = HONEST.model_dump(mode="json")
    tally = dict.fromkeys(value["samples"][1]["tally"], 0)
    value["samples"][1] |= {"tally": tally | {"failed": 16}, "histogram": [[10, 0, 0, 8]]}
    raw = packed(records)
    value["items"]["sha256"] = hashlib.sha256(raw).hexdigest()
    with pytest.raises(TrustError, match="not valid"):
        items_match(raw, ReportData.model_validate(value), file="items")


REPEATS: dict[str, Record] = {
    "a repeat left out": {"repeat": 2},
    "a repeat twice": {"repeat": 0},
    "another digest": {"digest": "0" * 16},
    "another reference": {"fn": 40},
}


@pytest.mark.parametrize("name", REPEATS)
def test_the_repeats_of_an_item_are_all_there_and_of_one_item(name: str) -> None:
    records = lines()
    place = next(n for n, record in enumerate(records) if first("scored", "CMeEE")(record) and record["repeat"] == 1)
    assert records[place - 1]["item"] == records[place]["item"]
    records[place] |= REPEATS[name]
    assert why_refused(packed(records)).message


def test_the_first_repeat_is_number_0() -> None:
    records = lines()
    assert why_refused(packed([records[0], records[2]])).message


def test_datasets_and_items_ascend() -> None:
    header, *records = lines()
    exam = [record for record in records if record["dataset"] == "CMExam"]
    rest = [record for record in records if record["dataset"] != "CMExam"]
    unpack(packed([header, *exam, *rest]), file="items")
    assert "order" in why_refused(packed([header, *rest, *exam])).message
    assert "order" in why_refused(packed([header, *exam[2:], *exam[:2]])).message


def bomb(size: int, *, declared: bool) -> bytes:
    engine = zstandard.ZstdCompressor(level=3).compressobj(**({"size": size} if declared else {}))
    block = bytes(2**20)
    return b"".join(engine.compress(block) for _ in range(size // len(block))) + engine.flush()


@pytest.mark.parametrize("declared", [True, False])
def test_a_bomb_is_refused_before_it_fills_the_memory(declared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = bomb(2**28, declared=declared)
    assert len(raw) < 2**17
    monkeypatch.setattr(items_file, "LIMIT", 2**20)
    tracemalloc.start()
    why_refused(raw)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**25


def test_the_limit_itself_refuses_a_frame_that_says_how_large_it_is() -> None:
    raw = bomb(items_file.LIMIT + 2**20, declared=True)
    assert "too large" in why_refused(raw).message


def test_a_frame_is_whole_and_alone_and_says_its_size() -> None:
    raw = packed(lines())
    plain = zstandard.ZstdDecompressor().decompress(raw)
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(plain)
    for other in (raw[:-1], raw + b"x", raw + raw, raw + b"x" * 1000, unsized, b"", raw[:4], bytes(100)):
        why_refused(other)


def test_a_window_larger_than_any_writer_uses_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27, enable_ldm=True)
    engine = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=2**25)
    raw = engine.compress(bytes(2**25)) + engine.flush()
    assert "decompressed" in why_refused(raw).message


def test_more_records_than_a_report_can_have_are_neither_written_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = pack(RESULTS)[0]
    monkeypatch.setattr(items_file, "MAX_ANSWERS", 39)
    assert "more records" in why_refused(raw).message
    with pytest.raises(InputError, match="too many"):
        pack(RESULTS)
    monkeypatch.setattr(items_file, "MAX_ANSWERS", 40)
    unpack(raw, file="items")
    monkeypatch.setattr(items_file, "LIMIT", 1000)
    with pytest.raises(InputError, match="too many"):
        pack(RESULTS)


def test_an_items_file_in_which_an_item_has_fewer_answers_than_the_others_is_refused() -> None:
    raw = packed(lines()[:-1])
    value = HONEST.model_dump(mode="json")
    value["items"]["sha256"] = hashlib.sha256(raw).hexdigest()
    with pytest.raises(TrustError, match="disagree"):
        items_match(raw, ReportData.model_validate(value), file="items")
