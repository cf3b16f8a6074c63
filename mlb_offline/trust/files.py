"""Small files read whole: bounded, and with every failure named."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from mlb_offline.errors import InputError, TrustError
from mlb_offline.language import tr
from mlb_offline.regular_file import open_regular

MAX_KEY_FILE = 64 * 1024


def read_small(path: Path) -> tuple[bytes, int]:
    """The bytes of a regular file of at most 64 KiB, and its permission bits, from one descriptor.

    Raises:
        InputError: it cannot be read, is no regular file, or is larger.
    """
    try:
        with open_regular(path) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise InputError(
            tr(f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}"),
            file=path,
            remedy=tr("核对路径与权限", "check the path and the permissions"),
        ) from None
    if len(data) > MAX_KEY_FILE:
        raise InputError(
            tr("不是密钥文件（超过 64 KiB）", "not a key file (over 64 KiB)"),
            file=path,
            remedy=tr("核对路径", "check the path"),
        )
    return data, mode


def read_json(path: Path) -> tuple[Any, int]:
    """The JSON value of a small file, and the file's permission bits.

    Raises:
        InputError: as ``read_small``, or the file is no JSON.
    """
    data, mode = read_small(path)
    try:
        return json.loads(data.decode("utf-8")), mode
    except (ValueError, RecursionError):
        raise InputError(
            tr("不是 JSON 文件", "not a JSON file"),
            file=path,
            remedy=tr("使用 keys new 写出的密钥文件", "use a key file that keys new wrote"),
        ) from None


def require_private(path: Path, mode: int, *, what: str) -> None:
    """Check that nobody but the owner may reach a secret.

    Raises:
        TrustError: the file's mode lets others.
    """
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TrustError(
            tr(f"{what}可被他人访问（权限 {mode:04o}）", f"others can reach this {what} (mode {mode:04o})"),
            file=path,
            remedy=f"chmod 600 {path}",
        )


def create(path: Path, data: bytes, *, mode: int) -> None:
    """Write a new file, never over an existing one, and flush it to the medium.

    Raises:
        InputError: it exists already or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            # The mode given to open() is masked by umask; a key must have exactly this one.
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except FileExistsError:
        raise InputError(
            tr("文件已存在，不会覆盖", "the file exists and is never overwritten"),
            file=path,
            remedy=tr("选择另一个文件夹", "choose another folder"),
        ) from None
    except OSError as error:
        raise InputError(
            tr(f"无法写入：{error.strerror}", f"cannot be written: {error.strerror}"),
            file=path,
            remedy=tr("核对文件夹是否存在且可写", "check that the folder exists and can be written"),
        ) from None
