"""DSSE envelopes, read strictly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_offline.errors import Exit, TrustError
from mlb_offline.trust.canonical import canonical_json, encode_base64
from mlb_offline.trust.dsse import open_envelope, pae, read_unverified, sign_envelope
from mlb_offline.trust.signing import SigningKey

TYPE = "application/vnd.test+json"
A, B, C = (SigningKey.from_seed(bytes([number] * 32), "report") for number in (1, 2, 3))


def opened(data, trusted=(A,), known=()):
    return open_envelope(
        data,
        TYPE,
        [key.verify_key for key in trusted],
        file="f",
        known=[key.verify_key for key in known],
    )


def refused(data, match, **options):
    with pytest.raises(TrustError, match=match) as caught:
        opened(data, **options)
    assert caught.value.exit_code is Exit.TRUST
    assert caught.value.file == "f"
    assert caught.value.remedy


def test_the_signed_bytes_are_those_of_the_specification():
    # The example of the DSSE protocol document.
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


def test_lengths_are_counted_in_bytes():
    assert pae("类", b"") == "DSSEv1 3 类 0 ".encode()


@given(st.binary(max_size=200))
def test_any_body_comes_back(body):
    assert opened(sign_envelope(TYPE, body, [A])) == (body, (A.verify_key,))


def test_every_bit_of_an_envelope_counts():
    data = sign_envelope(TYPE, b'{"a":1}', [A])
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            with pytest.raises(TrustError):
                opened(bytes(changed))


def test_no_byte_can_be_taken_away_or_added():
    data = sign_envelope(TYPE, b"x", [A])
    for position in range(len(data) + 1):
        with pytest.raises(TrustError):
            opened(data[:position] + b" " + data[position:])
        if position < len(data):
            with pytest.raises(TrustError):
                opened(data[:position] + data[position + 1 :])


def test_several_signatures_stand_in_order_of_key_id():
    data = sign_envelope(TYPE, b"x", [C, A, B])
    signers = opened(data, trusted=(A, B, C))[1]
    assert [key.keyid for key in signers] == sorted(key.keyid for key in (A, B, C))


def test_a_cosigner_known_but_not_trusted_is_checked_and_not_counted():
    data = sign_envelope(TYPE, b"x", [A, B])
    assert opened(data, trusted=(A,), known=(B,))[1] == (A.verify_key,)
    refused(data, "not trusted", trusted=(A,))
    refused(data, "not trusted", trusted=(C,), known=(A, B))


def test_a_bad_signature_beside_a_good_one_is_refused():
    envelope = json.loads(sign_envelope(TYPE, b"x", [A, B]))
    for entry in envelope["signatures"]:
        if entry["keyid"] == B.keyid:
            entry["sig"] = encode_base64(bytes(64))
    refused(canonical_json(envelope), "signature is not valid", trusted=(A, B))


def test_a_signature_over_another_type_is_refused():
    refused(sign_envelope("application/other", b"x", [A]), "of type 'application/other'")


def test_a_signature_of_a_key_under_anothers_id_is_refused():
    envelope = json.loads(sign_envelope(TYPE, b"x", [B]))
    envelope["signatures"][0]["keyid"] = A.keyid
    refused(canonical_json(envelope), "signature is not valid")


GOOD = {"keyid": A.keyid, "sig": encode_base64(A.sign(pae(TYPE, b"x")))}


@pytest.mark.parametrize(
    "signatures",
    [
        [],
        {},
        [GOOD, GOOD],
        [GOOD] * 9,
        [{"keyid": A.keyid}],
        [GOOD | {"cert": "x"}],
        [GOOD | {"keyid": 1}],
        [GOOD | {"keyid": "\x1b[2J"}],
        [GOOD | {"keyid": A.keyid.upper()}],
        [GOOD | {"sig": "QR=="}],
        [GOOD | {"sig": ""}],
        ["x"],
    ],
)
def test_signatures_that_are_not_as_written_are_refused(signatures):
    envelope = {"payload": encode_base64(b"x"), "payloadType": TYPE, "signatures": signatures}
    refused(canonical_json(envelope), "malformed|not valid")


@pytest.mark.parametrize("change", [{"more": 1}, {"payload": "QR=="}, {"payload": None}, {"payloadType": 1}])
def test_an_envelope_that_is_not_as_written_is_refused(change):
    envelope = json.loads(sign_envelope(TYPE, b"x", [A])) | change
    refused(canonical_json(envelope), "malformed|of type")


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\x00" * 9])
def test_what_is_no_envelope_is_refused(data):
    refused(data, "malformed")


def test_unverified_reading_gives_the_body_and_who_claims_to_have_signed():
    data = sign_envelope(TYPE, b"x", [B])
    assert read_unverified(data, TYPE, file="f") == (b"x", (B.keyid,))


def test_messages_are_chinese_too():
    from mlb_offline.language import set_language

    set_language("zh")
    with pytest.raises(TrustError, match="签名信封格式不符：键应恰为"):
        opened(b"{}")
