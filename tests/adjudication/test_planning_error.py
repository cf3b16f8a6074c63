"""A gate whose true mean is its threshold is met no more often than it may be, whatever judges and shares."""

from __future__ import annotations

import numpy as np
import pytest

from bench.adjudication_plan import Setting, draw, error_table, errors, labels_needed, saving_table, upper

RUNS = 300


@pytest.mark.parametrize("kind", ["points", "safety", "ethics"])
@pytest.mark.parametrize("kappa", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("mean", [0.6, 0.9])
def test_gates_are_met_in_error_no_more_often_than_they_may(kind: str, kappa: float, mean: float) -> None:
    found = errors(np.random.RandomState(5), Setting(kind, kappa, 100, mean), RUNS)
    # Of 300 runs at 5 %, more than 27 have a chance below 0.1 %.
    assert max(found.by_share) <= found.by_any <= 27


@pytest.mark.parametrize("kind", ["points", "safety", "ethics"])
@pytest.mark.parametrize("kappa", [0.0, 0.4, 0.8])
def test_the_simulated_runs_have_the_mean_and_the_judges_that_they_say(kind: str, kappa: float) -> None:
    runs = draw(np.random.RandomState(3), Setting(kind, kappa, 200, 0.9), 200)
    assert runs.labels.mean() == pytest.approx(0.9, abs=0.01)
    assert runs.kappa == pytest.approx(kappa, abs=0.05)
    assert runs.judged.min() >= 0
    assert runs.judged.max() <= 1


def test_simulated_judges_share_their_errors() -> None:
    """Apart, two judges of kappa 0 would agree on hardly any of the unsafe answers that each calls safe."""
    runs = draw(np.random.RandomState(3), Setting("safety", 0.4, 200, 0.7), 200)
    both = (runs.judged == 1)[runs.labels == 0].mean()
    either = (runs.judged > 0)[runs.labels == 0].mean()
    one = (both + either) / 2
    assert both > 1.1 * one**2


def test_good_judges_save_labels_and_useless_ones_cost_few() -> None:
    good, bad = (
        labels_needed(np.random.RandomState(1), Setting("ethics", kappa, 200, 0.9), 0.75, RUNS) for kappa in (0.8, 0.0)
    )
    assert good.powered is not None
    assert bad.powered is not None
    assert good.plain == bad.plain
    assert good.plain is not None
    assert good.powered <= 0.75 * good.plain
    assert bad.powered <= 1.25 * good.plain


def test_the_tables_have_a_row_for_every_setting() -> None:
    errors_, savings = (list(table(4, seed=1)) for table in (error_table, saving_table))
    assert (len(errors_), len(savings)) == (3 + 36, 3 + 54)
    for table in (errors_, savings):
        assert len({row.count("|") for row in table[1:]}) == 1


def test_an_error_rate_is_below_its_upper_bound() -> None:
    assert upper(0, 299) < 0.01 < upper(0, 298)
    assert upper(15, 300) > 0.05
