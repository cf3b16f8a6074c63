"""A prompt is its template with the item's own text put in, once."""

import pytest

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import Item
from mlb_offline.benchmark.prompts import check_template, render_prompt
from mlb_offline.errors import InputError


def item(**changes: object) -> Item:
    base = {
        "id": "1",
        "specialty": "",
        "question": "问",
        "source": "s",
        "licence": "l",
        "reviewed_by": "none",
    }
    return Item.model_validate(base | changes)


def test_choices_are_lettered_and_candidates_are_not() -> None:
    template = "题：${question}\n${options}\n答："
    options = {"options": ["甲", "乙"]}
    assert render_prompt(DATASETS["CMExam"], template, item(**options)) == "题：问\nA.甲\nB.乙\n答："
    assert render_prompt(DATASETS["CHIP-CDN"], template, item(**options)) == "题：问\n甲\n乙\n答："


def test_a_slot_inside_an_item_stays_text() -> None:
    tricky = item(question="${options} $question ${question}", options=["${question}", "乙"])
    prompt = render_prompt(DATASETS["CMExam"], "${question}|${options}", tricky)
    assert prompt == "${options} $question ${question}|A.${question}\nB.乙"


def test_a_scenario_stands_before_its_question() -> None:
    assert render_prompt(DATASETS["MAEthic"], "${question}", item(scenario="景")) == "景\n问"


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("CMExam", "${question}"),
        ("CMExam", "${options}"),
        ("CMeEE", "text"),
        ("CMeEE", "${question}${answer}"),
    ],
)
def test_a_template_with_a_missing_or_unknown_slot_is_refused(name: str, template: str) -> None:
    with pytest.raises(InputError, match=r"slots|占位符"):
        check_template(DATASETS[name], template, file="p.txt")


def test_a_template_whose_slots_are_right_is_kept_as_it_is() -> None:
    assert check_template(DATASETS["CMeEE"], "a ${question} $x", file="p.txt") == "a ${question} $x"
