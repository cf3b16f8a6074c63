"""The benchmark authors' own layout of annotations: one verdict a line, as ``messages``, ``labels`` and ``response``.

``messages`` is the dialogue that a judge was shown (``{role, content}``, the reply not among them), ``labels`` the
right reply and ``response`` what the judge replied. Replies are read as ``said`` reads them. One that says neither word
counts apart; published figures may count it as wrong, so both are given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlb_offline.configuration import explain
from mlb_offline.errors import InputError
from mlb_offline.judge.agreement import agreement
from mlb_offline.judge.said import said
from mlb_offline.language import tr

if TYPE_CHECKING:
    from pydantic import BaseModel

KEYS = frozenset({"messages", "labels", "response"})


@dataclass(frozen=True)
class Reply:
    """One verdict: what the judge was shown, what is right, what it said (None: neither word)."""

    shown: str
    label: bool
    verdict: bool | None


def is_published(line: bytes) -> bool:
    """Whether a line is of this layout."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and set(row) >= KEYS


def parse_published(lines: Iterable[bytes], *, file: Path) -> Iterator[Reply]:
    """The verdicts of a file's lines.

    Raises:
        InputError: a line is not JSON, not of this layout, or its label says neither 是 nor 否; names line and field.
    """
    from pydantic import ValidationError

    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row: Any = _form().model_validate_json(line)
        except ValidationError as error:
            field, message = explain(error)
            raise _refused(file, number, field, message, message) from None
        label = said(row.labels)
        if label is None:
            raise _refused(file, number, "labels", "应为 是 或 否", "must say 是 or 否")
        yield Reply("\n".join(one.content for one in row.messages), label, said(row.response))


def figures(replies: Sequence[Reply]) -> dict[str, Any]:
    """The answer of ``judge calibrate --json``, replies that say neither word left out (``abstained``); beside it the
    confusion matrix, and under ``abstained_as_wrong`` the same figures with each of these counted as the wrong word.

    Args:
        replies: at least one; those on the same text are one cluster of the intervals.
    """
    labels = [one.label for one in replies]
    clusters = [one.shown for one in replies]
    apart = [None if one.verdict is None else float(one.verdict) for one in replies]
    wrong = [float(not one.label if one.verdict is None else one.verdict) for one in replies]
    return {
        **agreement(labels, apart, clusters).to_json(),
        "confusion": confusion(replies),
        "abstained_as_wrong": agreement(labels, wrong, clusters).to_json(),
    }


def confusion(replies: Sequence[Reply]) -> dict[str, int]:
    """Counts: ``tp`` 是 and rightly so, ``fp``, ``fn``, ``tn``, and ``unread_yes``, ``unread_no`` by what is right."""
    names: dict[tuple[bool, bool | None], str] = {
        (True, True): "tp",
        (False, True): "fp",
        (True, False): "fn",
        (False, False): "tn",
        (True, None): "unread_yes",
        (False, None): "unread_no",
    }
    counts = dict.fromkeys(names.values(), 0)
    for one in replies:
        counts[names[one.label, one.verdict]] += 1
    return counts


def _refused(file: Path, line: int, field: str | None, zh: str, en: str) -> InputError:
    return InputError(
        tr(zh, en),
        file=file,
        line=line,
        field=field,
        remedy=tr(
            "按 messages、labels、response 格式更正该行", "mend the line: it holds messages, labels and response"
        ),
    )


@cache
def _form() -> type[BaseModel]:
    from pydantic import BaseModel, ConfigDict, Field

    class Message(BaseModel):
        model_config = ConfigDict(extra="ignore")
        role: str
        content: str

    class Row(BaseModel):
        model_config = ConfigDict(extra="ignore")
        messages: list[Message] = Field(min_length=1)
        labels: str
        response: str

    return Row
