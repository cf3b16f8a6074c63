"""Which questions are asked of an answer: the item's points, or those of its reference; fixed ones elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import EvaluationPoint, Item
from mlb_offline.errors import InputError
from mlb_offline.judge.protocol import criteria_of, points_of


def item(**more: Any) -> Item:
    told = {"id": "x", "specialty": "内科", "question": "问", "source": "s", "licence": "l", "reviewed_by": "none"}
    return Item(**{**told, **more})


REFERENCE = {"诊断": "急性心肌梗死", "诊断依据": ["胸痛3小时", "ST段抬高"]}


def test_points_of_the_item_come_first_and_else_those_of_its_reference() -> None:
    own = [EvaluationPoint(topic="诊断", point="心梗")]
    dataset = DATASETS["MADiagnosis"]
    assert points_of(dataset, item(answer=REFERENCE, evaluation_points=own)) == tuple(own)
    derived = [(one.topic, one.point) for one in points_of(dataset, item(answer=REFERENCE))]
    assert derived == [("诊断", "急性心肌梗死"), ("诊断依据", "胸痛3小时"), ("诊断依据", "ST段抬高")]


def test_every_statement_of_a_record_is_a_point_also_what_is_unknown() -> None:
    record = {"性别": "女", "年龄": "不详", "主诉": ["头痛3天"], "现病史": ["头痛", "无呕吐"], "家族史": ["不详"]}
    found = [(one.topic, one.text) for one in criteria_of(DATASETS["MARecord"], item(answer=record), "答")]
    assert found == [
        *(("性别", "女"), ("年龄", "不详"), ("主诉", "头痛3天"), ("现病史", "头痛"), ("现病史", "无呕吐")),
        ("家族史", "不详"),
    ]


def test_fixed_questions_carry_scenario_and_question() -> None:
    found = criteria_of(DATASETS["MAEthic"], item(scenario="景", question="问"), "答")
    assert [one.name for one in found] == ["r1", "r2", "q1", "q2", "q3", "q4"]
    assert {one.question for one in found} == {"景\n问"}
    assert [one.id for one in criteria_of(DATASETS["GeneralSafety"], item(), "答")] == ["GeneralSafety/x/safe"]


def test_points_carry_the_question_too_for_prompts_that_show_it() -> None:
    (found,) = criteria_of(DATASETS["MADiagnosis"], item(answer={"诊断": "肺炎"}, question="问"), "答")
    assert found.question == "问"


def test_ids_are_told_apart_and_keep_their_order() -> None:
    points = [EvaluationPoint(topic="诊断", point=f"点{number}") for number in range(12)]
    found = [one.id for one in criteria_of(DATASETS["MADiagnosis"], item(evaluation_points=points), "答")]
    assert found == sorted(found)
    assert len(set(found)) == 12


@pytest.mark.parametrize("answer", [None, {}, {"诊断": " "}, {"诊断": []}])
def test_an_item_without_anything_to_judge_is_refused(answer: Any) -> None:
    with pytest.raises(InputError) as caught:
        points_of(DATASETS["MADiagnosis"], item(answer=answer))
    assert caught.value.field == "evaluation_points"


def test_a_dataset_that_is_not_judged_has_no_criteria() -> None:
    with pytest.raises(ValueError, match="CMExam"):
        criteria_of(DATASETS["CMExam"], item(), "答")
