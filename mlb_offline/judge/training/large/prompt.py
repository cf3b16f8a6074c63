"""What a large judge is asked: prompt.txt, filled with one criterion.

The answer stands first and the criterion after it, so that the criteria of one answer share their beginning. All that
others wrote (question, answer, point) is fenced by marks that cannot occur in it, and control tokens in it are broken.
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
_MARKUP = re.compile(r"<(?=[|｜/!a-zA-Z_])")
_FENCES = str.maketrans({"⟦": "[", "⟧": "]"})


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
    """Text that others wrote, without fence marks and without anything that looks like a control token.

    In NFC, because the tokenizers of Qwen apply it and llama.cpp does not.
    """
    return _MARKUP.sub("＜", unicodedata.normalize("NFC", text).translate(_FENCES))
