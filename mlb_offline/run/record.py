"""What is inside an encrypted record: the answer, how it was scored, and the end of the log when it came.

Score and log end are sealed with the answer so that whoever has the file but not the hospital's key can neither
change an outcome nor make a new chain of events in front of a record: ``RunKey`` alone writes records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlb_offline.scoring.outcome import Score


@dataclass(frozen=True)
class Record:
    """The content of a record.

    Attributes:
        after: hash of the last event before it was kept, 64 hex digits.
        content: a response or a failure.
        score: (outcome, tp, fp, fn, note).
    """

    after: str
    content: Mapping[str, Any]
    score: tuple[str, int, int, int, str]


def score_values(score: Score) -> dict[str, Any]:
    """A score as it stands in the item's row, its event and its record."""
    return {"outcome": score.outcome.value, "tp": score.tp, "fp": score.fp, "fn": score.fn, "note": score.note}


def pack(after: str, content: Mapping[str, Any], score: Score) -> bytes:
    """The plaintext of a record, JSON; what is no Unicode in an answer becomes a question mark."""
    whole = {"after": after, "content": dict(content), "score": score_values(score)}
    return json.dumps(whole, ensure_ascii=False).encode("utf-8", "replace")


def unpack(plain: bytes) -> Record:
    """The content of a record.

    Raises:
        ValueError: it is not what ``pack`` writes.
    """
    match json.loads(plain):
        case {
            "after": str(after),
            "content": dict(content),
            "score": {"outcome": str(outcome), "tp": int(tp), "fp": int(fp), "fn": int(fn), "note": str(note)},
        }:
            return Record(after, content, (outcome, tp, fp, fn, note))
    raise ValueError("no record of this version")
