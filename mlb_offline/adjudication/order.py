"""Which criteria a physician settles, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mlb_offline.adjudication.outlook import JudgedItem


@dataclass(frozen=True)
class ReadingOrder:
    """Ids of criteria, none twice.

    Attributes:
        sample: every criterion of every drawn item, whatever the judges said; only when all are settled does the
            sample decide a gate.
        disputes: open criteria of the other items: first those that are expected to move the score most. They narrow
            the score's range and decide no gate.
    """

    sample: tuple[str, ...]
    disputes: tuple[str, ...]


def reading_order(items: Sequence[JudgedItem], drawn: Collection[str]) -> ReadingOrder:
    """The random sample first, then the disputes.

    Args:
        items: all of a dataset's.
        drawn: ids of those that were drawn.

    Raises:
        ValueError: an item was drawn that is not there.
    """
    strange = set(drawn) - {item.id for item in items}
    if strange:
        raise ValueError(f"drawn, but not there: {sorted(strange)}")
    sample = [one.id for item in items if item.id in drawn for one in item.criteria]
    open_ones = [one for item in items if item.id not in drawn for one in item.criteria if one.stratum == "open"]
    ordered = sorted(open_ones, key=lambda one: (-round(one.weight, 9), one.id))
    return ReadingOrder(tuple(sample), tuple(one.id for one in ordered))
