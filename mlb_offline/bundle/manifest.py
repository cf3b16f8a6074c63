"""What a bundle says of itself, signed by its publisher (docs/format.md, "Bundle").

``{core, payload, recipients}``. The *core* is what the payload and every wrapped key are bound to: its SHA-256 is
the Cobblestone context and the HPKE info, so neither can be moved to another bundle.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    model_serializer,
    model_validator,
)

from mlb_offline.bundle.cobblestone import sealed_length
from mlb_offline.configuration import explain
from mlb_offline.errors import TrustError
from mlb_offline.language import tr
from mlb_offline.trust.canonical import canonical_json, decode_base64, parse_canonical
from mlb_offline.trust.hybrid import WRAPPED_LENGTH

FORMAT: Final = "mlb-offline/bundle/v1"
PAYLOAD_TYPE = "application/vnd.mlb-offline.bundle.v1+json"
MINIMUM_TOOL = "0.1.0"
MAX_RECIPIENTS = 1024
MAX_ITEMS = 1_000_000
MAX_PLAIN = 1 << 30
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC to the second: ``2026-01-31T08:00:00Z``."""
    return moment.astimezone(UTC).strftime(_TIME)


def parse_time(text: str) -> datetime:
    """The moment of ``format_time``.

    Raises:
        ValueError: any other spelling, or no such moment.
    """
    moment = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    if format_time(moment) != text:
        raise ValueError("not a time of the form YYYY-MM-DDTHH:MM:SSZ")
    return moment


def parse_version(text: str) -> tuple[int, ...]:
    """``"1.2.3"`` as (1, 2, 3), for comparing."""
    return tuple(int(part) for part in text.split("."))


def _check_time(text: str) -> str:
    parse_time(text)
    return text


def _check_uuid(text: str) -> str:
    if str(UUID(text)) != text:
        raise ValueError("not a UUID in its usual lower-case form")
    return text


def _check_wrapped(text: str) -> str:
    if len(decode_base64(text)) != WRAPPED_LENGTH:
        raise ValueError(f"not {WRAPPED_LENGTH} bytes")
    return text


def _check_text(text: str) -> str:
    # It is shown on terminals, also unverified: nothing in it may steer one, or turn the direction of writing.
    if not text.strip() or re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text):
        raise ValueError("empty, or with control characters")
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(_check_text)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Uuid = Annotated[str, AfterValidator(_check_uuid)]
Time = Annotated[str, AfterValidator(_check_time)]
Positive = Annotated[int, Field(ge=1, le=2**53 - 1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DatasetEntry(_Strict):
    """One dataset of the bundle: official name, number of items, metric, and whose it is under which terms.

    ``judge_prompt`` is the SHA-256 of the publisher's own judge prompt; empty where it brings none, and then no key of
    the manifest.
    """

    id: Text
    items: Annotated[int, Field(ge=1, le=MAX_ITEMS)]
    metric: Text
    licence: Text
    source: Text
    judge_prompt: Digest = ""

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = handler(self)
        return {key: value for key, value in found.items() if key != "judge_prompt" or value}


class Core(_Strict):
    """The part of the manifest to which payload and wrapped keys are bound; its key set is fixed."""

    format: Literal["mlb-offline/bundle/v1"]
    series: Uuid
    bundle: Uuid
    title: Text
    publisher: Text
    demonstration: bool
    datasets: Annotated[list[DatasetEntry], Field(min_length=1, max_length=100)]
    version: Positive
    issued: Time
    expires: Time
    minimum_tool: Annotated[str, StringConstraints(pattern=r"^(0|[1-9]\d{0,5})(\.(0|[1-9]\d{0,5})){2}$")]
    canary: Uuid

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.issued_at >= self.expires_at:
            raise ValueError("expires is not after issued")
        if len({entry.id for entry in self.datasets}) != len(self.datasets):
            raise ValueError("a dataset is listed twice")
        return self

    @property
    def issued_at(self) -> datetime:
        """When the publisher signed, UTC."""
        return parse_time(self.issued)

    @property
    def expires_at(self) -> datetime:
        """From when on the bundle is refused, UTC."""
        return parse_time(self.expires)


class Recipient(_Strict):
    """The content key, sealed for one recipient (1,168 bytes)."""

    keyid: Digest
    kem: Literal["MLKEM768-X25519"]
    wrapped: Annotated[str, AfterValidator(_check_wrapped)]


class Payload(_Strict):
    """SHA-256 and length in bytes of the payload as it stands in the file (cipher) and opened (plain, zstd)."""

    cipher_length: Positive
    cipher_sha256: Digest
    plain_length: Annotated[int, Field(ge=1, le=MAX_PLAIN)]
    plain_sha256: Digest

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.cipher_length != sealed_length(self.plain_length):
            raise ValueError("cipher_length does not follow from plain_length")
        return self


class Manifest(_Strict):
    """The signed body of a bundle."""

    core: Core
    payload: Payload
    recipients: Annotated[list[Recipient], Field(min_length=1, max_length=MAX_RECIPIENTS)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        keyids = [recipient.keyid for recipient in self.recipients]
        if keyids != sorted(set(keyids)):
            raise ValueError("recipients are not in ascending order of distinct key ids")
        return self

    def core_bytes(self) -> bytes:
        """Canonical JSON (RFC 8785) of the core."""
        return core_bytes(self.core)

    def core_digest(self) -> bytes:
        """SHA-256 of ``core_bytes``, 32 bytes: context of the payload and info of every wrapped key."""
        return hashlib.sha256(self.core_bytes()).digest()

    def to_bytes(self) -> bytes:
        """Canonical JSON (RFC 8785) of the whole manifest, as it is signed."""
        return canonical_json(self.model_dump())


def core_bytes(core: Core) -> bytes:
    """Canonical JSON (RFC 8785) of a manifest core."""
    return canonical_json(core.model_dump())


def parse_manifest(body: bytes, *, file: str | Path) -> Manifest:
    """Read a manifest's canonical bytes.

    Raises:
        TrustError: another format, or not exactly what docs/format.md says.
    """
    try:
        raw = parse_canonical(body)
    except ValueError as error:
        raise _malformed(str(error), file, None) from None
    found = _format_of(raw)
    if found != FORMAT:
        raise TrustError(
            tr(f"数据包格式“{found}”未知", f"bundle format {found!r} is not known"),
            file=file,
            field="core.format",
            remedy=tr("升级 mlb-offline，或索取旧格式数据包", "upgrade mlb-offline, or ask for a bundle in format v1"),
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        field, message = explain(error)
        raise _malformed(message, file, field) from None


def _format_of(raw: Any) -> str:
    core = raw.get("core") if isinstance(raw, dict) else None
    found = core.get("format") if isinstance(core, dict) else None
    # What is shown comes out of the file: keep it short and printable.
    return re.sub(r"[^ -~]", "?", str(found))[:80]


def _malformed(reason: str, file: str | Path, field: str | None) -> TrustError:
    field = None if field is None else re.sub(r"[^ -~]", "?", field)[:80]
    return TrustError(
        tr(f"数据包清单格式不符：{reason}", f"the bundle's manifest is malformed: {reason}"),
        file=file,
        field=field,
        remedy=tr("请发布者重新制作数据包", "ask the publisher to build the bundle again"),
    )
