"""SHA-256 of large files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.regular_file import open_regular

_CHUNK = 1 << 22


def sha256_of(file: Path) -> str:
    """Of a regular file, hex.

    Raises:
        InputError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_regular(file) as opened:
            while chunk := opened.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise InputError(
            tr(f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}"),
            file=file,
            remedy=tr("检查路径、权限与磁盘", "check the path, its permissions and the disk"),
        ) from None
    return digest.hexdigest()
