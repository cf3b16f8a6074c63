"""A row that cannot be read, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class RowError(Exception):
    """This one row cannot be read; ``str()`` is the reason, in the language in use."""


@dataclass(frozen=True)
class Refusal:
    """A row that was not imported.

    Attributes:
        file: the file it stands in.
        row: its line, spreadsheet row or record there, from 1, as an editor would show it.
        reason: why, for the person who is to correct it.
    """

    file: str
    row: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        """``{"file", "row", "reason"}``."""
        return {"file": self.file, "row": self.row, "reason": self.reason}
