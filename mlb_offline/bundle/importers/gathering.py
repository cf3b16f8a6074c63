"""From rows to items: each row becomes an item or a refusal, none anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mlb_offline.benchmark.catalogue import Dataset
from mlb_offline.benchmark.items import Item, load_item
from mlb_offline.bundle.importers.refusal import Refusal, RowError
from mlb_offline.errors import InputError
from mlb_offline.language import tr

MakeRecord = Callable[[], dict[str, Any]]
"""Makes the JSON record of one item (``benchmark.items.Item``), or raises ``RowError``."""


def gather(
    dataset: Dataset, file: Path, rows: Iterable[tuple[int, MakeRecord]]
) -> tuple[tuple[Item, ...], tuple[Refusal, ...]]:
    """Make an item of every row that can be read.

    Args:
        dataset: whose items they are to be.
        file: where the rows stand, for messages.
        rows: number of each row as an editor shows it, and the maker of its record.
    """
    items: list[Item] = []
    refused: list[Refusal] = []
    seen: dict[str, int] = {}
    contents: dict[str, int] = {}
    for number, make in rows:
        try:
            item = _item(dataset, file, make, number)
            if item.id in seen:
                raise RowError(
                    tr(
                        f"编号“{item.id}”与第 {seen[item.id]} 行重复",
                        f"the id {item.id!r} is that of row {seen[item.id]}",
                    )
                )
            same = contents.setdefault(item.content(), number)
            if same != number:
                raise RowError(tr(f"与第 {same} 行是同一道题", f"the same question and options as row {same}"))
        except RowError as error:
            refused.append(Refusal(str(file), number, str(error)))
        else:
            seen[item.id] = number
            items.append(item)
    return tuple(items), tuple(refused)


def _item(dataset: Dataset, file: Path, make: MakeRecord, number: int) -> Item:
    try:
        return load_item(dataset, make(), file=file, line=number)
    except InputError as error:
        raise RowError(f"{error.field}: {error.message}" if error.field else error.message) from None


def item_id(dataset: Dataset, record: int) -> str:
    """The id of the item of the record of that number, from 1: ``CMExam-0001``."""
    return f"{dataset.id}-{record:04d}"
