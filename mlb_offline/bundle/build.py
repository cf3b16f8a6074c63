"""Building a bundle: core → seal → wrap → digests → sign.

The core is fixed first, because the payload and every wrapped key are bound to its SHA-256. The content key, the
salt and the encapsulations are always fresh; everything else, the order of the items included, follows from the
source, the time and one secret 32-byte seed, so that plaintext and core can be made again.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import ValidationError

from mlb_offline.benchmark.items import Item
from mlb_offline.bundle import cobblestone
from mlb_offline.bundle.container import prefix
from mlb_offline.bundle.manifest import (
    FORMAT,
    MAX_PLAIN,
    MAX_RECIPIENTS,
    MINIMUM_TOOL,
    PAYLOAD_TYPE,
    Core,
    DatasetEntry,
    Manifest,
    Payload,
    Recipient,
    core_bytes,
    format_time,
)
from mlb_offline.bundle.opening import verify_bundle
from mlb_offline.bundle.payload import OpenedDataset, judge_prompt_digest, write_dataset
from mlb_offline.bundle.source import UNNAMED_PUBLISHER, Source, SourceDataset
from mlb_offline.configuration import explain
from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.trust.canonical import canonical_json, encode_base64
from mlb_offline.trust.dsse import sign_envelope
from mlb_offline.trust.files import create
from mlb_offline.trust.hybrid import KEM_NAME
from mlb_offline.trust.keys import RecipientKey, RecipientPublicKey, SigningKey
from mlb_offline.trust.store import TrustSet

LIFETIME = timedelta(days=365)
SEED_LENGTH = 32
_NIL = "00000000-0000-0000-0000-000000000000"


def build_bundle(
    source: Source,
    signing_key: SigningKey,
    recipients: Sequence[RecipientPublicKey],
    out: Path,
    *,
    now: datetime,
    shuffle_seed: bytes | None = None,
) -> Manifest:
    """Build, seal, sign and write a bundle, then open it once as its publisher before it gets its name.

    Args:
        source: what goes in.
        signing_key: a publisher's key; its own recipient key is always added to the recipients.
        recipients: for whom it is sealed; naming one twice counts once.
        out: the file to write, never over an existing one.
        now: time of signing, with its zone.
        shuffle_seed: 32 secret bytes from which the order of the items, the bundle's UUID and its canary follow;
            fresh unless given.

    Raises:
        InputError: the source cannot be a bundle (dates, sizes), or ``out`` exists or cannot be written.
        UsageError: ``signing_key`` is no publisher's.
    """
    if source.publisher == UNNAMED_PUBLISHER:
        raise InputError(
            tr("尚未填写发布者", "the publisher is not named yet"),
            file="bundle.toml",
            field="publisher",
            remedy=tr(
                "在源文件夹的 bundle.toml 中填写 publisher 与 title", "fill in publisher and title in bundle.toml"
            ),
        )
    own = signing_key.publisher_recipient()
    seed = os.urandom(SEED_LENGTH) if shuffle_seed is None else shuffle_seed
    if len(seed) != SEED_LENGTH:
        raise ValueError("a shuffle seed has 32 bytes")
    core = _core(source, now, seed, demonstration=source.demonstration or signing_key.demonstration)
    manifest, cipher = _seal(core, _plain(source, core, seed), _distinct(own.public, recipients))
    envelope = sign_envelope(PAYLOAD_TYPE, manifest.to_bytes(), [signing_key])
    _publish(out, prefix(envelope) + envelope + cipher, manifest, signing_key, own)
    return manifest


def _core(source: Source, now: datetime, seed: bytes, *, demonstration: bool) -> Core:
    issued = now if source.issued is None else datetime.combine(source.issued, time(), UTC)
    expires = (
        issued + LIFETIME
        if source.expires is None
        else datetime.combine(source.expires + timedelta(days=1), time(), UTC)
    )
    try:
        draft = Core(
            format=FORMAT,
            series=str(source.series),
            bundle=_NIL,
            title=source.title,
            publisher=source.publisher,
            demonstration=demonstration,
            datasets=[_entry(content) for content in source.datasets.values()],
            version=source.version,
            issued=format_time(issued),
            expires=format_time(expires),
            minimum_tool=MINIMUM_TOOL,
            canary=_NIL,
        )
    except ValidationError as error:
        field, message = explain(error)
        raise InputError(
            tr(f"源文件夹不能制成数据包：{message}", f"this source cannot become a bundle: {message}"),
            file="bundle.toml",
            field=field,
            remedy=tr("修正 bundle.toml", "correct bundle.toml"),
        ) from None
    # Everything that tells two bundles apart goes in, so that one seed never names two of them alike.
    content = [sorted(item.digest() for item in dataset.items) for dataset in source.datasets.values()]
    context = hashlib.sha256(core_bytes(draft) + canonical_json(content)).digest()
    return draft.model_copy(
        update={
            "bundle": _uuid(seed, b"bundle" + context),
            "canary": _uuid(seed, b"canary" + context) if source.canary is None else str(source.canary),
        }
    )


def _entry(content: SourceDataset) -> DatasetEntry:
    own = {} if content.judge_prompt is None else {"judge_prompt": judge_prompt_digest(content.judge_prompt)}
    return DatasetEntry(
        id=content.dataset.id,
        items=len(content.items),
        metric=content.dataset.metric.value,
        licence=content.licence,
        source=content.source,
        **own,
    )


def _derive(seed: bytes, label: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt=None, info=b"mlb-offline/v1/" + label).derive(seed)


def _uuid(seed: bytes, label: bytes) -> str:
    return str(UUID(bytes=_derive(seed, label, 16), version=4))


def _shuffled(items: Sequence[Item], seed: bytes, dataset: str) -> tuple[Item, ...]:
    """In the order of a keyed hash of their ids: secret, and whatever order they came in."""
    key = _derive(seed, b"order/" + dataset.encode("utf-8"), 32)
    return tuple(sorted(items, key=lambda item: hmac.digest(key, item.id.encode("utf-8"), "sha256")))


def _plain(source: Source, core: Core, seed: bytes) -> bytes:
    frames = [
        write_dataset(
            OpenedDataset(
                content.dataset,
                content.prompt,
                content.judge_prompt,
                _shuffled(content.items, seed, content.dataset.id),
            ),
            canary=core.canary,
        )
        for content in source.datasets.values()
    ]
    plain = b"".join(frames)
    if len(plain) > MAX_PLAIN:
        raise InputError(
            tr("压缩后的内容超过 1 GiB", "the compressed content is over 1 GiB"),
            remedy=tr("分成几个数据包", "divide it into several bundles"),
        )
    return plain


def _distinct(own: RecipientPublicKey, others: Sequence[RecipientPublicKey]) -> list[RecipientPublicKey]:
    keys = {key.keyid: key for key in (own, *others)}
    if len(keys) > MAX_RECIPIENTS:
        raise InputError(
            tr(f"接收方超过 {MAX_RECIPIENTS} 个", f"there are more than {MAX_RECIPIENTS} recipients"),
            field="recipients",
            remedy=tr("分成几个数据包", "build several bundles"),
        )
    return [keys[keyid] for keyid in sorted(keys)]


def _seal(core: Core, plain: bytes, recipients: Sequence[RecipientPublicKey]) -> tuple[Manifest, bytes]:
    context = hashlib.sha256(core_bytes(core)).digest()
    content_key = os.urandom(cobblestone.KEY_LENGTH)
    sink = io.BytesIO()
    cobblestone.encrypt(io.BytesIO(plain), sink, content_key, context)
    cipher = sink.getvalue()
    wrapped = [
        Recipient(keyid=key.keyid, kem=KEM_NAME, wrapped=encode_base64(key.wrap(content_key, context)))
        for key in recipients
    ]
    payload = Payload(
        cipher_length=len(cipher),
        cipher_sha256=hashlib.sha256(cipher).hexdigest(),
        plain_length=len(plain),
        plain_sha256=hashlib.sha256(plain).hexdigest(),
    )
    return Manifest(core=core, payload=payload, recipients=wrapped), cipher


def _publish(out: Path, data: bytes, manifest: Manifest, signing_key: SigningKey, own: RecipientKey) -> None:
    create(out, data, mode=0o644)
    try:
        # What cannot be opened must never leave the publisher.
        verify_bundle(out, TrustSet((signing_key.verify_key,)), key=own, now=manifest.core.issued_at)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
