"""Opening a bundle: claim after claim, forward only.

The order in which claims are checked, each only once all before it hold:

1. The file is ``magic ‖ length ‖ envelope ‖ payload``, read through one descriptor.
2. The envelope is signed, by a pinned publisher key; only now is the manifest looked at.
3. The tool is new enough, the bundle in force, its datasets known; with a state folder, the clock has not been set
   back and no newer version was opened here before.
4. The key given is among the recipients, and unwraps the content key for this very core.
5. The payload is exactly as long as signed, and its SHA-256 is the signed one (first pass).
6. The key commitment matches, and every chunk is authentic (second pass, same descriptor, hashed again).
7. What came out has the signed length and SHA-256; only now is it decompressed and parsed.
8. Its records are exactly what the manifest announces.

Every step takes the result of the one before, and that is the only way to get one, so unverified data cannot be
reached from a later step. Between 6 and 7 the compressed plaintext (smaller than the items made from it) is held in
memory, never on disk. The state folder is advanced only when all of it held.
"""

from __future__ import annotations

import hashlib
import hmac
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlb_offline.benchmark.catalogue import Dataset
from mlb_offline.bundle import cobblestone
from mlb_offline.bundle.container import Container, open_container
from mlb_offline.bundle.manifest import PAYLOAD_TYPE, Manifest, format_time, parse_manifest
from mlb_offline.bundle.payload import OpenedDataset, read_payload
from mlb_offline.bundle.state import Seen, State
from mlb_offline.bundle.validity import (
    Rollback,
    check_catalogue,
    check_clock,
    check_dates,
    check_tool,
    find_rollback,
    refuse_rollback,
)
from mlb_offline.errors import TrustError
from mlb_offline.language import tr
from mlb_offline.trust.canonical import decode_base64
from mlb_offline.trust.dsse import open_envelope, read_unverified
from mlb_offline.trust.keys import RecipientKey, VerifyKey
from mlb_offline.trust.store import TrustSet

__all__ = ["OpenedBundle", "OpenedDataset", "Verified", "open_bundle", "show_bundle", "verify_bundle"]


@dataclass(frozen=True)
class OpenedBundle:
    """A bundle all of whose claims held.

    Attributes:
        manifest: as signed.
        publisher: the trusted key that signed it.
        file_sha256: of the whole file, 64 hex digits.
        datasets: by id, in the manifest's order.
        rollback: a newer version than this was used here before, and going back was allowed explicitly.
    """

    manifest: Manifest
    publisher: VerifyKey
    file_sha256: str
    datasets: Mapping[str, OpenedDataset]
    rollback: Rollback | None


@dataclass(frozen=True)
class Verified:
    """What could be proved of a bundle without opening it for use.

    Attributes:
        proved: names of the claims that held, in order.
        unproved: names of those that could not be checked without a recipient key, or without a state folder.
    """

    manifest: Manifest
    publisher: VerifyKey
    file_sha256: str
    proved: tuple[str, ...]
    unproved: tuple[str, ...]


@dataclass(frozen=True)
class _Signed:
    manifest: Manifest
    publisher: VerifyKey


@dataclass(frozen=True)
class _InForce:
    signed: _Signed
    datasets: Mapping[str, Dataset]


@dataclass(frozen=True)
class _Unwrapped:
    in_force: _InForce
    content_key: bytes


@dataclass(frozen=True)
class _Intact:
    in_force: _InForce
    file_sha256: str


PUBLIC_CLAIMS = ("publisher-key", "signature", "validity", "payload-length", "payload-sha256")
KEY_CLAIMS = ("recipient", "commitment", "chunks", "content-sha256", "content")
STATE_CLAIMS = ("no-rollback",)


