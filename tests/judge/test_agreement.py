"""Agreement of judges: against scikit-learn, against the literature, by hand, and where nothing can be said."""

from __future__ import annotations

import json
import random

import pytest
from sklearn import metrics

from mlb_offline.judge.agreement import (
    Agreement,
    Confidence,
    PairAgreement,
    Rate,
    ReliabilityBin,
    agreement,
    confidence,
    pair_agreement,
)
from mlb_offline.stats.intervals import wilson


def made_up(n: int, seed: int = 0) -> tuple[list[bool], list[float], list[str]]:
    rng = random.Random(seed)
    labels = [rng.random() < 0.6 for _ in range(n)]
    said = [round(min(1.0, max(0.0, rng.gauss(0.65 if label else 0.35, 0.25))), 2) for label in labels]
    return labels, said, [f"answer-{number // 3}" for number in range(n)]


def value(rate: Rate | None) -> float:
    assert rate is not None
    assert rate.low <= rate.value <= rate.high
    return rate.value


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_scikit_learn(seed: int) -> None:
    labels, said, clusters = made_up(200, seed)
    verdicts = [p >= 0.5 for p in said]
    found = agreement(labels, said, clusters)
    expected = {
        "accuracy": metrics.accuracy_score(labels, verdicts),
        "precision": metrics.precision_score(labels, verdicts),
        "recall": metrics.recall_score(labels, verdicts),
        "f1": metrics.f1_score(labels, verdicts),
        "kappa": metrics.cohen_kappa_score(labels, verdicts),
        "sensitivity": metrics.recall_score(labels, verdicts),
        "specificity": metrics.recall_score(labels, verdicts, pos_label=False),
    }
    assert {name: value(getattr(found, name)) for name in expected} == pytest.approx(expected, abs=1e-6)
    assert confidence(labels, said).auc == pytest.approx(metrics.roc_auc_score(labels, said), abs=1e-6)


def table(tp: int, fp: int, fn: int, tn: int) -> Agreement:
    labels = [True] * tp + [False] * fp + [True] * fn + [False] * tn
    said = [1.0] * (tp + fp) + [0.0] * (fn + tn)
    return agreement(labels, said, [str(number) for number in range(len(labels))])


def test_ac1_escapes_the_paradox_of_kappa_as_gwet_shows() -> None:
    """His 125 subjects (Br. J. Math. Stat. Psychol. 61, 2008): 118 and 0 agreed, 5 and 2 not.

    AC1: chance 2 * 0.972 * 0.028 = 0.054432, so (0.944 - 0.054432) / 0.945568 = 0.9408.
    Kappa: chance 0.984 * 0.96 + 0.016 * 0.04 = 0.94528, so (0.944 - 0.94528) / 0.05472 = -0.0234.
    """
    found = table(118, 2, 5, 0)
    assert value(found.ac1) == pytest.approx(0.9408, abs=5e-5)
    assert value(found.kappa) == pytest.approx(-0.0234, abs=5e-5)


def test_chance_corrected_figures_lie_in_minus_one_to_one() -> None:
    opposite = table(0, 10, 10, 0)
    assert value(opposite.kappa) == value(opposite.ac1) == -1.0
    perfect = table(10, 0, 0, 10)
    assert value(perfect.kappa) == value(perfect.ac1) == 1.0


def test_a_judge_that_always_says_yes_has_no_kappa_and_no_specificity() -> None:
    found = table(6, 4, 0, 0)
    assert (value(found.kappa), value(found.specificity), value(found.recall)) == (0.0, 0.0, 1.0)


def test_zero_variance_never_gives_zero_width() -> None:
    found = table(20, 0, 0, 20)
    assert found.accuracy == Rate(1.0, wilson(40, 40).low, 1.0)
    assert found.kappa is not None
    assert found.ac1 is not None
    assert max(found.kappa.low, found.ac1.low) < 0.9


