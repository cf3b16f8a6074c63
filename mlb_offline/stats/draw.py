"""Which items a physician labels: a draw that was fixed before the first answer, so that no answer can sway it.

Whoever makes another run draws anew, and the attempts that the state folder records tell of it. That no answer was
known when this run was made is the operator's word, like the rest of the log.
"""

from __future__ import annotations

import hashlib


def drawn(seed: str, dataset: str, item: str, share: float) -> bool:
    """Whether an item belongs to the random sample.

    The first 64 bits of SHA-256 of ``seed/dataset/item`` are a number that is uniform and apart from every other
    item's; the item is drawn where it lies below ``share``.

    Args:
        seed: hash of the event that made the run, 64 hex digits: it stood before the first request.
        dataset: official name.
        item: id.
        share: the chance of each item, in (0, 1].
    """
    number = int.from_bytes(hashlib.sha256(f"{seed}/{dataset}/{item}".encode()).digest()[:8], "big")
    return number < share * 2**64
