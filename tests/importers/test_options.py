"""Options inside a question: read back exactly as they were written, or refused; never read wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mlb_offline.benchmark.items import LETTERS
from mlb_offline.bundle.importers.option_markers import PATTERNS, lettered
from mlb_offline.bundle.importers.options import Split, split_block, split_question
from mlb_offline.bundle.importers.refusal import RowError

WIDE = "ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ"
Writer = Callable[[list[str]], str]


def run(mark: str, between: str = "", letters: str = LETTERS) -> Writer:
    return lambda options: between.join(
        mark.replace("A", letter) + option for letter, option in zip(letters, options, strict=False)
    )


def strings(mark: str) -> Writer:
    def write(options: list[str]) -> str:
        return str([mark.replace("A", letter) + text for letter, text in zip(LETTERS, options, strict=False)])

    return write


INLINE: dict[str, Writer] = {
    "A x B y": run("A ", " "),
    "A.xB.y": run("A."),
    "A.x B.y": run("A.", " "),
    "A. x B. y": run("A. ", " "),
    "A．xB．y": run("A．"),
    "Ａ．xＢ．y": run("A．", letters=WIDE),
    "Ａ x Ｂ y": run("A ", " ", letters=WIDE),
    "A、x B、y": run("A、", " "),
    "A)x B)y": run("A)", " "),
    "A） xB） y": run("A） "),
    "A:x B:y": run("A:", " "),
    "A：xB：y": run("A："),
    "(A) x (B) y": run("(A) ", " "),
    "（A）x（B）y": run("（A）"),
    "【A】x【B】y": run("【A】"),
}
LINES: dict[str, Writer] = {
    f"lines {mark}x": run(mark, "\n") for mark in ("A ", "A.", "A. ", "A、", "A．", "A)", "A：", "（A）", "[A] ")
} | {"lines Ａ、x": run("A、", "\n", letters=WIDE)}
LISTS: dict[str, Writer] = {
    "['A x', 'B y']": strings("A "),
    "'A x', 'B y'": lambda options: strings("A ")(options)[1:-1],
    "['A. x', 'B. y']": strings("A. "),
    "选项：['A x', 'B y']": lambda options: " 选项：" + strings("A ")(options),
    '["A x", "B y"]': lambda options: json.dumps(
        [f"{letter} {text}" for letter, text in zip(LETTERS, options, strict=False)], ensure_ascii=False
    ),
    '["A、x","B、y"] escaped': lambda options: json.dumps(
        [f"{letter}、{text}" for letter, text in zip(LETTERS, options, strict=False)], separators=(",", ":")
    ),
}

WORDS = st.sampled_from(
    [
        *("维生素A", "维生素A 缺乏", "CYP2C9", "B型超声", "B 超", "ABO血型", "A型血", "0.5 mg", "3.5～5.5mmol/L"),
        *("E.coli", "大肠埃希菌(E.coli)", "阿司匹林，100mg", "Crohn's 病", "“是”", "'否'", "甲(A)", "以上都对"),
        *("C反应蛋白", "X线、CT", "维生素B、维生素C", "①②③", "HbA1c: 7%", "T细胞", "H.pylori 感染", "[无]", "I 型"),
        *("、", ".", "A", "B"),
    ]
)
NASTY = st.text(alphabet="ABC .、()（）'\"[],：:型乙x0Ｂ．", min_size=1, max_size=12)
OPTION = st.one_of(WORDS, st.lists(WORDS, min_size=1, max_size=3).map("".join), NASTY).map(str.strip).filter(bool)
OPTIONS = st.lists(OPTION, min_size=2, max_size=10)
STEM = st.one_of(
    st.sampled_from(["患者为A型血，维生素A 缺乏，首选", "甲组(A)与乙组(B)比较", "A. 甲\nB. 乙\n以上", "血型A、B、O中"]),
    NASTY,
    st.just("下列"),
)
ENDING = st.sampled_from(["？", "（）", "。", "：", " ", "？ "])


def last_holds_next_mark(writer: Writer, options: list[str]) -> bool:
    """The one case that no reader can tell apart: it is, letter for letter, the text of a longer list."""
    mark = writer(["\0"] * (len(options) + 1)).split("\0")[len(options)].strip()
    return mark in options[-1]


def check(text: str, question: str, options: list[str]) -> None:
    try:
        found = split_question(text)
    except RowError:
        return
    assert found.options == tuple(options)
    assert found.question == question.strip()


@pytest.mark.parametrize("pattern", INLINE)
@given(stem=STEM, ending=ENDING, options=OPTIONS)
@settings(max_examples=60, deadline=None)
def test_options_in_one_line_are_read_back_or_refused(pattern: str, stem: str, ending: str, options: list[str]) -> None:
    writer = INLINE[pattern]
    assume(not last_holds_next_mark(writer, options))
    check(stem + ending + writer(options), stem + ending, options)


@pytest.mark.parametrize("pattern", LINES)
@given(stem=STEM, ending=ENDING, options=OPTIONS)
@settings(max_examples=60, deadline=None)
def test_options_on_lines_are_read_back_or_refused(pattern: str, stem: str, ending: str, options: list[str]) -> None:
    writer = LINES[pattern]
    assume(not last_holds_next_mark(writer, options))
    check(stem + ending + "\n" + writer(options), stem + ending, options)


@pytest.mark.parametrize("pattern", LISTS)
@given(stem=STEM, ending=ENDING, options=OPTIONS)
@settings(max_examples=60, deadline=None)
def test_options_in_a_list_are_read_back_or_refused(pattern: str, stem: str, ending: str, options: list[str]) -> None:
    check(stem + ending + LISTS[pattern](options), stem + ending, options)


MEDICAL = [
    ["维生素A", "维生素B族", "维生素C", "维生素D", "维生素E"],
    ["CYP2C9", "CYP3A4", "CYP2D6", "CYP1A2"],
    ["B型超声", "X线", "CT", "MRI"],
    ["ABO血型不合", "Rh血型不合", "G-6-PD缺乏症"],
    ["0.5 mg/d", "1.0 mg/d，分2次", "3.5～5.5mmol/L", ">10^9/L"],
    ["“是”", "'否'", "Crohn's 病", "以上（均）对", "不确定。"],
    ["A型血", "B型血", "AB型血", "O型血"],
]


@pytest.mark.parametrize("pattern", [*INLINE, *LINES, *LISTS])
@pytest.mark.parametrize("options", MEDICAL, ids=lambda options: options[0])
def test_ordinary_medical_options_are_read_in_every_pattern(pattern: str, options: list[str]) -> None:
    writer = {**INLINE, **LINES, **LISTS}[pattern]
    for stem in ("患者为A型血，维生素A 缺乏，首选？", "下列B型题，属于A类的是（）"):
        text = stem + ("\n" if pattern in LINES else "") + writer(options)
        assert split_question(text) == Split(stem, tuple(options))


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("缺什么？ A B 超 B CT C MRI", ("B 超", "CT", "MRI")),
        ("哪种菌？A.E.coli B.金葡菌 C.链球菌 D.肠球菌", ("E.coli", "金葡菌", "链球菌", "肠球菌")),
        ("？A.x\tB.y\tC.z", ("x", "y", "z")),
        ("？\r\nA.x\r\nB.y\r\n", ("x", "y")),
        ("？A.x B.y\nC.z D.w", ("x", "y", "z", "w")),
        ("？\nA. x\n\nB. y", ("x", "y")),
        ("？['A x', \"B Crohn's\", 'C \\'q\\'']", ("x", "Crohn's", "'q'")),
        (r'？["A x\/y", "B \u7532"]', ("x/y", "甲")),
        (r"""？["A it\'s", 'B y']""", ("it's", "y")),
        ("？\nA.首行\n  续行\nB.y", ("首行\n  续行", "y")),
        ("缺乏维生素A、D时应选？A、鱼肝油 B、铁剂", ("鱼肝油", "铁剂")),
    ],
)
def test_particular_texts_are_read(text: str, options: tuple[str, ...]) -> None:
    assert split_question(text).options == options


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("下列哪项正确？", "no options"),
        ("？A.只有一个", "no options"),
        ("B.x\nC.y", "A is missing"),
        ("？A.x B.y D.z E.w", "seems to hold an option D"),
        ("？\nA x\nB y\nD z", "option B is followed by D"),
        ("？A.x B.y\n请选择。", "text follows option B"),
        ("？A.x C.y B.z", "seems to hold an option C"),
        ("？A.x B.y C、z", "seems to hold an option C"),
        ("？\nA.x\nB.y C.z", "seems to hold an option C"),
        ("？\nA.x\nB.y C、z", "seems to hold an option C"),
        ("？A x B yC z", "seems to hold an option C"),
        ("？A、x B.y C.z", "no options"),
        ("？A.甲 B.乙(如 C.丙) D.丁", "bracket"),
        ("？A)甲(B)乙", "bracket"),
        ("？（A.x B.y）", "bracket"),
        ("？A.血清 A.血浆 B.y", "more than one way"),
        ("？A.x B.甲B.乙 C.z", "more than one way"),
        ("？\nA. p\nB. q？A.x B.y", "more than one way"),
        ("？'A. Crohn's', 'B. y'", "quotes"),
        ("？['A x', 'C y']", "entry 2 of the list"),
        ("？['A x', 'B. y']", "entry 2 of the list"),
        ("？['甲', '乙']", "no options"),
        ("A.x B.y", "no question"),
        ("选项：['A x', 'B y']", "no question"),
        ("？['A x', 'B y'", "no options"),
        ("？'A x' 'B y'", "no options"),
        (r"？['A \d', 'B y']", "no options"),
        ("？['A ', 'B y']", "entry 1 of the list"),
        ("", "no options"),
    ],
)
def test_doubtful_texts_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        split_question(text)


@pytest.mark.parametrize("pattern", [*INLINE, *LINES])
def test_a_damaged_list_is_refused_whichever_mark_is_lost(pattern: str) -> None:
    options = ["阿司匹林", "布洛芬", "吲哚美辛", "双氯芬酸", "萘普生"]
    between = "\n" if pattern in LINES else " "
    marks = [piece.strip() for piece in {**INLINE, **LINES}[pattern](["\0"] * len(options)).split("\0")]
    for lost in range(len(options) - 1):
        kept = ["" if index == lost else mark + " " for index, mark in enumerate(marks)]
        damaged = between.join(mark + option for mark, option in zip(kept, options, strict=False))
        with pytest.raises(RowError):
            split_question("哪一种？\n" + damaged)


def test_the_lead_in_before_the_options_goes_but_the_same_word_in_a_sentence_stays() -> None:
    assert split_question("甲。\n选项：\nA.x\nB.y").question == "甲。"
    assert split_question("属于原则的选项是\nA.x\nB.y").question == "属于原则的选项是"


def test_a_block_of_options_holds_nothing_else() -> None:
    assert split_block("A x\nB y") == ("x", "y")
    with pytest.raises(RowError, match="before option A"):
        split_block("选择\nA x\nB y")


def test_very_many_possible_readings_end_quickly() -> None:
    with pytest.raises(RowError, match="more than one way"):
        split_question("？" + "A.x B.y C.z " * 3000)


def test_a_list_may_not_start_in_two_places() -> None:
    with pytest.raises(RowError, match="more than one place"):
        split_question("？'A x', 'A y', 'B z'")


@given(st.text(max_size=60))
@example("ＡA.")
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        found = split_question(text)
    except RowError:
        return
    assert found.question
    assert all(option.strip() for option in found.options)
    assert len(found.options) >= 2


def test_a_mark_is_of_one_pattern_only() -> None:
    for pattern in PATTERNS:
        mark = pattern.name
        found = lettered(f"{mark}文字")
        assert found is not None
        assert found[0] is pattern
