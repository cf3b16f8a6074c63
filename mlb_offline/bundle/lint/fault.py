"""A fault that lint found, and the rules that find them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from mlb_offline.language import tr

RULES: Final = (
    "schema",
    "incomplete",
    "specialty",
    "canary",
    "options",
    "letters",
    "guessable",
    "verbatim",
    "nested",
    "values",
    "points",
    "personal",
    "alike",
    "copied",
)
"""In the order of docs/format.md, which says what each wants."""


@dataclass(frozen=True)
class Fault:
    """What is wrong, and where.

    Attributes:
        rule: one of ``RULES``.
        dataset: whose items are at fault; empty where it is bundle.toml.
        line: of the item in the dataset's file, from 1; None: the dataset as a whole.
        field: of the item, empty where it is the item as a whole.
        message: in the language of the command.
    """

    rule: str
    dataset: str
    line: int | None
    field: str
    message: str

    @property
    def file(self) -> str:
        """Where it stands, from the source folder."""
        return f"{self.dataset}.jsonl" if self.dataset else "bundle.toml"

    def told(self) -> str:
        """One line: file, line, rule, field, message."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        field = f"{self.field}{tr('：', ': ')}" if self.field else ""
        line = f"{place}  [{self.rule}]  {field}{self.message}"
        return "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)

    def to_json(self) -> dict[str, Any]:
        """``{rule, file, line, field, message}``."""
        return {
            "rule": self.rule,
            "file": self.file,
            "line": self.line,
            "field": self.field or None,
            "message": self.message,
        }