def open_bundle(
    path: Path,
    trust: TrustSet,
    key: RecipientKey,
    *,
    state: State,
    now: datetime,
    allow_rollback: bool = False,
    in_use: str | None = None,
) -> OpenedBundle:
    """Open a bundle; ``remember_bundle`` says that it is used.

    Args:
        path: the ``.mlbb`` file.
        trust: pinned publisher keys.
        key: the recipient's private key.
        state: remembers the versions used.
        now: the time, with its zone.
        allow_rollback: open an older version than one used here before.
        in_use: SHA-256 (hex) of the core of the bundle that a run began with: it was new enough then, and a newer
            one seen since does not stop that run.

    Raises:
        InputError: no such file.
        TrustError: the first claim that does not hold.
    """
    with open_container(path) as container:
        signed = _check_signature(container, trust)
        in_force = _check_validity(signed, now, path)
        check_clock(signed.publisher.keyid, state, now, file=path)
        rollback = None
        if signed.manifest.core_digest().hex() != in_use:
            rollback = find_rollback(signed.manifest.core, signed.publisher.keyid, state)
        if rollback is not None and not allow_rollback:
            raise refuse_rollback(signed.manifest.core, rollback, file=path)
        unwrapped = _unwrap(in_force, key, path)
        intact = _check_payload_hash(container, in_force)
        datasets = _open_payload(container, unwrapped, intact)
    return OpenedBundle(signed.manifest, signed.publisher, intact.file_sha256, datasets, rollback)


def remember_bundle(opened: OpenedBundle, state: State, now: datetime) -> str:
    """Record that a run uses this bundle: from now on its datasets may not go back behind it.

    Apart from ``open_bundle``, so that a look at a newer bundle, or a start that failed, does not stop a run that is
    under way with an older one.

    Returns:
        how the state folder stood: ``created`` (first use: nothing earlier can be remembered), ``first-seen``,
        ``advanced``, ``unchanged`` or ``override``.

    Raises:
        InputError: the state folder cannot be written.
    """
    core, publisher, rollback = opened.manifest.core, opened.publisher.keyid, opened.rollback
    ids = [entry.id for entry in core.datasets]
    known = any(state.rollback(publisher, core.series, dataset) for dataset in ids)
    if rollback is not None:
        state.record_override(
            {
                "time": format_time(now),
                "publisher": publisher,
                "series": core.series,
                "bundle": core.bundle,
                "version": core.version,
                "seen": {"dataset": rollback.dataset, "version": rollback.version, "signed": rollback.signed},
            }
        )
    rose = state.advance(publisher, core.series, ids, Seen(core.version, core.issued))
    if rollback is not None:
        return "override"
    if state.created:
        return "created"
    if not known:
        return "first-seen"
    return "advanced" if rose else "unchanged"


def verify_bundle(path: Path, trust: TrustSet, *, key: RecipientKey | None, now: datetime) -> Verified:
    """Check everything about a bundle that can be checked with, or without, a recipient key.

    Raises:
        InputError: no such file.
        TrustError: the first claim that does not hold.
    """
    with open_container(path) as container:
        signed = _check_signature(container, trust)
        in_force = _check_validity(signed, now, path)
        unwrapped = None if key is None else _unwrap(in_force, key, path)
        intact = _check_payload_hash(container, in_force)
        if unwrapped is not None:
            _open_payload(container, unwrapped, intact)
    proved = PUBLIC_CLAIMS + (KEY_CLAIMS if key is not None else ())
    unproved = (() if key is not None else KEY_CLAIMS) + STATE_CLAIMS
    return Verified(signed.manifest, signed.publisher, intact.file_sha256, proved, unproved)


def show_bundle(path: Path) -> Manifest:
    """What a bundle says of itself, with **nothing** verified: whoever shows it must say so.

    Raises:
        InputError: no such file.
        TrustError: it is not even built as a bundle is.
    """
    with open_container(path) as container:
        body, _keyids = read_unverified(container.envelope, PAYLOAD_TYPE, file=path)
        return parse_manifest(body, file=path)


