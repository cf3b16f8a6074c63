"""What a judge that writes has said: 是, 否, or neither.

The text after the last ``</think>`` counts, and in it the last of both words that stands alone, between signs or at an
end; where none does, the last of them that is no part of another word (是否, 否认). Neither is an abstention, never 否
(DESIGN, section 5).
"""

from __future__ import annotations

import re

_CHOICE = re.compile(r"是\s*(?:[/|、]|或者?)\s*否|否\s*(?:[/|、]|或者?)\s*是")
_EDGE = r"[\s\W_]"
_ALONE = re.compile(rf"(?:^|(?<={_EDGE}))(不是|是的?|否|yes|no)(?={_EDGE}|$)", re.IGNORECASE)
_ANYWHERE = re.compile(
    r"是否|否则|否认|否定|否决|但是|于是|还是|或是|若是|要是|可是|总是|只是|就是|不是|都是|而是|正是|凡是|是因为|"
    r"是|否|(?<![a-z])(?:yes|no)(?![a-z])",
    re.IGNORECASE,
)
_MEANT = {"是": True, "是的": True, "yes": True, "否": False, "no": False, "不是": False}


def said(text: str) -> bool | None:
    """Whether a reply says 是; None where it says neither word."""
    rest = text.rpartition("</think>")[2]
    if "<think>" in rest:  # it never stopped thinking
        return None
    rest = _CHOICE.sub("", rest)
    for words in (_ALONE, _ANYWHERE):
        found = [_MEANT[word] for word in map(str.lower, words.findall(rest)) if word in _MEANT]
        if found:
            return found[-1]
    return None
