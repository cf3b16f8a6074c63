"""What the end-to-end tests work with: a folder with keys and a bundle, and what a command said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlb_offline.bundle.build import build_bundle
from mlb_offline.bundle.source import Source
from mlb_offline.trust.keys import load_recipient_public, load_signing_key


@dataclass(frozen=True)
class Done:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


Command = Callable[..., Done]


@dataclass(frozen=True)
class Shop:
    """A folder with keys and a sealed bundle of the demonstration items."""

    folder: Path
    bundle: Path
    source: Source

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def trust(self) -> Path:
        return self.folder / "trust"

    @property
    def opening(self) -> list[object]:
        """The options that open the bundle."""
        return ["--bundle", self.bundle, "--trust", self.trust, "--key", self.keys / "hospital.key.json"]

    @property
    def signing(self) -> list[object]:
        return ["--key", self.keys / "hospital.key.json", "--sign-key", self.keys / "report.key.json"]


def seal(source: Source, keys: Path, out: Path) -> Path:
    """A bundle of the source for the hospital key in ``keys``."""
    signing = load_signing_key(keys / "publisher.key.json", None)
    recipient = load_recipient_public(keys / "hospital.recipient.json")
    build_bundle(source, signing, [recipient], out, now=datetime.now(UTC))
    return out
