"""Makes hostile bundles in memory, each validly signed unless a test spoils it: a new attack is five lines of test."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
from datetime import UTC, datetime
from uuid import UUID

import zstandard

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import Item
from mlb_offline.bundle import cobblestone
from mlb_offline.bundle.source import Source, SourceDataset
from mlb_offline.trust.canonical import canonical_json, encode_base64
from mlb_offline.trust.dsse import sign_envelope
from mlb_offline.trust.keys import RecipientKey, SigningKey
from mlb_offline.trust.store import TrustSet

NOW = datetime(2026, 3, 1, 8, 0, 0, tzinfo=UTC)
SERIES = UUID("5f0c2a52-8d3b-4c69-9d0e-0d6f4f7f3a11")
PAYLOAD_TYPE = "application/vnd.mlb-offline.bundle.v1+json"
MAGIC = b"\x89MLBB\r\n\x1a"

PUBLISHER = SigningKey.from_seed(bytes(range(32)), "publisher")
FOREIGN = SigningKey.from_seed(bytes(range(1, 33)), "publisher")
HOSPITAL_SEED = bytes(range(2, 34))
HOSPITAL = RecipientKey.from_seed(HOSPITAL_SEED, "hospital")
STRANGER = RecipientKey.from_seed(bytes(range(3, 35)), "hospital")
TRUST = TrustSet((PUBLISHER.verify_key,))


def choice_item(number: int, **changes: object) -> dict[str, object]:
    return {
        "id": f"exam-{number}",
        "specialty": "内科",
        "question": f"第{number}题：下列哪项正确？",
        "source": "written for the tests",
        "licence": "CC0-1.0",
        "reviewed_by": "none (not physician-reviewed)",
        "options": ["甲", "乙", "丙"],
        "answer": "B",
    } | changes


def choice_source(count: int = 4, *, dataset: str = "CMExam", **changes: object) -> Source:
    items = tuple(Item.model_validate(choice_item(number)) for number in range(1, count + 1))
    content = SourceDataset(DATASETS[dataset], "${question}\n${options}", None, items, "CC0-1.0", "the tests")
    fields = {
        "title": "测试数据包",
        "series": SERIES,
        "version": 1,
        "publisher": "测试发布者",
        "issued": None,
        "expires": None,
        "demonstration": True,
        "datasets": {dataset: content},
    }
    return Source(**(fields | changes))


def line(record: object) -> bytes:
    """Canonical where it can be; what cannot be is spelled as a careless publisher would."""
    try:
        return canonical_json(record)
    except ValueError:
        return json.dumps(record, ensure_ascii=False).encode()


class Simulator:
    """The parts of a bundle, open to any change before ``data()`` joins, seals and signs them."""

    def __init__(self) -> None:
        self.core = {
            "format": "mlb-offline/bundle/v1",
            "series": str(SERIES),
            "bundle": "0a0c2a52-8d3b-4c69-9d0e-0d6f4f7f3a11",
            "title": "t",
            "publisher": "p",
            "demonstration": True,
            "datasets": [
                {"id": "CMExam", "items": 2, "metric": "accuracy", "licence": "CC0-1.0", "source": "the tests"}
            ],
            "version": 1,
            "issued": "2026-02-01T00:00:00Z",
            "expires": "2027-02-01T00:00:00Z",
            "minimum_tool": "0.1.0",
            "canary": "1a0c2a52-8d3b-4c69-9d0e-0d6f4f7f3a11",
        }
        self.records: list[list[object]] = [
            [
                {"type": "dataset", "id": "CMExam", "metric": "accuracy", "items": 2, "canary": self.core["canary"]},
                {"type": "prompt", "text": "${question}${options}"},
                {"type": "item", "item": choice_item(1)},
                {"type": "item", "item": choice_item(2)},
            ]
        ]
        self.signers = [PUBLISHER]
        self.recipients = [HOSPITAL.public]
        self.content_key = os.urandom(32)
        self.plain: bytes | None = None
        self.context: bytes | None = None
        self.wrapped: dict[str, bytes] = {}
        self.payload: dict[str, object] = {}
        self.cipher: bytes | None = None
        self.manifest_changes: dict[str, object] = {}

    def digest(self) -> bytes:
        return hashlib.sha256(canonical_json(self.core)).digest()

    def frames(self) -> bytes:
        return b"".join(
            zstandard.ZstdCompressor().compress(b"".join(line(record) + b"\n" for record in records))
            for records in self.records
        )

    def seal(self) -> tuple[bytes, bytes]:
        plain = self.frames() if self.plain is None else self.plain
        sink = io.BytesIO()
        cobblestone.encrypt(io.BytesIO(plain), sink, self.content_key, self.context or self.digest())
        return plain, sink.getvalue() if self.cipher is None else self.cipher

    def manifest(self, plain: bytes, cipher: bytes) -> dict[str, object]:
        wrapped = {key.keyid: key.wrap(self.content_key, self.digest()) for key in self.recipients} | self.wrapped
        return {
            "core": copy.deepcopy(self.core),
            "payload": {
                "cipher_length": len(cipher),
                "cipher_sha256": hashlib.sha256(cipher).hexdigest(),
                "plain_length": len(plain),
                "plain_sha256": hashlib.sha256(plain).hexdigest(),
            }
            | self.payload,
            "recipients": [
                {"keyid": keyid, "kem": "MLKEM768-X25519", "wrapped": encode_base64(wrapped[keyid])}
                for keyid in sorted(wrapped)
            ],
        } | self.manifest_changes

    def data(self) -> bytes:
        plain, cipher = self.seal()
        envelope = sign_envelope(PAYLOAD_TYPE, canonical_json(self.manifest(plain, cipher)), self.signers)
        return join(envelope, cipher)


def join(envelope: bytes, cipher: bytes) -> bytes:
    return MAGIC + len(envelope).to_bytes(4, "big") + envelope + cipher


def split(data: bytes) -> tuple[bytes, bytes]:
    """Envelope and payload of a bundle."""
    length = int.from_bytes(data[8:12], "big")
    return data[12 : 12 + length], data[12 + length :]
