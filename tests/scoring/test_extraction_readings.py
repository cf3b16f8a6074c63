"""Every hand-written raw extraction and normalisation answer is read as its row says (rules J, E and T)."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.scoring import json_repair, terms
from mlb_offline.scoring.answer_text import Unreadable
from mlb_offline.scoring.extraction import Unit, read_extraction
from mlb_offline.scoring.terms import read_terms

CANDIDATES = ["糖尿病", "鼻腔息肉##鼻窦息肉##癌", "血管断裂", "癌", "损伤,水平未特指"]


def rows(name: str) -> list[dict[str, Any]]:
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


EXTRACTION = rows("extraction_readings.jsonl")
TERMS = rows("terms_readings.jsonl")


def plain(unit: Unit) -> str:
    assert isinstance(unit, tuple)
    if unit[0] == "wrong form":
        return "wrong form"
    return str([sorted(part) if isinstance(part, frozenset) else part for part in unit])


def name(row: dict[str, Any]) -> str:
    return f"{row['rule']}-{row['text'][:24]!r}"


@pytest.mark.parametrize("row", EXTRACTION, ids=name)
def test_an_extraction_answer_is_read_as_the_table_says(row: dict[str, Any]) -> None:
    dataset = DATASETS[row["dataset"]]
    if row["units"] is None:
        with pytest.raises(Unreadable) as unreadable:
            read_extraction(dataset, row["text"])
        assert unreadable.value.reason == row["note"]
    else:
        extracted = read_extraction(dataset, row["text"])
        assert sorted(map(plain, extracted.units)) == sorted(map(str, row["units"]))
        assert extracted.how == row.get("note", extracted.how)


@pytest.mark.parametrize("row", TERMS, ids=name)
def test_a_normalisation_answer_is_read_as_the_table_says(row: dict[str, Any]) -> None:
    if row["terms"] is None:
        with pytest.raises(Unreadable) as unreadable:
            read_terms(row["text"], CANDIDATES, finish_reason=row.get("finish_reason"))
        assert unreadable.value.reason == row["note"]
    else:
        reading = read_terms(row["text"], CANDIDATES, finish_reason=row.get("finish_reason"))
        assert (reading.terms, reading.how) == (frozenset(row["terms"]), row["note"])


def test_the_tables_are_large_and_each_case_stands_once() -> None:
    assert len({(row["dataset"], row["text"]) for row in EXTRACTION}) == len(EXTRACTION) >= 50
    assert len({(row["text"], row.get("finish_reason")) for row in TERMS}) == len(TERMS) >= 30


def test_answers_above_the_length_limits_are_unreadable_rule_p4() -> None:
    with pytest.raises(Unreadable, match="too-long"):
        read_extraction(DATASETS["MAEESymp"], '{"症状": []}' + "。" * json_repair.LONGEST_READ)
    with pytest.raises(Unreadable, match="too-long"):
        read_terms("癌" + "\n理由" * terms.LONGEST_READ, CANDIDATES)


def test_valid_json_nested_beyond_the_limit_is_unreadable_rule_j9() -> None:
    for depth in (40, 5_000, 200_000):
        with pytest.raises(Unreadable, match="too-deep"):
            read_extraction(DATASETS["MAEESymp"], '{"症状": ' + "[" * depth + "]" * depth + "}")


def test_a_number_too_long_for_python_makes_json_unreadable_rule_j9() -> None:
    with pytest.raises(Unreadable, match="not-json"):
        read_extraction(DATASETS["MAEESymp"], '{"症状": [' + "9" * 5_000 + "]}")


HOSTILE = [
    "[",
    "{",
    "[]",
    "{}",
    "'",
    "{'",
    "['",
    "[1]",
    "[,",
    '{"a":\'',
    '"',
    "“",
    "[“",
    "\\",
    '{"\\',
    "```",
    "```json\n[]",
]
HOSTILE += ["None,", "[，", "\u0316\u0301", "归一化术语：a\n", "##", "癌\n", '{"症状":["a"]}']


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_of_anything_is_handled_in_linear_time(piece: str) -> None:
    text = (piece * (1_000_000 // len(piece) + 1))[:1_000_000]
    started = time.process_time()
    for read in (
        lambda: read_extraction(DATASETS["MAEESymp"], text),
        lambda: read_extraction(DATASETS["CHIP-CDEE"], text),
        lambda: read_terms(text[:60_000], CANDIDATES),
    ):
        with suppress(Unreadable):
            read()
    assert time.process_time() - started < 6.0
