"""The project's own prompts: one a dataset, in its own words, with the slots and keys it needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlb_offline.benchmark.catalogue import DATASETS, Form
from mlb_offline.benchmark.prompts import check_template, default_prompt


@pytest.mark.parametrize("name", DATASETS)
def test_each_dataset_has_a_prompt_with_its_slots_and_keys(name: str) -> None:
    dataset = DATASETS[name]
    prompt = check_template(dataset, default_prompt(dataset), file=name)
    assert ("${options}" in prompt) == (dataset.form in {Form.CHOICE, Form.TERMS})
    assert all(key in prompt for key in dataset.keys)


def test_the_prompts_are_not_those_of_the_authors(shared_data: Path) -> None:
    for name, dataset in DATASETS.items():
        raw = json.loads((shared_data / "mlb_official" / f"{name}.json").read_text(encoding="utf-8"))
        theirs, ours = raw["system_prompt"], default_prompt(dataset)
        sentences = [
            part for line in ours.splitlines() for part in line.split("。") if len(part) > 15 and "{" not in part
        ]
        assert not [sentence for sentence in sentences if sentence in theirs], name
