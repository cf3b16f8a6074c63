"""Every hand-written raw answer to a choice item is read as its row says (rules P1 to P5, C1 to C19)."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.scoring.answer_text import Unreadable
from mlb_offline.scoring.choice import LONGEST_READ, read_choice

OPTIONS = ["牛奶", "红肉", "菠菜", "香蕉", "动物肝脏"]
TABLE = Path(__file__).with_name("choice_readings.jsonl")
ROWS = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['rule']}-{row['text'][:24]!r}")
def test_a_raw_answer_is_read_as_the_table_says(row: dict[str, Any]) -> None:
    options = row.get("options", OPTIONS)
    if row["expect"] is not None:
        reading = read_choice(row["text"], options, finish_reason=row.get("finish_reason"))
        assert ",".join(sorted(reading.letters)) == row["expect"]
    else:
        with pytest.raises(Unreadable) as unreadable:
            read_choice(row["text"], options, finish_reason=row.get("finish_reason"))
        assert unreadable.value.reason == row["reason"]


def test_the_table_is_large_and_each_case_stands_once() -> None:
    cases = {(row["text"], tuple(row.get("options", OPTIONS)), row.get("finish_reason")) for row in ROWS}
    assert len(cases) == len(ROWS) >= 500


@pytest.mark.parametrize(
    ("text", "how"),
    [("B,C", "strict"), ("B、C", "bare"), ("红肉", "option-text"), ("故选B", "final-answer"), ("选B", "stated")],
)
def test_the_reading_says_how_it_was_made(text: str, how: str) -> None:
    assert read_choice(text, OPTIONS).how == how


def test_only_the_end_of_a_very_long_answer_is_read_rule_p4() -> None:
    reasoning = "牛奶含铁少。" * LONGEST_READ
    assert read_choice(f"答案：A\n{reasoning}\n答案：C", OPTIONS).letters == {"C"}
    with pytest.raises(Unreadable, match="no-statement"):
        read_choice(f"答案：A\n{reasoning}", OPTIONS)
    with pytest.raises(Unreadable, match="no-statement"):
        read_choice("A。因为" + " " * LONGEST_READ + "铁", OPTIONS)


def test_what_is_left_of_a_very_long_answer_is_never_taken_for_a_whole_one_rule_p4() -> None:
    with pytest.raises(Unreadable, match="no-statement"):
        read_choice("不选\n" + " " * LONGEST_READ + "B因为", OPTIONS)


HOSTILE = [
    "答案",
    "答案：A",
    "答案\n",
    "A,",
    "A ",
    "(",
    "[",
    "B.红肉 ",
    "不",
    "如果",
    "```\n",
    "<think>",
    "</think>",
    "\\boxed{",
]
HOSTILE += [
    "\u0316\u0301",
    "\ufdfa",
    "A、B是",
    "\n ",
    " ",
    '{"答案":',
    "A或",
    "\\text{",
    "选A。",
    "C错",
    "但C",
    "(C对)",
    "C最",
    "B、",
    "[{",
    "~~",
]


PATIENCE = 20.0
"""CPU seconds: no measurement, which is for bench/. These take about one; what grows with the square, many minutes."""


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_of_anything_is_handled_in_linear_time(piece: str) -> None:
    text = (piece * (1_000_000 // len(piece) + 1))[:1_000_000]
    started = time.process_time()
    with suppress(Unreadable):
        read_choice(text, OPTIONS)
    assert time.process_time() - started < PATIENCE


@pytest.mark.parametrize("piece", HOSTILE)
def test_anything_after_an_answer_is_handled_in_linear_time(piece: str) -> None:
    for text in (f"答案：B\n解析：{piece * 65_000}"[:65_000], f"答案：B。{piece * 65_000}"[:65_000]):
        started = time.process_time()
        with suppress(Unreadable):
            read_choice(text, OPTIONS)
        assert time.process_time() - started < PATIENCE


def test_a_model_that_repeats_itself_without_end_is_not_read_rule_c15() -> None:
    assert read_choice("故选B。" * 100, OPTIONS).letters == {"B"}
    with pytest.raises(Unreadable, match="too-many-statements"):
        read_choice("故选B。" * 300, OPTIONS)
