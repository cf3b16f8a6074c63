"""What became of one answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The ends an answer can come to. All but ``right``, ``scored``, ``judged`` and ``unjudged`` count as wrong."""

    RIGHT = "right"
    WRONG = "wrong"
    SCORED = "scored"  # a micro-F1 set: see tp, fp, fn
    UNREADABLE = "unreadable"  # the model answered, but no answer can be made out
    FAILED = "failed"  # the target refused this one request for good
    MISSING = "missing"  # never asked or never answered
    UNJUDGED = "unjudged"  # needs the judges, who have not seen it
    JUDGED = "judged"  # the judges have seen it: its score is a range, from least to most


@dataclass(frozen=True)
class Score:
    """The outcome of one answer.

    Attributes:
        outcome: what became of it.
        tp: units both in the answer and in the reference (micro-F1 sets; else 0).
        fp: units only in the answer.
        fn: units only in the reference.
        note: machine words on how the answer was read or why it was not, joined by ``+``, such as
            ``strict``, ``repaired:fence+comma`` or ``contradictory``; docs/scoring.md lists them.
    """

    outcome: Outcome
    tp: int = 0
    fp: int = 0
    fn: int = 0
    note: str = ""
