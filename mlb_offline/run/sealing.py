"""Encryption of what a run keeps: AES-256-GCM under a run key that only the hospital's private key unwraps.

Each record has its own random 96-bit nonce (a run stays far below the 2^32 records that NIST SP 800-38D
allows for random nonces under one key) and is bound, as additional data, to the canonical JSON of the place
where it belongs, so that no record can be moved to another item, attempt or run.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mlb_offline.errors import TrustError
from mlb_offline.language import tr
from mlb_offline.run.rows import Header
from mlb_offline.trust.fingerprint import fingerprint
from mlb_offline.trust.keys import RecipientKey

KEY_BYTES = 32
NONCE_BYTES = 12
_WRAP_LABEL = "mlb-offline/v1/run-key"


@dataclass(frozen=True)
class Place:
    """Where a record belongs: ``kind`` is ``response``, ``failure`` or ``opinions``, ``attempt`` counts from 1."""

    dataset: str
    item: str
    repeat: int
    kind: str
    attempt: int


@dataclass(frozen=True)
class Sealed:
    """One encrypted record: 12-byte nonce, ciphertext with its 16-byte tag."""

    nonce: bytes
    ciphertext: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of nonce and ciphertext, 64 hex digits: what the event log names the record by."""
        return hashlib.sha256(self.nonce + self.ciphertext).hexdigest()


def wrap_info(run_id: str, identity_sha256: str) -> bytes:
    """HPKE ``info`` that binds a wrapped run key to one run and its identity."""
    return rfc8785.dumps({"identity": identity_sha256, "label": _WRAP_LABEL, "run": run_id})


def new_secret() -> bytes:
    """32 random bytes for a new run."""
    return os.urandom(KEY_BYTES)


class RunKey:
    """The key of one run, ready to seal and open its records."""

    def __init__(self, secret: bytes, run_id: str) -> None:
        self._cipher = AESGCM(secret)
        self._run_id = run_id

    def _bound_to(self, place: Place) -> bytes:
        return rfc8785.dumps(
            {
                "attempt": place.attempt,
                "dataset": place.dataset,
                "item": place.item,
                "kind": place.kind,
                "repeat": place.repeat,
                "run": self._run_id,
            }
        )

    def seal(self, place: Place, plain: bytes) -> Sealed:
        """Encrypt one record for its place."""
        nonce = os.urandom(NONCE_BYTES)
        return Sealed(nonce, self._cipher.encrypt(nonce, plain, self._bound_to(place)))

    def open(self, place: Place, sealed: Sealed) -> bytes:
        """Decrypt one record.

        Raises:
            TrustError: it was altered, moved here from another place, or made under another key.
        """
        try:
            return self._cipher.decrypt(sealed.nonce, sealed.ciphertext, self._bound_to(place))
        except (InvalidTag, ValueError):
            raise TrustError(
                tr(
                    f"无法解密记录：{place.dataset} {place.item}（第 {place.repeat} 次重复）已被改动",
                    f"the record of {place.dataset} {place.item} (repeat {place.repeat}) was altered",
                ),
                remedy=tr("从备份恢复运行目录，或重新运行", "restore the run folder from a backup, or run again"),
            ) from None


def unwrap_run_key(header: Header, key: RecipientKey, file: Path) -> RunKey:
    """The key of a run, if ``key`` is the one it was wrapped for.

    Raises:
        TrustError: it is not.
    """
    if key.keyid != header.recipient:
        wanted = fingerprint(bytes.fromhex(header.recipient))
        raise TrustError(
            tr("这次运行是为另一把接收密钥加密的", "this run is encrypted for another recipient key"),
            file=file,
            remedy=tr(
                f"用 --key 给出开始运行时的密钥（指纹 {wanted}）",
                f"give --key the key the run was started with (fingerprint {wanted})",
            ),
        )
    return RunKey(key.unwrap(header.wrapped_key, wrap_info(header.id, header.identity_sha256)), header.id)
