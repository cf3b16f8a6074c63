"""A criterion to learn from: its verdict and, where they are known, the characters that decide it.

One verdict a criterion is little to learn from. Where code made a criterion, it knows which of its characters the
answer does not support; a network that is asked after every character learns to compare sooner.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

from mlb_offline.judge.annotation import Criterion, Family
from mlb_offline.judge.wording import plain

ALIKE = 0.6
"""Texts less alike than this are other wordings, of which no character can be called the fault."""


@dataclass(frozen=True)
class Lesson(Criterion):
    """A criterion, and where it fails.

    Attributes:
        faults: positions in the ``plain`` point that the answer does not support; none for 是; None if unknown.
    """

    faults: tuple[int, ...] | None = None


def point(  # noqa: PLR0917 - a row of the annotation layout
    answer: str, dataset: str, topic: str, text: str, label: bool, kind: str, faults: tuple[int, ...] | None = None
) -> Lesson:
    """An evaluation point on an answer; its text is made ``plain``."""
    family: Family = "points"
    known = () if label else faults
    return Lesson("", "", family, dataset, "point", topic, plain(text), "", answer, label, kind, faults=known)


def everywhere(text: str) -> tuple[int, ...]:
    """Every position of the ``plain`` text."""
    return tuple(range(len(plain(text))))


def differing(text: str, reference: str) -> tuple[int, ...] | None:
    """Positions of the ``plain`` text that the reference lacks; None where the two are hardly alike, or equal."""
    text, reference = plain(text), plain(reference)
    matcher = SequenceMatcher(None, reference, text, autojunk=False)
    if matcher.ratio() < ALIKE:
        return None
    common = {block.b + offset for block in matcher.get_matching_blocks() for offset in range(block.size)}
    return tuple(index for index in range(len(text)) if index not in common) or None
