"""DSSE envelopes (secure-systems-lab/dsse, protocol v1), read strictly.

DSSE authenticates neither the key id nor the spelling of base64 and JSON. So that every byte of an envelope
counts, this reader accepts exactly one spelling of it:

1. The envelope is canonical JSON (RFC 8785) with exactly ``payload``, ``payloadType`` and ``signatures``.
2. ``payload`` and every ``sig`` are canonical base64.
3. Each signature has exactly ``keyid`` and ``sig``; key ids are SHA-256 of the signer's SPKI DER, in ascending
   order, none twice; there are 1 to 8 of them.
4. Every signature is checked and valid: one by a key that is not known cannot be checked, and is refused.
5. At least one is by a trusted key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mlb_offline.errors import TrustError
from mlb_offline.language import tr
from mlb_offline.trust.canonical import canonical_json, decode_base64, encode_base64, parse_canonical
from mlb_offline.trust.signing import VerifyKey

MAX_SIGNATURES = 8
_KEYID = re.compile(r"[0-9a-f]{64}")


class Signer(Protocol):
    """Whatever can sign: a key in memory, a card, a module."""

    @property
    def keyid(self) -> str:
        """SHA-256 of the signer's SPKI DER, 64 hex digits."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature over the message."""
        ...


def pae(payload_type: str, body: bytes) -> bytes:
    """The bytes that are signed: ``"DSSEv1" SP len(type) SP type SP len(body) SP body``, lengths in bytes."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def sign_envelope(payload_type: str, body: bytes, signers: Sequence[Signer]) -> bytes:
    """The canonical JSON bytes of an envelope over ``body``, signed by each signer, in order of key id."""
    message = pae(payload_type, body)
    signatures = [
        {"keyid": signer.keyid, "sig": encode_base64(signer.sign(message))}
        for signer in sorted(signers, key=lambda signer: signer.keyid)
    ]
    return canonical_json({"payload": encode_base64(body), "payloadType": payload_type, "signatures": signatures})


def read_unverified(data: bytes, payload_type: str, *, file: str | Path) -> tuple[bytes, tuple[str, ...]]:
    """The body of an envelope and the key ids it names, with **nothing** verified.

    Raises:
        TrustError: the envelope is not spelled as the rules above say.
    """
    body, signatures = _parse(data, payload_type, file)
    return body, tuple(signatures)


def open_envelope(
    data: bytes,
    payload_type: str,
    trusted: Iterable[VerifyKey],
    *,
    file: str | Path,
    known: Iterable[VerifyKey] = (),
) -> tuple[bytes, tuple[VerifyKey, ...]]:
    """Check an envelope and give its body.

    Args:
        data: the envelope's bytes.
        payload_type: the only type accepted.
        trusted: keys of which at least one must have signed.
        file: where the envelope comes from, for messages.
        known: keys that are not trusted but whose signatures can be checked, such as those of cosigners.

    Returns:
        the signed body, and the trusted keys that signed it, in order of key id.

    Raises:
        TrustError: any of the rules above does not hold.
    """
    body, signatures = _parse(data, payload_type, file)
    trust = {key.keyid: key for key in trusted}
    keys = {key.keyid: key for key in known} | trust
    unknown = [keyid for keyid in signatures if keyid not in keys]
    if unknown or not any(keyid in trust for keyid in signatures):
        raise TrustError(
            tr(
                f"签名者不在可信密钥之中：{', '.join(unknown or signatures)}",
                f"signed by a key that is not trusted: {', '.join(unknown or signatures)}",
            ),
            file=file,
            remedy=tr(
                "用 --trust 给出签名者用于此用途的公钥（指纹须经可靠途径核对）",
                "name the signer's public key for this purpose with --trust, after comparing its fingerprint by a "
                "reliable way",
            ),
        )
    message = pae(payload_type, body)
    for keyid, signature in signatures.items():
        try:
            keys[keyid].verify(signature, message)
        except TrustError as error:
            raise TrustError(error.message, remedy=error.remedy, file=file) from None
    return body, tuple(trust[keyid] for keyid in signatures if keyid in trust)


def _parse(data: bytes, payload_type: str, file: str | Path) -> tuple[bytes, Mapping[str, bytes]]:
    try:
        envelope = parse_canonical(data)
        body = decode_base64(_exact(envelope, {"payload", "payloadType", "signatures"})["payload"])
        signatures = _signatures(envelope["signatures"])
    except ValueError as error:
        raise TrustError(
            tr(f"签名信封格式不符：{error}", f"the signed envelope is malformed: {error}"),
            file=file,
            remedy=tr("文件已被改动或损坏，请重新获取", "the file was changed or damaged: obtain it again"),
        ) from None
    if envelope["payloadType"] != payload_type:
        raise TrustError(
            tr(
                f"签名内容的类型为 {envelope['payloadType']!r}，应为 {payload_type!r}",
                f"the signed content is of type {envelope['payloadType']!r}, it must be {payload_type!r}",
            ),
            file=file,
            field="payloadType",
            remedy=tr("这是另一种文件，请核对文件", "this is another kind of file: check which file it is"),
        )
    return body, signatures


def _exact(value: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != keys:
        names = ", ".join(sorted(keys))
        raise ValueError(tr(f"键应恰为 {names}", f"the keys must be exactly {names}"))
    return value


def _signatures(value: Any) -> dict[str, bytes]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_SIGNATURES:
        raise ValueError(tr(f"签名数应为 1–{MAX_SIGNATURES}", f"there must be 1 to {MAX_SIGNATURES} signatures"))
    signatures = {}
    for entry in value:
        keyid = _exact(entry, {"keyid", "sig"})["keyid"]
        # It is shown before anything is verified: let nothing else through.
        if not isinstance(keyid, str) or not _KEYID.fullmatch(keyid):
            raise ValueError(tr("keyid 不是 64 位十六进制", "a keyid is not 64 hex digits"))
        signatures[keyid] = decode_base64(entry["sig"])
    if [entry["keyid"] for entry in value] != sorted(signatures):
        raise ValueError(
            tr("签名未按互异的 keyid 升序排列", "signatures are not in ascending order of distinct key ids")
        )
    return signatures
