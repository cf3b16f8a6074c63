"""What every reader does first: drop the reasoning block, normalise, recognise a cut answer.

Rules P1 to P4 of docs/scoring.md.
"""

from __future__ import annotations

import re
import unicodedata

_THINK = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
_CUT_REASONS = frozenset({"length", "max_tokens"})

# A run of more than 30 combining marks occurs in no language (UAX #15, Stream-Safe Text Format), and ordering
# such a run takes quadratic time: 64,000 marks keep CPython busy for two seconds.
_MOST_MARKS = 30


class Unreadable(Exception):  # noqa: N818 - an outcome, not an error
    """No answer can be made out; ``reason`` is the machine word that goes into ``Score.note``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def after_thinking(text: str) -> str:
    """What follows the last ``</think>``; the whole text where there is no block (rule P1).

    Raises:
        Unreadable: a block is opened and never closed, so that only reasoning was returned.
    """
    tags = list(_THINK.finditer(text))
    if not tags:
        return text
    last = tags[-1]
    if not last[1]:
        raise Unreadable("unclosed-think")
    return text[last.end() :]


def nfkc(text: str) -> str:
    """Unicode NFKC (rule P2); text with an absurd run of combining marks is left as it is."""
    if text.isascii():
        return text
    if len(text) > _MOST_MARKS and _longest_mark_run(text) > _MOST_MARKS:
        return text
    return unicodedata.normalize("NFKC", text)


def unit_text(text: str) -> str:
    """The form in which two strings are compared: NFKC, then trimmed (DESIGN, section 2)."""
    return nfkc(text).strip()


def was_cut(finish_reason: str | None) -> bool:
    """Whether the server stopped the answer at its length limit (rule P3)."""
    return finish_reason in _CUT_REASONS


def _longest_mark_run(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    return longest
