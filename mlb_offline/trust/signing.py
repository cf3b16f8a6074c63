"""Ed25519 signing keys (RFC 8032)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mlb_offline.errors import TrustError, UsageError
from mlb_offline.language import tr
from mlb_offline.trust.fingerprint import fingerprint
from mlb_offline.trust.hybrid import RecipientKey

# RFC 8410, section 4: the DER of an Ed25519 SubjectPublicKeyInfo is this prefix and the 32 key bytes.
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
SPKI_LENGTH = 44

PURPOSE_LABEL = "mlb-offline signatures of: "
"""Before the PEM of a public key: what its signatures count for."""

_PUBLISHER_RECIPIENT = b"mlb-offline/v1/publisher-recipient"


@dataclass(frozen=True)
class VerifyKey:
    """A public Ed25519 key.

    Attributes:
        spki: DER of its SubjectPublicKeyInfo, 44 bytes (RFC 8410).
        demonstration: it came from a private key that is marked so; a PEM file cannot carry the mark.
        purpose: ``publisher``, ``report`` or ``reviewer``, the one thing that its signatures count for; None: no label
            restricts it, and it counts for bundles and reports (never for a reviewer's verdicts).
    """

    spki: bytes
    demonstration: bool = False
    purpose: str | None = None

    def __post_init__(self) -> None:
        if len(self.spki) != SPKI_LENGTH or not self.spki.startswith(_SPKI_PREFIX):
            raise TrustError(
                tr("不是 Ed25519 公钥", "not an Ed25519 public key"),
                remedy=tr("本版本只支持 Ed25519 签名公钥", "this version supports Ed25519 signing keys only"),
            )

    @cached_property
    def keyid(self) -> str:
        """SHA-256 of ``spki``, 64 hex digits."""
        return hashlib.sha256(self.spki).hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """The key's SHA-256 to be read aloud."""
        return fingerprint(bytes.fromhex(self.keyid))

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check a signature of 64 bytes.

        Raises:
            TrustError: it is not this key's signature over this message.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.spki[len(_SPKI_PREFIX) :]).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise TrustError(
                tr(
                    f"签名无效（公钥指纹 {self.fingerprint}）",
                    f"the signature is not valid (key fingerprint {self.fingerprint})",
                ),
                remedy=tr("文件已被改动或损坏，请重新获取", "the file was changed or damaged: obtain it again"),
            ) from None

    def to_pem(self) -> bytes:
        """The key as SPKI PEM, as ``openssl pkey -pubin`` reads it, after a line that names its purpose.

        Text before the first boundary is explanatory (RFC 7468, section 2): other programs pass it over.
        """
        key = Ed25519PublicKey.from_public_bytes(self.spki[len(_SPKI_PREFIX) :])
        label = "" if self.purpose is None else f"{PURPOSE_LABEL}{self.purpose}\n"
        return label.encode() + key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class SigningKey:
    """A private Ed25519 key of a publisher, of a report's signer or of a reviewer.

    Attributes:
        kind: ``publisher``, ``report`` or ``reviewer``.
        demonstration: what it signs is for demonstration only.
    """

    _private: Ed25519PrivateKey = field(repr=False)
    kind: str
    demonstration: bool = False

    @classmethod
    def from_seed(cls, seed: bytes, kind: str, *, demonstration: bool = False) -> Self:
        """The key of a 32-byte seed (RFC 8032, section 5.1.5)."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed), kind, demonstration)

    @cached_property
    def verify_key(self) -> VerifyKey:
        """The public half."""
        spki = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return VerifyKey(spki, self.demonstration, self.kind)

    @property
    def keyid(self) -> str:
        """SHA-256 of the public key's SPKI DER, 64 hex digits."""
        return self.verify_key.keyid

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of the message."""
        return self._private.sign(message)

    def publisher_recipient(self) -> RecipientKey:
        """The publisher's own recipient key, derived from the signing seed (docs/adr/0002).

        Raises:
            UsageError: this is no publisher key.
        """
        if self.kind != "publisher":
            raise UsageError(
                tr("该密钥不是发布者密钥", "this is not a publisher key"),
                remedy=tr(
                    "使用 mlb-offline keys new --kind publisher 生成的密钥",
                    "use a key made by: mlb-offline keys new --kind publisher",
                ),
            )
        return publisher_recipient(self._private.private_bytes_raw(), demonstration=self.demonstration)


def publisher_recipient(seed: bytes, *, demonstration: bool) -> RecipientKey:
    """HKDF-SHA256 (RFC 5869, no salt) of the 32-byte signing seed is the seed of the publisher's recipient key."""
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=_PUBLISHER_RECIPIENT).derive(seed)
    return RecipientKey.from_seed(derived, "publisher", demonstration=demonstration)
