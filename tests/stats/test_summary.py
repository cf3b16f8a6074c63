"""Counting, figures of datasets, dimensions and the whole, and their reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from mlb_offline.benchmark.catalogue import DATASETS, DIMENSIONS, Metric
from mlb_offline.errors import InputError, UsageError
from mlb_offline.judge.panel import ASIDE
from mlb_offline.scoring.judged import EthicsWeights
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.stats.lower import Runaway, dataset_lower, item_cap, mean_lower, runaway
from mlb_offline.stats.reasons import Reason, known_codes
from mlb_offline.stats.sample import Audit, DatasetSample, sample_of
from mlb_offline.stats.summary import Weighting, members, summarise, weights


@dataclass(frozen=True)
class Scored:
    item: str
    outcome: Outcome
    tp: int = 0
    fp: int = 0
    fn: int = 0
    judges: str = ""
    physicians: str = ""
    signs: tuple[str, ...] = ()


def perfect(name: str, n: int | None = None) -> DatasetSample:
    dataset = DATASETS[name]
    n = n or dataset.n
    if dataset.metric.judged:
        return DatasetSample(name, dataset.metric, dataset.n, n, {"unjudged": n}, ((0, 1_000_000, n),))
    if dataset.metric is Metric.MICRO_F1:
        return DatasetSample(name, dataset.metric, dataset.n, n, {"scored": n}, ((4, 0, 0, n),))
    return DatasetSample(name, dataset.metric, dataset.n, n, {"right": n}, ((1, 1, n),))


def samples(*names: str) -> dict[str, DatasetSample]:
    return {name: perfect(name) for name in names}


def test_missing_failed_and_unreadable_answers_count_as_wrong() -> None:
    answers = [
        Scored("a", Outcome.RIGHT),
        Scored("b", Outcome.MISSING),
        Scored("c", Outcome.FAILED),
        Scored("d", Outcome.UNREADABLE),
        Scored("e", Outcome.WRONG),
    ]
    sample = sample_of(DATASETS["CMExam"], answers)
    assert sample.n == 5
    assert sample.histogram == ((0, 1, 4), (1, 1, 1))
    result = summarise({"CMExam": sample}, seed=0).datasets["CMExam"]
    assert result.interval is not None
    assert (result.interval.value, result.interval.n) == (0.2, 5)
    assert set(result.tally) == {outcome.value for outcome in Outcome}


def test_repeats_are_added_up_by_item_in_any_order() -> None:
    answers = [Scored("a", Outcome.RIGHT), Scored("b", Outcome.WRONG), Scored("a", Outcome.WRONG)]
    answers.append(Scored("b", Outcome.WRONG))
    sample = sample_of(DATASETS["CMExam"], answers)
    assert sample == sample_of(DATASETS["CMExam"], answers[::-1])
    assert (sample.n, sample.repeats, sample.histogram) == (2, 2, ((0, 2, 1), (1, 2, 1)))


def test_micro_f1_counts_are_added_up_by_document() -> None:
    answers = [
        Scored("a", Outcome.SCORED, 2, 1, 0),
        Scored("a", Outcome.UNREADABLE, 0, 0, 2),
        Scored("b", Outcome.SCORED, 1, 0, 0),
        Scored("b", Outcome.MISSING, 0, 0, 1),
    ]
    sample = sample_of(DATASETS["CMeEE"], answers)
    assert sample.histogram == ((1, 0, 1, 1), (2, 1, 2, 1))


def test_items_answered_unequally_often_are_refused() -> None:
    answers = [Scored("a", Outcome.RIGHT), Scored("b", Outcome.RIGHT), Scored("a", Outcome.RIGHT)]
    with pytest.raises(InputError):
        sample_of(DATASETS["CMExam"], [*answers, Scored("c", Outcome.RIGHT)])


def test_no_answers_make_an_empty_sample_without_a_figure() -> None:
    result = summarise({"CMExam": sample_of(DATASETS["CMExam"], [])}, seed=0).datasets["CMExam"]
    assert (result.n, result.interval, result.evaluable) == (0, None, False)
    assert result.reason == Reason("no-items")


def test_judged_datasets_say_no_judge() -> None:
    answers = [Scored("a", Outcome.UNJUDGED), Scored("b", Outcome.MISSING)]
    result = summarise({"MAEthic": sample_of(DATASETS["MAEthic"], answers)}, seed=0).datasets["MAEthic"]
    assert (result.n, result.interval, result.reason) == (2, None, Reason("no-judge"))


def judged(name: str, *answers: Scored, **audit: Any) -> DatasetSample:
    return sample_of(DATASETS[name], answers, **audit)


def test_items_of_judged_sets_are_counted_by_the_least_and_the_most_they_score() -> None:
    sample = judged(
        "MADiagnosis",
        Scored("a", Outcome.JUDGED, judges="ynyd"),
        Scored("b", Outcome.JUDGED, judges="ya", physicians="-n"),
        Scored("c", Outcome.UNREADABLE),
        Scored("d", Outcome.UNJUDGED),
        Scored("e", Outcome.JUDGED, judges="yny"),
    )
    rows = ((0, 0, 1), (0, 1_000_000, 1), (500_000, 500_000, 1), (500_000, 750_000, 1), (666_667, 666_667, 1))
    assert sample.histogram == rows
    assert sample.criteria == {"y": 5, "n": 2, "d": 1, "a": 1}
    result = summarise({"MADiagnosis": sample}, seed=0).datasets["MADiagnosis"]
    assert result.interval is not None
    assert (result.interval.value, result.interval.most) == (0.333333, 0.583333)


def test_repeats_of_a_judged_item_are_averaged() -> None:
    sample = judged("GeneralSafety", Scored("a", Outcome.JUDGED, judges="y"), Scored("a", Outcome.JUDGED, judges="d"))
    assert (sample.n, sample.repeats, sample.histogram) == (1, 2, ((500_000, 1_000_000, 1),))


def test_what_the_judges_said_is_counted_by_item_whatever_a_physician_says() -> None:
    sample = judged(
        "MADiagnosis",
        Scored("a", Outcome.JUDGED, judges="ynyd", physicians="nnnn"),
        Scored("a", Outcome.JUDGED, judges="ynya"),
        Scored("b", Outcome.JUDGED, judges="nn"),
        Scored("b", Outcome.FAILED),
        Scored("c", Outcome.MISSING),
        Scored("c", Outcome.MISSING),
    )
    assert sample.said == {"points": ((0, 0, 1), (0, 2, 1), (4, 8, 1))}


def test_answers_set_aside_are_counted_once_and_under_each_of_their_reasons() -> None:
    sample = judged(
        "MADiagnosis",
        Scored("a", Outcome.JUDGED, judges="aa", signs=("length", "verdict")),
        Scored("b", Outcome.JUDGED, judges="a", physicians="y", signs=("verdict",)),
        Scored("c", Outcome.JUDGED, judges="ya"),
        Scored("d", Outcome.MISSING),
    )
    assert {code: count for code, count in sample.aside.items() if count} == {"any": 2, "length": 1, "verdict": 2}
    assert sample.aside.keys() == {"any", *ASIDE}
    assert sample_of(DATASETS["CMExam"], [Scored("a", Outcome.RIGHT)]).aside == {}


def test_risks_and_qualities_are_counted_apart() -> None:
    sample = judged("MAEthic", Scored("a", Outcome.JUDGED, judges="ynyydn"), Scored("b", Outcome.UNJUDGED))
    assert sample.said == {"risk": ((0, 0, 1), (1, 2, 1)), "quality": ((0, 0, 1), (2, 4, 1))}
    assert judged("GeneralSafety", Scored("a", Outcome.JUDGED, judges="y")).said == {"safety": ((1, 1, 1),)}
    assert sample_of(DATASETS["CMExam"], [Scored("a", Outcome.RIGHT)]).said == {}


def test_the_weights_of_an_ethics_score_can_be_set() -> None:
    weights = EthicsWeights(0.1, 0.1, 0.1, 0.7)
    sample = judged("MAEthic", Scored("a", Outcome.JUDGED, judges="nnynny"), weights=weights)
    assert sample.histogram == ((800_000, 800_000, 1),)


def test_the_physicians_sample_sets_judges_scores_against_labels() -> None:
    sample = judged(
        "MADiagnosis",
        Scored("a", Outcome.JUDGED, judges="yn", physicians="nn"),
        Scored("b", Outcome.JUDGED, judges="yd", physicians="y?"),
        Scored("c", Outcome.FAILED),
        Scored("d", Outcome.JUDGED, judges="dd", physicians="y-"),
        share=0.5,
        drawn=lambda item: item != "d",
    )
    assert sample.audit == Audit(
        0.5,
        drawn=((0, 0, 0, 1), (500_000, 0, 0, 1), (750_000, 500_000, 1_000_000, 1)),
        others=((500_000, 1),),
        judges=((0, 1, 0, 1, 0, 1), (1, 0, 0, 0, 0, 1)),
    )
    assert (sample.audit.n, sample.audit.labelled, sample.audit.still_open) == (4, 3, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"histogram": ((0, 1_000_001, 4),)},
        {"histogram": ((500_000, 400_000, 4),)},
        {"histogram": ((1_000_000, 1_000_000, 4),)},
        {"histogram": ((0, 0, 3),)},
        {"tally": {"right": 4}},
        {"audit": Audit(0.5, ((0, 0, 0, 4),), ((0, 1),))},
        {"audit": Audit(0.5, ((0, 1, 0, 4),), ())},
        {"audit": Audit(1.0, ((0, 0, 0, 3),), ((0, 1),))},
        {"audit": Audit(0.0, ((0, 0, 0, 4),), ())},
        {"audit": Audit(0.5, ((0, 0, 4),), ())},
        {"said": {"safety": ((0, 0, 1), (1, 1, 2))}},
        {"said": {"safety": ((0, 0, 1), (2, 1, 3))}},
        {"said": {"safety": ((1, 1, 3), (0, 0, 1))}},
        {"said": {"safety": ((0, 1), (1, 3))}},
    ],
)
def test_counts_of_judged_sets_that_contradict_each_other_are_refused(change: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "dataset": "GeneralSafety",
        "metric": Metric.JUDGE_SAFETY,
        "official_n": 200,
        "n": 4,
        "tally": {"judged": 3, "failed": 1},
        "histogram": ((0, 0, 1), (0, 1_000_000, 3)),
        "audit": Audit(0.5, ((0, 0, 0, 3),), ((0, 1),)),
        "said": {"safety": ((0, 0, 1), (1, 1, 3))},
    }
    DatasetSample(**good)
    with pytest.raises(InputError):
        DatasetSample(**(good | change))


def test_documents_without_any_entity_have_no_figure() -> None:
    sample = sample_of(DATASETS["CMeEE"], [Scored("a", Outcome.SCORED)])
    assert summarise({"CMeEE": sample}, seed=0).datasets["CMeEE"].reason == Reason("no-entities")


BAD: list[dict[str, Any]] = [
    {"n": -1},
    {"n": True},
    {"tally": {"right": 3.0, "wrong": 1}},
    {"tally": {"right": 3, "wrong": 2}},
    {"tally": {}},
    {"n": 0},
    {"tally": {"right": 3, "correct": 1}},
    {"tally": {"right": 3, "scored": 1}},
    {"tally": {"right": 2, "wrong": 2}},
    {"histogram": ()},
    {"histogram": ((1, 1, 3), (0, 1, 1))},
    {"histogram": ((0, 1, 1), (1, 1, 1), (1, 1, 2))},
    {"histogram": ((0, 1, 1), (2, 1, 3))},
    {"histogram": ((0, 1, 1), (1, 2, 3))},
    {"histogram": ((0, 1, -1), (1, 1, 5))},
    {"histogram": ((0, 1, 0), (0, 1, 1), (1, 1, 3))},
    {"histogram": ((0, 1, 1, 1), (1, 1, 3, 1))},
    {"histogram": ((0.0, 1, 1), (1, 1, 3))},
    {"metric": Metric.JUDGE_SAFETY},
    {"metric": Metric.MICRO_F1, "tally": {"scored": 4}},
    {"said": {"points": ((0, 1, 4),)}},
]


@pytest.mark.parametrize("change", BAD)
def test_counts_that_contradict_each_other_are_refused(change: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "dataset": "CMExam",
        "metric": Metric.ACCURACY,
        "official_n": 100,
        "n": 4,
        "tally": {"right": 3, "wrong": 1},
        "histogram": ((0, 1, 1), (1, 1, 3)),
    }
    DatasetSample(**good)
    with pytest.raises(InputError) as caught:
        DatasetSample(**(good | change))
    assert str(caught.value.field).startswith("CMExam.")


def test_a_judged_dataset_declared_as_another_metric_gets_no_figure() -> None:
    lie = DatasetSample("MAEthic", Metric.ACCURACY, 200, 1, {"right": 1}, ((1, 1, 1),))
    with pytest.raises(UsageError):
        summarise({"MAEthic": lie}, seed=0)


def test_unknown_datasets_and_names_that_differ_are_refused() -> None:
    with pytest.raises(UsageError):
        summarise({"Other": perfect("CMExam")}, seed=0)
    with pytest.raises(UsageError):
        summarise({"MAExam": perfect("CMExam")}, seed=0)


def test_a_dimension_is_the_mean_of_its_datasets() -> None:
    half = DatasetSample("MAExam", Metric.ACCURACY, 200, 200, {"right": 100, "wrong": 100}, ((0, 1, 100), (1, 1, 100)))
    summary = summarise({"CMExam": perfect("CMExam"), "MAExam": half}, seed=0)
    result = summary.dimensions["MedKQA"]
    assert result.interval is not None
    assert (result.interval.value, result.n, result.reason, result.partial) == (0.75, 300, None, None)
    assert summary.overall.interval is None
    assert summary.overall.reason is not None
    assert "MedSE" in str(summary.overall.reason.params["dimensions"])


def test_a_dimension_with_a_missing_dataset_has_no_score_but_a_partial_mean() -> None:
    result = summarise(samples("CMExam"), seed=0).dimensions["MedKQA"]
    assert result.interval is None
    assert result.reason == Reason("dataset-missing", {"datasets": "MAExam"})
    assert result.partial is not None
    assert (result.partial.datasets, result.partial.interval.value) == (("CMExam",), 1.0)


def test_a_dimension_with_judged_datasets_has_no_score() -> None:
    result = summarise(samples(*members("MedSE")), seed=0).dimensions["MedSE"]
    assert result.interval is None
    assert result.reason is not None
    assert result.reason.code == "dataset-not-evaluable"
    assert result.partial is not None
    assert result.partial.datasets == ("MASafety", "MAHalt")


def test_a_dimension_of_judged_datasets_only_has_no_partial_mean() -> None:
    assert summarise(samples(*members("SmartCare")), seed=0).dimensions["SmartCare"].partial is None


def test_overall_is_the_mean_of_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen with a catalogue without judged datasets."""
    plain = {name: row for name, row in DATASETS.items() if not row.metric.judged}
    monkeypatch.setattr("mlb_offline.stats.summary.DATASETS", plain)
    used = {name: DIMENSIONS[name] for name in DIMENSIONS if name != "SmartCare"}
    monkeypatch.setattr("mlb_offline.stats.summary.DIMENSIONS", used)
    parts = samples(*plain)
    parts["CMExam"] = DatasetSample("CMExam", Metric.ACCURACY, 100, 100, {"wrong": 100}, ((0, 1, 100),))
    overall = summarise(parts, seed=0).overall
    assert overall.interval is not None
    assert overall.interval.value == pytest.approx(1 - 1 / 2 / 4)
    assert sum(weights(tuple(plain))) == pytest.approx(1)


