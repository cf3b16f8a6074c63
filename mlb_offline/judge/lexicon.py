"""The clinical alias lexicon: which words name the same concept, which name a kind of it, which are mistaken for it.

``terms/*.tsv`` holds one concept a line, tab-separated: category, canonical term, aliases, parents, confusable
concepts (the last three with ``|`` between entries, possibly empty). Written for this project; not reviewed by a
physician.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from mlb_offline.errors import InputError
from mlb_offline.judge.wording import plain
from mlb_offline.language import tr

CATEGORIES = frozenset(
    {"disease", "symptom", "sign", "finding", "test", "drug", "procedure", "body", "person", "phrase"}
)
_COLUMNS = 5


@dataclass(frozen=True)
class Concept:
    """One line of the lexicon.

    Attributes:
        category: one of ``CATEGORIES``.
        term: the canonical term.
        aliases: other ways to write it.
        parents: canonical terms of more general concepts.
        confusable: canonical terms of near but different concepts.
    """

    category: str
    term: str
    aliases: tuple[str, ...]
    parents: tuple[str, ...]
    confusable: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All ways to write it, the canonical term first."""
        return (self.term, *self.aliases)


class Span(NamedTuple):
    """Characters ``start`` to ``end`` (exclusive) of a text name the concept with this number."""

    start: int
    end: int
    concept: int


class Lexicon:
    """The concepts, numbered from 1 in the order given, and the search for their names in a text.

    Args:
        concepts: all concepts; a name that two concepts claim finds the first. What they name as more general or as
            confusable and no line describes (骨折, 恶性肿瘤) becomes a concept with that name alone.
    """

    def __init__(self, concepts: Iterable[Concept]) -> None:
        described = tuple(concepts)
        self.concepts = (*described, *_only_named(described))
        self._names: dict[str, int] = {}
        longest: dict[str, int] = defaultdict(int)
        for index, concept in enumerate(self.concepts, start=1):
            for name in map(plain, concept.names):
                self._names.setdefault(name, index)
                longest[name[0]] = max(longest[name[0]], len(name))
        self._longest = dict(longest)
        above = {index: self._found(concept.parents) for index, concept in enumerate(self.concepts, start=1)}
        self._parents = {index: _closed(index, above) for index in above}
        self._confusable = {
            index: tuple(one for one in self._found(concept.confusable) if not self._related(index, one))
            for index, concept in enumerate(self.concepts, start=1)
        }

    def _found(self, terms: Iterable[str]) -> tuple[int, ...]:
        numbers = (self.find(term) for term in terms)
        return tuple(dict.fromkeys(number for number in numbers if number))

    def _related(self, one: int, other: int) -> bool:
        return one == other or one in self._parents[other] or other in self._parents[one]

    def __getitem__(self, concept: int) -> Concept:
        return self.concepts[concept - 1]

    def parents(self, concept: int) -> tuple[int, ...]:
        """Numbers of the more general concepts that it is a kind of, the nearest first."""
        return self._parents[concept]

    def confusable(self, concept: int) -> tuple[int, ...]:
        """Numbers of the concepts that it is mistaken for; none is a kind of the other."""
        return self._confusable[concept]

    def find(self, name: str) -> int:
        """The number of the concept of this name; 0 if there is none."""
        return self._names.get(plain(name), 0)

    def spans(self, text: str) -> tuple[Span, ...]:
        """The names in a ``plain`` text from left to right, the longest first, none inside another.

        A name of Latin letters is one only where no further letter or digit adjoins.
        """
        found: list[Span] = []
        position = 0
        while position < len(text):
            limit = self._longest.get(text[position], 0)
            for length in range(min(limit, len(text) - position), 1, -1):
                concept = self._names.get(text[position : position + length])
                if concept and _whole(text, position, position + length):
                    found.append(Span(position, position + length, concept))
                    position += length
                    break
            else:
                position += 1
        return tuple(found)


def _only_named(described: Sequence[Concept]) -> tuple[Concept, ...]:
    known = {plain(name) for concept in described for name in concept.names}
    found: dict[str, Concept] = {}
    for concept in described:
        for term in (*concept.parents, *concept.confusable):
            if len(plain(term)) > 1 and plain(term) not in known:
                found.setdefault(plain(term), Concept(concept.category, term, (), (), ()))
    return tuple(found.values())


def _closed(concept: int, above: Mapping[int, tuple[int, ...]]) -> tuple[int, ...]:
    """All that lies above a concept, level by level, without itself."""
    found: dict[int, None] = {}
    level = above[concept]
    while level:
        fresh = [one for one in level if one not in found and one != concept]
        found |= dict.fromkeys(fresh)
        level = tuple(one for number in fresh for one in above[number])
    return tuple(found)


def _whole(text: str, start: int, end: int) -> bool:
    def latin(index: int) -> bool:
        return 0 <= index < len(text) and text[index].isascii() and text[index].isalnum()

    return not (latin(start) and latin(start - 1)) and not (latin(end - 1) and latin(end))


def parse_lexicon(text: str, *, file: str) -> tuple[Concept, ...]:
    """The concepts of one file.

    Raises:
        InputError: a line has too few or too many columns, an unknown category, or no alias; names the line.
    """
    concepts = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        columns = [column.strip() for column in line.split("\t")]
        columns += [""] * (_COLUMNS - len(columns))
        many = [tuple(filter(None, (entry.strip() for entry in column.split("|")))) for column in columns[2:]]
        if len(columns) > _COLUMNS or columns[0] not in CATEGORIES or not columns[1] or not many[0]:
            raise InputError(
                tr(
                    "应为：类别、标准词、别名、上位概念、易混概念（以制表符分隔，别名不可空）",
                    "must be category, canonical term, aliases, parents, confusable: tab-separated, aliases not empty",
                ),
                file=file,
                line=number,
                remedy=tr(
                    f"类别只能是 {', '.join(sorted(CATEGORIES))}", f"categories: {', '.join(sorted(CATEGORIES))}"
                ),
            )
        concepts.append(Concept(columns[0], columns[1], *many))
    return tuple(concepts)


@cache
def embedded() -> Lexicon:
    """The lexicon of this release."""
    concepts: list[Concept] = []
    for file in _embedded_files():
        concepts += parse_lexicon(file.read_text(encoding="utf-8"), file=file.name)
    return Lexicon(concepts)


@cache
def embedded_sha256() -> str:
    """SHA-256 (hex) over the embedded files in the order of their names: what a model was trained with."""
    digest = hashlib.sha256()
    for file in _embedded_files():
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _embedded_files() -> list[Traversable]:
    folder = files("mlb_offline.judge").joinpath("terms")
    return sorted((file for file in folder.iterdir() if file.name.endswith(".tsv")), key=lambda file: file.name)
