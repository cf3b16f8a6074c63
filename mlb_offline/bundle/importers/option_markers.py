"""The ways in which a source marks an option: ``A.``, ``A、``, ``（A）``, ``A `` …, half- or full-width.

A pattern is one of these, held to by every option of an item. The marks are looked for permissively: whatever
could be a mark counts as one, and ``options`` refuses an item that can then be read in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlb_offline.benchmark.items import LETTERS

_WIDE = "".join(chr(ord(letter) + 0xFEE0) for letter in LETTERS)
_TAILS = ".．、)）:："
_BRACKETS = (("(", ")"), ("（", "）"), ("[", "]"), ("【", "】"))
_ENDS_QUESTION = frozenset("？?。：:）)】]！!…＿_”")
"""After one of these, after white space or at the very start, the options may begin."""


@dataclass(frozen=True)
class Mark:
    """One place where an option may begin.

    Attributes:
        index: 0 for A.
        start: offset of the mark in the text.
        end: offset just after it.
    """

    index: int
    start: int
    end: int


@dataclass(frozen=True)
class Pattern:
    """One way of marking options.

    Attributes:
        name: shown to people, such as ``A.`` or ``（A）``.
        regex: one mark; group 1 is its letter.
        spaced: the mark is a bare letter and counts only between white space.
    """

    name: str
    regex: re.Pattern[str]
    spaced: bool = False

    def marks(self, text: str) -> Iterator[Mark]:
        """Every place in the text where an option marked so may begin, from left to right."""
        for match in self.regex.finditer(text):
            index = letter_index(match[1])
            if self.spaced and not (_after_space(text, match.start()) or (index == 0 and begins(text, match.start()))):
                continue
            yield Mark(index, match.start(), match.end())


def letter_index(letter: str) -> int:
    """0 for A or Ａ … 25 for Z or Ｚ."""
    return (LETTERS if letter in LETTERS else _WIDE).index(letter)


def _after_space(text: str, position: int) -> bool:
    return position == 0 or text[position - 1].isspace()


def begins(text: str, position: int) -> bool:
    """Whether a question may have ended just before the position, so that its options may begin there."""
    return _after_space(text, position) or text[position - 1] in _ENDS_QUESTION


def _patterns() -> Iterator[Pattern]:
    for alphabet, first in (("A-Z", "A"), ("Ａ-Ｚ", "Ａ")):
        for tail in _TAILS:
            yield Pattern(first + tail, re.compile(f"([{alphabet}]){re.escape(tail)}"))
        for left, right in _BRACKETS:
            regex = re.compile(f"{re.escape(left)}([{alphabet}]){re.escape(right)}")
            yield Pattern(left + first + right, regex)
        yield Pattern(first + " ", re.compile(rf"([{alphabet}])(?=\s+\S)"), spaced=True)


PATTERNS: tuple[Pattern, ...] = tuple(_patterns())
"""Every pattern that is looked for."""


def lettered(text: str) -> tuple[Pattern, int, str] | None:
    """Pattern, index and body of a text that begins with a mark; None where it does not, or has no body.

    At the start of a text at most one pattern can match, because what follows the letter decides which.
    """
    text = text.strip()
    for pattern in PATTERNS:
        match = pattern.regex.match(text)
        if match:
            body = text[match.end() :].strip()
            return (pattern, letter_index(match[1]), body) if body else None
    return None
