"""Which public keys are trusted: those named on the command line, and no others.

A key found inside a file is never trusted, and there is no trust on first use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from mlb_offline.errors import InputError, TrustError
from mlb_offline.language import tr
from mlb_offline.trust.files import read_small
from mlb_offline.trust.signing import PURPOSE_LABEL, VerifyKey

_PURPOSES = ("publisher", "report", "reviewer")
_LABEL_NEEDED = frozenset({"reviewer"})
"""Purposes for which a key counts only where its file says so (docs/adr/0010)."""
_CERTIFICATE_SUFFIXES = frozenset({".crt", ".cer", ".der", ".p7b", ".p7c"})


@dataclass(frozen=True)
class TrustSet:
    """Trusted public keys, each once, in the order in which they were named."""

    keys: tuple[VerifyKey, ...]

    def of(self, purpose: str) -> tuple[VerifyKey, ...]:
        """Those whose signatures count for ``publisher``, ``report`` or ``reviewer``.

        A key trusted for one seals nothing of another. One whose file has no label counts for bundles and reports.
        """
        accepted = {purpose} if purpose in _LABEL_NEEDED else {None, purpose}
        return tuple(key for key in self.keys if key.purpose in accepted)

    def find(self, keyid: str) -> VerifyKey | None:
        """The trusted key of that id."""
        return next((key for key in self.keys if key.keyid == keyid), None)


def load_trust(paths: Sequence[Path]) -> TrustSet:
    """Read trusted keys from SPKI PEM files, or from folders of them (``*.pem``).

    Raises:
        InputError: a path that cannot be read, holds no public key, or is a folder without any.
        TrustError: a certificate or a key of another algorithm, which this version does not support.
    """
    keys: dict[str, VerifyKey] = {}
    for path in paths:
        for file in _files(path):
            key = load_public_key(file)
            keys.setdefault(key.keyid, key)
    if not keys:
        raise InputError(
            tr("没有给出可信公钥", "no trusted public key was named"),
            remedy=tr("用 --trust 给出公钥文件或文件夹", "name a public key or a folder of them with --trust"),
        )
    return TrustSet(tuple(keys.values()))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise InputError(
            tr(f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}"),
            file=path,
            remedy=tr("核对路径与权限", "check the path and the permissions"),
        ) from None
    for entry in entries:
        # Passing over one would leave an operator believing that it is trusted.
        if entry.suffix.lower() in _CERTIFICATE_SUFFIXES:
            raise _certificate(entry)
    files = [entry for entry in entries if entry.suffix == ".pem"]
    if not files:
        raise InputError(
            tr("文件夹中没有 *.pem 公钥", "there is no *.pem public key in this folder"),
            file=path,
            remedy=tr("把发布者的 publisher.pub.pem 放入其中", "put the publisher's publisher.pub.pem there"),
        )
    return files


def load_public_key(path: Path) -> VerifyKey:
    """Read one SPKI PEM public key.

    Raises:
        InputError: no such file, no public key, or more than one.
        TrustError: a certificate or a key of another algorithm.
    """
    data, _mode = read_small(path)
    if b"-----BEGIN CERTIFICATE" in data or path.suffix.lower() in _CERTIFICATE_SUFFIXES:
        raise _certificate(path)
    if b"PRIVATE KEY" in data:
        raise InputError(
            tr("这是私钥，不是公钥", "this is a private key, not a public one"),
            file=path,
            remedy=tr(
                "给出 *.pub.pem 文件；私钥不要外传", "name the *.pub.pem file, and keep the private key to yourself"
            ),
        )
    if data.count(b"-----BEGIN PUBLIC KEY-----") != 1 or data.count(b"-----BEGIN") != 1:
        raise InputError(
            tr("应恰含一个 PEM 公钥", "there must be exactly one PEM public key in it"),
            file=path,
            remedy=tr("每个文件放一个公钥（SPKI PEM）", "put one public key (SPKI PEM) in each file"),
        )
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(
            tr("PEM 公钥无法解析", "the PEM public key cannot be parsed"),
            file=path,
            remedy=tr("重新获取该公钥文件", "obtain the public key file again"),
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise TrustError(
            tr("本版本只支持 Ed25519 公钥", "this version supports Ed25519 public keys only"),
            file=path,
            remedy=tr("请签名者使用 Ed25519 密钥", "ask the signer for an Ed25519 key"),
        )
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return VerifyKey(spki, purpose=_purpose(data, path))


def _purpose(data: bytes, path: Path) -> str | None:
    _before, label, rest = data.partition(b"-----BEGIN")[0].partition(PURPOSE_LABEL.encode())
    if not label:
        return None
    purpose = rest.strip().decode("utf-8", "replace")
    if purpose not in _PURPOSES:
        raise InputError(
            tr(f"公钥的用途“{purpose[:40]}”未知", f"the purpose {purpose[:40]!r} of this key is not known"),
            file=path,
            remedy=tr(f"应为 {'、'.join(_PURPOSES)} 之一", f"it must be one of {', '.join(_PURPOSES)}"),
        )
    return purpose


def _certificate(path: Path) -> TrustError:
    return TrustError(
        tr("本版本不支持 X.509 证书", "X.509 certificates are not supported by this version"),
        file=path,
        remedy=tr("改用 Ed25519 公钥（SPKI PEM）", "use an Ed25519 public key (SPKI PEM) instead"),
    )
