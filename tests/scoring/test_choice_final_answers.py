"""An answer whose final choice is wrong is never read as exactly the right letters (rules C12, C14, C15, C18, C19)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlb_offline.scoring.answer_text import Unreadable
from mlb_offline.scoring.choice import read_choice

OPTIONS = ["牛奶", "红肉", "菠菜", "香蕉", "动物肝脏"]
TEXT = dict(zip("ABCDE", OPTIONS, strict=True))

# {r} is the right letter, {w} another one; {R} and {W} are their texts. A person reads {w}, both, or no answer.
OVERRULED = [
    "答案：{r}。实际上，{w}更准确。",
    "答案：{r}。这个答案是错误的，正确的是{w}。",
    "故选{r}。但本题要求选出错误选项，所以是{w}",
    "答案：{r}\n\n修正：{w}",
    "答案：{r}\n更正：{w}",
    "答案：{r}。更正一下，答案是{w}",
    "The answer is {r}. Correction: {w}",
    "答案：{r}。Sorry, it's {w}.",
    "我选{r}，不，是{w}。",
    "答案：{r}，但{w}也对，所以应该是{r}{w}",
    "初步判断答案为{r}。复核后认为{w}更合适。",
    "第一反应答案是{r}，但仔细分析后{w}才对",
    "乍看答案是{r}。但其实是{w}",
    "## Thinking\n答案应该是{r}。\n## Final Response\n选项{w}正确。",
    "答案：{r}\n\n抱歉，刚才看错了题。{w}才符合题意。",
    "答案：{r}\n\n等等，题目问的是“不正确”的一项，{w}。",
    "答案：{r}\n\n重新审题后，我认为{w}（{W}）更合适。",
    "答案：{r}……不对，应该是{w}",
    "答案：{r} → {w}",
    "答案：~~{r}~~ {w}",
    "~~答案：{r}~~\n\n答案：{w}",
    "答案：{r}\n\n综上所述，正确答案为{w}。",
    "答案：{r}\n最终答案：{W}",
    "答案：{r}\n\n最终答案是{w}（{W}）。",
    "The answer seems to be {r}. However, the best answer is {w}.",
    "Answer: {r}\n\nWait, the question asks for the exception. Final answer: {w}",
    "Answer: {r}\n\nOn second thought, I would go with {w}.",
    "<think>答案：{r}</think>\n答案：{w}",
    "◁think▷答案：{r}◁/think▷{w}",
]
ATTRIBUTED = [
    "我的判断是{w}。教材上标准答案为{r}。",
    "最佳答案：{w}；备选答案：{r}",
    "首选答案：{w}\n次选答案：{r}",
    "Best answer: {w}. Second best answer: {r}",
    "Correct answer: {w}\nYour answer: {r}",
    '{{"正确答案":"{w}","学生答案":"{r}"}}',
    '{{"answer":"{w}","explanation":"原给出的参考答案是{r}。"}}',
    "不少学生以为答案是{r}。",
    "我不同意答案{r}。",
    "我不认为答案是{r}。",
    "答案：{w}\n~~答案：{r}~~",
    "答案：{w}<|endoftext|>Question: … Answer: {r}",
    "【答案】{w}\n【变式题】下列哪项相反？\n【答案】{r}",
    "网上给出的答案：{r}\n我的答案：{w}",
    "如果题目问的是含铁最少，答案是{r}。本题选{w}。",
    "难道答案是{r}？显然不是。",
    "错误答案：{r}",
    "答案并非{r}，而是{w}",
    "答案：除{r}外都正确",
    "答案：{r}以外的选项",
    "The answer is anything except {r}.",
    "Answer: not {r}",
    "答案：非{r}",
]
CUT_SHORT = [
    "答案：{r}正确，{w}正确",
    "答案：{w}正确，{r}正确",
    "正确答案：{r}（{R}），以及{w}（{W}）",
    "选{r}、选{w}",
    "答案：{r}，还有{w}",
    "答案：{r}\n{w}",
    "答案：{r}．{w}",
    "答案：{r}。{w}。",
    "答案：{r}因为含铁，{w}因为含钙",
    "\\boxed{{{r}}} 和 \\boxed{{{w}}}",
    "\\boxed{{{r},\\ {w}}}",
    "<answer>{w}</answer><answer>{r}</answer>",
    "{w}选项和{r}选项是正确答案",
    "{w}（{W}）和{r}（{R}）是正确答案",
    '[{{"答案":"{r}"}},{{"答案":"{w}"}}]',
    "The correct answer is {r}. {w} is also correct.",
    "The answers are {r}, and also {w}",
    "答案：{r}. {R}\n{w}. {W}",
    "答案：\n1. {r}. {R}\n2. {w}. {W}",
    "正确答案是：\n\n✅ {r}. {R}\n✅ {w}. {W}",
    "正确答案是：\n- **{r}. {R}**：符合\n- **{w}. {W}**：符合",
    "答案：{r}\n\n此外，{w}也符合题意。",
    "{r}。含铁。\n\n{w}。含钙。",
    "{r}\n\n补充：{w}也可以",
    "答案：{r}~{w}",
    "答案：{r}到{w}",
    "答案：{r}或{w}",
    "答案：{r}/{w}",
    "答案：选项{r}和{w}",
    "Answer: {r} as well as {w}",
    '{{"answer":{{"{r}":0.1,"{w}":0.9}}}}',
    '{{"answer":{{"{r}":false,"{w}":true}}}}',
    '{{"answer":"{r}","answer2":"{w}"}}',
    '{{"答案":"{r}","补充":"{w}也对"}}',
    "第一空答案：{r}；第二空答案：{w}",
    "| 选项 | 判断 |\n|---|---|\n| {r} | ❌ |\n| {w} | ✅ |",
    "{r} ❌\n{w} ✅",
    "{r}×{w}√",
]
TEMPLATES = [*OVERRULED, *ATTRIBUTED, *CUT_SHORT]
pairs = st.permutations("ABCDE").map(lambda letters: (letters[0], letters[1]))


def read(text: str) -> set[str]:
    try:
        return set(read_choice(text, OPTIONS).letters)
    except Unreadable:
        return set()


def filled(template: str, right: str, wrong: str) -> str:
    return template.format(r=right, w=wrong, R=TEXT[right], W=TEXT[wrong])


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_a_person_reads_as_another_answer_is_never_exactly_the_right_one(template: str) -> None:
    for right in "ABCDE":
        for wrong in set("ABCDE") - {right}:
            text = filled(template, right, wrong)
            assert read(text) != {right}, text


BEFORE = ["", "题干提示缺铁。\n\n", "本题考查营养学知识。A项牛奶含铁少，错误。\n", "好的，我来分析这道题。"]
AFTER = ["", "\n", "\n\n希望对您有帮助！", "\n\n以上分析仅供参考，请以医生意见为准。"]


@settings(max_examples=300)
@given(
    template=st.sampled_from(TEMPLATES),
    letters=pairs,
    before=st.sampled_from(BEFORE),
    after=st.sampled_from(AFTER),
    wide=st.booleans(),
)
def test_words_around_such_an_answer_do_not_make_it_right(
    template: str, letters: tuple[str, str], before: str, after: str, wide: bool
) -> None:
    text = before + filled(template, *letters) + after
    if wide:
        text = text.replace(letters[0], chr(ord(letters[0]) + 0xFEE0))
    assert read(text) != {letters[0]}


DISCUSSIONS = [
    "答案：{r}\n\n解析：{w}选项（{W}）含铁少，错误；{r}选项（{R}）含铁多，正确。",
    "**答案：{r}. {R}**\n\n**解析：**\n- **{r}. {R}**：含铁丰富。\n- **{w}. {W}**：含铁很少。",
    "正确答案是 **{r}. {R}**。\n\n逐项分析：\n{w}. {W}：不符合题意。\n{r}. {R}：符合题意。",
    "{r}\n\n解析：{w}错误，{r}正确。",
    "{w}不对，{w}含铁很少。答案：{r}",
    "先排除{w}。\n\n综上，选{r}。",
    "<think>也许是{w}？答案：{w}</think>答案：{r}",
    "{w}项（{W}）含铁少，故选{r}。",
    "The correct answer is **{r}. {R}**.\n\n{w} is incorrect because it lacks iron.",
    "答案：{r}，而不是{w}",
    "答案：{r}。{w}错误。",
    "【答案】{r}\n【解析】{R}含铁多（{r}对），{W}含铁少（{w}错）。",
    "初步考虑，选{w}。\n进一步分析后，最终答案：{r}",
]


@pytest.mark.parametrize("template", DISCUSSIONS)
def test_an_explanation_that_rejects_other_options_leaves_the_answer_readable(template: str) -> None:
    for right in "ABCDE":
        for wrong in set("ABCDE") - {right}:
            text = filled(template, right, wrong)
            assert read(text) == {right}, text


def test_templates_are_many_and_different() -> None:
    assert len(set(TEMPLATES)) == len(TEMPLATES) >= 80
    assert json.loads(filled('{{"正确答案":"{w}","学生答案":"{r}"}}', "A", "B"))["学生答案"] == "A"