def test_criteria_of_one_answer_count_hardly_more_than_one() -> None:
    labels, said = [True, False] * 60, [0.9, 0.1] * 40 + [0.1, 0.9] * 20
    apart = agreement(labels, said, [str(number) for number in range(120)]).accuracy
    together = agreement(labels, said, [str(number // 6) for number in range(120)]).accuracy
    assert apart is not None
    assert together is not None
    assert together.high - together.low > 1.8 * (apart.high - apart.low)


def test_intervals_are_reproducible_and_independent_of_order() -> None:
    """Golden figures: the same on any machine."""
    labels, said, clusters = made_up(90)
    found = agreement(labels, said, clusters)
    assert found.to_json()["f1"] == GOLDEN_F1
    assert found.to_json()["kappa"] == GOLDEN_KAPPA
    order = random.Random(1).sample(range(90), 90)
    mixed = [[column[place] for place in order] for column in (labels, said, clusters)]
    assert agreement(*mixed) == found
    assert confidence(*mixed[:2]) == confidence(labels, said)


GOLDEN_F1 = {"value": 0.765957, "low": 0.651685, "high": 0.847826}
GOLDEN_KAPPA = {"value": 0.510386, "low": 0.321608, "high": 0.666996}


def test_chunks_do_not_change_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = agreement(*made_up(90))
    monkeypatch.setattr("mlb_offline.judge.agreement._CHUNK", 37)
    assert agreement(*made_up(90)) == whole


def test_an_abstention_is_counted_apart_and_in_no_rate() -> None:
    found = agreement([True, True, False, False], [0.9, None, 0.2, 0.6], list("abcd"))
    assert (found.n, found.answered, found.abstained) == (4, 3, 1)
    assert value(found.accuracy) == pytest.approx(2 / 3, abs=1e-6)
    assert value(found.sensitivity) == 1.0


@pytest.mark.parametrize(
    ("labels", "said"), [([], []), ([True, False], [None, None])], ids=["nothing asked", "all abstained"]
)
def test_without_an_answer_there_is_no_figure(labels: list[bool], said: list[float | None]) -> None:
    names = [str(number) for number in range(len(labels))]
    document = agreement(labels, said, names).to_json()
    assert document.pop("n") == document.pop("abstained") == len(labels)
    assert document.pop("answered") == 0
    assert set(document.values()) == {None}
    found = confidence(labels, said)
    assert (found.auc, found.ece, found.reliability) == (None, None, ())
    assert [point.accuracy for point in found.coverage] == [None, None, None]
    assert pair_agreement(labels, said, said, names).accuracy is None


@pytest.mark.parametrize(
    ("label", "absent"),
    [
        (True, {"precision", "f1", "kappa", "specificity"}),
        (False, {"precision", "f1", "kappa", "recall", "sensitivity"}),
    ],
)
def test_one_class_has_no_figure_that_needs_two(label: bool, absent: set[str]) -> None:
    document = agreement([label] * 4, [0.9, 0.8, 0.2, 0.7], list("abcd")).to_json()
    assert {name for name, found in document.items() if found is None} == absent
    assert confidence([label] * 4, [0.9, 0.8, 0.2, 0.7]).auc is None


def test_no_yes_at_all_has_no_precision() -> None:
    found = agreement([True, False], [0.1, 0.2], ["a", "b"])
    assert found.precision is None
    assert value(found.f1) == 0.0


def test_the_document_is_that_of_judge_calibrate() -> None:
    labels, said, clusters = made_up(30)
    plain = agreement(labels, said, clusters).to_json()
    rates = ["accuracy", "precision", "recall", "f1", "kappa", "ac1", "sensitivity", "specificity"]
    assert list(plain) == ["n", "answered", "abstained", *rates]
    assert all(set(plain[name]) == {"value", "low", "high"} for name in rates)
    kinds = ["negated", "", "synonym"] * 10
    with_kinds = agreement(labels, said, clusters, kinds).to_json()
    assert {name: one["n"] for name, one in with_kinds["by_kind"].items()} == {"negated": 10, "synonym": 10}
    right = sum(label == (p >= 0.5) for label, p, kind in zip(labels, said, kinds, strict=True) if kind == "negated")
    assert with_kinds["by_kind"]["negated"]["accuracy"]["value"] == right / 10
    assert json.loads(json.dumps(with_kinds)) == with_kinds


def test_expected_calibration_error_by_hand() -> None:
    """20 criteria, two a bin: at 0.05 none is 是, at 0.15 ... 0.95 one of two; so each bin misses by |p - 0.5|."""
    said = [round(0.05 + 0.1 * (number // 2), 2) for number in range(20)]
    labels = [False, False] + [True, False] * 9
    found = confidence(labels, said)
    assert [one.n for one in found.reliability] == [2] * 10
    assert found.reliability[0] == ReliabilityBin(2, 0.05, 0.0)
    gaps = [0.05, 0.35, 0.25, 0.15, 0.05, 0.05, 0.15, 0.25, 0.35, 0.45]
    assert found.ece == pytest.approx(sum(gaps) / 10, abs=1e-6)


def test_bins_are_of_equal_mass_however_the_probabilities_crowd() -> None:
    found = confidence([True] * 25, [number**4 / 25**4 for number in range(25)])
    assert [one.n for one in found.reliability] == [2, 3] * 5


def test_equal_probabilities_share_a_bin() -> None:
    found = confidence([True] * 7 + [False] * 3, [0.7] * 10)
    assert [(one.n, one.probability, one.observed) for one in found.reliability] == [(10, 0.7, 0.7)]
    assert found.ece == 0.0


def test_coverage_keeps_the_surest_and_shares_the_last_places() -> None:
    labels = [True, True, True, True, False]
    found: Confidence = confidence(labels, [0.99, 0.02, 0.7, 0.3, 0.4])
    assert [(point.coverage, point.n, point.accuracy) for point in found.coverage] == [
        (1.0, 5, 0.6),
        (0.8, 4, 0.5),
        (0.6, 3, 0.5),  # 0.99 right, 0.02 wrong, then half of 0.7 right and 0.3 wrong
    ]


def test_two_judges_agree_only_where_both_answer_the_same() -> None:
    labels = [True, True, False, False, True]
    found = pair_agreement(labels, [0.9, 0.9, 0.9, 0.1, None], [0.8, 0.2, 0.7, 0.4, 0.9], list("abcde"))
    assert (found.n, found.agreed, value(found.share)) == (5, 3, 0.6)
    assert value(found.accuracy) == pytest.approx(2 / 3, abs=1e-6)
    never: PairAgreement = pair_agreement([True], [0.9], [0.1], ["a"])
    assert (value(never.share), never.accuracy) == (0.0, None)


@pytest.mark.parametrize("said", [[0.5], [0.5, 1.1], [0.5, float("nan")]])
def test_arguments_that_do_not_fit_are_refused(said: list[float]) -> None:
    with pytest.raises(ValueError, match="probabilit"):
        agreement([True, False], said, ["a", "b"])
