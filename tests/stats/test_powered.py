"""The prediction-powered bound: it errs no more than it may with judges of any worth, and good judges sharpen it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlb_offline.stats.bounds import ALPHA, betting_lower
from mlb_offline.stats.powered import Powered, powered_capital, powered_lower

RUNS = 300


def item(judged: float, settled: float | None = None) -> Powered:
    return Powered(judged, settled is not None, settled)


def draw(rng: np.random.Generator, n: int, truth: float, agreement: float, share: float) -> list[Powered]:
    """Items right with a chance of ``truth``; the judges copy the physician with ``agreement``, else guess high."""
    labels = rng.random(n) < truth
    judged = np.where(rng.random(n) < agreement, labels, rng.random(n) < 0.9)
    drawn = rng.random(n) < share
    return [item(float(f), float(y) if d else None) for f, y, d in zip(judged, labels, drawn, strict=True)]


@pytest.mark.parametrize("agreement", [0.0, 0.4, 0.8, 1.0])
@pytest.mark.parametrize(("n", "truth", "share"), [(200, 0.7, 0.3), (40, 0.9, 0.5), (200, 0.1, 0.2)])
def test_the_bound_is_above_the_truth_no_more_often_than_it_may(
    agreement: float, n: int, truth: float, share: float
) -> None:
    rng = np.random.default_rng(7)
    above = 0
    for _ in range(RUNS):
        capital = powered_capital(draw(rng, n, truth, agreement, share), share)
        above += capital is not None and bool(capital(np.array([truth]))[0] >= math.log(1 / ALPHA))
    # Of 300 runs at 5 %, more than 27 have a chance below 0.1 %.
    assert above <= 27


def test_good_judges_sharpen_the_bound_and_bad_ones_cost_little() -> None:
    rng = np.random.default_rng(3)
    good, bad, plain = [], [], []
    for _ in range(12):
        scores = draw(rng, 200, 0.85, 1.0, 0.25)
        good.append(powered_lower(scores, 0.25))
        bad.append(powered_lower([item(float(rng.random() < 0.5), one.settled) for one in scores], 0.25))
        plain.append(betting_lower([one.settled for one in scores if one.settled is not None]))
    assert np.mean(good) > np.mean(plain) + 0.01
    assert np.mean(bad) > np.mean(plain) - 0.05


def test_all_items_labelled_is_no_worse_than_a_bound_of_labels_by_much() -> None:
    labels = [1.0] * 90 + [0.0] * 10
    assert powered_lower([item(0.5, y) for y in labels], 1.0) == pytest.approx(betting_lower(labels), abs=0.03)


def test_no_label_no_bound() -> None:
    assert powered_lower([item(1.0)] * 50, 0.1) == 0.0


@pytest.mark.parametrize(
    ("scores", "share", "alpha"),
    [
        ([item(1.2)], 0.5, ALPHA),
        ([item(0.5, -0.1)], 0.5, ALPHA),
        ([item(0.5, 0.5)], 0.0, ALPHA),
        ([item(0.5, 0.0)], 1e-310, ALPHA),
        ([item(0.5, 0.5)], 0.5, 0.7),
        ([item(1.0), item(1.0, 0.0)], 1.0, ALPHA),
    ],
)
def test_what_is_out_of_range_is_refused(scores: list[Powered], share: float, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"share|scores"):
        powered_lower(scores, share, alpha)


def test_an_item_that_was_drawn_and_not_settled_is_no_item_that_was_not_drawn() -> None:
    with pytest.raises(ValueError, match="drawn"):
        Powered(1.0, drawn=True)
    with pytest.raises(ValueError, match="drawn"):
        Powered(1.0, drawn=False, settled=1.0)


def test_shares_of_points_are_scores_as_well() -> None:
    rng = np.random.default_rng(5)
    scores = [item(float(rng.integers(0, 6)) / 5, 0.8 if rng.random() < 0.3 else None) for _ in range(150)]
    assert 0.5 < powered_lower(scores, 0.3) < 0.8
