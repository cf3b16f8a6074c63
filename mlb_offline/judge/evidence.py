"""Evidence that code computes for small judges: where the answer speaks of the criterion, and what matches.

A small model learns to weigh matches quickly and to find them hardly at all (measured: a decoder of 6 M parameters
that reads the bare answer stays at chance). So code finds them:

* **windows**: the clauses of the answer that cover most of the criterion, chosen one after another by what they add;
* **marks**: the criterion cut into pieces, each with how the answer has it: the same characters, another name of the
  same concept, a kind of it, a concept that is easily mistaken for it, a number that does or does not occur, nothing.

A large judge reads the answer as it is and is shown none of this (DESIGN, section 5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from mlb_offline.judge.lexicon import Lexicon, Span
from mlb_offline.judge.wording import plain

_CLAUSE = re.compile(r"[^\n。;!?,]*[\n。;!?,]?")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_FILLER = frozenset("的了为与及和或、,;:。()/<>-=是有在行示可予及于以并无 \n")
_MERGE_BELOW, _SPLIT_ABOVE = 5, 56
WINDOWS = 4
WINDOW_CHARACTERS = 120


class Mark(StrEnum):
    """How the answer has a piece of the criterion."""

    SAME = "same"
    """The same characters, a whole term or at least three of them."""
    PARTLY = "partly"
    """Two characters that also stand together in the answer, or a filler."""
    ALIAS = "alias"
    """Another name of the same concept."""
    KIND = "kind"
    """A more special concept, which implies this one."""
    CONFUSABLE = "confusable"
    """Not this concept, but one that is easily mistaken for it."""
    NUMBER = "number"
    """A number that the answer has."""
    NO_NUMBER = "no-number"
    """A number that the answer lacks."""
    MISSING = "missing"
    """Nothing."""


@dataclass(frozen=True)
class Piece:
    """A piece of the criterion: its characters, its mark, and what the answer says in their stead (may be empty)."""

    text: str
    mark: Mark
    instead: str = ""


@dataclass(frozen=True)
class Clause:
    """A clause of the answer: its characters, where it starts, the concepts it names."""

    text: str
    start: int
    concepts: frozenset[int]

    @cached_property
    def characters(self) -> frozenset[str]:
        """Its characters that are not fillers."""
        return frozenset(self.text) - _FILLER

    @cached_property
    def bigrams(self) -> frozenset[str]:
        """Pairs of neighbouring characters that are not fillers."""
        return frozenset(_bigrams(self.text))

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Its numbers, as written."""
        return frozenset(_NUMBER.findall(self.text))


@dataclass(frozen=True)
class _Sought:
    """What of a criterion no chosen clause has yet."""

    pairs: frozenset[str]
    numbers: frozenset[str]
    concepts: frozenset[int]
    near: frozenset[int]
    characters: frozenset[str]

    @classmethod
    def of(cls, criterion: str, lexicon: Lexicon) -> _Sought:
        concepts = frozenset(span.concept for span in lexicon.spans(criterion))
        near = frozenset(other for concept in concepts for other in lexicon.confusable(concept))
        characters = frozenset(criterion) - _FILLER
        return cls(frozenset(_bigrams(criterion)), frozenset(_NUMBER.findall(criterion)), concepts, near, characters)

    def gain(self, clause: Clause) -> float:
        """What a clause adds: pairs of characters, more for concepts and numbers, a little for single characters."""
        exact = len(self.pairs & clause.bigrams) + 3.0 * len(self.concepts & clause.concepts)
        close = 2.0 * len(self.numbers & clause.numbers) + len(self.near & clause.concepts)
        return exact + close + 0.2 * len(self.characters & clause.characters)

    def without(self, clause: Clause) -> _Sought:
        return _Sought(
            self.pairs - clause.bigrams,
            self.numbers - clause.numbers,
            self.concepts - clause.concepts,
            self.near - clause.concepts,
            self.characters - clause.characters,
        )


