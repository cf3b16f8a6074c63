"""Which texts are nearly the same: by the runs of five characters that they share.

White space, punctuation and the width of characters do not count. A run that many texts have is form (a table's head,
a fixed request) and does not count either. Broder 1997, "On the resemblance and containment of documents", with all
shingles instead of a sketch: a bundle is small.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

RUN = 5
FORM = 10
"""A run that more texts than these have is form."""
ALIKE = 0.5
"""Shared runs over the runs of both (Jaccard), from which two texts are alike."""
COPIED, LEAST = 0.5, 20
"""Share, and number, of a text's runs in one foreign text, from which it is taken to be copied from there."""
_PLAIN = re.compile(r"[\W_]+")


def grams(text: str) -> frozenset[str]:
    """The runs of a text; a shorter text is one run."""
    plain = _PLAIN.sub("", unicodedata.normalize("NFKC", text).casefold())
    return frozenset(plain[start : start + RUN] for start in range(max(1, len(plain) - RUN + 1)))


class Likeness:
    """Texts that others are compared with.

    Args:
        texts: numbered from 0.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        every = [grams(text) for text in texts]
        spread = Counter(run for one in every for run in one)
        self._own = [frozenset(run for run in one if spread[run] <= FORM) for one in every]
        self._texts = defaultdict[str, list[int]](list)
        for number, runs in enumerate(self._own):
            for run in runs:
                self._texts[run].append(number)

    def alike(self) -> Iterator[tuple[int, int, float]]:
        """Pairs of texts that are alike, the later one first, and how much (0.5 to 1)."""
        for number, runs in enumerate(self._own):
            shared = Counter(other for run in runs for other in self._texts[run] if other < number)
            for other, count in sorted(shared.items()):
                share = count / (len(runs) + len(self._own[other]) - count)
                if share >= ALIKE:
                    yield number, other, share

    def copied(self, foreign: Iterable[str]) -> Iterator[tuple[int, int, float]]:
        """Texts much of which stands in one foreign text: their number, the foreign one's, the share (0.5 to 1)."""
        for place, text in enumerate(foreign):
            shared = Counter(number for run in grams(text) for number in self._texts.get(run, ()))
            for number, count in sorted(shared.items()):
                share = count / len(self._own[number])
                if count >= LEAST and share >= COPIED:
                    yield number, place, share
