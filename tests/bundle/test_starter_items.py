"""Every item of the starter is scored as it should be: its own reference, nothing, another form, another order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.benchmark.catalogue import DATASETS, Dataset, Form, Metric
from mlb_offline.benchmark.items import Item
from mlb_offline.benchmark.prompts import render_prompt
from mlb_offline.bundle.source import read_source
from mlb_offline.judge.protocol import criteria_of
from mlb_offline.scoring.judged import score_range
from mlb_offline.scoring.outcome import Outcome, Score
from mlb_offline.scoring.score import score_response

SOURCE = read_source(Path(__file__).parents[2] / "bundles" / "src" / "starter")
SCORED = [name for name, dataset in DATASETS.items() if not dataset.metric.judged]
JUDGED = [name for name, dataset in DATASETS.items() if dataset.metric.judged]


def items(name: str) -> Iterator[tuple[Dataset, Item]]:
    content = SOURCE.datasets[name]
    return ((content.dataset, item) for item in content.items)


def written(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def perfect(score: Score) -> bool:
    whole = score.outcome is Outcome.SCORED and score.tp > 0 and score.fp == score.fn == 0
    return score.outcome is Outcome.RIGHT or whole


def turned(value: Any) -> Any:
    """The same in another order."""
    if isinstance(value, str):
        return ",".join(value.split(",")[::-1])
    if isinstance(value, dict):
        return {key: turned(one) if isinstance(one, list) else one for key, one in reversed(value.items())}
    return value[::-1]


@pytest.mark.parametrize("name", SCORED)
def test_the_reference_answer_scores_1(name: str) -> None:
    for dataset, item in items(name):
        assert perfect(score_response(dataset, item, written(item.answer))), item.id


@pytest.mark.parametrize("name", [name for name in SCORED if DATASETS[name].form is not Form.TERMS])
def test_the_order_in_which_a_reference_is_written_does_not_matter(name: str) -> None:
    for dataset, item in items(name):
        assert perfect(score_response(dataset, item, written(turned(item.answer)))), item.id


@pytest.mark.parametrize("name", SCORED)
@pytest.mark.parametrize("text", ["", "   ", "<think>想想</think>", "抱歉，我无法回答这个问题。"])
def test_an_answer_without_content_is_unreadable_and_misses_everything(name: str, text: str) -> None:
    for dataset, item in items(name):
        score = score_response(dataset, item, text)
        assert score.outcome is Outcome.UNREADABLE, item.id
        assert (score.tp, score.fp) == (0, 0)
        assert (score.fn > 0) == (dataset.metric is Metric.MICRO_F1)


@pytest.mark.parametrize("name", SCORED)
def test_an_answer_in_the_form_of_another_dataset_is_not_right(name: str) -> None:
    choice = DATASETS[name].form is Form.CHOICE
    for dataset, item in items(name):
        score = score_response(dataset, item, '{"结论": ["见正文"]}' if choice else "A,B")
        assert score.outcome is Outcome.UNREADABLE or score.tp == 0, item.id
        assert score.outcome is not Outcome.RIGHT


@pytest.mark.parametrize("name", SCORED)
def test_the_reference_of_another_item_is_not_perfect(name: str) -> None:
    every = list(items(name))
    for (dataset, item), (_, other) in zip(every, every[1:] + every[:1], strict=True):
        if written(other.answer) != written(item.answer):
            assert not perfect(score_response(dataset, item, written(other.answer))), item.id


@pytest.mark.parametrize("name", JUDGED)
def test_a_judged_answer_scores_1_where_all_verdicts_are_good_and_less_with_any_bad_one(name: str) -> None:
    for dataset, item in items(name):
        criteria = criteria_of(dataset, item, written(item.answer or "应当告知患者，并依法上报。"))
        good = [one.name not in {"r1", "r2"} for one in criteria]
        assert score_range(dataset.metric, good) == (1.0, 1.0), item.id
        for place in range(len(good)):
            bad = [*good]
            bad[place] = not bad[place]
            assert score_range(dataset.metric, bad)[1] < 1.0


def test_every_prompt_can_be_rendered_and_holds_the_whole_question() -> None:
    for name in DATASETS:
        content = SOURCE.datasets[name]
        for item in content.items:
            assert item.question in render_prompt(content.dataset, content.prompt, item)


NOTES = ["MAEESymp", "MAEEDisease", "MAEEOper", "MAEEMedic", "CHIP-CDEE", "MAInspection", "MADiagnosis", "MARecord"]


@pytest.mark.parametrize("name", NOTES)
def test_notes_and_dialogues_are_of_realistic_length(name: str) -> None:
    assert [item.id for _, item in items(name) if not 300 <= len(item.question) <= 1200] == []


def test_no_item_claims_a_review_that_it_did_not_have() -> None:
    every = [item for content in SOURCE.datasets.values() for item in content.items]
    assert {item.reviewed_by for item in every} == {"none (not physician-reviewed)"}
    assert SOURCE.demonstration