class Answer:
    """An answer prepared for many criteria.

    Args:
        text: as the model gave it.
        lexicon: the names of concepts.
        limit: characters of the plain text that are read; what lies beyond is not seen.
    """

    def __init__(self, text: str, lexicon: Lexicon, *, limit: int = 4000) -> None:
        self.text = plain(text)[:limit]
        self.spans = lexicon.spans(self.text)
        self._lexicon = lexicon
        self._surface: dict[int, str] = {}
        self._kinds: dict[int, str] = {}
        for span in self.spans:
            surface = self.text[span.start : span.end]
            self._surface.setdefault(span.concept, surface)
            for parent in lexicon.parents(span.concept):
                self._kinds.setdefault(parent, surface)
        self._numbers = frozenset(_NUMBER.findall(self.text))

    @cached_property
    def clauses(self) -> tuple[Clause, ...]:
        """The text cut at punctuation, tiny clauses joined to the one before, very long ones cut."""
        pieces: list[tuple[int, str]] = []
        for match in _CLAUSE.finditer(self.text):
            piece, start = match[0], match.start()
            if not piece.strip():
                continue
            if pieces and len(pieces[-1][1]) < _MERGE_BELOW:
                start, piece = pieces[-1][0], pieces.pop()[1] + piece
            for offset in range(0, len(piece), _SPLIT_ABOVE):
                pieces.append((start + offset, piece[offset : offset + _SPLIT_ABOVE]))
        return tuple(Clause(piece, start, self._concepts(start, start + len(piece))) for start, piece in pieces)

    def _concepts(self, start: int, end: int) -> frozenset[int]:
        inside = [span.concept for span in self.spans if start <= span.start < end]
        return frozenset(inside).union(*(self._lexicon.parents(concept) for concept in inside))

    def windows(self, criterion: str, *, count: int = WINDOWS, characters: int = WINDOW_CHARACTERS) -> tuple[str, ...]:
        """The clauses that cover the criterion best, in the order of the answer.

        Args:
            criterion: a ``plain`` text.
            count: the most clauses.
            characters: the most characters of all together; the best clause is always given.
        """
        sought = _Sought.of(criterion, self._lexicon)
        left = list(self.clauses)
        chosen: list[Clause] = []
        while left and len(chosen) < count:
            best = max(left, key=lambda clause: (sought.gain(clause), -clause.start))
            full = sum(len(one.text) for one in chosen) + len(best.text) > characters
            if chosen and (full or sought.gain(best) <= 0):
                break
            chosen.append(best)
            left.remove(best)
            sought = sought.without(best)
        return tuple(clause.text.strip("\n") for clause in sorted(chosen, key=lambda clause: clause.start))

    def pieces(self, criterion: str) -> tuple[Piece, ...]:
        """The criterion (a ``plain`` text) cut from left to right, the longest match first."""
        spans = {span.start: span for span in self._lexicon.spans(criterion)}
        pieces: list[Piece] = []
        position = 0
        while position < len(criterion):
            piece = self._piece(criterion, position, spans)
            position += len(piece.text)
            if pieces and pieces[-1].mark == piece.mark and piece.mark in {Mark.MISSING, Mark.PARTLY}:
                piece = Piece(pieces.pop().text + piece.text, piece.mark)
            pieces.append(piece)
        return tuple(pieces)

    def _piece(self, criterion: str, position: int, spans: dict[int, Span]) -> Piece:
        number = _NUMBER.match(criterion, position)
        if number:
            return Piece(number[0], Mark.NUMBER if number[0] in self._numbers else Mark.NO_NUMBER)
        span = spans.get(position)
        match = self._longest(criterion, position)
        if span and (span.end - span.start) >= match:
            return self._of_concept(criterion, span)
        if match >= 3:
            return Piece(criterion[position : position + match], Mark.SAME)
        if match == 2:
            return Piece(criterion[position : position + 2], Mark.PARTLY)
        one = criterion[position]
        return Piece(one, Mark.PARTLY if one in _FILLER else Mark.MISSING)

    def _longest(self, criterion: str, position: int) -> int:
        """The length of the longest run of characters from here that the answer has; it ends before a number."""
        length = 0
        for end in range(position + 2, len(criterion) + 1):
            if criterion[end - 1].isdigit() or criterion[position:end] not in self.text:
                break
            length = end - position
        return length

    def _of_concept(self, criterion: str, span: Span) -> Piece:
        name = criterion[span.start : span.end]
        if name in self.text:
            return Piece(name, Mark.SAME)
        if span.concept in self._surface:
            return Piece(name, Mark.ALIAS, self._surface[span.concept])
        if span.concept in self._kinds:
            return Piece(name, Mark.KIND, self._kinds[span.concept])
        for other in self._lexicon.confusable(span.concept):
            if other in self._surface:
                return Piece(name, Mark.CONFUSABLE, self._surface[other])
        return Piece(name, Mark.MISSING)


def _bigrams(text: str) -> list[str]:
    return [a + b for a, b in pairwise(text) if a not in _FILLER and b not in _FILLER]


def coverage(pieces: Sequence[Piece]) -> float:
    """The share of a criterion's characters that the answer has in some form (fillers count), 0 to 1."""
    covered = sum(len(one.text) for one in pieces if one.mark not in {Mark.MISSING, Mark.NO_NUMBER, Mark.CONFUSABLE})
    return covered / max(1, sum(len(one.text) for one in pieces))