def test_weights_change_means_and_nothing_else() -> None:
    half = DatasetSample("MAExam", Metric.ACCURACY, 200, 200, {"right": 100, "wrong": 100}, ((0, 1, 100), (1, 1, 100)))
    parts = {"CMExam": perfect("CMExam"), "MAExam": half}
    plain = summarise(parts, seed=0)
    heavy = summarise(parts, seed=0, weighting=Weighting({"MAExam": 3.0}, {"MedKQA": 2.0}))
    result = heavy.dimensions["MedKQA"]
    assert result.interval is not None
    assert result.interval.value == 0.625
    assert heavy.datasets == plain.datasets
    assert summarise(parts, seed=0, weighting=Weighting({"MAExam": 3.0, "CMExam": 3.0})).dimensions == plain.dimensions
    alone = summarise({"MAExam": half}, seed=0, weighting=Weighting({"MAExam": 3.0})).dimensions["MedKQA"]
    assert alone.partial is not None
    assert alone.partial.interval.value == 0.5


def test_shares_add_up_to_one_and_follow_the_weights() -> None:
    whole = members("overall")
    for weighting in (Weighting(), Weighting({"CMExam": 4.0}, {"MedRU": 0.5, "MedSE": 7.0})):
        assert sum(weights(whole, weighting)) == pytest.approx(1)
    shares = dict(zip(whole, weights(whole, Weighting({"CMExam": 3.0}, {"MedKQA": 2.0})), strict=True))
    assert shares["CMExam"] == pytest.approx(2 / 6 * 3 / 4)
    assert shares["MASafety"] == pytest.approx(1 / 6 / 5)
    assert weights(("CMExam", "MAExam"), Weighting({}, {"MedKQA": 5.0})) == [0.5, 0.5]


