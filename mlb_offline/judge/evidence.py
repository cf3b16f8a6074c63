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
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from mlb_offline.judge.lexicon import Lexicon, Span
from mlb_offline.judge.polarity import cue_at, denied
from mlb_offline.judge.wording import plain

_CLAUSE = re.compile(r"[^\n。;!?,]*[\n。;!?,]?")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)[余多来个]?([a-z%℃\u4e00-\u9fff]?)")
_FILLER = frozenset("的了为与及和或、,;:。()/<>-=是有在行示可予及于以并无未没不非否 \n")
_MERGE_BELOW, _SPLIT_ABOVE = 5, 56
WINDOWS = 4
WINDOW_CHARACTERS = 120
ANSWER_CHARACTERS = 4000


class Mark(StrEnum):
    """How the answer has a piece of the criterion."""

    SAME = "same"
    """The same characters, a whole term or at least three of them."""
    PARTLY = "partly"
    """Two characters that also stand together in the answer, a filler, or a word that denies."""
    ALIAS = "alias"
    """Another name of the same concept."""
    KIND = "kind"
    """A more special concept, which implies this one."""
    CONFUSABLE = "confusable"
    """Not this concept, but one that is easily mistaken for it."""
    DENIED = "denied"
    """What the answer denies and the criterion affirms, or the other way round."""
    NUMBER = "number"
    """A number that the answer has."""
    NO_NUMBER = "no-number"
    """A number that the answer lacks."""
    MISSING = "missing"
    """Nothing."""


_COVERED = frozenset({Mark.SAME, Mark.PARTLY, Mark.ALIAS, Mark.KIND, Mark.NUMBER})


@dataclass(frozen=True)
class Piece:
    """A piece of the criterion: its characters, its mark, and what the answer says in their stead (may be empty)."""

    text: str
    mark: Mark
    instead: str = ""


@dataclass(frozen=True)
class _Quantity:
    """A number and the first letter of its unit; empty where a sign or nothing follows."""

    number: str
    unit: str

    def may_be(self, other: _Quantity) -> bool:
        """Whether the units do not differ; one that is not named is any."""
        return self.unit == other.unit or not self.unit or not other.unit


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

    def __init__(self, text: str, lexicon: Lexicon, *, limit: int = ANSWER_CHARACTERS) -> None:
        self.text = plain(text)[:limit]
        self.spans = lexicon.spans(self.text)
        self._lexicon = lexicon
        self._named: dict[int, list[Span]] = defaultdict(list)
        self._kinds: dict[int, list[Span]] = defaultdict(list)
        for span in self.spans:
            self._named[span.concept].append(span)
            for parent in lexicon.parents(span.concept):
                self._kinds[parent].append(span)
        self._quantities = frozenset(_quantities(self.text))

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

    def pieces(self, criterion: str, windows: Sequence[str] = ()) -> tuple[Piece, ...]:
        """The criterion (a ``plain`` text) cut from left to right, the longest match first.

        Args:
            criterion: a ``plain`` text.
            windows: clauses in which to look for the number that stands in another one's stead.
        """
        spans = {span.start: span for span in self._lexicon.spans(criterion)}
        near = [quantity for window in windows for quantity in _quantities(window)]
        pieces: list[Piece] = []
        position = 0
        while position < len(criterion):
            piece = self._piece(criterion, position, spans, near)
            position += len(piece.text)
            if pieces and pieces[-1].mark == piece.mark and piece.mark in {Mark.MISSING, Mark.PARTLY}:
                piece = Piece(pieces.pop().text + piece.text, piece.mark)
            pieces.append(piece)
        return tuple(pieces)

    def _piece(self, criterion: str, position: int, spans: dict[int, Span], near: Sequence[_Quantity]) -> Piece:
        number = _QUANTITY.match(criterion, position)
        if number:
            return self._of_number(_Quantity(number[1], number[2]), near)
        span = spans.get(position)
        match = self._longest(criterion, position)
        found = self._of_concept(criterion, span) if span and (span.end - span.start) >= match else None
        if found:
            return found
        if match >= 3:
            same = self._says(criterion, position, position + match)
            return Piece(criterion[position : position + match], Mark.SAME if same else Mark.DENIED)
        cue = cue_at(criterion, position)
        if cue or match == 2:
            return Piece(criterion[position : position + max(cue, match)], Mark.PARTLY)
        one = criterion[position]
        return Piece(one, Mark.PARTLY if one in _FILLER else Mark.MISSING)

    def _of_number(self, sought: _Quantity, near: Sequence[_Quantity]) -> Piece:
        if any(sought.number == one.number and sought.may_be(one) for one in self._quantities):
            return Piece(sought.number, Mark.NUMBER)
        others = [one.number for one in near if one.unit == sought.unit]
        return Piece(sought.number, Mark.NO_NUMBER, others[0] if others else "")

    def _longest(self, criterion: str, position: int) -> int:
        """The length of the longest run of characters from here that the answer has; it ends before a number."""
        length = 0
        for end in range(position + 2, len(criterion) + 1):
            if criterion[end - 1].isdigit() or criterion[position:end] not in self.text:
                break
            length = end - position
        return length

    def _says(self, criterion: str, start: int, end: int) -> bool:
        """Whether the answer has these characters of the criterion, denied there as here."""
        wanted, run = denied(criterion, start, end), criterion[start:end]
        places = (match.start() for match in re.finditer(re.escape(run), self.text))
        return any(denied(self.text, place, place + len(run)) == wanted for place in places)

    def _of_concept(self, criterion: str, span: Span) -> Piece | None:
        name, wanted = criterion[span.start : span.end], denied(criterion, span.start, span.end)

        def surface(spans: Sequence[Span], *, polarity: bool) -> str:
            found = [self._surface(one) for one in spans if denied(self.text, one.start, one.end) == polarity]
            return name if name in found else next(iter(found), "")

        said = surface(self._named.get(span.concept, ()), polarity=wanted)
        if said:
            return Piece(name, Mark.SAME) if said == name else Piece(name, Mark.ALIAS, said)
        kinds = [*self._kinds.get(span.concept, ()), *(one for one in self.spans if self._surface(one).endswith(name))]
        kind = surface(kinds, polarity=False)
        if kind and not wanted:
            return Piece(name, Mark.KIND, kind)
        opposite = surface(self._named.get(span.concept, ()), polarity=not wanted)
        if opposite:
            return Piece(name, Mark.DENIED, opposite)
        for other in self._lexicon.confusable(span.concept):
            confused = surface(self._named.get(other, ()), polarity=False)
            if confused:
                return Piece(name, Mark.CONFUSABLE, confused)
        return None

    def _surface(self, span: Span) -> str:
        return self.text[span.start : span.end]


def _quantities(text: str) -> list[_Quantity]:
    return [_Quantity(match[1], match[2]) for match in _QUANTITY.finditer(text)]


def _bigrams(text: str) -> list[str]:
    return [a + b for a, b in pairwise(text) if a not in _FILLER and b not in _FILLER]


def coverage(pieces: Sequence[Piece]) -> float:
    """The share of a criterion's characters that the answer has in some form, 0 to 1; fillers do not count."""
    covered = sum(_weight(one) for one in pieces if one.mark in _COVERED)
    return covered / max(1, sum(map(_weight, pieces)))


def _weight(piece: Piece) -> int:
    return sum(character not in _FILLER for character in piece.text)
