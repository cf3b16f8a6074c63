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
_UNITS = (
    "mmol/l|umol/l|nmol/l|pmol/l|mmhg|cmh2o|kpa|ng/ml|pg/ml|ug/ml|mg/ml|ng/l|ug/l|mg/dl|mg/l|g/dl|g/l|iu/l|u/l|iu/ml|"
    "u/ml|ml/分|mg/kg|ug/kg|kg/m2|次/分|/分|/hp|mg|ug|ng|ml|kg|cm|mm|iu|%|℃|天|周|个月|年|岁|小时|分钟|秒|次|片|粒|支|"
    "瓶|包|级|期|分|度|g|l|u|m"
)
_QUANTITY = re.compile(rf"(\d+(?:\.\d+)?)(?:[余多来]?({_UNITS})(?![a-z]))?")
_FILLER = frozenset("的了为与及和或、,;:。()/<>-=是有在行示可予及于以并无未没不非否 \n")
_OPPOSING = frozenset("非不无未")
_SIGNS = frozenset("、,;:。()/<>\n ")
_MERGE_BELOW, _SPLIT_ABOVE = 5, 56
WINDOWS = 4
WINDOW_CHARACTERS = 120
ANSWER_CHARACTERS = 4000
RAW = 4
"""Of a raw text so many times the characters that are read are looked at, so that no answer takes hours to spell."""


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
    """A number and its unit; empty where none that is known follows."""

    number: str
    unit: str

    def may_be(self, other: _Quantity) -> bool:
        """Whether the units do not differ; one that is not named, or named in part (次, 次/分), may be the other."""
        return self.unit.startswith(other.unit) or other.unit.startswith(self.unit)


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
        self.text = plain(text[: RAW * limit])[:limit]
        self.spans = _spans(self.text, lexicon)
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
        spans = {span.start: span for span in _spans(criterion, self._lexicon)}
        near = [quantity for window in windows for quantity in _quantities(window)]
        lost = self._lost(criterion, spans)
        pieces: list[Piece] = []
        position = 0
        while position < len(criterion):
            piece = self._piece(criterion, position, spans, near)
            if piece.mark is Mark.SAME and position in lost:
                piece = Piece(piece.text, Mark.PARTLY)
            position += len(piece.text)
            if pieces and pieces[-1].mark == piece.mark and piece.mark in {Mark.MISSING, Mark.PARTLY}:
                piece = Piece(pieces.pop().text + piece.text, piece.mark)
            pieces.append(piece)
        return tuple(pieces)

    def _lost(self, criterion: str, spans: dict[int, Span]) -> frozenset[int]:
        """Places of concepts that the answer does not have; parts of their names are mere parts (支气管炎, 气管炎)."""
        missing = (one for one in spans.values() if self._of_concept(criterion, one) is None)
        return frozenset(place for one in missing for place in range(one.start, one.end))

    def _piece(self, criterion: str, position: int, spans: dict[int, Span], near: Sequence[_Quantity]) -> Piece:
        number = _QUANTITY.match(criterion, position)
        if number:
            return self._of_number(_Quantity(number[1], number[2] or ""), near)
        span = spans.get(position)
        cue = 0 if span else cue_at(criterion, position)
        if cue or criterion[position] in _SIGNS:
            return Piece(criterion[position : position + max(cue, 1)], Mark.PARTLY)
        match = self._longest(criterion, position)
        found = self._of_concept(criterion, span) if span and (span.end - span.start) >= match else None
        if found:
            return found
        if match >= 3:
            same = self._says(criterion, position, position + match)
            return Piece(criterion[position : position + match], Mark.SAME if same else Mark.DENIED)
        if match == 2:
            return Piece(criterion[position : position + match], Mark.PARTLY)
        one = criterion[position]
        return Piece(one, Mark.PARTLY if one in _FILLER else Mark.MISSING)

    def _of_number(self, sought: _Quantity, near: Sequence[_Quantity]) -> Piece:
        if any(sought.number == one.number and sought.may_be(one) for one in self._quantities):
            return Piece(sought.number, Mark.NUMBER)
        others = [one.number for one in near if one.unit == sought.unit]
        return Piece(sought.number, Mark.NO_NUMBER, others[0] if others else "")

    def _longest(self, criterion: str, position: int) -> int:
        """The length of the longest run of characters from here that the answer has; it ends before a number, a sign,
        and a word that denies."""
        length = 0
        for end in range(position + 2, len(criterion) + 1):
            last = criterion[end - 1]
            stops = last.isdigit() or last in _SIGNS or cue_at(criterion, end - 1)
            if stops or criterion[position:end] not in self.text:
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
        kinds = [*self._kinds.get(span.concept, ()), *(one for one in self.spans if self._ends_in(one, span, name))]
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

    def _ends_in(self, longer: Span, span: Span, name: str) -> bool:
        """Whether a longer term of the answer ends in the name, and is a kind of it therefore: 股骨颈骨折, 骨折. Latin
        letters are no such end, nor is what is mistaken for it: 支气管, 气管; 非典型, 典型."""
        surface = self._surface(longer)
        if not surface.endswith(name) or name[0].isascii() or surface[-len(name) - 1 :][:1] in _OPPOSING:
            return False
        mistaken = self._lexicon.confusable(span.concept), self._lexicon.confusable(longer.concept)
        return longer.concept not in mistaken[0] and span.concept not in mistaken[1]

    def _surface(self, span: Span) -> str:
        return self.text[span.start : span.end]


def _spans(text: str, lexicon: Lexicon) -> tuple[Span, ...]:
    """The names in a text, of one that denies another (无发热) the other: what is denied is seen by ``denied``."""
    found = []
    for span in lexicon.spans(text):
        cue = cue_at(text, span.start)
        other = lexicon.find(text[span.start + cue : span.end]) if 0 < cue < span.end - span.start else 0
        found.append(Span(span.start + cue, span.end, other) if other else span)
    return tuple(found)


def _quantities(text: str) -> list[_Quantity]:
    return [_Quantity(match[1], match[2] or "") for match in _QUANTITY.finditer(text)]


def _bigrams(text: str) -> list[str]:
    return [a + b for a, b in pairwise(text) if a not in _FILLER and b not in _FILLER]


def coverage(pieces: Sequence[Piece]) -> float:
    """The share of a criterion's characters that the answer has in some form, 0 to 1; fillers do not count."""
    covered = sum(_weight(one) for one in pieces if one.mark in _COVERED)
    return covered / max(1, sum(map(_weight, pieces)))


def _weight(piece: Piece) -> int:
    return sum(character not in _FILLER for character in piece.text)
