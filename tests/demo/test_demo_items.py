"""The demonstration bundle: complete, well-formed, honest about its review, and free of personal data."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from mlb_offline.benchmark.catalogue import DATASETS, Form, Metric
from mlb_offline.benchmark.items import Item
from mlb_offline.benchmark.prompts import render_prompt
from mlb_offline.bundle.lint.check import lint
from mlb_offline.bundle.source import Source, read_source

DEMO = Path(__file__).resolve().parents[2] / "bundles" / "src" / "demo"
CHOICE = [name for name, dataset in DATASETS.items() if dataset.form is Form.CHOICE]
POINTS = [name for name, dataset in DATASETS.items() if dataset.metric is Metric.JUDGE_POINTS]
SIX = CHOICE + [name for name, dataset in DATASETS.items() if dataset.metric is Metric.MICRO_F1]


@pytest.fixture(scope="module")
def demo() -> Source:
    return read_source(DEMO)


def items_of(demo: Source, name: str) -> tuple[Item, ...]:
    return demo.datasets[name].items


def all_items(demo: Source) -> list[Item]:
    return [item for dataset in demo.datasets.values() for item in dataset.items]


def test_the_folder_is_marked_as_a_demonstration(demo: Source) -> None:
    assert demo.demonstration
    assert demo.publisher == "mlb-offline demonstration"
    assert demo.version == 2


def test_all_22_datasets_are_there_with_at_least_four_items_and_the_scored_ones_with_six(demo: Source) -> None:
    assert set(demo.datasets) == set(DATASETS)
    for name, dataset in demo.datasets.items():
        assert len(dataset.items) >= (6 if name in SIX else 4), name


def test_ids_follow_their_dataset_and_count_from_one(demo: Source) -> None:
    for name, dataset in demo.datasets.items():
        assert [item.id for item in dataset.items] == [f"{name}-demo-{n:02d}" for n in range(1, len(dataset.items) + 1)]


def test_every_item_says_that_no_physician_reviewed_it_and_where_it_comes_from(demo: Source) -> None:
    for item in all_items(demo):
        assert item.reviewed_by == "none (not physician-reviewed)"
        assert item.source == f"mlb-offline demonstration items; canary GUID {demo.canary}"
        assert item.licence == "Apache-2.0"


def test_lint_finds_nothing() -> None:
    assert [fault.told() for fault in lint(DEMO)] == []


def test_extraction_answers_have_all_keys_in_order(demo: Source) -> None:
    for name in (name for name, dataset in DATASETS.items() if dataset.form is Form.ENTITIES):
        assert {tuple(item.answer) for item in items_of(demo, name)} == {DATASETS[name].keys}


def test_candidate_lists_have_eight_to_ten_lines_with_the_answer_once(demo: Source) -> None:
    for item in items_of(demo, "CHIP-CDN"):
        assert 8 <= len(item.options) <= 10, item.id
        assert item.options.count(item.answer) == 1, item.id


def test_single_answers_are_spread_evenly_over_the_letters(demo: Source) -> None:
    answers = [item.answer for name in CHOICE for item in items_of(demo, name)]
    letters = Counter(answer for answer in answers if "," not in answer)
    assert set(letters) == set("ABCDE")
    assert max(letters.values()) <= 2 * min(letters.values())


def test_safety_and_hallucination_items_have_one_answer_and_the_other_choice_sets_some_with_several(
    demo: Source,
) -> None:
    for name in CHOICE:
        several = ["," in item.answer for item in items_of(demo, name)]
        assert any(several) is (name not in {"MASafety", "MAHalt"}), name


def test_the_relation_kinds_are_the_official_ones(demo: Source, shared_data: Path) -> None:
    official = json.loads((shared_data / "mlb_official" / "CMeIE.json").read_text(encoding="utf-8"))["system_prompt"]
    kinds = re.findall(r"'([^']+)'", official.split("关系类型包括：")[1].split("}")[0])
    assert kinds == re.search(r"以下类型：(.+)。", demo.datasets["CMeIE"].prompt)[1].split("、")  # type: ignore[index]


@pytest.mark.parametrize("name", POINTS)
def test_judged_records_have_points_with_topics_and_a_reference(demo: Source, name: str) -> None:
    for item in items_of(demo, name):
        assert all(point.topic for point in item.evaluation_points), item.id
        assert tuple(item.answer) == DATASETS[name].keys, item.id


def test_admission_notes_are_of_realistic_length(demo: Source) -> None:
    for name in ("MAInspection", "MADiagnosis"):
        for item in items_of(demo, name):
            assert 300 <= len(item.question) <= 800, item.id


def test_reference_diagnoses_rest_on_three_to_eight_reasons_and_examinations_on_one_reason_each(demo: Source) -> None:
    for item in items_of(demo, "MADiagnosis"):
        assert 3 <= len(item.answer["诊断依据"]) <= 8, item.id
    for item in items_of(demo, "MAInspection"):
        assert 3 <= len(item.answer["推荐检查和检验"]) == len(item.answer["解释依据"]) <= 5, item.id


def test_every_dialogue_leaves_a_field_unknown_and_asks_for_it_as_a_point(demo: Source) -> None:
    for item in items_of(demo, "MARecord"):
        unknown = {field for field, value in item.answer.items() if value in ("不详", ["不详"])}
        asked = {point.topic for point in item.evaluation_points if point.point == "不详"}
        assert unknown, item.id
        assert asked, item.id
        assert asked <= unknown, item.id


def test_ethics_and_compliance_items_put_a_question_to_a_scenario(demo: Source) -> None:
    for name in ("MACompliance", "MAEthic"):
        for item in items_of(demo, name):
            assert len(item.scenario or "") > 60, item.id
            assert item.answer is None, item.id


def test_rendered_prompts_hold_the_question_and_every_option(demo: Source) -> None:
    for dataset in demo.datasets.values():
        for item in dataset.items:
            prompt = render_prompt(dataset.dataset, dataset.prompt, item)
            assert item.question in prompt, item.id
            assert all(option in prompt for option in item.options), item.id
            assert item.note is None or item.note not in prompt, item.id
