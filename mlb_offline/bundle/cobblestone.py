"""Cobblestone-256: chunked authenticated encryption (c2sp.org/chunked-encryption, SHA-512 and AES-256-GCM).

1. ``key(32) ‖ base nonce(12) ‖ commitment(32) = HKDF-Expand-SHA-512(prk = 32-byte input key, info = label ‖
   salt(24) ‖ context)``, where the label is ``c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM`` and a zero byte.
2. A ciphertext is ``salt ‖ commitment ‖ chunks``. The plaintext is cut every 16,384 bytes; each chunk is sealed with
   AES-256-GCM, no associated data, nonce = base nonce XOR chunk number (big-endian).
3. The last chunk is always shorter than 16,384 bytes and may be empty. So the end of a ciphertext shows: one that
   ends after a full chunk, at exactly 56 + k·(16,384 + 16) bytes, has lost something.
4. The commitment is checked, in constant time, before any chunk is opened: no ciphertext opens under two keys, which
   plain AES-GCM does not promise.

Chunks already written to the sink when a later one fails are authentic but incomplete: whoever calls ``decrypt`` must
throw them away when it raises.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from mlb_offline.errors import TrustError
from mlb_offline.language import tr

KEY_LENGTH = 32
SALT_LENGTH = 24
COMMITMENT_LENGTH = 32
HEADER_LENGTH = SALT_LENGTH + COMMITMENT_LENGTH
CHUNK = 16_384
TAG = 16
SEALED_CHUNK = CHUNK + TAG
MAX_CHUNKS = 2**38

_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"
_NONCE_LENGTH = 12


class Source(Protocol):
    """What is read from."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...


class Sink(Protocol):
    """What is written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""
        ...


class Failure(StrEnum):
    """Why a ciphertext was refused (the ``expect`` classes of the test vectors)."""

    HEADER = "header failure"  # shorter than salt and commitment
    NO_MATCH = "no match"  # the commitment is that of another key, salt or context
    PAYLOAD = "payload failure"  # a chunk was changed, moved, cut or added


class CobblestoneError(TrustError):
    """A ciphertext that does not open; ``failure`` says why."""

    def __init__(self, failure: Failure, message: str, *, file: str | Path | None) -> None:
        super().__init__(
            message,
            file=file,
            remedy=tr("文件已被改动或损坏，请重新获取", "the file was changed or damaged: obtain it again"),
        )
        self.failure = failure


def sealed_length(plain_length: int) -> int:
    """The length of the ciphertext of ``plain_length`` bytes: 56 + 16 a chunk, the last one included."""
    return HEADER_LENGTH + plain_length + TAG * (plain_length // CHUNK + 1)


def encrypt(source: Source, sink: Sink, key: bytes, context: bytes, *, salt: bytes | None = None) -> None:
    """Seal all of ``source`` into ``sink``.

    Args:
        source: the plaintext.
        sink: takes the ciphertext.
        key: 32 uniformly random bytes.
        context: bound to the ciphertext; needed again to open it.
        salt: 24 bytes that never repeat under one key; random unless given (test vectors only).
    """
    salt = os.urandom(SALT_LENGTH) if salt is None else salt
    aead, base, commitment = _derive(key, salt, context)
    sink.write(salt + commitment)
    for nonce in _nonces(base):
        chunk = _read_full(source, CHUNK)
        sink.write(aead.encrypt(nonce, chunk, None))
        if len(chunk) < CHUNK:
            return


def decrypt(source: Source, sink: Sink, key: bytes, context: bytes, *, file: str | Path | None = None) -> None:
    """Open all of ``source`` into ``sink``, one authenticated chunk after another, up to its end.

    Args:
        source: the ciphertext and nothing after it.
        sink: takes the plaintext; worthless if this raises.
        key: the 32-byte input key.
        context: as given to ``encrypt``.
        file: where the ciphertext comes from, for messages.

    Raises:
        CobblestoneError: with the ``Failure`` that it was.
    """
    header = _read_full(source, HEADER_LENGTH)
    if len(header) < HEADER_LENGTH:
        raise CobblestoneError(
            Failure.HEADER,
            tr("密文短于其头部（56 字节）", "the ciphertext is shorter than its header (56 bytes)"),
            file=file,
        )
    aead, base, commitment = _derive(key, header[:SALT_LENGTH], context)
    if not hmac.compare_digest(commitment, header[SALT_LENGTH:]):
        raise CobblestoneError(
            Failure.NO_MATCH,
            tr(
                "密钥承诺不符：密文属于另一密钥或另一数据包，或其头部已被改动",
                "the key commitment does not match: another key or bundle, or a changed header",
            ),
            file=file,
        )
    for number, nonce in enumerate(_nonces(base)):
        sealed = _read_full(source, SEALED_CHUNK)
        sink.write(_open_chunk(aead, nonce, sealed, number, file))
        if len(sealed) < SEALED_CHUNK:
            return


def _derive(key: bytes, salt: bytes, context: bytes) -> tuple[AESGCM, int, bytes]:
    if len(key) != KEY_LENGTH or len(salt) != SALT_LENGTH:
        raise ValueError("a key has 32 bytes and a salt 24")
    length = KEY_LENGTH + _NONCE_LENGTH + COMMITMENT_LENGTH
    derived = HKDFExpand(hashes.SHA512(), length, _LABEL + salt + context).derive(key)
    base = int.from_bytes(derived[KEY_LENGTH : KEY_LENGTH + _NONCE_LENGTH], "big")
    return AESGCM(derived[:KEY_LENGTH]), base, derived[KEY_LENGTH + _NONCE_LENGTH :]


def _nonces(base: int) -> Iterator[bytes]:
    for number in range(MAX_CHUNKS):
        yield (base ^ number).to_bytes(_NONCE_LENGTH, "big")


def _open_chunk(aead: AESGCM, nonce: bytes, sealed: bytes, number: int, file: str | Path | None) -> bytes:
    if len(sealed) < TAG:
        raise CobblestoneError(
            Failure.PAYLOAD,
            tr(f"密文在第 {number + 1} 块处被截断", f"the ciphertext is cut off at chunk {number + 1}"),
            file=file,
        )
    try:
        return aead.decrypt(nonce, sealed, None)
    except InvalidTag:
        raise CobblestoneError(
            Failure.PAYLOAD,
            tr(
                f"第 {number + 1} 块未通过校验：已被改动、换位或截断",
                f"chunk {number + 1} is not authentic: changed, moved or cut off",
            ),
            file=file,
        ) from None


def _read_full(source: Source, size: int) -> bytes:
    """``size`` bytes, or fewer only at the end: a pipe may give less at a time."""
    data = source.read(size)
    while data and len(data) < size:
        more = source.read(size - len(data))
        if not more:
            break
        data += more
    return data
