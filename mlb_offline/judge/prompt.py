"""What a judge that reads text is asked: prompt.txt, filled with one criterion.

The answer stands first and the criterion after it, so that the criteria of one answer share their beginning. All that
others wrote (question, answer, point) is data: fenced by marks that cannot occur in it, without characters that nobody
sees, without anything that looks like a control token, and cut at a length.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template

from mlb_offline.judge.annotation import Criterion

YES, NO = "是", "否"
"""The reply: one of these two words."""

_SECTION = re.compile(r"^\[(\w+)\]\n", re.MULTILINE)
_MARKUP = re.compile(r"<(?=[|｜/!<a-zA-Z_])")
_BRACKET = re.compile(r"\[(?=/?[A-Z_]{3,}\])")
_FENCES = str.maketrans({"⟦": "[", "⟧": "]"})
LONGEST = 6000
"""Characters of an answer or question that are shown; what lies beyond is not judged."""


@dataclass(frozen=True)
class Prompt:
    """The wording of a version.

    Attributes:
        version: such as ``large/1``.
        sha256: of the file's bytes, hex.
        sections: templates ``message``, ``question``, ``point`` and ``fixed``.
    """

    version: str
    sha256: str
    sections: Mapping[str, str]

    def render(self, criterion: Criterion) -> str:
        """The user's message for a criterion."""
        question = self._fill("question", question=_data(criterion.question)) if criterion.question else ""
        asked = self._fill(
            "point" if criterion.family == "points" else "fixed",
            topic=_data(criterion.topic),
            text=_data(criterion.text),
        )
        message = self._fill(
            "message", question=question, answer=_data(criterion.answer), criterion=asked.removesuffix("\n")
        )
        return message.removesuffix("\n")

    def _fill(self, section: str, **values: str) -> str:
        return Template(self.sections[section]).substitute(values)


@cache
def shipped_prompt() -> Prompt:
    """The prompt of this package."""
    source = files(__package__).joinpath("prompt.txt").read_bytes()
    head, *parts = _SECTION.split(source.decode("utf-8"))
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    return Prompt(head.removeprefix("version = ").strip(), hashlib.sha256(source).hexdigest(), sections)


def _data(text: str) -> str:
    """Text that others wrote, as data. In NFC, because the tokenizers of Qwen apply it and llama.cpp does not."""
    seen = "".join(
        character
        for character in unicodedata.normalize("NFC", text)
        if character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cf", "Co", "Cs", "Cn"}
    )
    seen = _MARKUP.sub("＜", seen[:LONGEST].translate(_FENCES))
    return _BRACKET.sub("［", seen)
