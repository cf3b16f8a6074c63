"""What an import gives: the datasets, and every row it could not read with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlb_offline.bundle.importers.refusal import Refusal
from mlb_offline.bundle.source import SourceDataset


@dataclass(frozen=True)
class Imported:
    """The outcome of one import.

    Attributes:
        datasets: by official name; a dataset of which no row could be read is not in it.
        read: rows that became items.
        refused: rows that did not.
        notes: what the importer left aside on purpose and the operator should know, one sentence each.
    """

    datasets: Mapping[str, SourceDataset]
    read: int
    refused: tuple[Refusal, ...]
    notes: tuple[str, ...] = field(default=())