def _check_signature(container: Container, trust: TrustSet) -> _Signed:
    body, signers = open_envelope(container.envelope, PAYLOAD_TYPE, trust.of("publisher"), file=container.path)
    if len(signers) != 1:
        # Which of them is the publisher decides what counts as a rollback.
        raise TrustError(
            tr("数据包应恰有一个签名", "a bundle has exactly one signature"),
            file=container.path,
            field="signatures",
            remedy=tr("请发布者重新制作数据包", "ask the publisher to build the bundle again"),
        )
    return _Signed(parse_manifest(body, file=container.path), signers[0])


def _check_validity(signed: _Signed, now: datetime, path: Path) -> _InForce:
    core = signed.manifest.core
    check_tool(core, file=path)
    check_dates(core, now, file=path)
    return _InForce(signed, check_catalogue(core, file=path))


def _unwrap(in_force: _InForce, key: RecipientKey, path: Path) -> _Unwrapped:
    manifest = in_force.signed.manifest
    wrapped = next((entry.wrapped for entry in manifest.recipients if entry.keyid == key.keyid), None)
    if wrapped is None:
        raise TrustError(
            tr(
                f"该数据包不是为此密钥封装的（指纹 {key.public.fingerprint}）",
                f"the bundle was not sealed for this key (fingerprint {key.public.fingerprint})",
            ),
            file=path,
            field="recipients",
            remedy=tr(
                "核对 --key，或请发布者为此密钥重新制作", "check --key, or ask the publisher to seal it for this key"
            ),
        )
    try:
        content_key = key.unwrap(decode_base64(wrapped), manifest.core_digest())
    except TrustError as error:
        raise TrustError(error.message, file=path, field="recipients", remedy=error.remedy) from None
    return _Unwrapped(in_force, content_key)


def _check_payload_hash(container: Container, in_force: _InForce) -> _Intact:
    payload = in_force.signed.manifest.payload
    if container.payload_length != payload.cipher_length:
        missing = payload.cipher_length - container.payload_length
        raise _changed(
            container.path,
            tr(f"内容被截断，缺 {missing} 字节", f"the payload is cut off: {missing} bytes are missing")
            if missing > 0
            else tr(f"内容之后多出 {-missing} 字节", f"{-missing} bytes follow the payload"),
            "payload.cipher_length",
        )
    found, whole = container.hash_payload()
    if not hmac.compare_digest(found, payload.cipher_sha256):
        raise _changed(
            container.path,
            tr("内容的 SHA-256 与签名清单不符", "the payload's SHA-256 is not the signed one"),
            "payload.cipher_sha256",
        )
    return _Intact(in_force, whole)


class _HashingSource:
    """The payload on its way to decryption, hashed as it goes."""

    def __init__(self, container: Container, length: int) -> None:
        self._file = container.payload()
        self._left = length
        self.sha256 = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        self.sha256.update(data)
        return data


def _open_payload(container: Container, unwrapped: _Unwrapped, intact: _Intact) -> Mapping[str, OpenedDataset]:
    manifest = intact.in_force.signed.manifest
    source = _HashingSource(container, manifest.payload.cipher_length)
    plain = io.BytesIO()
    cobblestone.decrypt(source, plain, unwrapped.content_key, manifest.core_digest(), file=container.path)
    if not hmac.compare_digest(source.sha256.hexdigest(), manifest.payload.cipher_sha256):
        raise _changed(
            container.path,
            tr("文件在读取过程中被改动", "the file changed while it was being read"),
            "payload.cipher_sha256",
        )
    content = plain.getvalue()
    found = hashlib.sha256(content).hexdigest()
    if len(content) != manifest.payload.plain_length or not hmac.compare_digest(found, manifest.payload.plain_sha256):
        raise _changed(
            container.path,
            tr("解密内容的 SHA-256 与签名清单不符", "the SHA-256 of the opened content is not the signed one"),
            "payload.plain_sha256",
        )
    return read_payload(content, manifest, intact.in_force.datasets, file=container.path)


def _changed(path: Path, message: str, field: str) -> TrustError:
    return TrustError(
        message,
        file=path,
        field=field,
        remedy=tr("文件已被改动或损坏，请重新获取", "the file was changed or damaged: obtain it again"),
    )
