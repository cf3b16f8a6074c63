"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlb_offline.errors import InputError
from mlb_offline.language import tr

_NOTHING_LEFT = 1 << 20  # bytes


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes the place of ``path`` when the block ends well.

    Raises:
        InputError: the disk is full or the folder cannot be written; what was written so far is removed.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
        _flush(path.parent)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file through ``replacing``."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def make_folder(path: Path) -> None:
    """Make the folder of results where it is not there yet.

    Raises:
        InputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> InputError:
    """The message for a write that failed."""
    why = error.strerror or str(error)
    if _is_full(path.parent, error):
        return InputError(
            tr(f"磁盘已满：{why}", f"the disk is full: {why}"),
            file=path,
            remedy=tr(
                "腾出空间后再次给出同一命令；此前的检查点（如有）保留不变",
                "free some space and give the same command again; an earlier checkpoint is kept",
            ),
        )
    return InputError(
        tr(f"无法写入：{why}", f"cannot be written: {why}"),
        file=path,
        remedy=tr(
            "核对文件夹、权限与剩余空间，再次给出同一命令",
            "check the folder, its permissions and the free space, and give the same command again",
        ),
    )


def _is_full(folder: Path, error: OSError) -> bool:
    """Whether a write failed for want of space; numpy tells of a short write without its reason."""
    if error.errno is None:
        return shutil.disk_usage(folder).free < _NOTHING_LEFT
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
