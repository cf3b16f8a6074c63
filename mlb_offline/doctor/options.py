"""What is looked at: the options that a run would be given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlb_offline.bundle.state import default_folder


def _no_passphrase() -> str | None:
    return None


@dataclass(frozen=True)
class Options:
    """The options of ``mlb-offline doctor``; None or empty where one was not given.

    Attributes:
        passphrase: gives the passphrase of ``key`` when it is needed; may raise ``MlbError``.
        passphrase_file: only named, so that its path can be kept out of what leaves the house.
    """

    bundle: Path | None = None
    trust: tuple[Path, ...] = ()
    key: Path | None = None
    passphrase: Callable[[], str | None] = _no_passphrase
    passphrase_file: Path | None = None
    target: str | None = None
    target_config: Path | None = None
    judges: tuple[Path, ...] = ()
    state: Path | None = None
    out: Path | None = None

    @property
    def state_folder(self) -> Path:
        """The state folder that a run would use."""
        return default_folder() if self.state is None else self.state

    def target_file(self, *kinds: str) -> Path | None:
        """The path in the target spec, if it is of one of these kinds (``unix``, ``gguf``, ``answers``)."""
        kind, _, rest = (self.target or "").partition(":")
        return Path(rest) if rest and kind in kinds else None
