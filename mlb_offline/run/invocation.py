"""What a run was started with, kept in its store so that a resume needs only the folder and the keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mlb_offline.run.database import STORE_NAME, database_errors, open_for_reading
from mlb_offline.run.rows import read_header

_FILE_KINDS = frozenset({"unix", "gguf", "answers", "onnx"})


@dataclass(frozen=True)
class Invocation:
    """The settings of a run as given on the command line; paths absolute, no secrets.

    Attributes:
        target: target spec.
        target_config, policy, declaration: files, or None.
        datasets: datasets named; none: all of the bundle.
        limit: most items of a dataset, or None.
        repeats: how often each item is asked.
    """

    target: str
    target_config: str | None = None
    policy: str | None = None
    declaration: str | None = None
    datasets: tuple[str, ...] = ()
    limit: int | None = None
    repeats: int = 1

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "datasets": list(self.datasets)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """The invocation that ``to_json`` wrote."""
        return cls(**{**raw, "datasets": tuple(raw["datasets"])})


def absolute_path(path: Path | None) -> str | None:
    """An absolute spelling of a path, for a resume from another folder."""
    return None if path is None else str(path.absolute())


def absolute_spec(spec: str) -> str:
    """A target spec with its path, if it has one, made absolute."""
    kind, separator, rest = spec.partition(":")
    return f"{kind}:{Path(rest).absolute()}" if separator and rest and kind in _FILE_KINDS else spec


def stored_invocation(directory: Path) -> Invocation:
    """What the run in ``directory`` was started with.

    Raises:
        InputError: there is no run.
        TrustError: its store is damaged.
    """
    db = open_for_reading(directory)
    try:
        with database_errors(directory / STORE_NAME):
            return Invocation.from_json(json.loads(read_header(db).invocation))
    finally:
        db.close()
