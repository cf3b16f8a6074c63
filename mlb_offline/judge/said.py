"""What a judge that writes has said: 是, 否, or neither.

The text after the last ``</think>`` counts, and in it the last of both words; a word that is part of another (是否,
否认) is none. Neither is an abstention, never 否 (DESIGN, section 5).
"""

from __future__ import annotations

import re

_VERDICT = re.compile(
    r"不是|是否|否则|否认|但是|于是|还是|或是|若是|要是|可是|总是|就是说|是|否|\byes\b|\bno\b", re.IGNORECASE
)
_MEANT = {"是": True, "yes": True, "否": False, "no": False, "不是": False}


def said(text: str) -> bool | None:
    """Whether a reply says 是; None where it says neither word."""
    rest = text.rpartition("</think>")[2]
    if "<think>" in rest:  # it never stopped thinking
        return None
    found = [_MEANT[word] for word in map(str.lower, _VERDICT.findall(rest)) if word in _MEANT]
    return found[-1] if found else None
