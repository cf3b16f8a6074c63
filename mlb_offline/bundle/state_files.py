"""The JSON files of a state folder: each written whole (temporary file, fsync, rename), changed under one lock."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlb_offline.errors import InputError, TrustError
from mlb_offline.language import tr

_LOCK = "lock"


def read_record(path: Path, form: str, damaged: Callable[[Path], TrustError]) -> dict[str, Any]:
    """The content of a file, an object whose ``format`` is ``form``; that alone where there is no file.

    Raises:
        InputError: it cannot be read.
        TrustError: it is something else; what ``damaged`` makes of the path.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"format": form}
    except OSError as error:
        raise unusable(path, error) from None
    except (ValueError, RecursionError):
        raise damaged(path) from None
    if not isinstance(content, dict) or content.get("format") != form:
        raise damaged(path)
    return content


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Put a file in the place of the one that is there, if any; a reader sees one or the other, whole.

    Raises:
        InputError: it cannot be written.
    """
    partial = path.with_suffix(".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise unusable(path, error) from None


def sync_folder(folder: Path) -> None:
    """See that the names in a folder survive a loss of power.

    Raises:
        OSError: the folder cannot be opened or written.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for it out of the folder.

    Raises:
        InputError: the folder cannot be written.
    """
    path = folder / _LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(path, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def unusable(path: Path, error: OSError) -> InputError:
    """The refusal of a state folder that cannot be read or written."""
    return InputError(
        tr(f"状态目录不可用：{error.strerror}", f"the state folder cannot be used: {error.strerror}"),
        file=path,
        remedy=tr("用 --state 给出可写的目录", "name a folder that can be written with --state"),
    )
