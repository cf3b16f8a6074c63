"""MLKEM768-X25519 recipient keys against published vectors."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite

from mlb_offline.errors import InputError, TrustError
from mlb_offline.trust.hybrid import RecipientKey, RecipientPublicKey, expand_seed
from mlb_offline.trust.signing import SigningKey

VECTORS = json.loads(Path(__file__).with_name("hybrid_vectors.json").read_text(encoding="utf-8"))
KEY = RecipientKey.from_seed(bytes(range(32)), "hospital")
OTHER = RecipientKey.from_seed(bytes(range(1, 33)), "hospital")


@pytest.mark.parametrize("vector", VECTORS["public_keys"], ids=lambda vector: vector["source"])
def test_seeds_expand_to_the_published_public_keys(vector):
    raw = RecipientKey.from_seed(bytes.fromhex(vector["seed"]), "hospital").public.raw
    assert hashlib.sha256(raw).hexdigest() == vector["public_key_sha256"]
    assert raw.hex().startswith(vector["public_key_starts"])
    assert raw.hex().endswith(vector["public_key_ends"])


def test_the_post_quantum_example_of_the_age_specification_opens():
    vector = VECTORS["age"]
    private = MLKEM768X25519PrivateKey(*expand_seed(bytes.fromhex(vector["seed"])))
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    wrapped = base64.b64decode(vector["encapsulation"]) + base64.b64decode(vector["body"])
    assert suite.decrypt(wrapped, private, info=vector["info"].encode()).hex() == vector["file_key"]


def test_a_secret_comes_back_to_its_recipient_alone():
    wrapped = KEY.public.wrap(b"s" * 32, b"info")
    assert len(wrapped) == 1168
    assert KEY.unwrap(wrapped, b"info") == b"s" * 32
    with pytest.raises(TrustError, match="does not open"):
        OTHER.unwrap(wrapped, b"info")
    with pytest.raises(TrustError, match="does not open"):
        KEY.unwrap(wrapped, b"other")


def test_every_byte_of_a_wrapped_secret_counts():
    wrapped = KEY.public.wrap(b"s" * 32, b"info")
    for position in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[position] ^= 1
        with pytest.raises(TrustError):
            KEY.unwrap(bytes(changed), b"info")


@pytest.mark.parametrize("length", [0, 1, 1119, 1120, 1135, 1167])
def test_a_wrapped_secret_cut_off_is_refused(length):
    with pytest.raises(TrustError):
        KEY.unwrap(KEY.public.wrap(b"s" * 32, b"")[:length], b"")


def test_two_wraps_of_one_secret_differ():
    assert KEY.public.wrap(b"s", b"") != KEY.public.wrap(b"s", b"")


def test_a_public_key_file_is_read_back():
    public = RecipientKey.from_seed(bytes(32), "publisher", demonstration=True).public
    assert RecipientPublicKey.from_json(public.to_json(), file="f") == public


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"format": "x"}, None),
        ({"more": 1}, None),
        ({"kem": "X25519"}, "kem"),
        ({"kind": "report"}, "kind"),
        ({"demonstration": 1}, "demonstration"),
        ({"public_key": "QQ=="}, "public_key"),
        ({"public_key": None}, "public_key"),
        ({"public_key": base64.b64encode(b"\xff" * 1216).decode()}, "public_key"),
    ],
)
def test_what_is_no_recipient_key_is_refused(change, field):
    with pytest.raises(InputError, match="not a recipient public key") as caught:
        RecipientPublicKey.from_json(KEY.public.to_json() | change, file="f")
    assert caught.value.field == field


@pytest.mark.parametrize("raw", [None, [], "x", {}])
def test_other_json_is_no_recipient_key(raw):
    with pytest.raises(InputError, match="not a recipient public key"):
        RecipientPublicKey.from_json(raw, file="f")


@pytest.mark.parametrize("field", ["keyid", "fingerprint"])
def test_a_key_id_or_fingerprint_of_another_key_is_refused(field):
    raw = KEY.public.to_json() | {field: OTHER.public.to_json()[field]}
    with pytest.raises(TrustError, match="does not belong") as caught:
        RecipientPublicKey.from_json(raw, file="f")
    assert caught.value.field == field


def test_private_keys_do_not_print_themselves():
    assert "_private" not in repr(KEY)
    assert repr(SigningKey.from_seed(bytes(32), "report")) == "SigningKey(kind='report', demonstration=False)"


def test_the_publishers_recipient_key_follows_from_its_signing_seed():
    derived = SigningKey.from_seed(bytes(range(32)), "publisher").publisher_recipient()
    assert derived.keyid == VECTORS["publisher_recipient"]["keyid"]
    assert derived.keyid != RecipientKey.from_seed(bytes(range(32)), "publisher").keyid
