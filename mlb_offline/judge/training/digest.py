"""SHA-256 of large files."""

from __future__ import annotations

from pathlib import Path

from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.regular_file import measured


def sha256_of(file: Path) -> str:
    """Of a regular file, hex.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return measured(file)[0]
    except OSError as error:
        raise InputError(
            tr(f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}"),
            file=file,
            remedy=tr("检查路径、权限与磁盘", "check the path, its permissions and the disk"),
        ) from None
