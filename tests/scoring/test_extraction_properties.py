"""Properties of extraction and normalisation scoring that hold for any reference and any text."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mlb_offline.benchmark.catalogue import DATASETS, Form
from mlb_offline.benchmark.items import Item
from mlb_offline.scoring.outcome import Outcome, Score
from mlb_offline.scoring.score import score_absent, score_response

CANDIDATES = ["糖尿病", "鼻腔息肉##鼻窦息肉##癌", "血管断裂", "损伤,水平未特指##头部损伤", "急性肠炎[细菌性]##脱水"]
BY_FORM = {
    form: [d for d in DATASETS.values() if d.form is form] for form in (Form.ENTITIES, Form.EVENTS, Form.RELATIONS)
}

# Strings with the signs that break naive readers; no quotes of the kinds that J5 cannot tell apart.
word = st.text(alphabet="腹痛发热CRPαβ１２0.5%：，。、（）()[]{}#:,?/ -", min_size=1, max_size=8).filter(str.strip)
words = st.lists(word, max_size=4)


@st.composite
def answered(draw: st.DrawFn) -> tuple[str, Any]:
    """A micro-F1 dataset that is answered in JSON, and a reference answer."""
    form = draw(st.sampled_from(list(BY_FORM)))
    dataset = draw(st.sampled_from(BY_FORM[form]))
    if form is Form.ENTITIES:
        return dataset.id, {key: draw(words) for key in dataset.keys}
    if form is Form.EVENTS:
        state = st.sampled_from(["", "否定", "不确定"])
        event = st.fixed_dictionaries({"主体词": word, "发生状态": state, "描述词": words, "解剖部位": words})
        return dataset.id, draw(st.lists(event, max_size=4))
    relation = st.fixed_dictionaries({"关系": word, "头实体": word, "尾实体": word})
    return dataset.id, {"关系": draw(st.lists(relation, max_size=4))}


def item(answer: Any, options: list[str] | None = None) -> Item:
    return Item(
        id="1",
        specialty="内科",
        question="？",
        source="t",
        licence="CC0",
        reviewed_by="none",
        answer=answer,
        options=options or [],
    )


def dumped(answer: Any) -> str:
    return json.dumps(answer, ensure_ascii=False)


def full_width_outside_strings(answer: Any) -> str:
    text = json.dumps(answer, ensure_ascii=False, separators=("\uf8ff", "\uf8fe"))
    return text.replace("\uf8ff", "，").replace("\uf8fe", "：")


def with_trailing_commas(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + "".join(f"{dumped(key)}: {with_trailing_commas(part)}, " for key, part in value.items()) + "}"
    if isinstance(value, list) and value:
        return "[" + "".join(f"{with_trailing_commas(part)},\n" for part in value) + "]"
    return dumped(value)


STYLES = {
    "strict": dumped,
    "indented": lambda answer: json.dumps(answer, ensure_ascii=False, indent=2),
    "escaped": json.dumps,
    "fence": lambda answer: f"```json\n{json.dumps(answer, ensure_ascii=False, indent=2)}\n```",
    "fence among words": lambda answer: f"实体识别如下：\n```\n{dumped(answer)}\n```\n以上。",
    "words around": lambda answer: f"结果：{dumped(answer)}\n说明见文献。",
    "thinking": lambda answer: f'<think>{{"草稿": [1]}}</think>\n{dumped(answer)}',
    "python": repr,
    "full width": full_width_outside_strings,
    "trailing commas": with_trailing_commas,
}


def counts(score: Score) -> tuple[int, int, int]:
    return score.tp, score.fp, score.fn


@settings(max_examples=200)
@given(case=answered(), style=st.sampled_from(sorted(STYLES)))
def test_the_reference_in_any_style_scores_f1_of_one(case: tuple[str, Any], style: str) -> None:
    dataset, answer = DATASETS[case[0]], case[1]
    score = score_response(dataset, item(answer), STYLES[style](answer))
    size = score_absent(dataset, item(answer), Outcome.MISSING).fn
    assert (style, score.outcome, counts(score)) == (style, Outcome.SCORED, (size, 0, 0))


@given(case=answered(), data=st.data())
def test_an_answer_cut_anywhere_is_unreadable_rule_j9(case: tuple[str, Any], data: st.DataObject) -> None:
    dataset, answer = DATASETS[case[0]], case[1]
    text = dumped(answer)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    score = score_response(dataset, item(answer), cut)
    assert score.outcome is Outcome.UNREADABLE
    assert counts(score) == (0, 0, score_absent(dataset, item(answer), Outcome.MISSING).fn)


@settings(max_examples=300)
@given(case=answered(), data=st.data(), reason=st.sampled_from([None, "length"]))
def test_mutated_json_never_crashes_and_keeps_the_size_of_the_reference(
    case: tuple[str, Any], data: st.DataObject, reason: str | None
) -> None:
    dataset, answer = DATASETS[case[0]], case[1]
    text = STYLES[data.draw(st.sampled_from(sorted(STYLES)))](answer)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 6)))
        junk = st.sampled_from(
            ["", "[", "]", "{", "}", '"', "'", "“", ",", ":", "\\", "```", "null", "NaN", "1", "<think>", "\ud800"]
        )
        text = text[:start] + data.draw(junk) + text[end:]
    score = score_response(dataset, item(answer), text, finish_reason=reason)
    size = score_absent(dataset, item(answer), Outcome.MISSING).fn
    assert score.outcome in {Outcome.SCORED, Outcome.UNREADABLE}
    assert score.tp + score.fn == size
    assert min(counts(score)) >= 0
    assert score.note


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["腹痛", "", "症状", "发热"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["症状", "关系", "头实体", "尾实体", "主体词", "描述词", "疾病", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
datasets = st.sampled_from(
    [d.id for d in DATASETS.values() if d.metric.value == "micro-f1" and d.form is not Form.TERMS]
)
REFERENCES: dict[Form, Any] = {
    Form.ENTITIES: {},
    Form.EVENTS: [{"主体词": "发热", "发生状态": "", "描述词": ["低热"], "解剖部位": []}],
    Form.RELATIONS: {"关系": [{"关系": "病因", "头实体": "白喉", "尾实体": "杆菌"}]},
}


@settings(max_examples=200)
@given(name=datasets, value=json_values)
def test_any_json_value_is_scored_or_unreadable(name: str, value: Any) -> None:
    dataset = DATASETS[name]
    answer = REFERENCES[dataset.form] or {dataset.keys[0]: ["腹痛"]}
    score = score_response(dataset, item(answer), dumped(value))
    assert score.outcome in {Outcome.SCORED, Outcome.UNREADABLE}
    assert score.tp + score.fn == 1


@settings(max_examples=200)
@given(name=datasets, text=st.text())
def test_any_text_is_scored_or_unreadable(name: str, text: str) -> None:
    dataset = DATASETS[name]
    answer = REFERENCES[dataset.form] or {dataset.keys[0]: ["腹痛"]}
    assert score_response(dataset, item(answer), text).outcome in {Outcome.SCORED, Outcome.UNREADABLE}


@given(case=answered(), extra=st.lists(st.sampled_from([1, True, {"a": []}, [["b"]]]), min_size=1, max_size=3))
def test_entries_of_a_wrong_form_only_add_false_positives(case: tuple[str, Any], extra: list[Any]) -> None:
    dataset, answer = DATASETS[case[0]], case[1]
    size = score_absent(dataset, item(answer), Outcome.MISSING).fn
    if dataset.form is Form.EVENTS:
        spoiled: Any = [*answer, *extra]
    else:
        first = next(iter(answer))
        spoiled = {**answer, first: [*answer[first], *extra]}
    score = score_response(dataset, item(answer), dumped(spoiled))
    distinct = len({json.dumps(value) for value in extra})
    assert counts(score) == (size, distinct, 0)


TERM_STYLES = {
    "the line": lambda line: line,
    "prefixed": lambda line: f"归一化术语：{line}",
    "bold": lambda line: f"**{line}**",
    "fence": lambda line: f"```\n{line}\n```",
    "bullet": lambda line: f"- {line}",
    "words before": lambda line: f"与原诊断最接近的是下面一行\n\n{line}",
    "thinking": lambda line: f"<think>糖尿病不合适</think>\n{line}",
    "full stop": lambda line: f"{line}。",
    "quoted": lambda line: f"“{line}”",
    "prefixed and explained": lambda line: f"归一化术语：{line}\n解释如下。",
}


@given(line=st.sampled_from(CANDIDATES), style=st.sampled_from(sorted(TERM_STYLES)))
def test_the_right_candidate_in_any_style_scores_f1_of_one(line: str, style: str) -> None:
    score = score_response(DATASETS["CHIP-CDN"], item(line, CANDIDATES), TERM_STYLES[style](line))
    assert (style, counts(score)) == (style, (len(line.split("##")), 0, 0))


@given(
    text=st.one_of(
        st.text(), st.lists(st.sampled_from([*CANDIDATES, "#", "\n", "：", "归一化术语", "。", " "])).map("".join)
    )
)
def test_any_text_for_a_normalisation_item_is_scored_or_unreadable(text: str) -> None:
    score = score_response(DATASETS["CHIP-CDN"], item(CANDIDATES[1], CANDIDATES), text)
    assert score.outcome in {Outcome.SCORED, Outcome.UNREADABLE}
    assert score.tp + score.fn == 3
