"""The catalogue says what MLB published."""

from collections import Counter

import pytest

from mlb_offline.benchmark.catalogue import DATASETS, DIMENSIONS, Metric, dataset_named
from mlb_offline.errors import UsageError


def test_there_are_22_datasets_in_five_dimensions() -> None:
    assert len(DATASETS) == 22
    assert Counter(dataset.dimension for dataset in DATASETS.values()) == {
        "MedKQA": 2,
        "MedSE": 5,
        "MedRU": 8,
        "SmartServ": 4,
        "SmartCare": 3,
    }
    assert list(DIMENSIONS) == ["MedKQA", "MedSE", "MedRU", "SmartServ", "SmartCare"]


def test_sixteen_datasets_need_no_judge_and_eight_of_them_are_extraction() -> None:
    metrics = Counter(dataset.metric for dataset in DATASETS.values())
    assert metrics[Metric.MICRO_F1] == 8
    assert metrics[Metric.ACCURACY] == 8
    assert sum(count for metric, count in metrics.items() if metric.judged) == 6


def test_official_sample_sizes_add_up() -> None:
    assert sum(dataset.n for dataset in DATASETS.values()) == 4250
    assert DATASETS["MAEEMedic"].n == 150


def test_an_unknown_dataset_is_a_usage_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        dataset_named("CMEXAM")
    assert "CMExam" in caught.value.remedy
    assert caught.value.exit_code == 2


def test_official_prompts_name_the_keys_of_the_catalogue(shared_data) -> None:
    for dataset in DATASETS.values():
        text = (shared_data / "mlb_official" / f"{dataset.id}.json").read_text(encoding="utf-8")
        for key in dataset.keys:
            assert key in text
