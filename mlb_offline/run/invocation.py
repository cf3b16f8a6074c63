"""What a run was started with, kept in its store so that a resume needs only the folder and the keys."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlb_offline.configuration import explain
from mlb_offline.errors import TrustError
from mlb_offline.language import tr
from mlb_offline.run.check import check_store
from mlb_offline.run.database import STORE_NAME, open_for_reading, reading_errors
from mlb_offline.run.rows import read_header

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
        judges: files of judges named on the command line; none: the embedded pair.
        accept_unlisted: whether they may be such as no trusted publisher has listed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    target: str
    target_config: str | None = None
    policy: str
    declaration: dict[str, str] = Field(default_factory=dict)
    datasets: tuple[str, ...] = ()
    limit: int | None = None
    repeats: int = 1
    judges: tuple[str, ...] = ()
    accept_unlisted: bool = False

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


@dataclass(frozen=True)
class Start:
    """How a run in a folder was started.

    Attributes:
        core: SHA-256 (hex) of the core of the bundle that it began with; None where no session ever began.
    """

    invocation: Invocation
    core: str | None


def stored_start(directory: Path) -> Start:
    """How the run in ``directory`` was started; its log is verified first, once for all that is read of it.

    Raises:
        InputError: there is no run.
        TrustError: its store was altered or damaged.
    """
    db = open_for_reading(directory)
    file = directory / STORE_NAME
    try:
        with reading_errors(file):
            begun = bool(check_store(db, file).sessions)
            header = read_header(db)
        core = str(json.loads(header.identity)["bundle"]["core_sha256"]) if begun else None
        return Start(Invocation.model_validate_json(header.invocation), core)
    except ValidationError as error:
        field, message = explain(error)
        raise TrustError(
            tr(f"运行的设置已损坏：{message}", f"the run's settings are damaged: {message}"),
            file=file,
            field=field,
            remedy=tr("从备份恢复运行目录，或重新运行", "restore the run folder from a backup, or run again"),
        ) from None
    finally:
        db.close()
