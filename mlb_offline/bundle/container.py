"""The outermost layer of a bundle file: magic, length, envelope, payload, and nothing after it.

One descriptor serves every pass over the file, so that it cannot be exchanged between two of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mlb_offline.errors import InputError, TrustError
from mlb_offline.language import tr
from mlb_offline.regular_file import open_regular

# As PNG's: a transfer that strips the eighth bit or changes line ends breaks it at once.
MAGIC = b"\x89MLBB\r\n\x1a"
LENGTH_BYTES = 4
PREFIX = len(MAGIC) + LENGTH_BYTES
MAX_ENVELOPE = 8 * 1024 * 1024
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Container:
    """An open bundle file whose lengths fit together; nothing in it is verified.

    Attributes:
        path: for messages.
        envelope: bytes of the signed envelope.
        payload_length: bytes after the envelope, up to the end of the file.
    """

    path: Path
    envelope: bytes
    payload_length: int
    _file: BinaryIO

    def payload(self) -> BinaryIO:
        """The file, positioned at the first byte of the payload."""
        self._file.seek(PREFIX + len(self.envelope))
        return self._file

    def hash_payload(self) -> tuple[str, str]:
        """SHA-256 of the payload and of the whole file, 64 hex digits each, in one pass."""
        cipher = hashlib.sha256()
        whole = hashlib.sha256(prefix(self.envelope) + self.envelope)
        file = self.payload()
        while block := file.read(_BLOCK):
            cipher.update(block)
            whole.update(block)
        return cipher.hexdigest(), whole.hexdigest()


def prefix(envelope: bytes) -> bytes:
    """What stands before an envelope: magic, and its length as four bytes, big-endian.

    Raises:
        InputError: the envelope is over 8 MiB (too many recipients).
    """
    if len(envelope) > MAX_ENVELOPE:
        raise InputError(
            tr("数据包信封超过 8 MiB", "the bundle's envelope is over 8 MiB"),
            field="recipients",
            remedy=tr("减少接收方数量", "name fewer recipients"),
        )
    return MAGIC + len(envelope).to_bytes(LENGTH_BYTES, "big")


@contextmanager
def open_container(path: Path) -> Iterator[Container]:
    """Open a bundle file and read its envelope.

    Raises:
        InputError: there is no such file, or it cannot be read.
        TrustError: it does not begin as a bundle does, or its lengths do not fit together.
    """
    try:
        file = open_regular(path)
    except OSError as error:
        raise _unreadable(path, error.strerror) from None
    with file:
        try:
            yield _read(path, file, os.fstat(file.fileno()).st_size)
        except OSError as error:
            raise _unreadable(path, error.strerror) from None


def _read(path: Path, file: BinaryIO, size: int) -> Container:
    start = file.read(PREFIX)
    if not start.startswith(MAGIC):
        raise _broken(
            path,
            tr("这不是数据包（.mlbb），或其开头已被改动", "this is no bundle (.mlbb), or its beginning was changed"),
        )
    length = int.from_bytes(start[len(MAGIC) :], "big")
    if len(start) < PREFIX or not 2 <= length <= MAX_ENVELOPE:
        raise _broken(path, tr("信封长度无效", "the length of the envelope is not valid"))
    if size < PREFIX + length:
        raise _broken(path, tr("文件在信封内被截断", "the file is cut off within its envelope"))
    return Container(path, file.read(length), size - PREFIX - length, file)


def _broken(path: Path, message: str) -> TrustError:
    return TrustError(
        message,
        file=path,
        remedy=tr("文件已被改动或损坏，请重新获取", "the file was changed or damaged: obtain it again"),
    )


def _unreadable(path: Path, reason: str | None) -> InputError:
    return InputError(
        tr(f"无法读取数据包：{reason}", f"the bundle cannot be read: {reason}"),
        file=path,
        remedy=tr("核对路径、权限与介质", "check the path, the permissions and the medium"),
    )