def test_results_follow_the_order_of_the_catalogue() -> None:
    assert list(summarise(samples("MAExam", "CMExam"), seed=0).datasets) == ["CMExam", "MAExam"]


# --- the bound that fits ------------------------------------------------------------------------------------------


def test_each_kind_of_dataset_gets_its_bound_rounded_down() -> None:
    single = dataset_lower(perfect("CMExam"))
    assert single.method == "clopper-pearson"
    assert single.low == 0.970486  # 0.05 ** (1 / 100) = 0.97048695…
    repeated = DatasetSample("CMExam", Metric.ACCURACY, 100, 100, {"right": 300}, ((3, 3, 100),))
    assert dataset_lower(repeated).method == "betting"
    assert dataset_lower(repeated).low < single.low
    assert dataset_lower(perfect("CMeEE")).method == "betting-micro-f1"


def test_repeats_scale_the_size_cap() -> None:
    once = DatasetSample("CMeEE", Metric.MICRO_F1, 100, 100, {"scored": 100}, ((8, 1, 1, 100),))
    twice = DatasetSample("CMeEE", Metric.MICRO_F1, 100, 100, {"scored": 200}, ((16, 2, 2, 100),))
    assert dataset_lower(once) == dataset_lower(twice)


def test_bound_of_a_mean_splits_alpha_over_its_datasets() -> None:
    parts = [perfect("CMExam"), perfect("MAExam")]
    expected = (0.025 ** (1 / 100) + 0.025 ** (1 / 200)) / 2
    found = mean_lower(parts, [0.5, 0.5])
    assert found.method == "bonferroni"
    assert found.low == pytest.approx(expected, abs=2e-6)
    assert found.low <= expected


