"""What comes back from a physician: signed verdicts, encrypted for whoever holds the packet key.

File: canonical JSON ``{format, packet, nonce, ciphertext}``. The plaintext is a DSSE envelope with exactly one
signature; its body is canonical JSON ``{format, packet, run, identity_sha256, content_sha256, reviewer, saved,
complete, verdicts, notes}``. Opening goes one way: shape → packet → decryption → reviewer's signature → the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlb_offline.adjudication.packet import MAX_NOTE, VERDICTS, Packet, Verdict, is_instant
from mlb_offline.adjudication.sealing import FORMATS, derived, seal, unseal
from mlb_offline.errors import InputError, TrustError, UsageError
from mlb_offline.language import tr
from mlb_offline.run.clock import timestamp
from mlb_offline.trust.canonical import canonical_json, parse_canonical
from mlb_offline.trust.dsse import open_envelope, read_unverified, sign_envelope
from mlb_offline.trust.fingerprint import fingerprint
from mlb_offline.trust.keys import KeyKind
from mlb_offline.trust.signing import SigningKey
from mlb_offline.trust.store import TrustSet

PAYLOAD_TYPE = "application/vnd.mlb-offline.adjudication-result.v1+json"
FORMAT = FORMATS["result"]
MAX_BYTES = 128 * 1024 * 1024
"""Of a result file: ``MAX_TASKS`` notes of the greatest length, twice in base64, are about 80 MiB."""

_OUTER = frozenset({"format", "packet", "nonce", "ciphertext"})
_BODY = frozenset(
    {
        "format",
        "packet",
        "run",
        "identity_sha256",
        "content_sha256",
        "reviewer",
        "saved",
        "complete",
        "verdicts",
        "notes",
    }
)


@dataclass(frozen=True)
class ReviewerResult:
    """One physician's verdicts on one packet.

    Attributes:
        reviewer: id of the key that signed, 64 hex digits.
        fingerprint: of that key, to be read aloud.
        saved: when, by the clock of the physician's machine; RFC 3339, UTC.
        complete: whether every task has a verdict.
        verdicts: by task id; a task without one is open.
        notes: by task id, each 1 to ``MAX_NOTE`` code points.
    """

    reviewer: str
    fingerprint: str
    saved: str
    complete: bool
    verdicts: Mapping[str, Verdict]
    notes: Mapping[str, str]


def make_result(
    packet: Packet,
    key: bytes,
    signing_key: SigningKey,
    verdicts: Mapping[str, Verdict],
    notes: Mapping[str, str] | None = None,
    *,
    saved: str | None = None,
) -> bytes:
    """The file that the page would save, for those who work without a browser.

    Args:
        packet: what was settled.
        key: the packet key, 32 bytes.
        signing_key: the reviewer's.
        verdicts: by task id; it is complete where every task has one.
        notes: by task id.
        saved: RFC 3339, UTC; None: now.

    Raises:
        UsageError: the key is no reviewer's.
        InputError: a verdict, note or time is none; TrustError: a task id is not the packet's.
    """
    if signing_key.kind != KeyKind.REVIEWER:
        raise UsageError(
            tr(
                f"该密钥的用途为 {signing_key.kind}，此处需要 reviewer",
                f"this is a {signing_key.kind} key; here one of kind reviewer is needed",
            ),
            remedy=tr("用 mlb-offline keys new --kind reviewer 生成", "make one: mlb-offline keys new --kind reviewer"),
        )
    body = {
        "format": FORMAT,
        "packet": packet.id,
        "run": packet.run,
        "identity_sha256": packet.identity_sha256,
        "content_sha256": packet.content_sha256,
        "reviewer": signing_key.keyid,
        "saved": timestamp() if saved is None else saved,
        "complete": set(verdicts) == packet.task_ids,
        "verdicts": dict(verdicts),
        "notes": dict(notes or {}),
    }
    _result(body, packet, signing_key.keyid, file=None)
    envelope = sign_envelope(PAYLOAD_TYPE, canonical_json(body), [signing_key])
    return canonical_json(
        {"format": FORMAT, "packet": packet.id} | seal(derived(key, "result"), "result", packet.id, envelope)
    )


def packet_of(raw: bytes, *, file: str | Path) -> str:
    """The packet that a result file says it belongs to; ``open_result`` checks whether it does.

    Raises:
        InputError: it is not of this format.
    """
    return str(_outer(raw, file)["packet"])


def open_result(raw: bytes, packet: Packet, key: bytes, trust: TrustSet, *, file: str | Path) -> ReviewerResult:
    """Check a result file and give its verdicts. A partial one is given too, with ``complete`` False.

    Args:
        raw: the file's bytes.
        packet: the packet it must belong to.
        key: the packet key, 32 bytes.
        trust: keys of which a reviewer's must have signed.
        file: where it comes from, for messages.

    Raises:
        InputError: the file, or what was signed, is not of this format.
        TrustError: it belongs to another packet or run, was edited, is not signed by exactly one key that is trusted
            as a reviewer's, or speaks of tasks that the packet does not have.
    """
    outer = _outer(raw, file)
    _same(outer["packet"], packet.id, "packet", file)
    try:
        envelope = unseal(derived(key, "result"), "result", packet.id, outer)
    except ValueError:
        raise _malformed("nonce 或 ciphertext 无效", "nonce or ciphertext is not valid", file) from None
    if envelope is None:
        raise TrustError(
            tr(
                "无法解密：文件已被改动，或用另一把任务包密钥加密",
                "it does not decrypt: changed, or under another packet key",
            ),
            file=file,
            remedy=tr("请评定医生重新发送该文件", "ask the physician for the file again"),
        )
    body, reviewer = _signed(envelope, trust, file)
    try:
        value = parse_canonical(body)
    except ValueError as error:
        raise _malformed(f"所签内容无效：{error}", f"what was signed is not valid: {error}", file) from None
    return _result(value, packet, reviewer, file=file)


def _outer(raw: bytes, file: str | Path) -> dict[str, Any]:
    if len(raw) > MAX_BYTES:
        raise _malformed("文件过大", "the file is too large", file)
    try:
        value = parse_canonical(raw)
    except ValueError as error:
        raise _malformed(str(error), str(error), file) from None
    if not isinstance(value, dict) or set(value) != _OUTER:
        raise _malformed("字段不符合格式", "the keys are not those of the format", file)
    if value["format"] != FORMAT:
        raise _malformed("格式或版本未知", "the format or its version is not known", file, "format")
    return value


def _signed(envelope: bytes, trust: TrustSet, file: str | Path) -> tuple[bytes, str]:
    """The signed body and the id of the one reviewer's key that signed it."""
    _body, named = read_unverified(envelope, PAYLOAD_TYPE, file=file)
    if len(named) != 1:
        raise TrustError(
            tr("应恰有一个签名", "there must be exactly one signature"),
            file=file,
            remedy=tr("每位医生保存自己的结果文件", "each physician saves a result file of their own"),
        )
    reviewers = trust.of(KeyKind.REVIEWER)
    trusted = trust.find(named[0])
    if trusted is not None and trusted not in reviewers:
        raise TrustError(
            tr(
                f"签名密钥（指纹 {trusted.fingerprint}）未作为评定医生的密钥受信任",
                f"the key that signed (fingerprint {trusted.fingerprint}) is not trusted as a reviewer's",
            ),
            file=file,
            remedy=tr(
                "只有带 reviewer 用途标记的公钥可签署评定（keys new --kind reviewer）",
                "only keys whose file is labelled for it sign verdicts: keys new --kind reviewer",
            ),
        )
    body, _keys = open_envelope(envelope, PAYLOAD_TYPE, reviewers, file=file)
    return body, named[0]


