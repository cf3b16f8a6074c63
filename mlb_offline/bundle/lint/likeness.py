"""Which texts are nearly the same: by the runs of five characters (5-gram shingles) that they share.

White space, punctuation and the width of characters do not count. A run that many texts have is form (a table's head, a
fixed request) and does not count either, unless most of a text is such: then the many are copies of one another. Broder
1997, "On the resemblance and containment of documents", with all shingles instead of a sketch: a bundle is small.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

RUN = 5
FORM = 10
"""A run that more texts than these have is form."""
ALIKE = 0.5
"""Shared runs over the runs of both (Jaccard), from which two texts are alike."""
COPIED = ((0.5, 20), (0.9, 8))
"""Share, and number, of a text's runs in one foreign text, from which it is taken to be copied from there: either."""
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
        self._every = [grams(text) for text in texts]
        spread = Counter(run for one in self._every for run in one)
        self._own = [_content(one, spread) for one in self._every]

    def alike(self) -> Iterator[tuple[int, int, float]]:
        """Pairs of texts that are alike, the later one first, and how much (0.5 to 1)."""
        texts = _places(self._own)
        for number, runs in enumerate(self._own):
            shared = Counter(other for run in runs for other in texts[run] if other < number)
            for other, count in sorted(shared.items()):
                share = count / (len(runs) + len(self._own[other]) - count)
                if share >= ALIKE:
                    yield number, other, share

    @cached_property
    def _where(self) -> Mapping[str, list[int]]:
        return _places(self._every)

    def copied(self, foreign: Iterable[str]) -> Iterator[tuple[int, int, float]]:
        """Texts much of which stands in one foreign text: their number, the foreign one's, the share (0.5 to 1)."""
        for place, text in enumerate(foreign):
            shared = Counter(number for run in grams(text) for number in self._where.get(run, ()))
            for number, count in sorted(shared.items()):
                share = count / len(self._every[number])
                if any(share >= much and count >= least for much, least in COPIED):
                    yield number, place, share


def _content(runs: frozenset[str], spread: Mapping[str, int]) -> frozenset[str]:
    """The runs that are no form; all, where that would leave less than half."""
    own = frozenset(run for run in runs if spread[run] <= FORM)
    return own if 2 * len(own) >= len(runs) else runs


def _places(texts: Sequence[frozenset[str]]) -> Mapping[str, list[int]]:
    """The numbers of the texts that have each run."""
    found = defaultdict[str, list[int]](list)
    for number, runs in enumerate(texts):
        for run in runs:
            found[run].append(number)
    return found
