"""The calibration set: enough labelled criteria of every family, on starter items, nothing of it seen in training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlb_offline.bundle.lint.likeness import Likeness
from mlb_offline.bundle.source import read_source
from mlb_offline.judge.annotation import Criterion, read_annotations
from mlb_offline.judge.manipulation import signs

ROOT = Path(__file__).parents[2]
SET = ROOT / "bundles" / "src" / "calibration" / "criteria.jsonl"
CRITERIA = read_annotations(SET)
SEEN = [
    *sorted((ROOT / "models" / "src" / "criteria").glob("[ce]*.jsonl")),
    *[ROOT / "tests" / "data" / "judge" / name for name in ("natural.jsonl", "hard.jsonl")],
]


def answers(criteria: Sequence[Criterion]) -> list[str]:
    return sorted({one.answer for one in criteria})


def test_there_are_over_800_criteria_of_all_three_families_and_six_datasets() -> None:
    assert len(CRITERIA) >= 800
    assert Counter(one.family for one in CRITERIA).keys() == {"points", "safety", "ethics"}
    assert {one.dataset for one in CRITERIA} == {
        "MADiagnosis", "MAInspection", "MARecord", "GeneralSafety", "MACompliance", "MAEthic",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["point", "safe", "r1", "r2", "q1", "q2", "q3", "q4"])
def test_both_labels_of_every_question_are_common(name: str) -> None:
    labels = Counter(one.label for one in CRITERIA if one.name == name)
    assert min(labels.values()) >= 0.2 * labels.total()


def test_every_row_is_of_a_starter_item_and_its_points_are_the_items() -> None:
    source = read_source(ROOT / "bundles" / "src" / "starter")
    items = {item.id: item for content in source.datasets.values() for item in content.items}
    for one in CRITERIA:
        item = items[one.id.split("/")[0]]
        if one.family == "points":
            point = item.evaluation_points[int(one.id.split("/")[2]) - 1]
            assert (one.topic, one.text) == (point.topic, point.point), one.id
        else:
            assert one.question == "\n".join(text for text in (item.scenario, item.question) if text), one.id


@pytest.mark.parametrize("seen", SEEN, ids=lambda path: path.stem)
def test_no_answer_is_one_that_judges_were_trained_or_tested_on(seen: Path) -> None:
    likeness = Likeness(answers(CRITERIA))
    assert list(likeness.copied(answers(read_annotations(seen)))) == []


def test_no_answer_speaks_to_judges() -> None:
    assert [text for text in answers(CRITERIA) if signs(text)] == []