def _result(body: Any, packet: Packet, reviewer: str, *, file: str | Path | None) -> ReviewerResult:
    if not isinstance(body, dict) or set(body) != _BODY or body["format"] != FORMAT:
        raise _malformed("所签内容的字段不符合格式", "the keys of what was signed are not those of the format", file)
    for name, wanted in (
        ("packet", packet.id),
        ("run", packet.run),
        ("identity_sha256", packet.identity_sha256),
        ("content_sha256", packet.content_sha256),
        ("reviewer", reviewer),
    ):
        _same(body[name], wanted, name, file)
    if not isinstance(body["saved"], str) or not is_instant(body["saved"]):
        raise _malformed("不是 RFC 3339 时间（UTC）", "not an RFC 3339 time in UTC", file, "saved")
    verdicts = _by_task(body["verdicts"], packet, "verdicts", file)
    notes = _by_task(body["notes"], packet, "notes", file)
    for task, verdict in verdicts.items():
        if verdict not in VERDICTS:
            raise _malformed("只能是 是、否 或 ?", "must be one of 是, 否 and ?", file, f"verdicts.{task}")
    for task, note in notes.items():
        if not 1 <= len(note) <= MAX_NOTE:
            raise _malformed(
                f"应为 1–{MAX_NOTE} 个字符", f"must have 1 to {MAX_NOTE} characters", file, f"notes.{task}"
            )
    if body["complete"] is not (set(verdicts) == packet.task_ids):
        raise _malformed("与评定的项数不符", "does not fit the number of verdicts", file, "complete")
    return ReviewerResult(
        reviewer=reviewer,
        fingerprint=fingerprint(bytes.fromhex(reviewer)),
        saved=body["saved"],
        complete=body["complete"],
        verdicts=verdicts,
        notes=notes,
    )


def _by_task(value: Any, packet: Packet, field: str, file: str | Path | None) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _malformed("应为编号到文本的表", "must give a text by task id", file, field)
    unknown = sorted(set(value) - packet.task_ids)
    if unknown:
        raise TrustError(
            tr(f"任务包中没有编号 {unknown[0]!r}", f"the packet has no task {unknown[0]!r}"),
            file=file,
            field=field,
            remedy=tr("这是另一任务包的结果；请核对文件", "this is another packet's result: check which file it is"),
        )
    return value


_MESSAGES = {
    "packet": ("这是另一任务包的结果", "this is the result of another packet"),
    "run": ("这是另一次运行的结果", "this is the result of another run"),
    "identity_sha256": ("所评定的运行身份不同", "the run that was settled has another identity"),
    "content_sha256": ("所评定的内容与任务包不同", "what was settled is not what the packet holds"),
    "reviewer": ("所写评定人不是签名者", "the reviewer named is not who signed"),
}


def _same(value: Any, wanted: str, field: str, file: str | Path | None) -> None:
    if value != wanted:
        raise TrustError(
            tr(*_MESSAGES[field]),
            file=file,
            field=field,
            remedy=tr(
                "核对文件，或请医生用本任务包的页面重新保存",
                "check the file, or have it saved again from this packet's page",
            ),
        )


def _malformed(zh: str, en: str, file: str | Path | None, field: str | None = None) -> InputError:
    return InputError(
        tr(f"不是有效的评定结果：{zh}", f"not a valid result of an adjudication: {en}"),
        file=file,
        field=field,
        remedy=tr("请评定医生重新保存并发送该文件", "ask the physician to save and send the file again"),
    )
