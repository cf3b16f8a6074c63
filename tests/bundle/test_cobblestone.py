"""Cobblestone-256: vectors consumed by both readers, the library's own implementation, and random round trips."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path

import independent_reader
import make_cobblestone_vectors
import pytest
from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from hypothesis import given, settings
from hypothesis import strategies as st

from mlb_offline.bundle.cobblestone import CobblestoneError, decrypt, encrypt, sealed_length
from mlb_offline.errors import Exit

FILE = json.loads(Path(__file__).with_name("cobblestone_vectors.json").read_text(encoding="utf-8"))
BY_NAME = {vector["name"]: vector for vector in FILE["vectors"]}

# Wycheproof, testvectors_v1/c2sp_chunked_encryption_aes_256_gcm_test.json, tcId 1 and 2 (Apache-2.0): made by
# filippo.io/cobblestone. The ciphertexts there are zlib-compressed.
WYCHEPROOF_KEY = "59454c4c4f57205355424d4152494e452059454c4c4f57205355424d4152494e"
WYCHEPROOF = [
    (
        "78da004800b7ff43a2e39431cbae0389d3fc86adf46f7c3a24de88d9311617e53f3164cc1d5dc738a66b97f0bf786565c31799c2"
        "f463d50a7e10046011dc6fc3c939e3a5db7affb6191551669554fb010000ffff4bc124df",
        0,
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd"
        "47417a81a538327af927da3e",
    ),
    (
        "78da004f00b0ffa1a1b56f6db58cd1ede0c5c9db62aef20d3f96a6c594bb9252bb38122de91236502b42a1d7fcab820ffa292940"
        "d2f86add212cfa42c38df19d3cc9139ee61a5990d3db57433514229beea49a8a72bd010000ffffdb4f2a44",
        7,
        "e85f32a85f1d4f7c9b2d36d20eca8435d81253e7075e9dea069eb1b6da48daf92ef1797367b520d8a46c4f72cecb85b1daff8887"
        "fcb41721d39943d1952fc180",
    ),
]


def opened(cipher: bytes, key: bytes, context: bytes) -> bytes:
    sink = io.BytesIO()
    decrypt(io.BytesIO(cipher), sink, key, context)
    return sink.getvalue()


def sealed(plain: bytes, key: bytes, context: bytes) -> bytes:
    sink = io.BytesIO()
    encrypt(io.BytesIO(plain), sink, key, context)
    return sink.getvalue()


def of_vector(vector):
    edit = vector.get("edit", {})
    cipher = base64.b64decode(BY_NAME[vector.get("base", vector["name"])]["cipher"])
    key, context = edit.get("key", FILE["key"]), edit.get("context", FILE["context"])
    return make_cobblestone_vectors.edited(cipher, edit), bytes.fromhex(key), bytes.fromhex(context)


def outcome(read, vector):
    try:
        plain = read(*of_vector(vector))
    except CobblestoneError as error:
        return error.failure.value, None
    except independent_reader.Refused as error:
        return error.kind, None
    return "success", hashlib.sha256(plain).hexdigest()


@pytest.mark.parametrize("read", [opened, independent_reader.cobblestone_open], ids=["ours", "independent"])
@pytest.mark.parametrize("name", BY_NAME)
def test_both_readers_meet_every_vector_as_expected(name, read):
    vector = BY_NAME[name]
    assert outcome(read, vector) == (vector["expect"], vector.get("plain_sha256"))


def test_the_vectors_are_those_the_script_makes():
    assert make_cobblestone_vectors.vectors() == FILE


def test_every_class_of_outcome_has_a_vector():
    assert {vector["expect"] for vector in BY_NAME.values()} == {
        "success",
        "no match",
        "header failure",
        "payload failure",
    }


@pytest.mark.parametrize(("packed", "length", "sha512"), WYCHEPROOF)
def test_vectors_of_the_reference_implementation_open(packed, length, sha512):
    import zlib

    cipher = zlib.decompress(bytes.fromhex(packed))
    plain = opened(cipher, bytes.fromhex(WYCHEPROOF_KEY), b"")
    assert (len(plain), hashlib.sha512(plain).hexdigest()) == (length, sha512)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 2), st.integers(-2, 2), st.binary(min_size=32, max_size=32))
def test_it_agrees_with_the_implementation_in_the_cryptography_package(context, chunks, off, key):
    plain = hashlib.shake_128(context + key).digest(max(0, chunks * 16384 + off))
    theirs = Cobblestone256Encryptor(key, context)
    assert opened(theirs.update(plain) + theirs.finalize(), key, context) == plain
    cipher = sealed(plain, key, context)
    reader = Cobblestone256Decryptor(key, context)
    assert reader.update(cipher) + reader.finalize() == plain
    assert len(cipher) == sealed_length(len(plain))


class Dribble:
    """A source that gives one byte fewer than asked, like a pipe."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._file.read(max(1, size - 1))


def test_a_source_that_gives_less_than_asked_changes_nothing():
    plain = bytes(20_000)
    sink, back = io.BytesIO(), io.BytesIO()
    encrypt(Dribble(plain), sink, bytes(32), b"c")
    decrypt(Dribble(sink.getvalue()), back, bytes(32), b"c")
    assert back.getvalue() == plain


def test_two_seals_of_the_same_are_never_alike():
    assert sealed(b"x", bytes(32), b"") != sealed(b"x", bytes(32), b"")


@pytest.mark.parametrize(("key", "salt"), [(bytes(31), bytes(24)), (bytes(32), bytes(23))])
def test_a_key_or_salt_of_another_length_is_a_programming_error(key, salt):
    with pytest.raises(ValueError, match="32 bytes"):
        encrypt(io.BytesIO(b""), io.BytesIO(), key, b"", salt=salt)


def test_a_ciphertext_that_does_not_open_is_a_matter_of_trust():
    with pytest.raises(CobblestoneError) as caught:
        opened(b"", bytes(32), b"")
    assert caught.value.exit_code is Exit.TRUST


def test_a_ciphertext_ending_after_a_full_chunk_is_called_cut_off():
    cipher = sealed(bytes(2 * 16384), bytes(32), b"")
    for chunks in (1, 2):
        with pytest.raises(CobblestoneError, match=f"cut off at chunk {chunks + 1}|第 {chunks + 1} 块处被截断"):
            opened(cipher[: 56 + chunks * (16384 + 16)], bytes(32), b"")
