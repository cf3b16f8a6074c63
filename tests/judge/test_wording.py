"""One spelling: what is the same quantity becomes the same characters, and what is not stays apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_offline.judge.wording import number_of, plain


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("发热三天", "发热3日"),
        ("体温38度5", "体温 38.5℃"),
        ("体温３８．５℃", "体温38.5°C"),
        ("半年", "6个月"),
        ("十余年", "10余年"),
        ("两周多", "2周余"),
        ("60周岁", "60岁"),
        ("吸烟二十年，每天十支", "吸烟20年,每天10支"),
        ("收缩压150毫米汞柱", "收缩压150mmHg"),
        ("阿司匹林100毫克", "阿司匹林100mg"),
        ("WBC 12.3×10^9/L", "wbc 12.3×10⁹/L".replace("⁹", "^9")),
        ("3月前", "3个月前"),
        ("一百二十次/分钟", "120次/分钟"),
        ("12×109/L", "12×10^9/L"),
        ("半个月", "15天"),
    ],
)
def test_the_same_quantity_is_spelled_the_same(first: str, second: str) -> None:
    assert plain(first) == plain(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("3天", "3周"),
        ("左侧", "右侧"),
        ("十二指肠", "12指肠"),
        ("三叉神经痛", "3叉神经痛"),
        ("3岁", "13岁"),
        ("第三天", "3天"),
    ],
)
def test_what_differs_in_meaning_stays_apart(first: str, second: str) -> None:
    assert plain(first) != plain(second)


@pytest.mark.parametrize("text", ["发热38℃3天", "体温38.5℃2天", "发热39度2次", "2×100mg", "2个半月", "38度5分钟"])
def test_a_quantity_is_not_joined_with_the_number_after_it(text: str) -> None:
    assert plain(text) == text


def test_marks_of_json_become_boundaries_between_statements() -> None:
    assert plain('{"诊断": "肺炎", "诊断依据": ["发热", "咳嗽"]}') == "诊断:肺炎;诊断依据:发热;咳嗽"


def test_characters_that_nobody_sees_are_gone() -> None:
    assert plain("肺\u200b炎\ufeff") == "肺炎"


def test_a_pair_of_numerals_is_no_number() -> None:
    assert number_of("一二") is None
    assert plain("患病一二天") == "患病一二天"


@given(st.integers(1, 999))
def test_a_numeral_has_its_value(value: int) -> None:
    digits = "零一二三四五六七八九"
    hundreds, tens, ones = value // 100, value // 10 % 10, value % 10
    numeral = (digits[hundreds] + "百" if hundreds else "") + (digits[tens] + "十" if tens else "")
    assert number_of(numeral + (digits[ones] if ones else "")) == value


@given(st.text(max_size=200))
def test_any_text_has_a_spelling_that_stays(text: str) -> None:
    once = plain(text)
    assert once == once.strip()
    assert "\u200b" not in once


def test_long_runs_of_white_space_are_spelled_at_once() -> None:
    assert plain("12" + " " * 200_000 + "a" + "\n" * 200_000 + "b") == "12 a\nb"
