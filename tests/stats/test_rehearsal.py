"""Many runs at once say of a threshold what the bound of each says."""

from __future__ import annotations

import numpy as np
import pytest

from mlb_offline.stats.bounds import betting_lower
from mlb_offline.stats.powered import Powered, powered_lower
from mlb_offline.stats.rehearsal import grid_point, plain_reached, powered_reached

RUNS, N = 60, 80


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("threshold", [0.35, 0.73, 0.8])
def test_a_threshold_is_reached_where_the_bound_reaches_it(share: float, threshold: float) -> None:
    random = np.random.RandomState(2)
    labels = random.binomial(5, 0.8, (RUNS, N)) / 5
    judged = np.where(random.random_sample((RUNS, N)) < 0.7, labels, 1.0)
    drawn = random.random_sample((RUNS, N)) < share
    powered = powered_reached(judged, labels, drawn, share, grid_point(threshold))
    plain = plain_reached(labels, drawn, grid_point(threshold))
    for row in range(RUNS):
        scores = [
            Powered(float(f), bool(d), float(y) if d else None)
            for f, y, d in zip(judged[row], labels[row], drawn[row], strict=True)
        ]
        settled = [one.settled for one in scores if one.settled is not None]
        assert powered[row] == (powered_lower(scores, share) >= threshold)
        assert plain[row] == (bool(settled) and betting_lower(settled) >= threshold)


def test_nothing_drawn_reaches_nothing() -> None:
    ones, none = np.ones((2, 50)), np.zeros((2, 50), dtype=bool)
    assert not powered_reached(ones, ones, none, 0.1, 0.01).any()
    assert not plain_reached(ones, none, 0.01).any()


def test_a_gate_needs_the_grid_point_at_or_above_its_threshold() -> None:
    assert [grid_point(one) for one in (0.8, 0.80001, 0.7, 0.99995)] == [0.8, 0.8001, 0.7, 1.0]
