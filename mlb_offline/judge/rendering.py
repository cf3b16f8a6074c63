"""What each embedded judge is shown of a criterion: token parts for judge A, rows of numbers for judge B.

Training and engines use the same functions, so that a judge never meets another spelling than the one it was trained
on. ``VERSION`` changes with anything here, in ``evidence``, ``lexicon``, ``polarity``, ``wording`` or ``vocabulary``
that changes what is shown; a model names the version it was trained with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.evidence import Answer, Mark, coverage
from mlb_offline.judge.lexicon import Lexicon
from mlb_offline.judge.vocabulary import (
    ANSWER,
    BEGIN,
    COVERAGES,
    CRITERION,
    EVIDENCE,
    INSTEAD,
    NAMES,
    QUESTION,
    VERDICT,
    Vocabulary,
)
from mlb_offline.judge.wording import plain

VERSION = "small/2"


class Part(NamedTuple):
    """A part of judge A's prompt: its text, whether it is a control token, whether it is of the point's own words."""

    text: str
    control: bool = False
    point: bool = False


Parts = tuple[Part, ...]
TOPIC_CHARACTERS = 12
QUESTION_CHARACTERS, HEAD_CHARACTERS, TAIL_CHARACTERS, POINT_CHARACTERS = 120, 320, 80, 72
CONTEXT = 1024
"""Tokens of judge A's longest prompt."""
QUERIES = 8
"""Positions by which judge B asks one of the fixed questions."""


def shown(text: str, head: int = HEAD_CHARACTERS, tail: int = TAIL_CHARACTERS) -> str:
    """A ``plain`` text of at most ``head + tail + 1`` characters: its beginning and its end."""
    return text if len(text) <= head + tail else f"{text[:head]}…{text[-tail:]}"


def shown_topic(criterion: Criterion) -> str:
    """A point's topic as judges are shown it."""
    return plain(criterion.topic)[:TOPIC_CHARACTERS]


def shown_point(criterion: Criterion) -> str:
    """A point as judges are shown it: ``plain``, its first ``POINT_CHARACTERS`` characters."""
    return plain(criterion.text)[:POINT_CHARACTERS]


def decoder_parts(criterion: Criterion, answer: Answer) -> Parts:
    """Judge A's prompt: evidence (or question and answer) first, the criterion after it; the verdict follows.

    Returns:
        Criteria with fixed wording share all but the last two parts. The parts of a point's own words are, one after
        another, ``shown_point``.
    """
    if criterion.name != "point":
        question = shown(plain(criterion.question), QUESTION_CHARACTERS, 0)[:QUESTION_CHARACTERS]
        body = (Part(QUESTION, True), Part(question), Part(ANSWER, True), Part(shown(answer.text)))
        return (Part(BEGIN, True), *body, Part(f"<{criterion.name}>", True), Part(VERDICT, True))
    point = shown_point(criterion)
    parts = [Part(BEGIN, True)]
    windows = answer.windows(point)
    for window in windows:
        parts += [Part(EVIDENCE, True), Part(window)]
    pieces = answer.pieces(point, windows)
    parts += [Part(CRITERION, True), Part(shown_topic(criterion)), Part("<point>", True)]
    mark: Mark | None = None
    for piece in pieces:
        if piece.mark != mark or piece.instead:
            parts.append(Part(f"<{piece.mark.value}>", True))
        parts.append(Part(piece.text, point=True))
        if piece.instead:
            parts += [Part(INSTEAD, True), Part(piece.instead)]
        mark = piece.mark
    tenth = int(coverage(pieces) * (COVERAGES - 1) + 1e-9)
    return (*parts, Part(f"<k{tenth}>", True), Part(VERDICT, True))


def decoder_ids(criterion: Criterion, answer: Answer, vocabulary: Vocabulary) -> list[int]:
    """Judge A's prompt as token ids, at most ``CONTEXT``: of one that is longer (characters without a token take up to
    four) the beginning is cut, so that the criterion stays."""
    return vocabulary.encode((part.text, part.control) for part in decoder_parts(criterion, answer))[-CONTEXT:]


@dataclass(frozen=True)
class Side:
    """One text for judge B: ids of characters, concepts and, for an answer, a parent of the concept; for a criterion,
    the concept it is mistaken for. All of one length; 0 is none."""

    ids: list[int]
    concepts: list[int]
    others: list[int]


def _side(text: str, lexicon: Lexicon, vocabulary: Vocabulary, *, parents: bool) -> Side:
    concepts, others = [0] * len(text), [0] * len(text)
    for span in lexicon.spans(text):
        near = lexicon.parents(span.concept) if parents else lexicon.confusable(span.concept)
        width = span.end - span.start
        concepts[span.start : span.end] = [span.concept] * width
        others[span.start : span.end] = [near[0] if near else 0] * width
    unknown = len(vocabulary.tokens) + QUERIES * len(NAMES)
    ids = [vocabulary.ids.get(character, unknown) for character in text]
    return Side(ids, concepts, others)


def aligner_vocabulary(vocabulary: Vocabulary) -> int:
    """The number of ids that judge B knows: those of the vocabulary, its queries, and one for unknown characters."""
    return len(vocabulary.tokens) + QUERIES * len(NAMES) + 1


def aligner_answer(answer: Answer, lexicon: Lexicon, vocabulary: Vocabulary) -> Side:
    """The answer as judge B reads it: all that ``Answer`` keeps of it."""
    return _side(answer.text, lexicon, vocabulary, parents=True)


def aligner_criterion(criterion: Criterion, lexicon: Lexicon, vocabulary: Vocabulary) -> Side:
    """The criterion as judge B reads it: topic and point, or the queries of a fixed question and what was asked."""
    if criterion.name == "point":
        return _side(f"{shown_topic(criterion)}:{shown_point(criterion)}", lexicon, vocabulary, parents=False)
    first = len(vocabulary.tokens) + QUERIES * NAMES.index(criterion.name)
    asked = _side(plain(criterion.question)[:POINT_CHARACTERS], lexicon, vocabulary, parents=False)
    none = [0] * QUERIES
    return Side([*range(first, first + QUERIES), *asked.ids], none + asked.concepts, none + asked.others)


def padded(rows: Sequence[Sequence[int]], width: int = 0) -> list[list[int]]:
    """Rows of equal length, filled with 0."""
    longest = max(width, 1, *(len(row) for row in rows))
    return [[*row, *([0] * (longest - len(row)))] for row in rows]
