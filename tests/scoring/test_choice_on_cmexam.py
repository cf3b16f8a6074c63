"""Choice reading on real options, answers and explanations (CMExam, validation part)."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from openpyxl import load_workbook

from mlb_offline.scoring.answer_text import Unreadable
from mlb_offline.scoring.choice import read_choice

ROWS = 1500


@dataclass(frozen=True)
class Real:
    options: list[str]
    answer: list[str]
    explanation: str


@pytest.fixture(scope="module")
def items(shared_data: Path) -> list[Real]:
    sheet = load_workbook(shared_data / "cmexam" / "val.xlsx", read_only=True).active
    assert sheet is not None
    found = []
    for _question, options, answer, explanation in sheet.iter_rows(min_row=2, max_row=ROWS, values_only=True):
        pairs = re.findall(r"^([A-Z]) ?(.+)$", str(options).replace("\\n", "\n"), re.MULTILINE)
        letters = [letter for letter, _ in pairs]
        if letters == list("ABCDEFGH"[: len(letters)]) and len(letters) > 1 and str(answer).isupper():
            found.append(Real([text for _, text in pairs], list(str(answer)), str(explanation or "")))
    assert len(found) > 0.9 * ROWS
    return found


def with_texts(real: Real) -> str:
    return "、".join(f"{letter}.{real.options[ord(letter) - 65]}" for letter in real.answer)


def explained(real: Real) -> str:
    return json.dumps({"answer": ",".join(real.answer), "explanation": real.explanation}, ensure_ascii=False)


STYLES = {
    "strict": lambda real: ",".join(real.answer),
    "answer": lambda real: "答案：" + "、".join(real.answer),
    "answer with texts": lambda real: "答案是" + with_texts(real) + "。",
    "thinking": lambda real: f"<think>{real.explanation}</think>{','.join(real.answer)}",
}
EXPLAINED = {
    "reasoning first": (0.998, lambda real: f"{real.explanation}\n\n因此，正确答案是：{','.join(real.answer)}"),
    "therefore": (0.998, lambda real: f"{real.explanation}故选{''.join(real.answer)}。"),
    "boxed": (0.998, lambda real: f"{real.explanation}\n\n$\\boxed{{{','.join(real.answer)}}}$"),
    "both": (
        0.998,
        lambda real: f"答案：{'、'.join(real.answer)}\n\n{real.explanation}\n\n综上，选{'、'.join(real.answer)}。",
    ),
    "answer first": (0.98, lambda real: f"答案：{'、'.join(real.answer)}\n解析：{real.explanation}"),
    "text first": (0.98, lambda real: f"**答案：{with_texts(real)}**\n\n**解析：**\n{real.explanation}"),
    "letters first": (0.98, lambda real: f"{','.join(real.answer)}\n\n{real.explanation}"),
    "json": (0.98, explained),
}


@pytest.mark.parametrize("style", sorted(STYLES))
def test_the_reference_of_a_real_item_is_read_in_every_style(items: list[Real], style: str) -> None:
    for real in items:
        assert read_choice(STYLES[style](real), real.options).letters == set(real.answer), STYLES[style](real)


@pytest.mark.parametrize("style", sorted(EXPLAINED))
def test_nearly_every_real_answer_is_read_beside_its_real_explanation(items: list[Real], style: str) -> None:
    share, written = EXPLAINED[style]
    right = wrong = 0
    for real in items:
        with suppress(Unreadable):
            letters = read_choice(written(real), real.options).letters
            right += letters == set(real.answer)
            wrong += letters != set(real.answer)
    assert right >= share * len(items)
    assert wrong <= 1  # one explanation itself says "B、C均为正确选项。但参考答案给的是B"


def test_a_real_explanation_of_another_answer_hardly_ever_yields_the_right_one(items: list[Real]) -> None:
    believed = 0
    for real in items:
        if len(real.answer) == 1:
            other = "B" if real.answer == ["A"] else "A"
            with suppress(Unreadable):
                text = f"答案：{other}\n解析：{real.explanation}"
                believed += read_choice(text, real.options).letters == set(real.answer)
    assert believed <= 0.01 * len(items)


def test_a_real_explanation_alone_is_hardly_ever_read_and_then_rightly(items: list[Real]) -> None:
    read = wrong = 0
    for real in items:
        try:
            reading = read_choice(real.explanation, real.options)
        except Unreadable:
            continue
        read += 1
        wrong += reading.letters != set(real.answer)
    assert read < 0.02 * len(items)
    assert wrong <= 1
