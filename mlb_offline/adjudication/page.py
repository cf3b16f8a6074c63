"""The page in which a physician settles a packet: one HTML file that opens without network, script and style inline.

Content is encrypted as ``sealing`` says: the passphrase unwraps the packet key, the packet key opens the packet. The
script's parts are joined in the order of ``_SCRIPTS`` and run as one, named by its hash in the page's policy.
"""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import resources
from string import Template

from mlb_offline.adjudication.packet import Packet
from mlb_offline.adjudication.sealing import (
    FORMATS,
    ITERATIONS,
    KEY_BYTES,
    SALT_BYTES,
    derived,
    key_of_passphrase,
    seal,
)
from mlb_offline.errors import UsageError
from mlb_offline.language import tr
from mlb_offline.trust.canonical import canonical_json, encode_base64

MIN_PASSPHRASE = 12
_SCRIPTS = (
    "codec.js",
    "scrypt.js",
    "vault.js",
    "signing.js",
    "result.js",
    "work.js",
    "view.js",
    "dialogs.js",
    "start.js",
)


def build_page(packet: Packet, passphrase: str, key: bytes) -> bytes:
    """The page of a packet.

    Args:
        packet: what is to be settled.
        passphrase: opens the page; goes to the physician by another way than the page.
        key: the packet key, 32 bytes; whoever takes in the result needs it again.

    Returns:
        one HTML file, UTF-8.

    Raises:
        UsageError: the passphrase is shorter than ``MIN_PASSPHRASE`` characters, or no Unicode text.
        ValueError: the key is not 32 bytes.
    """
    if len(key) != KEY_BYTES:
        raise ValueError("a packet key is 32 bytes")
    check_passphrase(passphrase)
    script = '"use strict";\n' + "".join(_part(name) for name in _SCRIPTS)
    style = _part("page.css")
    page = Template(_part("page.html")).substitute(
        policy=f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'",
        script=script,
        style=style,
        sealed=canonical_json(_sealed(packet, passphrase, key)).decode("ascii"),
    )
    return page.encode("utf-8")


def check_passphrase(passphrase: str) -> None:
    """Refuse a passphrase that protects nothing.

    Raises:
        UsageError: it is shorter than ``MIN_PASSPHRASE`` characters, or no Unicode text.
    """
    try:
        passphrase.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(
            tr("口令不是有效文本", "the passphrase is no valid text"),
            remedy=tr("使用 UTF-8 文本作口令", "use UTF-8 text as passphrase"),
        ) from None
    if len(passphrase) < MIN_PASSPHRASE:
        raise UsageError(
            tr(f"口令少于 {MIN_PASSPHRASE} 个字符", f"the passphrase has fewer than {MIN_PASSPHRASE} characters"),
            remedy=tr(
                "使用更长的口令，例如四个以上不相关的词",
                "use a longer one, such as four unrelated words or more",
            ),
        )


def _sealed(packet: Packet, passphrase: str, key: bytes) -> dict[str, object]:
    salt = os.urandom(SALT_BYTES)
    return {
        "format": FORMATS["page"],
        "packet": packet.id,
        "pbkdf2": {"iterations": ITERATIONS, "salt": encode_base64(salt)},
        "wrapped": seal(key_of_passphrase(passphrase, salt), "page", packet.id, key),
        "content": seal(derived(key, "page"), "page", packet.id, packet.content),
    }


def _part(name: str) -> str:
    return (resources.files("mlb_offline.adjudication") / "templates" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
