"""Recipient keys: MLKEM768-X25519 (X-Wing, draft-connolly-cfrg-xwing-kem) used through HPKE (RFC 9180).

A private key is a 32-byte seed; SHAKE-256 expands it to 96 bytes, 64 for ML-KEM-768 and 32 for X25519. A public
key is 1,216 bytes: 1,184 of ML-KEM-768, then 32 of X25519. A wrapped secret is 1,120 bytes of encapsulation and
the AES-256-GCM ciphertext with its tag: 1,168 bytes for a secret of 32.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from mlb_offline.errors import InputError, TrustError
from mlb_offline.language import tr
from mlb_offline.trust.canonical import decode_base64, encode_base64
from mlb_offline.trust.fingerprint import fingerprint

KEM_NAME: Final = "MLKEM768-X25519"
PUBLIC_FORMAT = "mlb-offline/recipient/v1"
PUBLIC_LENGTH = 1216
ENCAPSULATION_LENGTH = 1120
WRAPPED_LENGTH = ENCAPSULATION_LENGTH + 32 + 16
_MLKEM_PUBLIC = 1184
_RECIPIENT_KINDS = frozenset({"publisher", "hospital"})
_FIELDS = frozenset({"format", "kind", "kem", "public_key", "keyid", "fingerprint", "demonstration"})

_suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def expand_seed(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    """The two private keys of a 32-byte X-Wing seed (draft, section 5.2)."""
    expanded = hashlib.shake_256(seed).digest(96)
    return (
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        X25519PrivateKey.from_private_bytes(expanded[64:]),
    )


@dataclass(frozen=True)
class RecipientPublicKey:
    """Whom something is sealed for.

    Attributes:
        raw: the 1,216 public bytes.
        kind: ``hospital`` or ``publisher``.
        demonstration: for demonstration only.
    """

    raw: bytes
    kind: str
    demonstration: bool = False

    @cached_property
    def keyid(self) -> str:
        """SHA-256 of ``raw``, 64 hex digits."""
        return hashlib.sha256(self.raw).hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """The key's SHA-256 to be read aloud."""
        return fingerprint(bytes.fromhex(self.keyid))

    @cached_property
    def _public(self) -> MLKEM768X25519PublicKey:
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(self.raw[:_MLKEM_PUBLIC]),
            X25519PublicKey.from_public_bytes(self.raw[_MLKEM_PUBLIC:]),
        )

    def wrap(self, secret: bytes, info: bytes) -> bytes:
        """Seal a secret for this recipient: HPKE base mode, ``info`` as given, no associated data.

        Returns:
            encapsulation ‖ ciphertext ‖ tag; 1,168 bytes for a secret of 32.
        """
        return _suite.encrypt(secret, self._public, info=info)

    def to_json(self) -> dict[str, Any]:
        """The key as the JSON object of a ``*.recipient.json`` file."""
        return {
            "format": PUBLIC_FORMAT,
            "kind": self.kind,
            "kem": KEM_NAME,
            "public_key": encode_base64(self.raw),
            "keyid": self.keyid,
            "fingerprint": self.fingerprint,
            "demonstration": self.demonstration,
        }

    @classmethod
    def from_json(cls, raw: Any, *, file: str | Path) -> Self:
        """Read the JSON object of a ``*.recipient.json`` file.

        Raises:
            InputError: it is no such object.
            TrustError: its key id or fingerprint is not that of its key.
        """
        if not isinstance(raw, dict) or set(raw) != _FIELDS or raw["format"] != PUBLIC_FORMAT:
            raise _not_recipient(file, None)
        if raw["kem"] != KEM_NAME:
            raise _not_recipient(file, "kem")
        if raw["kind"] not in _RECIPIENT_KINDS:
            raise _not_recipient(file, "kind")
        if not isinstance(raw["demonstration"], bool):
            raise _not_recipient(file, "demonstration")
        try:
            key = cls(decode_base64(raw["public_key"]), raw["kind"], raw["demonstration"])
            _ = key._public  # made here so that bytes that are no key fail here
        except ValueError:
            raise _not_recipient(file, "public_key") from None
        for name, value in (("keyid", key.keyid), ("fingerprint", key.fingerprint)):
            if raw[name] != value:
                raise TrustError(
                    tr("与公钥不符", "does not belong to the public key"),
                    file=file,
                    field=name,
                    remedy=tr(
                        "文件已被改动；向持有人重新索取并核对指纹",
                        "the file was changed: obtain it from its owner again and compare the fingerprint",
                    ),
                )
        return key


def _not_recipient(file: str | Path, field: str | None) -> InputError:
    return InputError(
        tr("不是接收公钥文件", "not a recipient public key file"),
        file=file,
        field=field,
        remedy=tr("使用 keys new 写出的 *.recipient.json 文件", "use a *.recipient.json file that keys new wrote"),
    )


@dataclass(frozen=True)
class RecipientKey:
    """A private recipient key.

    Attributes:
        kind: ``hospital`` or ``publisher``.
        demonstration: for demonstration only.
    """

    _private: MLKEM768X25519PrivateKey = field(repr=False)
    public: RecipientPublicKey

    @classmethod
    def from_seed(cls, seed: bytes, kind: str, *, demonstration: bool = False) -> Self:
        """The key of a 32-byte X-Wing seed."""
        mlkem, x25519 = expand_seed(seed)
        raw = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        return cls(MLKEM768X25519PrivateKey(mlkem, x25519), RecipientPublicKey(raw, kind, demonstration))

    @property
    def keyid(self) -> str:
        """The public key's id."""
        return self.public.keyid

    @property
    def demonstration(self) -> bool:
        """Whether the key is for demonstration only."""
        return self.public.demonstration

    def unwrap(self, wrapped: bytes, info: bytes) -> bytes:
        """Open what ``RecipientPublicKey.wrap`` sealed with the same ``info``.

        Raises:
            TrustError: it was sealed for another key or another ``info``, or was changed.
        """
        try:
            return _suite.decrypt(wrapped, self._private, info=info)
        except (InvalidTag, ValueError):
            raise TrustError(
                tr("密钥封装无法打开", "the wrapped key does not open"),
                remedy=tr(
                    f"它不是为指纹 {self.public.fingerprint} 的密钥封装的，或已被改动",
                    f"it was not sealed for the key with fingerprint {self.public.fingerprint}, or was changed",
                ),
            ) from None
