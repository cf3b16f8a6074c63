"""The vocabulary of the small judges: single characters, bytes for all others, and control tokens.

Characters, not words: a model that compares two texts must see the same characters as the same tokens wherever they
stand. llama.cpp reads it as a SentencePiece vocabulary without any merge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from mlb_offline.judge.evidence import Mark

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
EVIDENCE, QUESTION, ANSWER, CRITERION, INSTEAD, VERDICT = "<e>", "<q>", "<a>", "<c>", "<as>", "<v>"
NAMES = ("point", "safe", "r1", "r2", "q1", "q2", "q3", "q4")
COVERAGES = 11
YES, NO = "是", "否"
CONTROL: tuple[str, ...] = (
    *(UNKNOWN, BEGIN, END, EVIDENCE, QUESTION, ANSWER, CRITERION, INSTEAD, VERDICT),
    *(f"<{mark.value}>" for mark in Mark),
    *(f"<{name}>" for name in NAMES),
    *(f"<k{tenth}>" for tenth in range(COVERAGES)),
)
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))


@dataclass(frozen=True)
class Vocabulary:
    """All tokens: ``CONTROL``, then ``BYTES``, then the characters in the order given."""

    characters: tuple[str, ...]

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Every token in order of its id."""
        return (*CONTROL, *BYTES, *self.characters)

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The id of every token."""
        return {token: index for index, token in enumerate(self.tokens)}

    def text(self, text: str) -> list[int]:
        """The ids of a text's characters; one without a token becomes its UTF-8 bytes. Never a control token."""
        first = len(CONTROL)
        ids: list[int] = []
        for character in text:
            index = self.ids.get(character) if len(character) == 1 else None
            ids += [index] if index is not None else [first + byte for byte in character.encode("utf-8", "replace")]
        return ids

    def encode(self, parts: Iterable[tuple[str, bool]]) -> list[int]:
        """The ids of a prompt: parts of (text, whether it is a control token)."""
        ids: list[int] = []
        for part, control in parts:
            ids += [self.ids[part]] if control else self.text(part)
        return ids


def common_characters(texts: Iterable[str], *, at_least: int = 2) -> tuple[str, ...]:
    """Characters worth a token: those of the texts that occur ``at_least`` times, and the 3,755 of GB 2312 level 1."""
    from collections import Counter

    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    level_1 = (
        bytes((row, cell)).decode("gb2312")
        for row in range(0xB0, 0xD8)
        for cell in range(0xA1, 0xFF)
        if row < 0xD7 or cell < 0xFA
    )
    kept = {character for character, count in counts.items() if count >= at_least} | set(level_1)
    kept |= {chr(code) for code in range(0x20, 0x7F)} | {"\n"}
    return tuple(sorted(character for character in kept if len(character.encode("utf-8", "ignore")) > 0))
