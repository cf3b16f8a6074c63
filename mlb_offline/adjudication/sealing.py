"""Encryption of what passes between evaluator and physician, all under one 32-byte packet key.

Page, autosave and result have keys of their own: HKDF-SHA-256 (RFC 5869, no salt) of the packet key with the info
``mlb-offline/v1/adjudication/page`` (``autosave``, ``result``). Each record is AES-256-GCM with a random 12-byte nonce
and, as associated data, the canonical JSON of its format name and the packet's id, so none can stand for another's.
"""

from __future__ import annotations

import os
from typing import Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from mlb_offline.trust.canonical import canonical_json, decode_base64, encode_base64

Use = Literal["page", "autosave", "result"]

KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16
ITERATIONS = 600_000
"""Of PBKDF2-HMAC-SHA-256: what the OWASP password storage cheat sheet asks for (2023)."""

FORMATS: dict[Use, str] = {
    "page": "mlb-offline/adjudication-page/v1",
    "autosave": "mlb-offline/adjudication-autosave/v1",
    "result": "mlb-offline/adjudication-result/v1",
}


def derived(packet_key: bytes, use: Use) -> bytes:
    """The 32-byte key for one use."""
    label = f"mlb-offline/v1/adjudication/{use}".encode()
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=label).derive(packet_key)


def key_of_passphrase(passphrase: str, salt: bytes) -> bytes:
    """The 32-byte key under which a page's packet key is wrapped: PBKDF2 (RFC 8018) of the passphrase in UTF-8."""
    return PBKDF2HMAC(hashes.SHA256(), KEY_BYTES, salt, ITERATIONS).derive(passphrase.encode("utf-8"))


def seal(key: bytes, use: Use, packet_id: str, plain: bytes) -> dict[str, str]:
    """``{nonce, ciphertext}`` in base64, under a key that is used for nothing else."""
    nonce = os.urandom(NONCE_BYTES)
    ciphertext = AESGCM(key).encrypt(nonce, plain, _associated(use, packet_id))
    return {"nonce": encode_base64(nonce), "ciphertext": encode_base64(ciphertext)}


def unseal(key: bytes, use: Use, packet_id: str, sealed: dict[str, Any]) -> bytes | None:
    """What ``seal`` sealed; None where it was changed or sealed under another key or for another packet.

    Raises:
        ValueError: nonce or ciphertext is not canonical base64, or the nonce not 12 bytes.
    """
    nonce, ciphertext = decode_base64(sealed["nonce"]), decode_base64(sealed["ciphertext"])
    if len(nonce) != NONCE_BYTES:
        raise ValueError("nonce")
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, _associated(use, packet_id))
    except InvalidTag:
        return None


def _associated(use: Use, packet_id: str) -> bytes:
    return canonical_json({"format": FORMATS[use], "packet": packet_id})
