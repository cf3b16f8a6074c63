"""The measured manifest of the installed program: which code computed a report.

It is a statement of the machine that made the report about itself; a dishonest machine can lie about it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mlb_offline


@dataclass(frozen=True)
class Measured:
    """Number of files, and the SHA-256 (hex) over the sorted lines ``<sha256 of file>  <path>\\n``."""

    files: int
    sha256: str


def manifest(folder: Path) -> Measured:
    """Measure the files of a package folder, compiled caches apart; paths are relative to it, with ``/``."""
    lines = sorted(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    return Measured(len(lines), hashlib.sha256("".join(lines).encode("utf-8")).hexdigest())


@cache
def installed() -> Measured:
    """The manifest of the package that is running."""
    return manifest(Path(mlb_offline.__file__).parent)
