"""A second reader of bundles, written from docs/format.md alone.

It imports nothing of mlb_offline (a test parses its imports), so that what both accept is what the page says, and not
what one implementation happens to do. It is kept short, not friendly: every fault is a ``Refused``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime

import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

CORE = {
    "format",
    "series",
    "bundle",
    "title",
    "publisher",
    "demonstration",
    "datasets",
    "version",
    "issued",
    "expires",
    "minimum_tool",
    "canary",
}


class Refused(Exception):  # noqa: N818 - reads as what happened
    """The file is not what docs/format.md says; ``kind`` is an ``expect`` class for Cobblestone failures."""

    def __init__(self, kind):
        super().__init__(kind)
        self.kind = kind


def need(condition, kind):
    if not condition:
        raise Refused(kind)


def canonical(value):
    """RFC 8785 for what occurs here: ASCII keys, strings, booleans and integers."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def exact_json(data):
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise Refused("not JSON") from None
    need(canonical(value) == data, "not canonical")
    return value


def exact_base64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise Refused("not base64") from None
    need(base64.b64encode(data).decode() == text, "not canonical base64")
    return data


# Keys


def private_seed(text, passphrase=None):
    """The kind and the seed in a private key file."""
    file = json.loads(text)
    sealed = file.pop("sealed")
    scrypt = file["scrypt"]
    key = hashlib.scrypt(
        (passphrase if file["passphrase"] else "").encode(),
        salt=exact_base64(scrypt["salt"]),
        n=scrypt["n"],
        r=scrypt["r"],
        p=scrypt["p"],
        maxmem=2**28,
        dklen=32,
    )
    return file["kind"], AESGCM(key).decrypt(
        exact_base64(sealed["nonce"]), exact_base64(sealed["ciphertext"]), canonical(file)
    )


def publisher_recipient_seed(seed):
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"mlb-offline/v1/publisher-recipient").derive(seed)


def recipient(seed):
    """Key id and private key of a recipient seed."""
    expanded = hashlib.shake_256(seed).digest(96)
    kem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    curve = X25519PrivateKey.from_private_bytes(expanded[64:])
    public = kem.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return hashlib.sha256(public).hexdigest(), MLKEM768X25519PrivateKey(kem, curve)


# DSSE


def open_envelope(data, kind, trusted_spki):
    envelope = exact_json(data)
    need(isinstance(envelope, dict) and set(envelope) == {"payload", "payloadType", "signatures"}, "keys")
    need(envelope["payloadType"] == kind, "type")
    body = exact_base64(envelope["payload"])
    signatures = envelope["signatures"]
    need(isinstance(signatures, list) and 1 <= len(signatures) <= 8, "signatures")
    need(all(isinstance(entry, dict) and set(entry) == {"keyid", "sig"} for entry in signatures), "keys")
    ids = [entry["keyid"] for entry in signatures]
    need(all(isinstance(keyid, str) for keyid in ids) and ids == sorted(set(ids)), "order")
    keys = {hashlib.sha256(spki).hexdigest(): spki for spki in trusted_spki}
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(body), body)
    for entry in signatures:
        need(entry["keyid"] in keys, "not trusted")
        try:
            key = Ed25519PublicKey.from_public_bytes(keys[entry["keyid"]][-32:])
            key.verify(exact_base64(entry["sig"]), message)
        except InvalidSignature:
            raise Refused("signature") from None
    return body


# Cobblestone-256


def cobblestone_open(cipher, key, context):
    need(len(cipher) >= 56, "header failure")
    salt, commitment, rest = cipher[:24], cipher[24:56], cipher[56:]
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + salt + context
    derived = HKDFExpand(hashes.SHA512(), 76, info).derive(key)
    need(hmac.compare_digest(derived[44:], commitment), "no match")
    need(len(rest) % 16400 >= 16, "payload failure")
    plain = []
    for number in range(len(rest) // 16400 + 1):
        nonce = bytes(a ^ b for a, b in zip(derived[32:44], number.to_bytes(12, "big"), strict=True))
        try:
            chunk = rest[number * 16400 : (number + 1) * 16400]
            plain.append(AESGCM(derived[:32]).decrypt(nonce, chunk, None))
        except InvalidTag:
            raise Refused("payload failure") from None
    return b"".join(plain)


# Bundle


def open_bundle(data, trusted_spki, seed, now):
    """The manifest and, for each dataset, (prompt, judge, items), of a bundle's bytes."""
    need(data[:8] == b"\x89MLBB\r\n\x1a" and len(data) >= 12, "magic")
    length = int.from_bytes(data[8:12], "big")
    need(2 <= length <= 8 * 2**20 and 12 + length <= len(data), "length")
    kind = "application/vnd.mlb-offline.bundle.v1+json"
    manifest = exact_json(open_envelope(data[12 : 12 + length], kind, trusted_spki))
    need(set(manifest) == {"core", "payload", "recipients"} and set(manifest["core"]) == CORE, "keys")
    core, payload, cipher = manifest["core"], manifest["payload"], data[12 + length :]
    need(core["format"] == "mlb-offline/bundle/v1", "format")
    need(datetime.fromisoformat(core["issued"]).timestamp() <= now.timestamp() + 86400, "not yet")
    need(now < datetime.fromisoformat(core["expires"]), "expired")
    context = hashlib.sha256(canonical(core)).digest()
    keyid, key = recipient(seed)
    wrapped = [entry["wrapped"] for entry in manifest["recipients"] if entry["keyid"] == keyid]
    need(len(wrapped) == 1, "recipient")
    try:
        suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
        content_key = suite.decrypt(exact_base64(wrapped[0]), key, info=context)
    except (InvalidTag, ValueError):
        raise Refused("unwrap") from None
    need(len(cipher) == payload["cipher_length"], "cipher length")
    need(hashlib.sha256(cipher).hexdigest() == payload["cipher_sha256"], "cipher hash")
    plain = cobblestone_open(cipher, content_key, context)
    need(len(plain) == payload["plain_length"], "plain length")
    need(hashlib.sha256(plain).hexdigest() == payload["plain_sha256"], "plain hash")
    return manifest, read_plain(plain, core)


def read_plain(plain, core):
    datasets = {}
    for entry in core["datasets"]:
        frame = zstandard.ZstdDecompressor(max_window_size=8 * 2**20).decompressobj()
        text = frame.decompress(plain)
        need(frame.eof and text.endswith(b"\n"), "frame")
        plain = frame.unused_data
        head, prompt, *items = [json.loads(line) for line in text[:-1].split(b"\n")]
        announced = {key: entry[key] for key in ("id", "metric", "items")}
        need(head == announced | {"type": "dataset", "canary": core["canary"]}, "dataset record")
        announced = entry.get("judge_prompt", hashlib.sha256(prompt.get("judge", "").encode()).hexdigest())
        need(announced == hashlib.sha256(prompt.get("judge", "").encode()).hexdigest(), "judge prompt")
        need(prompt["type"] == "prompt" and all(item["type"] == "item" for item in items), "records")
        need(len({item["item"]["id"] for item in items}) == len(items) == entry["items"], "items")
        datasets[entry["id"]] = (prompt["text"], prompt.get("judge"), [item["item"] for item in items])
    need(plain == b"", "after the last frame")
    return datasets
