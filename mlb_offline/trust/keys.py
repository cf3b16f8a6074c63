"""Making and reading key files.

Four kinds: a *publisher* signs bundles (and, being always a recipient of its own bundles, has a recipient key
derived from its signing seed); a *hospital* opens bundles; a *report* key signs reports; a *reviewer* key
signs a physician's verdicts (docs/adr/0010).
"""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path

from mlb_offline.errors import InputError, UsageError
from mlb_offline.language import tr
from mlb_offline.trust.files import create, read_json, read_small, require_private
from mlb_offline.trust.hybrid import RecipientKey, RecipientPublicKey
from mlb_offline.trust.sealing import SEED_LENGTH, PrivateKeyFile, read_private, seal_seed
from mlb_offline.trust.signing import SigningKey, VerifyKey, publisher_recipient

__all__ = [
    "RECIPIENTS",
    "KeyKind",
    "RecipientKey",
    "RecipientPublicKey",
    "SigningKey",
    "VerifyKey",
    "load_recipient_key",
    "load_recipient_public",
    "load_signing_key",
    "needs_passphrase",
    "new_key",
    "read_passphrase",
]


class KeyKind(StrEnum):
    """What a key is for."""

    PUBLISHER = "publisher"
    HOSPITAL = "hospital"
    REPORT = "report"
    REVIEWER = "reviewer"


RECIPIENTS = frozenset({KeyKind.PUBLISHER, KeyKind.HOSPITAL})
"""Kinds that have a recipient key; every kind but ``hospital`` has a signing key."""


def new_key(kind: KeyKind, out: Path, passphrase: str | None, *, demonstration: bool = False) -> list[Path]:
    """Make a key and write its files, never over existing ones.

    Args:
        kind: what the key is for.
        out: folder, made where it does not exist.
        passphrase: protects the private file; None leaves it unprotected, which the file says.
        demonstration: mark the key as good for demonstrations only.

    Returns:
        the files written, the private one (mode 0600) first.

    Raises:
        InputError: a file exists already, or the folder cannot be written.
    """
    files = _key_files(KeyKind(kind), passphrase, demonstration)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            tr(f"无法创建文件夹：{error.strerror}", f"the folder cannot be made: {error.strerror}"),
            file=out,
            remedy=tr("选择另一个文件夹", "choose another folder"),
        ) from None
    written: list[Path] = []
    try:
        for name, data, mode in files:
            create(out / name, data, mode=mode)
            written.append(out / name)
    except InputError:
        # Half a key is worse than none: the next attempt would be refused for its sake.
        for path in written:
            path.unlink()
        raise
    return written


def _key_files(kind: KeyKind, passphrase: str | None, demonstration: bool) -> list[tuple[str, bytes, int]]:
    seed = os.urandom(SEED_LENGTH)
    private = seal_seed(seed, kind.value, passphrase, demonstration=demonstration)
    files = [(f"{kind}.key.json", _pretty(private.model_dump()), 0o600)]
    if kind is not KeyKind.HOSPITAL:
        pem = SigningKey.from_seed(seed, kind, demonstration=demonstration).verify_key.to_pem()
        files.append((f"{kind}.pub.pem", pem, 0o644))
    if kind in RECIPIENTS:
        public = _recipient(seed, kind, demonstration).public
        files.append((f"{kind}.recipient.json", _pretty(public.to_json()), 0o644))
    return files


def _pretty(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode("utf-8")


def _recipient(seed: bytes, kind: str, demonstration: bool) -> RecipientKey:
    if kind == KeyKind.PUBLISHER:
        return publisher_recipient(seed, demonstration=demonstration)
    return RecipientKey.from_seed(seed, kind, demonstration=demonstration)


def load_signing_key(path: Path, passphrase: str | None, *kinds: KeyKind) -> SigningKey:
    """Read a private key that signs, of one of these kinds; none given: a publisher's or one for reports.

    Raises:
        InputError: no such file, or no private key file.
        TrustError: others may read it, the passphrase is missing or wrong, or it was changed.
        UsageError: it is of another kind.
    """
    private = read_private(path)
    _expect(private, path, *(kinds or (KeyKind.PUBLISHER, KeyKind.REPORT)))
    seed = private.unseal(passphrase, file=path)
    return SigningKey.from_seed(seed, private.kind, demonstration=private.demonstration)


def load_recipient_key(path: Path, passphrase: str | None) -> RecipientKey:
    """Read a private key that opens bundles: a hospital's, or the one derived from a publisher's.

    Raises:
        InputError: no such file, or no private key file.
        TrustError: others may read it, the passphrase is missing or wrong, or it was changed.
        UsageError: it is a report or reviewer key, which opens nothing.
    """
    private = read_private(path)
    _expect(private, path, KeyKind.HOSPITAL, KeyKind.PUBLISHER)
    return _recipient(private.unseal(passphrase, file=path), private.kind, private.demonstration)


def _expect(private: PrivateKeyFile, path: Path, *kinds: KeyKind) -> None:
    if private.kind not in kinds:
        wanted = ", ".join(kinds)
        raise UsageError(
            tr(
                f"该密钥的用途为 {private.kind}，此处需要 {wanted}",
                f"this is a {private.kind} key; here one of kind {wanted} is needed",
            ),
            file=path,
            field="kind",
            remedy=tr("给出用途相符的密钥文件", "name a key file of that kind"),
        )


def load_recipient_public(path: Path) -> RecipientPublicKey:
    """Read a ``*.recipient.json`` file.

    Raises:
        InputError: no such file, or no recipient key.
        TrustError: its key id or fingerprint is not that of its key.
    """
    raw, _mode = read_json(path)
    return RecipientPublicKey.from_json(raw, file=path)


def needs_passphrase(path: Path) -> bool:
    """Whether a private key file is protected by a passphrase."""
    return read_private(path).passphrase


def read_passphrase(path: Path | None) -> str | None:
    """The passphrase in a file, without the line end after it; None where no file is named.

    Raises:
        InputError: the file cannot be read, is empty, no UTF-8 or more than one line.
        TrustError: others may read it.
    """
    if path is None:
        return None
    data, mode = read_small(path)
    require_private(path, mode, what=tr("口令文件", "passphrase file"))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or "\n" in text:
        raise InputError(
            tr("口令文件应恰有一行 UTF-8 文本", "a passphrase file holds exactly one line of UTF-8 text"),
            file=path,
            remedy=tr("把口令写在文件的第一行，其余为空", "write the passphrase on the first line and nothing else"),
        )
    return text
