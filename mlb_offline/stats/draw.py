"""Which items a physician labels: a draw that follows from a run, so that nobody can choose it or draw again."""

from __future__ import annotations

import hashlib


def drawn(seed: str, dataset: str, item: str, share: float) -> bool:
    """Whether an item belongs to the random sample.

    The first 64 bits of SHA-256 of ``seed/dataset/item`` are a number that is uniform and apart from every other
    item's; the item is drawn where it lies below ``share``.

    Args:
        seed: hash of the event that finished the run, 64 hex digits: it was not known while the run could be changed.
        dataset: official name.
        item: id.
        share: the chance of each item, in (0, 1].
    """
    number = int.from_bytes(hashlib.sha256(f"{seed}/{dataset}/{item}".encode()).digest()[:8], "big")
    return number < share * 2**64
