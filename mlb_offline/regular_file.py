"""Opening a file that somebody named: a regular one, never a pipe or device that would be waited for without end."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from mlb_offline.language import tr

_PIECE = 4 << 20


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        OSError: it cannot be opened, or is a folder, pipe, socket or device; ``strerror`` says which.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, tr("不是普通文件", "not a regular file"), str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_at_most(path: Path, limit: int) -> bytes:
    """The first ``limit + 1`` bytes of a regular file: one more than allowed shows that it is too long.

    Raises:
        OSError: as ``open_regular``.
    """
    with open_regular(path) as file:
        return file.read(limit + 1)


def measured(path: Path) -> tuple[str, int]:
    """SHA-256 (hex) of a regular file, and the number of exactly those bytes that were hashed.

    Raises:
        OSError: as ``open_regular``, or it cannot be read to its end.
    """
    digest, size = hashlib.sha256(), 0
    with open_regular(path) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size
