"""An item is checked on the way in, and a bad one is named by file, line and field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import Item, load_item
from mlb_offline.errors import InputError


def raw(**changes: Any) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": "x-1",
        "specialty": "心内科",
        "question": "下列哪项正确？",
        "options": ["甲", "乙", "丙"],
        "answer": "A,C",
        "source": "test",
        "licence": "Apache-2.0",
        "reviewed_by": "none (not physician-reviewed)",
    }
    item.update(changes)
    return {key: value for key, value in item.items() if value is not ...}


def refused(name: str, value: dict[str, Any]) -> InputError:
    with pytest.raises(InputError) as caught:
        load_item(DATASETS[name], value, file="S/x.jsonl", line=7)
    error = caught.value
    assert error.file == "S/x.jsonl"
    assert error.line == 7
    assert error.remedy
    return error


GOOD_ANSWERS = {
    "CMeEE": {"疾病": ["脑脓肿"], "药物": []},
    "MAEESymp": {"症状": ["腹痛"]},
    "CHIP-CDEE": [{"主体词": "发热", "发生状态": "否定", "描述词": [], "解剖部位": []}],
    "CMeIE": {"关系": [{"关系": "药物治疗", "头实体": "白喉", "尾实体": "抗毒素"}]},
    "MADiagnosis": {"诊断": "白喉", "诊断依据": ["咽痛"]},
}


@pytest.mark.parametrize("name", sorted(GOOD_ANSWERS))
def test_an_answer_in_the_form_of_its_dataset_is_accepted(name: str) -> None:
    item = load_item(DATASETS[name], raw(options=..., answer=GOOD_ANSWERS[name]), file="f")
    assert item.answer == GOOD_ANSWERS[name]


@pytest.mark.parametrize(
    ("name", "answer", "field"),
    [
        ("CMExam", "D", "answer"),
        ("CMExam", "C,A", "answer"),
        ("CMExam", "A,A", "answer"),
        ("CMExam", "a", "answer"),
        ("CMExam", "", "answer"),
        ("CMExam", None, "answer"),
        ("CMExam", ["A"], "answer"),
        ("CHIP-CDN", "丁", "answer"),
        ("CMeEE", {"病": ["x"]}, "answer.病"),
        ("CMeEE", {"疾病": "x"}, "answer.疾病"),
        ("CMeEE", {"疾病": [" "]}, "answer.疾病"),
        ("CMeEE", {}, "answer"),
        ("CMeEE", "x", "answer"),
        ("CHIP-CDEE", {}, "answer"),
        ("CHIP-CDEE", [{"主体词": "x"}], "answer.0"),
        ("CHIP-CDEE", [{"主体词": "", "发生状态": "", "描述词": [], "解剖部位": []}], "answer.0"),
        ("CHIP-CDEE", [{"主体词": "x", "发生状态": "", "描述词": "y", "解剖部位": []}], "answer.0"),
        ("CMeIE", [], "answer"),
        ("CMeIE", {"关系": [{"关系": "a", "头实体": "b", "尾实体": ""}]}, "answer.关系.0"),
        ("MADiagnosis", None, "answer"),
        ("MADiagnosis", {"结论": "x"}, "answer"),
    ],
)
def test_an_answer_of_another_form_is_refused_by_field(name: str, answer: Any, field: str) -> None:
    assert refused(name, raw(answer=answer)).field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": ...}, "id"),
        ({"id": " "}, "id"),
        ({"question": ""}, "question"),
        ({"extra": 1}, "extra"),
        ({"options": ["甲", ""]}, "options.1"),
        ({"options": ["甲"]}, "options"),
        ({"options": [str(n) for n in range(27)]}, "options"),
        ({"specialty": 3}, "specialty"),
        ({"evaluation_points": [{"topic": "t"}]}, "evaluation_points.0.point"),
    ],
)
def test_a_missing_unknown_or_wrong_field_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    assert refused("CMExam", raw(**changes)).field == field


def test_a_free_text_item_needs_no_answer_but_may_not_have_options() -> None:
    assert load_item(DATASETS["MAEthic"], raw(options=..., answer=...), file="f").answer is None
    assert refused("MAEthic", raw(answer=...)).field == "options"


def test_a_record_item_may_have_points_instead_of_an_answer() -> None:
    points = [{"topic": "诊断", "point": "白喉"}]
    item = load_item(DATASETS["MARecord"], raw(options=..., answer=..., evaluation_points=points), file="f")
    assert item.evaluation_points[0].point == "白喉"


@pytest.mark.parametrize("value", [None, 3, "x", [], ["id"]])
def test_anything_that_is_no_object_is_refused(value: Any) -> None:
    refused("CMExam", value)


@given(st.text(min_size=1).filter(str.strip), st.text(min_size=1).filter(str.strip))
def test_the_digest_depends_on_content_alone(first: str, second: str) -> None:
    one, two = (Item.model_validate(raw(question=text)) for text in (first, second))
    assert (one.digest() == two.digest()) == (first == second)
    assert Item.model_validate(one.to_json()).digest() == one.digest()
    assert len(one.digest()) == 16
