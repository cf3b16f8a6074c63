"""The project's own prompt for each dataset, for sources that bring none."""

from __future__ import annotations

from importlib import resources

from mlb_offline.benchmark.catalogue import Dataset


def default_prompt(dataset: Dataset) -> str:
    """The template, with ``${question}`` and, where items have options, ``${options}``."""
    return resources.files(__package__).joinpath("prompts", f"{dataset.id}.txt").read_text(encoding="utf-8")
