"""What the hospital declares about an evaluation (TOML): who, what model, for which use.

Every key is optional text. The declaration is hashed into the run's identity before the first request, so that
it cannot be written to fit the result.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import rfc8785
from pydantic import BaseModel, ConfigDict, StringConstraints

from mlb_offline.configuration import load_toml
from mlb_offline.language import tr

Text = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]


class Declaration(BaseModel):
    """The keys of a declaration; each is text or absent."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hospital: Text | None = None
    department: Text | None = None
    vendor: Text | None = None
    model: Text | None = None
    model_version: Text | None = None
    weights_sha256: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{64}\z")] | None = None
    intended_use: Text | None = None
    operator: Text | None = None
    reviewer: Text | None = None
    approver: Text | None = None

    def to_json(self) -> dict[str, str]:
        """The keys that were given."""
        given: dict[str, str] = self.model_dump(exclude_none=True)
        return given

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the keys that were given."""
        return hashlib.sha256(rfc8785.dumps(self.to_json())).hexdigest()


def load_declaration(path: Path | None) -> Declaration:
    """Read a declaration; without a file, one that declares nothing.

    Raises:
        InputError: the file cannot be read, is no TOML, or a key is unknown or is not text.
    """
    if path is None:
        return Declaration()
    keys = ", ".join(Declaration.model_fields)
    remedy = tr(f"可用的键：{keys}；说明见 docs/declaration.md", f"the keys are: {keys}; see docs/declaration.md")
    return load_toml(Declaration, path, what=tr("声明", "declaration"), remedy=remedy)
