"""Corrected rates: right where judges' errors are known, wide where they are not, none where judges are at chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.corrected_coverage import coverage
from mlb_offline.stats.corrected import Confusion, Corrected, Said, corrected_rate
from mlb_offline.stats.intervals import wilson
from mlb_offline.stats.reasons import Reason

GOOD = Confusion(tp=90, fn=10, tn=80, fp=20)


def corrected(said: list[Said], labelled: Confusion | list[Confusion]) -> Corrected:
    found = corrected_rate(said, labelled)
    assert isinstance(found, Corrected)
    return found


def alone(yes: int, n: int) -> list[Said]:
    """Items of one criterion each."""
    return [Said(int(place < yes), 1) for place in range(n)]


def test_the_estimate_is_that_of_rogan_and_gladen() -> None:
    found = corrected(alone(55, 100), GOOD)
    assert found.rate.value == pytest.approx((0.55 + 0.8 - 1) / (0.9 + 0.8 - 1))
    assert (found.apparent, found.sensitivity, found.specificity) == (0.55, 0.9, 0.8)
    assert (found.rate.n, found.criteria, found.labelled) == (100, 100, 200)
    assert found.rate.method == "rogan-gladen"


def test_the_interval_is_that_of_lang_and_reiczigel_where_criteria_are_independent() -> None:
    """Worked by hand from the paper's equations, with z = 1.959964."""
    z2 = 1.959964**2
    p, se, sp = (55 + z2 / 2) / (100 + z2), 91 / 102, 81 / 102
    rate = (p + sp - 1) / (se + sp - 1)
    of_se, of_sp = se * (1 - se) / 102, sp * (1 - sp) / 102
    spread = math.sqrt(p * (1 - p) / (100 + z2) + rate**2 * of_se + (1 - rate) ** 2 * of_sp) / (se + sp - 1)
    centre = rate + 2 * z2 * (rate * of_se - (1 - rate) * of_sp)
    found = corrected(alone(55, 100), GOOD).rate
    assert found.low == pytest.approx(centre - math.sqrt(z2) * spread, abs=1e-5)
    assert found.high == pytest.approx(centre + math.sqrt(z2) * spread, abs=1e-5)


def test_both_uncertainties_are_in_the_width() -> None:
    def width(n: int, times: int) -> float:
        found = corrected(alone(n // 2, n), Confusion(9 * times, times, 8 * times, 2 * times)).rate
        return found.high - found.low

    large = width(10**5, 10**5)
    assert large < 0.01
    assert width(100, 10**5) > 0.15
    assert width(10**5, 10) > 0.15
    assert width(100, 10) > max(width(100, 10**5), width(10**5, 10))


def test_perfect_judges_on_a_huge_set_leave_the_rate_as_it_is() -> None:
    found = corrected(alone(30, 100), Confusion(10**6, 0, 10**6, 0)).rate
    plain = wilson(30, 100)
    assert found.value == pytest.approx(0.3, abs=1e-5)
    assert (found.low, found.high) == (pytest.approx(plain.low, abs=0.01), pytest.approx(plain.high, abs=0.01))


@pytest.mark.parametrize(("yes", "value"), [(18, 0.0), (92, 1.0)])
def test_the_rate_is_clipped_and_never_without_width(yes: int, value: float) -> None:
    found = corrected(alone(yes, 100), GOOD).rate
    assert found.value == value
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.01


@pytest.mark.parametrize("yes", [0, 100])
def test_a_rate_that_such_judges_would_hardly_give_is_not_corrected(yes: int) -> None:
    found = corrected_rate(alone(yes, 100), GOOD)
    assert isinstance(found, Reason)
    assert found.code == "calibration-misfit"
    assert str(yes // 100) in found.texts()[1]


def test_criteria_that_stand_or_fall_with_their_item_count_as_one() -> None:
    together = corrected([Said(5 * (place % 2), 5) for place in range(40)], GOOD).rate
    apart = corrected(alone(20, 40), GOOD).rate
    assert together.value == apart.value
    assert together.high - together.low == pytest.approx(apart.high - apart.low, abs=0.01)


def test_where_all_items_are_alike_an_item_counts_as_one() -> None:
    assert corrected([Said(5, 5)] * 20, GOOD).rate.low == corrected(alone(20, 20), GOOD).rate.low


def test_criteria_never_count_for_more_than_one_each() -> None:
    assert corrected([Said(1, 2)] * 50, GOOD).rate.low == corrected(alone(50, 100), GOOD).rate.low


def test_a_judge_that_is_lenient_with_some_answers_is_less_certain_than_one_that_is_poor_at_some() -> None:
    lenient = corrected(alone(55, 100), [Confusion(10, 0, 5, 5), Confusion(5, 5, 10, 0)] * 5).rate
    poor = corrected(alone(55, 100), [Confusion(10, 0, 10, 0), Confusion(5, 5, 5, 5)] * 5).rate
    assert lenient.value == poor.value
    assert lenient.high - lenient.low > 1.1 * (poor.high - poor.low)


def test_errors_that_come_by_answer_widen_the_interval() -> None:
    lenient, strict = Confusion(10, 0, 0, 10), Confusion(5, 5, 10, 0)
    by_answer = corrected(alone(55, 100), [lenient, strict] * 5).rate
    whole = corrected(alone(55, 100), Confusion(75, 25, 50, 50)).rate
    assert by_answer.value == whole.value
    assert by_answer.high - by_answer.low > 1.3 * (whole.high - whole.low)


@pytest.mark.parametrize(
    ("labelled", "code"),
    [
        (Confusion(50, 50, 50, 50), "calibration-at-chance"),
        (Confusion(10, 90, 50, 50), "calibration-at-chance"),
        (Confusion(3, 0, 150, 850), "calibration-at-chance"),  # not after the three labels are weighed as three
        (Confusion(10, 0, 0, 0), "calibration-one-class"),
        ([], "calibration-one-class"),
    ],
)
def test_judges_no_better_than_chance_have_no_corrected_rate(labelled: Confusion | list[Confusion], code: str) -> None:
    found = corrected_rate(alone(5, 10), labelled)
    assert isinstance(found, Reason)
    assert found.code == code
    assert "{" not in "".join(found.texts())


def test_a_run_without_criteria_has_no_rate() -> None:
    assert corrected_rate([Said(0, 0)], GOOD) == Reason("no-items")


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="2 of 1"):
        Said(2, 1)
    with pytest.raises(ValueError, match="negative"):
        Confusion(1, -1, 0, 0)
    with pytest.raises(ValueError, match="confidence"):
        corrected_rate(alone(1, 2), GOOD, confidence=1.0)


@pytest.mark.parametrize("within", [0.0, 0.4])
@pytest.mark.parametrize("judge", [(0.6, 0.95), (0.95, 0.6), (0.95, 0.95), (0.6, 0.6)])
@pytest.mark.parametrize(("criteria", "labelled", "rate"), [(100, 100, 0.9), (300, 450, 0.5), (100, 450, 1.0)])
def test_the_interval_holds_the_true_rate(
    judge: tuple[float, float], within: float, criteria: int, labelled: int, rate: float
) -> None:
    given, held, _ = coverage(
        np.random.RandomState(11), 250, criteria=criteria, labelled=labelled, judge=judge, rate=rate, within=within
    )
    assert given > 200
    # Of 250 at 95 %, fewer than 226 have a chance below 0.1 %.
    assert held / given > 0.9
