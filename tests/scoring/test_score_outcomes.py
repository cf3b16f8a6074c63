"""What becomes of an answer in each kind of dataset (rules S1 to S5)."""

from __future__ import annotations

from typing import Any

import pytest

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import Item
from mlb_offline.errors import InputError
from mlb_offline.scoring.outcome import Outcome, Score
from mlb_offline.scoring.score import score_absent, score_response

JUDGED = [dataset.id for dataset in DATASETS.values() if dataset.metric.judged]


def item(answer: Any, options: list[str] | None = None) -> Item:
    return Item(
        id="q7",
        specialty="内科",
        question="？",
        source="t",
        licence="CC0",
        reviewed_by="none",
        answer=answer,
        options=options or [],
    )


@pytest.mark.parametrize(
    ("answer", "text", "outcome", "note"),
    [
        ("B", "B", Outcome.RIGHT, "strict"),
        ("B", "C", Outcome.WRONG, "strict"),
        ("B,C", "C,B", Outcome.RIGHT, "strict"),
        ("B,C", "B", Outcome.WRONG, "strict"),
        ("B", "答案：B、C", Outcome.WRONG, "final-answer"),
        ("B", "", Outcome.UNREADABLE, "empty"),
        ("B", "抱歉", Outcome.UNREADABLE, "no-statement"),
    ],
)
def test_a_choice_is_right_only_if_its_set_of_letters_is_the_reference_rule_s1(
    answer: str, text: str, outcome: Outcome, note: str
) -> None:
    score = score_response(DATASETS["CMExam"], item(answer, ["甲", "乙", "丙"]), text)
    assert score == Score(outcome, note=note)


def test_units_are_counted_against_the_reference_rule_s2() -> None:
    reference = item({"症状": ["腹痛", "发热", "腹痛"]})
    score = score_response(DATASETS["MAEESymp"], reference, '{"症状": ["腹痛", "咳嗽", "头晕"]}')
    assert score == Score(Outcome.SCORED, tp=1, fp=2, fn=1, note="strict")


def test_an_event_counts_only_as_a_whole_rule_s2() -> None:
    event = {"主体词": "癌", "发生状态": "否定", "描述词": ["累及"], "解剖部位": ["肺切缘", "支气管切缘"]}
    other_order = {**event, "解剖部位": ["支气管切缘", "肺切缘"]}
    without_state = {**event, "发生状态": ""}
    score = score_response(DATASETS["CHIP-CDEE"], item([event]), repr([other_order, without_state]))
    assert (score.tp, score.fp, score.fn) == (1, 1, 0)


def test_unreadable_failed_and_missing_answers_miss_the_whole_reference_rule_s3() -> None:
    reference = item({"症状": ["腹痛", "发热"]})
    unreadable = score_response(DATASETS["MAEESymp"], reference, "无")
    assert unreadable == Score(Outcome.UNREADABLE, fn=2, note="not-json")
    for outcome in (Outcome.FAILED, Outcome.MISSING):
        assert score_absent(DATASETS["MAEESymp"], reference, outcome) == Score(outcome, fn=2)
    lines = ["甲##乙##丙", "丁"]
    assert score_absent(DATASETS["CHIP-CDN"], item(lines[0], lines), Outcome.FAILED) == Score(Outcome.FAILED, fn=3)
    assert score_absent(DATASETS["CMExam"], item("B", ["甲", "乙"]), Outcome.MISSING) == Score(Outcome.MISSING)


@pytest.mark.parametrize(
    ("text", "outcome", "fp"),
    [('{"症状": []}', Outcome.SCORED, 0), ('{"症状": ["腹痛"]}', Outcome.SCORED, 1), ("无", Outcome.UNREADABLE, 0)],
)
def test_an_empty_reference_rule_s4(text: str, outcome: Outcome, fp: int) -> None:
    score = score_response(DATASETS["MAEESymp"], item({"症状": []}), text)
    assert (score.outcome, score.tp, score.fp, score.fn) == (outcome, 0, fp, 0)


@pytest.mark.parametrize("name", JUDGED)
@pytest.mark.parametrize("text", ["可以这样做。", "<think>想</think>不行", "A"])
def test_judged_datasets_are_never_scored_here_rule_s5(name: str, text: str) -> None:
    assert score_response(DATASETS[name], item(None), text) == Score(Outcome.UNJUDGED)
    assert score_absent(DATASETS[name], item(None), Outcome.MISSING) == Score(Outcome.MISSING)


@pytest.mark.parametrize("name", JUDGED)
@pytest.mark.parametrize(
    ("text", "note"), [("", "empty"), (" \n", "empty"), ("<think>", "unclosed-think"), ("<think>x</think> ", "empty")]
)
def test_an_answer_that_holds_nothing_to_judge_is_unreadable_rule_s5(name: str, text: str, note: str) -> None:
    assert score_response(DATASETS[name], item(None), text) == Score(Outcome.UNREADABLE, note=note)


@pytest.mark.parametrize("name", ["CMExam", "CHIP-CDN", "CMeEE"])
def test_an_item_without_a_reference_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(InputError) as error:
        score_response(DATASETS[name], item(None, ["甲", "乙"]), "A")
    assert error.value.field == "answer"
    assert "q7" in error.value.diagnostics()


def test_an_absent_answer_to_an_item_without_a_reference_is_an_error() -> None:
    with pytest.raises(InputError):
        score_absent(DATASETS["CMeEE"], item(None), Outcome.MISSING)
