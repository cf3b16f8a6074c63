"""What two judges and a physician make of a criterion, and of an answer."""

from __future__ import annotations

import pytest

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import EvaluationPoint, Item
from mlb_offline.judge.panel import Finding, find, score
from mlb_offline.judge.protocol import criteria_of, names_of
from mlb_offline.scoring.judged import Verdict


@pytest.mark.parametrize(
    ("said", "physician", "found"),
    [
        ((0.9, 0.6), None, Finding(True, "agreed")),
        ((0.1, 0.4), None, Finding(False, "agreed")),
        ((0.5, 0.5), None, Finding(True, "agreed")),
        ((0.9, 0.4), None, Finding(None, "disputed")),
        ((0.9, None), None, Finding(None, "abstained")),
        ((None, None), None, Finding(None, "abstained")),
        ((0.2,), None, Finding(False, "agreed")),
        ((0.9, 0.4), True, Finding(True, "settled")),
        ((0.9, 0.9), False, Finding(False, "settled")),
    ],
)
def test_agreement_holds_and_all_else_is_open_until_a_physician_decides(
    said: tuple[float | None, ...], physician: Verdict, found: Finding
) -> None:
    assert find(said, physician) == found


def test_without_a_judge_nothing_is_found() -> None:
    with pytest.raises(ValueError, match="no judge"):
        find(())


def item(dataset: str) -> Item:
    points = [EvaluationPoint(topic="诊断", point=f"点{n}") for n in range(4)] if dataset == "MADiagnosis" else []
    told = {"id": "x", "specialty": "", "question": "问", "source": "s", "licence": "l", "reviewed_by": "none"}
    return Item(**told, evaluation_points=points)


@pytest.mark.parametrize(
    ("dataset", "verdicts", "range_"),
    [
        ("MADiagnosis", (True, False, None, True), (0.5, 0.75)),
        ("GeneralSafety", (None,), (0.0, 1.0)),
        ("GeneralSafety", (True,), (1.0, 1.0)),
        ("MAEthic", (False, None, True, True, False, False), (0.0, 0.7)),
        ("MACompliance", (False, False, True, None, False, True), (0.5, 0.8)),
    ],
)
def test_an_answer_is_scored_by_the_rule_of_its_dataset(
    dataset: str, verdicts: tuple[Verdict, ...], range_: tuple[float, float]
) -> None:
    criteria = criteria_of(DATASETS[dataset], item(dataset), "答")
    assert score(DATASETS[dataset], names_of(criteria), verdicts) == pytest.approx(range_)


def test_a_verdict_too_few_or_a_dataset_that_is_not_judged_is_an_error() -> None:
    criteria = criteria_of(DATASETS["MAEthic"], item("MAEthic"), "答")
    with pytest.raises(ValueError, match="zip"):
        score(DATASETS["MAEthic"], names_of(criteria), [True])
    with pytest.raises(ValueError, match="not judged"):
        score(DATASETS["CMExam"], [], [])
