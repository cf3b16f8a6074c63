"""A result counts only if a trusted reviewer signed exactly these verdicts on exactly this packet."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from adjudication_cases import KEY, ODD_NOTE, OTHER_PACKET, OTHER_REVIEWER, PACKET, REPORT, REVIEWER, TRUST, task

from mlb_offline.adjudication.result import FORMAT, PAYLOAD_TYPE, make_result, open_result
from mlb_offline.adjudication.sealing import derived, seal, unseal
from mlb_offline.errors import InputError, TrustError, UsageError
from mlb_offline.trust.canonical import canonical_json, decode_base64, encode_base64
from mlb_offline.trust.dsse import sign_envelope
from mlb_offline.trust.signing import SigningKey, VerifyKey
from mlb_offline.trust.store import TrustSet

SOME: dict[str, Any] = {"t0001": "是", "t0003": "?"}
ALL: dict[str, Any] = {task.id: "否" for task in PACKET.tasks}
SAVED = "2026-02-01T09:30:00.123Z"


def opened(raw: bytes, packet=PACKET, key=KEY, trust=TRUST):
    return open_result(raw, packet, key, trust, file="r.json")


def body(**changes: Any) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "packet": PACKET.id,
        "run": PACKET.run,
        "identity_sha256": PACKET.identity_sha256,
        "content_sha256": PACKET.content_sha256,
        "reviewer": REVIEWER.keyid,
        "saved": SAVED,
        "complete": False,
        "verdicts": SOME,
        "notes": {},
    } | changes


def sealed(envelope: bytes, packet=PACKET, key=KEY) -> bytes:
    record = seal(derived(key, "result"), "result", packet.id, envelope)
    return canonical_json({"format": FORMAT, "packet": packet.id} | record)


def signed(value: Any, *keys: SigningKey) -> bytes:
    return sealed(sign_envelope(PAYLOAD_TYPE, canonical_json(value), keys or (REVIEWER,)))


def test_verdicts_come_back_with_who_settled_them_and_when() -> None:
    result = opened(make_result(PACKET, KEY, REVIEWER, SOME, {"t0003": ODD_NOTE}, saved=SAVED))
    assert (result.verdicts, result.notes) == (SOME, {"t0003": ODD_NOTE})
    assert (result.saved, result.complete) == (SAVED, False)
    assert (result.reviewer, result.fingerprint) == (REVIEWER.keyid, REVIEWER.verify_key.fingerprint)


def test_it_is_complete_where_every_task_has_a_verdict() -> None:
    assert opened(make_result(PACKET, KEY, REVIEWER, ALL)).complete


def test_neither_verdicts_nor_reviewer_stand_in_the_file_in_clear() -> None:
    raw = make_result(PACKET, KEY, REVIEWER, ALL, {"t0001": "备注"})
    assert set(json.loads(raw)) == {"format", "packet", "nonce", "ciphertext"}
    for word in ("否", "备注", REVIEWER.keyid, PACKET.run):
        assert word.encode() not in raw


def test_every_byte_counts() -> None:
    raw = make_result(PACKET, KEY, REVIEWER, SOME)
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1
        with pytest.raises((InputError, TrustError)):
            opened(bytes(changed))


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b"null", b"\xff\xfe", b'{"format":1}', b"[" * 100_000])
def test_what_is_no_result_is_bad_input(raw) -> None:
    with pytest.raises(InputError, match="not a valid result") as caught:
        opened(raw)
    assert caught.value.file == "r.json"


@pytest.mark.parametrize("field", ["nonce", "ciphertext", "format", "packet"])
def test_an_outer_field_of_another_kind_is_refused(field) -> None:
    outer = json.loads(make_result(PACKET, KEY, REVIEWER, SOME))
    with pytest.raises((InputError, TrustError)):
        opened(canonical_json(outer | {field: 3}))


def test_another_packet_another_key_and_another_content_are_refused_each_by_name() -> None:
    raw = make_result(PACKET, KEY, REVIEWER, SOME)
    with pytest.raises(TrustError, match="result of another packet"):
        opened(raw, packet=OTHER_PACKET)
    with pytest.raises(TrustError, match="does not decrypt"):
        opened(raw, key=bytes(32))
    with pytest.raises(TrustError, match="another run"):
        opened(raw, packet=replace(PACKET, run=OTHER_PACKET.id))
    with pytest.raises(TrustError, match="another identity"):
        opened(raw, packet=replace(PACKET, identity_sha256="cd" * 32))
    with pytest.raises(TrustError, match="not what the packet holds"):
        opened(raw, packet=replace(PACKET, tasks=(*PACKET.tasks[:-1], task(6, "g4"))))


def test_a_record_cannot_be_moved_from_autosave_to_result() -> None:
    envelope = sign_envelope(PAYLOAD_TYPE, canonical_json(body()), [REVIEWER])
    record = seal(derived(KEY, "result"), "autosave", PACKET.id, envelope)
    with pytest.raises(TrustError, match="does not decrypt"):
        opened(canonical_json({"format": FORMAT, "packet": PACKET.id} | record))
    assert derived(KEY, "result") != derived(KEY, "autosave") != derived(KEY, "page")


def test_only_a_key_trusted_as_a_reviewers_signs() -> None:
    as_report = body(reviewer=REPORT.keyid)
    with pytest.raises(TrustError, match="is not trusted as a reviewer's"):
        opened(signed(as_report, REPORT))
    with pytest.raises(TrustError, match="not trusted"):
        opened(make_result(PACKET, KEY, OTHER_REVIEWER, SOME))
    unlabelled = TrustSet((VerifyKey(REVIEWER.verify_key.spki),))
    with pytest.raises(TrustError, match="is not trusted as a reviewer's"):
        opened(make_result(PACKET, KEY, REVIEWER, SOME), trust=unlabelled)
    with pytest.raises(UsageError, match="this is a report key; here one of kind reviewer"):
        make_result(PACKET, KEY, REPORT, SOME)


def test_a_reviewers_key_is_trusted_for_nothing_else() -> None:
    assert REVIEWER.verify_key not in (*TRUST.of("report"), *TRUST.of("publisher"))


def test_unsigned_edited_and_twice_signed_verdicts_are_refused() -> None:
    envelope = json.loads(sign_envelope(PAYLOAD_TYPE, canonical_json(body()), [REVIEWER]))
    with pytest.raises(TrustError, match="1 to 8 signatures"):
        opened(sealed(canonical_json(envelope | {"signatures": []})))
    edited = canonical_json(body(verdicts={"t0001": "否", "t0003": "?"}))
    with pytest.raises(TrustError, match="signature is not valid"):
        opened(sealed(canonical_json(envelope | {"payload": encode_base64(edited)})))
    with pytest.raises(TrustError, match="exactly one signature"):
        opened(signed(body(), REVIEWER, OTHER_REVIEWER))
    with pytest.raises(TrustError, match="is of type"):
        opened(sealed(sign_envelope("application/vnd.in-toto+json", canonical_json(body()), [REVIEWER])))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"verdicts": {"t0099": "是"}}, TrustError, "has no task 't0099'"),
        ({"notes": {"t0099": "x"}}, TrustError, "has no task 't0099'"),
        ({"reviewer": OTHER_REVIEWER.keyid}, TrustError, "the reviewer named is not who signed"),
        ({"packet": OTHER_PACKET.id}, TrustError, "result of another packet"),
        ({"run": OTHER_PACKET.id}, TrustError, "another run"),
        ({"verdicts": {"t0001": "maybe"}}, InputError, "must be one of 是, 否"),
        ({"verdicts": {"t0001": 1}}, InputError, "a text by task id"),
        ({"verdicts": []}, InputError, "a text by task id"),
        ({"notes": {"t0001": ""}}, InputError, "1 to 500"),
        ({"notes": {"t0001": "字" * 501}}, InputError, "1 to 500"),
        ({"complete": True}, InputError, "does not fit"),
        ({"complete": 0}, InputError, "does not fit"),
        ({"saved": "yesterday"}, InputError, "RFC 3339"),
        ({"saved": None}, InputError, "RFC 3339"),
        ({"format": "x"}, InputError, "keys of what was signed"),
        ({"more": 1}, InputError, "keys of what was signed"),
    ],
)
def test_a_signed_lie_or_slip_is_refused_each_by_its_own_message(change, error, words) -> None:
    with pytest.raises(error, match=words) as caught:
        opened(signed(body(**change)))
    assert caught.value.file == "r.json"


def test_notes_are_counted_in_characters_not_units() -> None:
    notes = {"t0001": "😀" * 500}
    assert opened(make_result(PACKET, KEY, REVIEWER, SOME, notes)).notes == notes


def test_the_writer_refuses_what_the_reader_would() -> None:
    with pytest.raises(TrustError, match="has no task"):
        make_result(PACKET, KEY, REVIEWER, {"x": "是"})
    with pytest.raises(InputError, match="must be one of"):
        make_result(PACKET, KEY, REVIEWER, {"t0001": "yes"})  # type: ignore[dict-item]


def test_the_file_is_what_the_documentation_says() -> None:
    """Opened by the page of documentation alone, with nothing of the package but base64."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    outer = json.loads(make_result(PACKET, KEY, REVIEWER, SOME, saved=SAVED))
    key = HKDF(hashes.SHA256(), 32, None, b"mlb-offline/v1/adjudication/result").derive(KEY)
    bound = f'{{"format":"mlb-offline/adjudication-result/v1","packet":"{PACKET.id}"}}'.encode()
    plain = AESGCM(key).decrypt(decode_base64(outer["nonce"]), decode_base64(outer["ciphertext"]), bound)
    assert json.loads(decode_base64(json.loads(plain)["payload"])) == body()
    assert unseal(derived(KEY, "result"), "result", PACKET.id, outer) == plain
