"""Lower bounds: exactness, one-sided error by simulation, monotonicity."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from mlb_offline.stats.bounds import (
    _MEAN_LADDER,
    _RATIO_LADDER,
    GRID,
    Rows,
    betting_lower,
    capped_rows,
    clopper_pearson_lower,
    effective_cap,
    log_capital,
    micro_f1,
    micro_f1_lower,
    runaways,
)

TRIALS = 2000
ALLOWED = int(binom.ppf(1 - 1e-6, TRIALS, 0.05))  # a valid 5 % bound exceeds this once in a million seeds


@pytest.mark.parametrize("n", [1, 2, 20, 100, 300, 6811, 100_000])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 8, 0.5])
def test_clopper_pearson_agrees_with_scipy(n: int, alpha: float) -> None:
    for successes in sorted({1, n // 3 or 1, n // 2 or 1, (9 * n) // 10 or 1, n - 1 or 1, n}):
        exact = beta.ppf(alpha, successes, n - successes + 1)
        assert clopper_pearson_lower(successes, n, alpha) == pytest.approx(exact, abs=1e-9)


def test_clopper_pearson_without_success_is_zero() -> None:
    assert clopper_pearson_lower(0, 100) == 0.0


def test_clopper_pearson_is_never_certain() -> None:
    assert clopper_pearson_lower(20, 20) == pytest.approx(0.05 ** (1 / 20))
    assert clopper_pearson_lower(100_000, 100_000) < 1


@pytest.mark.parametrize(
    ("successes", "n", "alpha"), [(1, 0, 0.05), (-1, 5, 0.05), (6, 5, 0.05), (1, 5, 0), (1, 5, 0.6)]
)
def test_clopper_pearson_refuses_what_makes_no_sense(successes: int, n: int, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"of|alpha"):
        clopper_pearson_lower(successes, n, alpha)


@pytest.mark.parametrize("n", [5, 20, 100, 1000])
@pytest.mark.parametrize("p", [0.01, 0.05, 0.3, 0.5, 0.8, 0.95, 0.99, 0.999])
def test_clopper_pearson_error_is_at_most_alpha_exactly(n: int, p: float) -> None:
    worst = next((k for k in range(n + 1) if clopper_pearson_lower(k, n) > p), n + 1)
    assert binom.sf(worst - 1, n, p) <= 0.05


def test_the_normal_bound_would_not_pass_that_check() -> None:
    """The check has teeth: the Wald bound at n = 20, p = 0.95 errs far more often than 5 %."""
    n, p = 20, 0.95
    errs = [k for k in range(n + 1) if k / n - 1.645 * math.sqrt(k / n * (1 - k / n) / n) > p]
    assert sum(binom.pmf(k, n, p) for k in errs) > 0.3


@given(st.integers(1, 400), st.data())
def test_one_more_success_never_lowers_clopper_pearson(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    assert clopper_pearson_lower(k, n) <= clopper_pearson_lower(k + 1, n) <= 1
    assert clopper_pearson_lower(k, n) <= k / n


# --- betting bounds ---------------------------------------------------------------------------------------------


def _share_rejected(gain: np.ndarray, size: np.ndarray, t: float, ladder: tuple[float, ...]) -> int:
    """How many samples (rows) reject the first grid point not below the true value ``t``.

    A bound above the truth needs exactly this; the capital is written out here once more, for all samples at once.
    """
    point = math.ceil(t * GRID - 1e-9) / GRID
    n = gain.shape[1]
    base = math.sqrt(2 * math.log(20) / n * point / (1 - point))
    capital = np.mean([np.prod(1 + min(0.95, base * rung) * (gain / point - size), axis=1) for rung in ladder], axis=0)
    some = Rows(gain[0], size[0], np.ones(n))
    assert math.exp(log_capital(some, np.asarray([point]), 0.05, ladder)[0]) == pytest.approx(capital[0], rel=1e-9)
    return int((capital >= 20).sum())


def _values(kind: str, n: int, mean: float, seed: int) -> np.ndarray:
    random = np.random.RandomState(seed)
    shape = (TRIALS, n)
    if kind == "0/1":
        return (random.random_sample(shape) < mean).astype(float)
    if kind == "three repeats":  # items differ in difficulty
        return random.binomial(3, random.beta(2 * mean, 2 * (1 - mean), shape)) / 3
    if kind == "rare disaster":  # nearly always the same value, seldom 0: zero variance in most samples
        return np.where(random.random_sample(shape) < 0.03, 0.0, mean / 0.97)
    return random.beta(20 * mean, 20 * (1 - mean), shape)


@pytest.mark.parametrize("kind", ["0/1", "three repeats", "rare disaster", "narrow"])
@pytest.mark.parametrize("n", [20, 200])
@pytest.mark.parametrize("mean", [0.02, 0.5, 0.8, 0.96])
def test_betting_error_is_at_most_alpha(kind: str, n: int, mean: float) -> None:
    values = _values(kind, n, mean, seed=n)
    assert _share_rejected(values, np.ones_like(values), mean, _MEAN_LADDER) <= ALLOWED


def test_betting_is_not_idle() -> None:
    """Conservative is not enough: at a threshold well below the truth the test must reject nearly always."""
    values = _values("three repeats", 200, 0.8, seed=1)
    assert _share_rejected(values, np.ones_like(values), 0.68, _MEAN_LADDER) > 0.9 * TRIALS


def test_the_t_bound_would_not_pass_the_betting_check() -> None:
    values = _values("rare disaster", 20, 0.9, seed=20)
    low = values.mean(axis=1) - 1.729 * values.std(axis=1, ddof=1) / math.sqrt(20)
    assert (low > 0.9).sum() > ALLOWED


def _documents(n: int, quality: float, spread: float, runaway: float, seed: int) -> tuple[np.ndarray, ...]:
    """TP, FP, FN of documents: sizes vary, documents differ in difficulty, and some answers run away."""
    random = np.random.RandomState(seed)
    reference = 1 + random.poisson(5, (TRIALS, n))
    share = random.beta(spread * quality, spread * (1 - quality), (TRIALS, n))
    tp = random.binomial(reference, share)
    fp = random.binomial(reference, 1 - share)
    fp = np.where(random.random_sample((TRIALS, n)) < runaway, fp + 500, fp)
    return tp, fp, reference - tp


def _capped(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, cap: int) -> tuple[np.ndarray, np.ndarray]:
    errors = fp + fn
    size = np.minimum(2 * tp + errors, cap)
    return np.maximum(0, size - errors) / cap, size / cap


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize("quality", [0.03, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("runaway", [0.0, 0.05])
def test_micro_f1_error_for_the_capped_estimand_is_at_most_alpha(n: int, quality: float, runaway: float) -> None:
    cap = 16  # cuts one document in five, or more
    many = _documents(1000, quality, 4.0, runaway, seed=7)
    gain, size = _capped(*many, cap)
    truth = gain.sum() / size.sum()  # from two million documents
    if not runaway:
        assert truth <= 2 * many[0].sum() / (2 * many[0] + many[1] + many[2]).sum()
    gain, size = _capped(*_documents(n, quality, 4.0, runaway, seed=n), cap)
    assert _share_rejected(gain, size, truth, _RATIO_LADDER) <= ALLOWED


def test_micro_f1_bound_is_not_idle() -> None:
    gain, size = _capped(*_documents(200, 0.9, 4.0, 0.0, seed=3), 32)
    truth = gain.sum() / size.sum()
    assert _share_rejected(gain, size, truth - 0.08, _RATIO_LADDER) > 0.9 * TRIALS


def test_one_runaway_answer_leaves_no_bound() -> None:
    """Capping FP alone would let 500 invented entities pass for few; no bound above 0 is true of such a model."""
    assert micro_f1_lower([(6, 1, 1, 200)], size_cap=32) > 0.6
    assert micro_f1_lower([(6, 0, 1, 1), (6, 1, 1, 199)], size_cap=32) > 0.6
    runaway = [(6, 1, 1, 199), (6, 32, 1, 1)]
    assert micro_f1_lower(runaway, size_cap=32) == 0.0
    assert runaways(runaway, 32) == 1
    assert runaways([(6, 31, 1, 3)], 32) == 0
    rows = capped_rows([(6, 500, 1, 1)], 32)
    assert rows.gain.tolist() == [0.0]
    assert rows.size.tolist() == [1.0]


def test_a_large_perfect_document_is_cut_but_stays_perfect() -> None:
    assert capped_rows([(40, 0, 0, 1)], 32).gain.tolist() == [1.0]


@given(st.integers(0, 99), st.integers(0, 40), st.integers(0, 40), st.integers(2, 60), st.floats(0.01, 0.99))
def test_cutting_never_helps_against_any_threshold(tp: int, fp: int, fn: int, cap: int, t: float) -> None:
    """So the capped estimand is at most micro-F1 wherever no document has more errors than the cap."""
    if fp + fn <= cap:
        rows = capped_rows([(tp, fp, fn, 1)], cap)
        uncapped = 2 * tp - t * (2 * tp + fp + fn)
        assert cap * (rows.gain[0] - t * rows.size[0]) <= uncapped + 1e-9


def test_the_effective_cap_follows_references_and_never_answers() -> None:
    assert effective_cap([], 32) == 32
    assert effective_cap([(6, 900, 0, 5)], 32) == 32
    assert effective_cap([(6, 0, 0, 5), (0, 7, 100, 1)], 32) == 200
    assert effective_cap([(50, 7, 50, 1)], 32) == 200


@pytest.mark.parametrize(
    ("cap", "good", "bad", "share", "n"),
    [
        (32, (6, 0, 0), (0, 500, 6), 0.02, 300),
        (32, (5, 0, 0), (0, 0, 100), 0.1, 50),
        (8, (3, 0, 0), (0, 10, 10), 0.1, 50),
        (32, (5, 0, 0), (40, 20, 60), 0.1, 50),
        (8, (2, 0, 0), (0, 0, 9), 0.1, 50),
    ],
)
def test_the_bound_is_seldom_above_the_true_micro_f1_where_the_run_shows_large_errors(
    cap: int, good: tuple[int, int, int], bad: tuple[int, int, int], share: float, n: int
) -> None:
    """Exactly, without simulation: two kinds of documents, so the number of bad ones is binomial."""
    gain = 2 * ((1 - share) * good[0] + share * bad[0])
    truth = gain / (gain + (1 - share) * sum(good[1:]) + share * sum(bad[1:]))
    wrong = 0.0
    for k in range(n + 1):
        counts = [(*good, n - k), (*bad, k)]
        if micro_f1_lower([row for row in counts if row[3]], size_cap=cap) > truth:
            wrong += binom.pmf(k, n, share)
        elif k > n * share:
            break
    assert wrong <= 0.05


@pytest.mark.parametrize("n", [20, 100])
def test_error_is_at_most_alpha_for_both_estimands_where_no_document_exceeds_the_cap(n: int) -> None:
    """By ``micro_f1_lower`` itself; a tenth of the answers are unreadable, references as large as half the cap."""
    random = np.random.RandomState(n)

    def draw(many: int) -> np.ndarray:
        reference = np.where(random.random_sample(many) < 0.1, 16, 1 + random.poisson(4, many))
        tp = np.where(random.random_sample(many) < 0.1, 0, random.binomial(reference, 0.9))
        return np.stack([tp, random.binomial(3, 0.1, many), reference - tp], axis=1)

    tp, fp, fn = draw(1_000_000).T
    true = 2 * tp.sum() / (2 * tp + fp + fn).sum()
    gain, size = _capped(tp, fp, fn, 32)
    assert gain.sum() / size.sum() <= true
    errors = 0
    for _ in range(200):
        rows, items = np.unique(draw(n), axis=0, return_counts=True)
        counts = [(int(a), int(b), int(c), int(k)) for (a, b, c), k in zip(rows, items, strict=True)]
        errors += micro_f1_lower(counts, size_cap=32) > gain.sum() / size.sum()
    assert errors <= binom.ppf(1 - 1e-6, 200, 0.05)


def test_bound_is_the_last_rejected_grid_point() -> None:
    values = [1.0] * 170 + [0.5] * 10 + [0.0] * 20
    bound = betting_lower(values)
    rows = Rows(np.array([0.0, 0.5, 1.0]), np.ones(3), np.array([20.0, 10.0, 170.0]))
    capital = log_capital(rows, np.array([bound, bound + 1 / GRID]), 0.05, _MEAN_LADDER)
    assert capital[0] >= math.log(20) > capital[1]


def test_edges_of_the_betting_bound() -> None:
    assert betting_lower([0.0] * 50) == 0.0
    assert betting_lower([1.0]) < 0.06  # one item proves next to nothing
    assert 0.98 < betting_lower([1.0] * 200) < 0.986  # zero variance, yet below 1; Clopper-Pearson: 0.985
    assert betting_lower([1.0] * 1_000_000) < 1
    assert betting_lower([0.7] * 200) < 0.7
    assert micro_f1_lower([], size_cap=10) == 0.0
    assert micro_f1_lower([(0, 0, 0, 10)], size_cap=10) == 0.0
    assert micro_f1_lower([(0, 3, 3, 10)], size_cap=10) == 0.0


@pytest.mark.parametrize("values", [[], [1.1], [-0.1], [math.nan], [0.5, math.inf]])
def test_values_outside_the_unit_interval_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="values"):
        betting_lower(values)


@pytest.mark.parametrize("alpha", [0.0, -1.0, 1.0, math.nan])
def test_alpha_must_make_sense(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        betting_lower([0.5], alpha)
    with pytest.raises(ValueError, match="alpha"):
        micro_f1_lower([(1, 0, 0, 1)], alpha=alpha, size_cap=8)


def test_micro_f1_refuses_negative_counts_and_caps_that_allow_nothing() -> None:
    with pytest.raises(ValueError, match="negative"):
        micro_f1([(1, -1, 0, 1)])
    with pytest.raises(ValueError, match="cap"):
        micro_f1_lower([(1, 0, 0, 1)], size_cap=1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_betting_bound_ignores_order_and_grows_with_values(values: list[float], random: object) -> None:
    bound = betting_lower(values)
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert betting_lower(shuffled) == bound
    worst = min(range(len(values)), key=values.__getitem__)
    better = [1.0 if index == worst else value for index, value in enumerate(values)]
    assert betting_lower(better) >= bound
    assert bound <= sum(values) / len(values)


documents = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.integers(1, 9))


@settings(max_examples=40, deadline=None)
@given(st.lists(documents, min_size=1, max_size=12), st.integers(4, 40))
def test_micro_f1_bound_ignores_order_and_falls_with_errors(counts: list[tuple[int, int, int, int]], cap: int) -> None:
    bound = micro_f1_lower(counts, size_cap=cap)
    assert micro_f1_lower(counts[::-1], size_cap=cap) == bound
    tp, fp, fn, items = counts[0]
    assert micro_f1_lower([(tp, fp + 1, fn, items), *counts[1:]], size_cap=cap) <= bound
    if tp:
        assert micro_f1_lower([(tp - 1, fp, fn + 1, items), *counts[1:]], size_cap=cap) <= bound
    assert bound <= (micro_f1(counts) or 0)
    assert micro_f1_lower([*counts, (0, 200, 1, 1)], size_cap=cap) == 0
