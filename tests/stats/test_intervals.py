"""Reading intervals: against scipy and scikit-learn, coverage, reproducibility to the last digit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from sklearn.metrics import f1_score

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.stats.bounds import micro_f1
from mlb_offline.stats.intervals import (
    Stratum,
    mean_interval,
    micro_f1_interval,
    sample_interval,
    strata_of,
    wilson,
)
from mlb_offline.stats.sample import DatasetSample


def accuracy(right: int, n: int, dataset: str = "CMExam") -> DatasetSample:
    rows = tuple(row for row in ((0, 1, n - right), (1, 1, right)) if row[2])
    return DatasetSample(
        dataset, DATASETS[dataset].metric, DATASETS[dataset].n, n, {"right": right, "wrong": n - right}, rows
    )


def extraction(rows: list[tuple[int, int, int, int]], dataset: str = "CMeEE") -> DatasetSample:
    n = sum(row[3] for row in rows)
    return DatasetSample(dataset, DATASETS[dataset].metric, DATASETS[dataset].n, n, {"scored": n}, tuple(sorted(rows)))


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (0, 20), (20, 20), (3, 7), (157, 200), (5000, 6811)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_wilson_agrees_with_scipy(successes: int, n: int, confidence: float) -> None:
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    ours = wilson(successes, n, confidence)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert ours.n == n


@pytest.mark.parametrize(("successes", "n", "confidence"), [(0, 0, 0.95), (2, 1, 0.95), (-1, 5, 0.95), (1, 2, 1.0)])
def test_wilson_refuses_what_makes_no_sense(successes: int, n: int, confidence: float) -> None:
    with pytest.raises(ValueError, match=r"of|confidence"):
        wilson(successes, n, confidence)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_micro_f1_agrees_with_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    counts = [(int(t and p), int(p and not t), int(t and not p), 1) for t, p in pairs]
    ours = micro_f1(counts)
    if ours is None:
        assert not any(t or p for t, p in pairs)
    else:
        assert ours == pytest.approx(f1_score([t for t, _ in pairs], [p for _, p in pairs], zero_division=0))


def test_bootstrap_is_reproducible_to_the_last_digit() -> None:
    """Golden figures: a verifier recomputes them years later, on another machine and another numpy."""
    counts = [(5, 1, 0, 40), (3, 0, 2, 50), (0, 2, 4, 10)]
    found = micro_f1_interval(counts, seed=20250101)
    assert (found.value, found.low, found.high, found.n) == GOLDEN_DOCUMENTS
    parts = [accuracy(80, 100), accuracy(150, 200, "MAExam")]
    mean = mean_interval(parts, seed=20250101)
    assert (mean.value, mean.low, mean.high, mean.n) == GOLDEN_MEAN


GOLDEN_DOCUMENTS = (0.777778, 0.735739, 0.813522, 100)
GOLDEN_MEAN = (0.775, 0.725, 0.8225, 300)


def test_the_integer_stream_of_numpy_is_the_frozen_one() -> None:
    drawn = np.random.RandomState(0).randint(0, 100, size=6, dtype=np.uint32)
    assert drawn.tolist() == [44, 47, 64, 67, 67, 9]


@settings(max_examples=20, deadline=None)
@given(st.permutations([(5, 1, 0, 4), (3, 0, 2, 5), (0, 2, 4, 1), (1, 1, 1, 7)]))
def test_order_of_documents_does_not_matter(counts: list[tuple[int, int, int, int]]) -> None:
    assert micro_f1_interval(counts, seed=3, resamples=200) == micro_f1_interval(sorted(counts), seed=3, resamples=200)


def test_chunks_do_not_change_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [(5, 1, 0, 4), (3, 0, 2, 5)]
    whole = micro_f1_interval(counts, seed=1)
    monkeypatch.setattr("mlb_offline.stats.intervals._CHUNK", 37)
    assert micro_f1_interval(counts, seed=1) == whole


@pytest.mark.parametrize("n", [1, 20, 200])
def test_zero_variance_gives_the_width_of_wilson(n: int) -> None:
    perfect = micro_f1_interval([(3, 0, 0, n)], seed=0)
    assert (perfect.low, perfect.high) == (wilson(n, n).low, 1.0)
    hopeless = micro_f1_interval([(0, 2, 1, n)], seed=0)
    assert (hopeless.low, hopeless.high) == (0.0, wilson(0, n).high)
    middling = micro_f1_interval([(1, 1, 1, n)], seed=0)
    assert middling.low < 0.5 < middling.high


def test_one_document_that_outweighs_all_counts_as_hardly_more_than_one() -> None:
    found = micro_f1_interval([(1000, 0, 0, 1), (1, 0, 0, 99)], seed=0)
    assert found.low < 0.3


def test_samples_without_any_entity_widen_both_ends() -> None:
    found = micro_f1_interval([(0, 0, 0, 30), (1, 0, 0, 1)], seed=0)
    assert (found.low, found.value, found.high) == (0.0, 1.0, 1.0)


def test_undefined_micro_f1_has_no_interval() -> None:
    with pytest.raises(ValueError, match="undefined"):
        micro_f1_interval([(0, 0, 0, 5)], seed=0)


def test_too_few_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match="resamples"):
        micro_f1_interval([(1, 0, 0, 5)], seed=0, resamples=39)


def test_bootstrap_coverage_for_micro_f1_is_near_nominal() -> None:
    random = np.random.RandomState(5)
    truth_rows = _draw(random, 400_000)
    truth = micro_f1(truth_rows)
    assert truth is not None
    hits = 0
    for seed in range(300):
        found = micro_f1_interval(_draw(random, 100), seed=seed, resamples=400)
        hits += found.low <= truth <= found.high
    assert binom.ppf(1e-5, 300, 0.95) <= hits <= 300
    assert hits >= 270


def _draw(random: np.random.RandomState, n: int) -> list[tuple[int, int, int, int]]:
    reference = 1 + random.poisson(5, n)
    share = random.beta(3.2, 0.8, n)
    tp, fp = random.binomial(reference, share), random.binomial(reference, 1 - share)
    return [(int(a), int(b), int(c - a), 1) for a, b, c in zip(tp, fp, reference, strict=True)]


def test_repeats_are_clustered_by_item_and_do_not_narrow_the_interval() -> None:
    """Ten identical answers to each of 50 items are 50 items, not 500."""
    tally = {"right": 400, "wrong": 100}
    repeated = DatasetSample("CMExam", DATASETS["CMExam"].metric, 100, 50, tally, ((0, 10, 10), (10, 10, 40)))
    found = sample_interval(repeated, seed=0)
    single = wilson(40, 50)
    assert found.n == 50
    assert found.method == "item-bootstrap"
    assert found.high - found.low > 0.85 * (single.high - single.low)


def test_single_answers_get_wilson() -> None:
    assert sample_interval(accuracy(80, 100), seed=0) == wilson(80, 100)


def test_mean_of_one_dataset_is_about_that_dataset() -> None:
    found = mean_interval([accuracy(160, 200, "MAExam")], seed=0)
    assert (found.low, found.high) == pytest.approx((0.745, 0.855), abs=0.006)


def test_mean_of_perfect_datasets_still_has_width() -> None:
    found = mean_interval([accuracy(100, 100), accuracy(200, 200, "MAExam")], seed=0)
    assert 0.95 < found.low < found.high == 1.0


def test_mean_weighs_datasets_and_not_items() -> None:
    parts = [accuracy(100, 100), accuracy(0, 200, "MAExam")]
    assert mean_interval(parts, seed=0).value == 0.5
    assert mean_interval(parts, seed=0, weights=[0.25, 0.75]).value == 0.25
    mixed = [accuracy(50, 100), extraction([(1, 0, 0, 100)])]
    assert mean_interval(mixed, seed=0).value == 0.75


@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.6], []])
def test_weights_must_fit(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        mean_interval([accuracy(1, 2), accuracy(1, 2, "MAExam")], seed=0, weights=weights)


def test_no_part_and_parts_without_items_are_refused() -> None:
    with pytest.raises(ValueError, match="weights"):
        mean_interval([], seed=0)
    with pytest.raises(ValueError, match="MAEthic"):
        strata_of(DatasetSample("MAEthic", DATASETS["MAEthic"].metric, 200, 0, {}))


def judged(*rows: tuple[int, int, int]) -> DatasetSample:
    n = sum(row[2] for row in rows)
    return DatasetSample("MAEthic", DATASETS["MAEthic"].metric, 200, n, {"judged": n}, tuple(sorted(rows)))


def test_open_verdicts_make_a_span_and_its_interval_reaches_over_both_ends() -> None:
    spread = judged((0, 0, 30), (400_000, 800_000, 40), (1_000_000, 1_000_000, 30))
    found = sample_interval(spread, seed=1)
    assert (found.value, found.most, found.n) == (0.46, 0.62, 100)
    against = sample_interval(judged((0, 0, 30), (400_000, 400_000, 40), (1_000_000, 1_000_000, 30)), seed=1)
    favour = sample_interval(judged((0, 0, 30), (800_000, 800_000, 40), (1_000_000, 1_000_000, 30)), seed=1)
    assert (against.most, favour.most) == (None, None)
    assert (found.low, found.high) == (against.low, favour.high)


def test_a_mean_with_open_verdicts_in_one_part_is_a_span() -> None:
    both = mean_interval([judged((0, 1_000_000, 10)), accuracy(5, 10)], seed=0)
    assert (both.value, both.most) == (0.25, 0.75)
    assert both.low <= both.value < both.most <= both.high


def test_effective_number_of_items_is_that_of_kish() -> None:
    down, up = Stratum(((2, 2, 10),)).margins(2.0)
    assert (down, up) == pytest.approx((4 / 14, 0))
