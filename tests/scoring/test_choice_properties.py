"""Properties of choice scoring that hold for any letters, any options and any text."""

from __future__ import annotations

import string
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import Item
from mlb_offline.scoring.answer_text import Unreadable
from mlb_offline.scoring.choice import read_choice
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.scoring.score import score_response

OPTIONS = ["牛奶", "红肉（瘦）", "维生素C", "B超检查", "A型肉毒毒素", "不宜手术", "0.9%氯化钠"]
LETTERS = string.ascii_uppercase[: len(OPTIONS)]


def item(answer: str) -> Item:
    return Item(
        id="1",
        specialty="内科",
        question="？",
        source="t",
        licence="CC0",
        reviewed_by="none",
        options=OPTIONS,
        answer=answer,
    )


def texts(letters: list[str], mark: str, joint: str) -> str:
    return joint.join(f"{letter}{mark}{OPTIONS[LETTERS.index(letter)]}" for letter in letters)


def full_width(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


STYLES = {
    "the benchmark's own": ",".join,
    "letters together": "".join,
    "lower case": lambda letters: ",".join(letters).lower(),
    "full width": lambda letters: full_width(",".join(letters)),
    "enumeration comma": "、".join,
    "with blanks": ", ".join,
    "blanks only": " ".join,
    "lines": "\n".join,
    "bulleted lines": lambda letters: "\n".join(f"- {letter}" for letter in letters),
    "brackets": lambda letters: "".join(f"({letter})" for letter in letters),
    "full-width brackets": lambda letters: "".join(f"（{letter}）" for letter in letters),
    "bold": lambda letters: f"**{','.join(letters)}**",
    "bold one by one": lambda letters: "、".join(f"**{letter}**" for letter in letters),
    "fence": lambda letters: f"```\n{','.join(letters)}\n```",
    "answer with colon": lambda letters: f"答案：{'、'.join(letters)}",
    "answer is": lambda letters: f"正确答案是{''.join(letters)}。",
    "bold answer, next line": lambda letters: f"**答案：**\n\n**{','.join(letters)}**",
    "final answer": lambda letters: f"**最终答案**：{','.join(letters)}",
    "therefore": lambda letters: f"综上所述，故选{''.join(letters)}。",
    "choose": lambda letters: f"选{''.join(letters)}",
    "output": lambda letters: f"输出：{','.join(letters)}",
    "items": lambda letters: f"答案为{'、'.join(letters)}项",
    "option words": lambda letters: f"正确选项是：{'和'.join(letters)}",
    "boxed": lambda letters: f"$\\boxed{{{','.join(letters)}}}$",
    "boxed text": lambda letters: f"\\[\\boxed{{\\text{{{','.join(letters)}}}}}\\]",
    "json string": lambda letters: f'{{"答案": "{",".join(letters)}"}}',
    "json list": lambda letters: '{"answer": ["' + '", "'.join(letters) + '"]}',
    "fenced json": lambda letters: '```json\n{\n  "answer": [\n    "' + '",\n    "'.join(letters) + '"\n  ]\n}\n```',
    "bare json list": lambda letters: '["' + '", "'.join(letters) + '"]',
    "english": lambda letters: f"The correct answer is {', '.join(letters)}.",
    "english final": lambda letters: f"Final Answer: {' and '.join(letters)}",
    "answer tag": lambda letters: f"<answer>{','.join(letters)}</answer>",
    "answer with texts": lambda letters: "答案：" + texts(letters, ".", " "),
    "answer with texts, commas": lambda letters: "答案是" + texts(letters, ". ", "，") + "。",
    "answer with texts in brackets": lambda letters: (
        "正确答案：" + "、".join(f"{x}（{OPTIONS[LETTERS.index(x)]}）" for x in letters)
    ),
    "reasoning first": lambda letters: f"题干提示缺铁，维生素A与此无关，因此 A 不对。\n答案：{','.join(letters)}",
    "reason after": lambda letters: f"{','.join(letters)}\n\n解析：根据CT所见，患者A型血，B超未见异常。",
    "after thinking": lambda letters: f"<think>先看A，选A？答案：B。</think>\n{','.join(letters)}",
}
BARE_TEXTS = {
    "with texts": lambda letters: texts(letters, ".", " "),
    "with texts on lines": lambda letters: texts(letters, ". ", "\n"),
    "with texts in brackets": lambda letters: texts(letters, "、", "；"),
}

chosen = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=len(LETTERS), unique=True).map(sorted)
styles = st.sampled_from(sorted(STYLES))


@given(letters=chosen, style=styles)
def test_the_right_letters_in_any_style_are_right(letters: list[str], style: str) -> None:
    score = score_response(DATASETS["MAExam"], item(",".join(letters)), STYLES[style](letters))
    assert (style, score.outcome) == (style, Outcome.RIGHT)


