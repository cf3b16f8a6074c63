"""What a run was started with, kept in its store so that a resume needs only the folder and the keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlb_offline.configuration import explain
from mlb_offline.errors import TrustError
from mlb_offline.language import tr
from mlb_offline.run.check import check_store
from mlb_offline.run.database import STORE_NAME, open_for_reading, reading_errors
from mlb_offline.run.rows import Header, read_header
from mlb_offline.run.told import Told

_FILE_KINDS = frozenset({"unix", "gguf", "answers", "onnx"})


class Invocation(BaseModel):
    """The settings of a run as given on the command line; paths absolute, no secrets.

    Attributes:
        target: target spec.
        target_config: its file, or None; read at every start, for it names the secrets.
        policy: the whole text of the policy (TOML); like the declaration it was read once, and its file may go.
        declaration: the declaration's keys.
        datasets: datasets named; none: all of the bundle.
        limit: most items of a dataset, or None.
        repeats: how often each item is asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    target: str
    target_config: str | None = None
    policy: str
    declaration: dict[str, str] = Field(default_factory=dict)
    datasets: tuple[str, ...] = ()
    limit: int | None = None
    repeats: int = 1

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return self.model_dump(mode="json")


def absolute_path(path: Path | None) -> str | None:
    """An absolute spelling of a path, for a resume from another folder."""
    return None if path is None else str(path.absolute())


def absolute_spec(spec: str) -> str:
    """A target spec with its path, if it has one, made absolute."""
    kind, separator, rest = spec.partition(":")
    return f"{kind}:{Path(rest).absolute()}" if separator and rest and kind in _FILE_KINDS else spec


def stored_core(directory: Path) -> str | None:
    """SHA-256 (hex) of the core of the bundle that the run in ``directory`` began with; None where none began.

    Raises:
        InputError: there is no run.
        TrustError: its store was altered or damaged.
    """
    header, told = _stored(directory)
    return str(json.loads(header.identity)["bundle"]["core_sha256"]) if told.sessions else None


def stored_invocation(directory: Path) -> Invocation:
    """What the run in ``directory`` was started with; its log is verified first.

    Raises:
        InputError: there is no run.
        TrustError: its store was altered or damaged.
    """
    try:
        header, _told = _stored(directory)
        return Invocation.model_validate_json(header.invocation)
    except ValidationError as error:
        field, message = explain(error)
        raise TrustError(
            tr(f"运行的设置已损坏：{message}", f"the run's settings are damaged: {message}"),
            file=directory / STORE_NAME,
            field=field,
            remedy=tr("从备份恢复运行目录，或重新运行", "restore the run folder from a backup, or run again"),
        ) from None


def _stored(directory: Path) -> tuple[Header, Told]:
    db = open_for_reading(directory)
    file = directory / STORE_NAME
    try:
        with reading_errors(file):
            told = check_store(db, file)
            return read_header(db), told
    finally:
        db.close()
