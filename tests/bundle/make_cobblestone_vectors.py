"""Prints cobblestone_vectors.json, which stands beside it.

Run once; a test runs it again and compares. Vectors that fail are edits of those that open, so that the file stays
small: ``flip`` a byte, ``truncate`` to a length, ``append`` bytes, ``swap`` two chunks, or open with another ``key`` or
``context``.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json

from mlb_offline.bundle.cobblestone import encrypt

KEY = bytes(range(32))
CONTEXT = hashlib.sha256(b"a manifest core").digest()
PLAIN = hashlib.shake_128(b"mlb-offline cobblestone vectors").digest(2 * 16384 + 5)
SEALED = 16384 + 16

SIZES = {"empty": 0, "short": 11, "one chunk exactly": 16384, "two chunks and five bytes": 2 * 16384 + 5}

FAILURES = [
    ("nothing at all", "short", {"truncate": 0}, "header failure"),
    ("header one byte short", "short", {"truncate": 55}, "header failure"),
    ("header alone", "short", {"truncate": 56}, "payload failure"),
    ("tag one byte short", "empty", {"truncate": 71}, "payload failure"),
    ("salt changed", "short", {"flip": 0}, "no match"),
    ("commitment changed", "short", {"flip": 55}, "no match"),
    ("another key", "short", {"key": "ff" * 32}, "no match"),
    ("another context", "short", {"context": "00" * 32}, "no match"),
    ("no context", "short", {"context": ""}, "no match"),
    ("first byte of a chunk changed", "short", {"flip": 56}, "payload failure"),
    ("last byte of a tag changed", "short", {"flip": 56 + 11 + 15}, "payload failure"),
    ("second chunk changed", "two chunks and five bytes", {"flip": 56 + SEALED + 7}, "payload failure"),
    ("cut after the first full chunk", "one chunk exactly", {"truncate": 56 + SEALED}, "payload failure"),
    ("cut after the second full chunk", "two chunks and five bytes", {"truncate": 56 + 2 * SEALED}, "payload failure"),
    ("cut within a chunk", "two chunks and five bytes", {"truncate": 56 + SEALED + 100}, "payload failure"),
    ("one byte appended", "short", {"append": "00"}, "payload failure"),
    ("an empty chunk's worth appended", "one chunk exactly", {"append": "00" * 16}, "payload failure"),
    ("chunks in another order", "two chunks and five bytes", {"swap": [0, 1]}, "payload failure"),
]


def seal(plain: bytes, salt: bytes) -> bytes:
    sink = io.BytesIO()
    encrypt(io.BytesIO(plain), sink, KEY, CONTEXT, salt=salt)
    return sink.getvalue()


def edited(cipher: bytes, edit: dict[str, object]) -> bytes:
    """The ciphertext after one edit; ``key`` and ``context`` leave it alone."""
    changed = bytearray(cipher)
    match edit:
        case {"flip": int(offset)}:
            changed[offset] ^= 1
        case {"truncate": int(length)}:
            del changed[length:]
        case {"append": str(more)}:
            changed += bytes.fromhex(more)
        case {"swap": [int(a), int(b)]}:
            first, second = (slice(56 + n * SEALED, 56 + (n + 1) * SEALED) for n in (a, b))
            changed[first], changed[second] = cipher[second], cipher[first]
    return bytes(changed)


def vectors() -> dict[str, object]:
    opened = [
        {
            "name": name,
            "expect": "success",
            "plain_sha256": hashlib.sha256(PLAIN[:size]).hexdigest(),
            "cipher": base64.b64encode(seal(PLAIN[:size], bytes([number] * 24))).decode(),
        }
        for number, (name, size) in enumerate(SIZES.items(), start=1)
    ]
    refused = [{"name": name, "expect": expect, "base": base, "edit": edit} for name, base, edit, expect in FAILURES]
    return {
        "construction": "Cobblestone-256",
        "key": KEY.hex(),
        "context": CONTEXT.hex(),
        "vectors": opened + refused,
    }


if __name__ == "__main__":
    print(json.dumps(vectors(), indent=1))