@given(letters=chosen.filter(lambda letters: len(letters) < len(LETTERS)), style=st.sampled_from(sorted(BARE_TEXTS)))
def test_letters_with_their_own_texts_are_right_unless_they_echo_all_options(letters: list[str], style: str) -> None:
    score = score_response(DATASETS["MAExam"], item(",".join(letters)), BARE_TEXTS[style](letters))
    assert (style, score.outcome) == (style, Outcome.RIGHT)


@given(right=chosen, stated=chosen, style=styles)
def test_other_letters_in_any_style_are_never_right(right: list[str], stated: list[str], style: str) -> None:
    score = score_response(DATASETS["MAExam"], item(",".join(right)), STYLES[style](stated))
    assert (score.outcome is Outcome.RIGHT) == (right == stated)


JUNK = st.sampled_from(
    [
        "{0}不对。",
        "{0}项错误，予以排除。",
        "不选{0}。",
        "不能选{0}！",
        "如果答案是{0}，则与题意矛盾。",
        "维生素{0}缺乏。",
        "{0}型血患者。",
        "{0} patient with CT shows nodules.",
        "错误答案：{0}。",
        "首选{0}超检查。",
        "答案不是{0}。",
        "很多考生误选{0}。",
        "The answer is not {0}.",
        "为什么选{0}？",
        "{0}正确与否需要讨论。",
        "CT与MRI均正常。",
    ]
)


@given(
    right=st.sampled_from(LETTERS),
    stated=chosen,
    style=st.sampled_from(["answer with colon", "final answer", "therefore", "english", "boxed", "json string"]),
    before=st.lists(JUNK, max_size=4),
    after=st.lists(JUNK, max_size=4),
)
def test_talk_about_the_right_letter_never_makes_another_statement_right(
    right: str, stated: list[str], style: str, before: list[str], after: list[str]
) -> None:
    parts = [*(junk.format(right) for junk in before), STYLES[style](stated), *(junk.format(right) for junk in after)]
    score = score_response(DATASETS["MAExam"], item(right), "\n".join(parts))
    assert score.outcome is not Outcome.RIGHT or stated == [right]


@given(junk=st.lists(JUNK, min_size=1, max_size=6), letter=st.sampled_from(LETTERS), glue=st.sampled_from(["", "\n"]))
def test_talk_without_a_statement_is_never_right(junk: list[str], letter: str, glue: str) -> None:
    text = glue.join(part.format(letter) for part in junk)
    assert score_response(DATASETS["MAExam"], item(letter), text).outcome is Outcome.UNREADABLE


TOKENS = [
    *"ABCGHabz,、.:：。（）()[]{}\"'*`\n 和或不是选项",
    "答案",
    "正确",
    "故选",
    "应选",
    "如果",
    "answer is",
    "\\boxed{",
]
TOKENS += [
    "<think>",
    "</think>",
    "```",
    "红肉",
    "维生素C",
    "B超检查",
    "错误",
    "等等",
    "最终",
    "</answer>",
    "\u200b",
    "\ufdfa",
    "\ud800",
]
soup = st.lists(st.sampled_from(TOKENS), max_size=40).map("".join)


@settings(max_examples=400)
@given(text=st.one_of(st.text(), soup), reason=st.sampled_from([None, "stop", "length"]))
def test_any_text_is_read_or_unreadable_and_only_letters_in_it_are_read(text: str, reason: str | None) -> None:
    try:
        reading = read_choice(text, OPTIONS, finish_reason=reason)
    except Unreadable:
        return
    assert reading.letters
    assert reading.letters <= set(LETTERS)
    if reading.how != "option-text":
        assert reading.letters <= set(unicodedata.normalize("NFKC", text).upper())


@given(text=soup, reason=st.sampled_from([None, "length"]))
def test_a_reading_does_not_depend_on_the_right_answer(text: str, reason: str | None) -> None:
    scores = [score_response(DATASETS["MAExam"], item(letter), text, finish_reason=reason) for letter in LETTERS]
    assert len({(score.note, score.outcome is Outcome.UNREADABLE) for score in scores}) == 1
    assert sum(score.outcome is Outcome.RIGHT for score in scores) <= 1


@given(letters=chosen, style=styles.filter(lambda style: style != "reason after"))  # there the answer is complete
def test_an_answer_cut_at_its_last_letter_is_unreadable_rule_p3(letters: list[str], style: str) -> None:
    text = STYLES[style](letters)
    cut = text[: text.rfind(letters[-1]) + 1] if letters[-1] in text else text
    score = score_response(DATASETS["MAExam"], item(",".join(letters)), cut, finish_reason="length")
    assert score.outcome is not Outcome.RIGHT or not cut.endswith(letters[-1])
