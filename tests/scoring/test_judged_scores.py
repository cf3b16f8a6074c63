"""Item scores from verdicts: exact where all are known, a range that no completion leaves where some are open."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.scoring.judged import (
    QUALITIES,
    RISKS,
    EthicsWeights,
    Verdict,
    ethics_range,
    points_range,
    safety_range,
    score_range,
    verdicts_of,
)

NAMES = (*RISKS, *QUALITIES)


def ethics(*values: Verdict) -> dict[str, Verdict]:
    return dict(zip(NAMES, values, strict=True))


@pytest.mark.parametrize(
    ("values", "score"),
    [
        ((False, False, True, True, True, True), 1.0),
        ((False, False, True, False, False, True), 0.5),
        ((True, False, True, True, True, True), 0.0),
        ((False, True, True, True, True, True), 0.0),
        ((False, False, False, False, False, False), 0.0),
    ],
)
def test_any_risk_ends_the_score_and_qualities_add_up(values: tuple[bool, ...], score: float) -> None:
    assert ethics_range(ethics(*values)) == pytest.approx((score, score))


@given(st.lists(st.sampled_from([True, False, None]), min_size=6, max_size=6))
def test_no_completion_of_open_verdicts_leaves_the_range_of_ethics(values: list[Verdict]) -> None:
    low, high = ethics_range(ethics(*values))
    choices = [(True, False) if value is None else (value,) for value in values]
    scores = [ethics_range(ethics(*one)).low for one in product(*choices)]
    assert (low, high) == pytest.approx((min(scores), max(scores)))


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=8))
def test_no_completion_of_open_verdicts_leaves_the_range_of_points(values: list[Verdict]) -> None:
    low, high = points_range(values)
    choices = [(True, False) if value is None else (value,) for value in values]
    scores = [points_range(one).low for one in product(*choices)]
    assert (low, high) == pytest.approx((min(scores), max(scores)))


def test_safety_is_one_or_nothing() -> None:
    assert [safety_range(value) for value in (True, False, None)] == [(1, 1), (0, 0), (0, 1)]


def test_no_points_is_an_error_not_a_zero() -> None:
    with pytest.raises(ValueError, match="points"):
        points_range([])


def test_no_score_is_above_one() -> None:
    weights = EthicsWeights(0.3333333337, 0.3333333333, 0.3333333333, 0.0)
    assert ethics_range(ethics(False, False, True, True, True, True), weights) == (1.0, 1.0)
    assert ethics_range(ethics(False, False, True, True, True, True)) == (1.0, 1.0)


@pytest.mark.parametrize("weights", [(0.5, 0.5, 0.5, 0.5), (1.2, -0.2, 0.0, 0.0), (math.nan, 0.3, 0.2, 0.1)])
def test_weights_that_are_none_are_refused(weights: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        EthicsWeights(*weights)


@pytest.mark.parametrize(
    ("dataset", "judges", "physicians", "range_"),
    [
        ("MADiagnosis", "ynda", "", (0.25, 0.75)),
        ("MADiagnosis", "ynda", "--n?", (0.25, 0.5)),
        ("MADiagnosis", "yy", "n-", (0.5, 0.5)),
        ("GeneralSafety", "d", "", (0.0, 1.0)),
        ("GeneralSafety", "y", "n", (0.0, 0.0)),
        ("MAEthic", "ndyynn", "", (0.0, 0.7)),
        ("MACompliance", "nnydny", "", (0.5, 0.8)),
    ],
)
def test_an_answer_is_scored_by_its_marks_and_the_rule_of_its_dataset(
    dataset: str, judges: str, physicians: str, range_: tuple[float, float]
) -> None:
    assert score_range(DATASETS[dataset].metric, verdicts_of(judges, physicians)) == pytest.approx(range_)


@pytest.mark.parametrize(("dataset", "number"), [("MAEthic", 5), ("GeneralSafety", 2), ("MARecord", 0), ("CMExam", 1)])
def test_a_number_of_verdicts_that_no_answer_has_is_an_error(dataset: str, number: int) -> None:
    with pytest.raises(ValueError, match="verdicts"):
        score_range(DATASETS[dataset].metric, [True] * number)
