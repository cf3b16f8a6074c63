"""The benchmark as data: 5 dimensions, 22 datasets (MLB, arXiv 2601.06193; ``catalogue.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from types import MappingProxyType
from typing import Any

from mlb_offline.errors import UsageError
from mlb_offline.language import tr


class Form(StrEnum):
    """What an answer looks like."""

    CHOICE = "choice"  # capital letters, "B,C" for several
    TERMS = "terms"  # one whole candidate line, terms joined by ##
    ENTITIES = "entities"  # JSON object: each key → list of strings
    EVENTS = "events"  # JSON list of objects
    RELATIONS = "relations"  # JSON {"关系": [objects]}
    TEXT = "text"  # free text
    RECORD = "record"  # JSON object judged by evaluation points


class Metric(StrEnum):
    """How a dataset is scored."""

    ACCURACY = "accuracy"
    MICRO_F1 = "micro-f1"
    JUDGE_SAFETY = "judge-safety"
    JUDGE_ETHICS = "judge-ethics"
    JUDGE_POINTS = "judge-points"

    @property
    def judged(self) -> bool:
        """Whether the score needs the judge panel."""
        return self.value.startswith("judge-")


@dataclass(frozen=True)
class Dimension:
    """One of the five dimensions, with its names."""

    id: str
    zh: str
    en: str

    @property
    def name(self) -> str:
        """The name in the language in use."""
        return tr(self.zh, self.en)


@dataclass(frozen=True)
class Dataset:
    """One of the 22 datasets.

    Attributes:
        id: the official name.
        dimension: id of its dimension.
        n: official number of items.
        form: what an answer looks like.
        metric: how it is scored.
        keys: JSON keys of an answer, in the official order; empty where the answer is no JSON.
    """

    id: str
    dimension: str
    n: int
    form: Form
    metric: Metric
    keys: tuple[str, ...] = ()


def _load() -> tuple[dict[str, Dimension], dict[str, Dataset]]:
    text = resources.files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8")
    raw: dict[str, list[dict[str, Any]]] = tomllib.loads(text)
    dimensions = {row["id"]: Dimension(**row) for row in raw["dimension"]}
    datasets = {
        row["id"]: Dataset(
            id=row["id"],
            dimension=dimensions[row["dimension"]].id,
            n=row["n"],
            form=Form(row["form"]),
            metric=Metric(row["metric"]),
            keys=tuple(row.get("keys", ())),
        )
        for row in raw["dataset"]
    }
    return dimensions, datasets


_dimensions, _datasets = _load()

DIMENSIONS: Mapping[str, Dimension] = MappingProxyType(_dimensions)
"""The five dimensions by id, in the order of the report."""

DATASETS: Mapping[str, Dataset] = MappingProxyType(_datasets)
"""The 22 datasets by id, in the order of the report."""


def dataset_named(name: str) -> Dataset:
    """The dataset of that official name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    try:
        return DATASETS[name]
    except KeyError:
        known = ", ".join(DATASETS)
        raise UsageError(
            tr(f"没有名为“{name}”的数据集", f"there is no dataset named {name!r}"),
            remedy=tr(f"可用的数据集：{known}", f"the datasets are: {known}"),
        ) from None