def test_a_runaway_answer_in_one_dataset_leaves_its_means_without_a_bound() -> None:
    rows = ((0, 40, 6, 2), (6, 0, 0, 98))
    sample = DatasetSample("CMeEE", Metric.MICRO_F1, 100, 100, {"scored": 100}, rows)
    assert runaway(sample) == Runaway("CMeEE", 2, 46, 32)
    assert dataset_lower(sample).low == 0.0
    assert mean_lower([perfect("CMeIE"), sample], [0.5, 0.5]).low == 0.0
    assert mean_lower([perfect("CMeIE"), perfect("CMeEE")], [0.5, 0.5]).low > 0.8
    assert runaway(sample, size_cap=lambda _: 46) is None
    assert runaway(perfect("CMExam")) is None
    large = DatasetSample("CMeEE", Metric.MICRO_F1, 100, 100, {"scored": 300}, ((0, 0, 60, 1), (18, 0, 0, 99)))
    assert (item_cap(large), runaway(large)) == (120, None)  # 3 repeats: 96 by the policy, twice 60 by the reference


def test_bounds_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="MAEthic"):
        dataset_lower(perfect("MAEthic"))
    with pytest.raises(ValueError, match="CMExam"):
        dataset_lower(sample_of(DATASETS["CMExam"], []))
    with pytest.raises(ValueError, match="no dataset"):
        mean_lower([], [])


# --- reasons --------------------------------------------------------------------------------------------------------


def test_reasons_speak_both_languages_and_hide_no_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = Reason("below-minimum-n", {"dataset": "CMExam", "n": 3, "minimum_n": 100})
    zh, en = reason.texts()
    assert "CMExam" in zh
    assert en == "CMExam has 3 items, 100 are required"
    assert reason.to_json() == {"code": "below-minimum-n", "params": {"dataset": "CMExam", "n": 3, "minimum_n": 100}}
    monkeypatch.setattr("mlb_offline.language._current", "zh")
    assert reason.text() == zh
    monkeypatch.setattr("mlb_offline.language._current", "en")
    assert reason.text() == en
    assert Reason("from-elsewhere").texts() == ("from-elsewhere", "from-elsewhere")
    assert all(zh != en for zh, en in (Reason(code).texts() for code in known_codes()))
