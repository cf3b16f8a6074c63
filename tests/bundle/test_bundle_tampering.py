"""No byte of a bundle can change, go, or be added without being noticed, and the message says what is wrong."""

from __future__ import annotations

from pathlib import Path

import independent_reader
import pytest
from bundle_simulator import FOREIGN, HOSPITAL, HOSPITAL_SEED, NOW, PUBLISHER, TRUST, Simulator, join, split

from mlb_offline.bundle.opening import open_bundle, verify_bundle
from mlb_offline.errors import Exit, InputError, TrustError
from mlb_offline.trust.store import TrustSet

SPKI = [PUBLISHER.verify_key.spki]


def refusal(path: Path, data: bytes, key=HOSPITAL) -> str:
    path.write_bytes(data)
    with pytest.raises(TrustError) as caught:
        verify_bundle(path, TRUST, key=key, now=NOW)
    assert caught.value.exit_code is Exit.TRUST
    assert caught.value.file == str(path)
    assert caught.value.remedy
    return caught.value.message


def expected(position: int, envelope_end: int) -> tuple[str, ...]:
    if position < 8:
        return ("no bundle",)
    if position < 12:
        return ("length of the envelope", "cut off within its envelope", "signed envelope is malformed")
    if position < envelope_end:
        return ("signed envelope is malformed", "not trusted", "signature is not valid", "signed content is of type")
    return ("payload's SHA-256 is not the signed one",)


def test_every_byte_flipped_is_refused_and_named(small_bundle, tmp_path):
    end = 12 + len(split(small_bundle)[0])
    for position in range(len(small_bundle)):
        data = bytearray(small_bundle)
        data[position] ^= 1 << (position * 5 % 8)
        message = refusal(tmp_path / "f.mlbb", bytes(data))
        assert any(part in message for part in expected(position, end)), (position, message)


def test_every_bit_of_prefix_envelope_ends_and_payload_is_refused_by_both_readers(small_bundle, tmp_path):
    end = 12 + len(split(small_bundle)[0])
    places = [*range(40), *range(end - 260, end + 80), *range(len(small_bundle) - 20, len(small_bundle))]
    for position in places:
        for bit in range(8):
            data = bytearray(small_bundle)
            data[position] ^= 1 << bit
            refusal(tmp_path / "f.mlbb", bytes(data))
            with pytest.raises(independent_reader.Refused):
                independent_reader.open_bundle(bytes(data), SPKI, HOSPITAL_SEED, NOW)


def test_every_truncation_is_refused(small_bundle, tmp_path):
    # Shortened in place, from the end: one file, one pass over all its lengths.
    path = tmp_path / "f.mlbb"
    path.write_bytes(small_bundle)
    with path.open("r+b") as file:
        for length in range(len(small_bundle) - 1, -1, -1):
            file.truncate(length)
            with pytest.raises(TrustError) as caught:
                verify_bundle(path, TRUST, key=None, now=NOW)
            assert any(part in caught.value.message for part in ("cut off", "no bundle", "length of the envelope"))


@pytest.mark.parametrize("more", [b"\x00", b"\n", b"x" * 16, b"\x89MLBB\r\n\x1a"])
def test_appended_bytes_are_refused(small_bundle, tmp_path, more):
    assert f"{len(more)} bytes follow the payload" in refusal(tmp_path / "f.mlbb", small_bundle + more)


def test_a_second_bundle_appended_is_refused(small_bundle, tmp_path):
    assert "bytes follow" in refusal(tmp_path / "f.mlbb", small_bundle * 2)


def big() -> Simulator:
    simulator = Simulator()
    simulator.plain = bytes(3 * 16384)
    return simulator


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_a_payload_cut_at_a_chunk_boundary_is_refused_even_by_its_length(tmp_path, chunks):
    envelope, cipher = split(big().data())
    message = refusal(tmp_path / "f.mlbb", join(envelope, cipher[: 56 + chunks * 16400]))
    assert "cut off" in message


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_a_payload_cut_at_a_chunk_boundary_is_refused_even_if_signed_so(tmp_path, chunks):
    simulator = big()
    _plain, cipher = simulator.seal()
    simulator.cipher = cipher[: 56 + chunks * 16400]
    # cipher_length no longer follows from any plain_length, so the manifest itself is refused.
    assert "cipher_length" in refusal(tmp_path / "f.mlbb", simulator.data())


def test_chunks_in_another_order_are_refused_even_if_signed_so(tmp_path):
    simulator = big()
    _plain, cipher = simulator.seal()
    # seal() is called again by data(): the content key stays, the salt does not matter for what was sealed before.
    first, second = cipher[56 : 56 + 16400], cipher[56 + 16400 : 56 + 2 * 16400]
    simulator.cipher = cipher[:56] + second + first + cipher[56 + 2 * 16400 :]
    assert "chunk 1 is not authentic" in refusal(tmp_path / "f.mlbb", simulator.data())


def test_a_changed_chunk_is_refused_even_if_the_hash_is_signed_so(tmp_path):
    simulator = big()
    _plain, cipher = simulator.seal()
    simulator.cipher = cipher[:-1] + bytes([cipher[-1] ^ 1])
    assert "chunk 4 is not authentic" in refusal(tmp_path / "f.mlbb", simulator.data())


def test_a_payload_of_another_bundle_is_refused(tmp_path):
    mine, other = Simulator(), Simulator()
    other.core["version"] = 2
    envelope, _ = split(mine.data())
    _, cipher = split(other.data())
    message = refusal(tmp_path / "f.mlbb", join(envelope, cipher))
    assert "SHA-256 is not the signed one" in message


def test_a_payload_of_another_bundle_is_refused_even_if_resigned_with_the_same_content_key(tmp_path):
    simulator = Simulator()
    simulator.context = b"\x00" * 32  # the digest of some other core
    assert "key commitment does not match" in refusal(tmp_path / "f.mlbb", simulator.data())


def test_a_wrapped_key_of_another_bundle_is_refused_even_if_resigned(tmp_path):
    mine, other = Simulator(), Simulator()
    other.core["title"] = "another"
    mine.wrapped = {HOSPITAL.keyid: HOSPITAL.public.wrap(other.content_key, other.digest())}
    assert "wrapped key does not open" in refusal(tmp_path / "f.mlbb", mine.data())


def test_a_foreign_publisher_is_refused_and_named(tmp_path):
    simulator = Simulator()
    simulator.signers = [FOREIGN]
    message = refusal(tmp_path / "f.mlbb", simulator.data())
    assert "not trusted" in message
    assert FOREIGN.keyid in message


def test_a_cosignature_that_cannot_be_checked_is_refused(tmp_path):
    simulator = Simulator()
    simulator.signers = [PUBLISHER, FOREIGN]
    assert "not trusted" in refusal(tmp_path / "f.mlbb", simulator.data())


def test_a_second_signature_is_refused_though_it_is_trusted(tmp_path):
    simulator = Simulator()
    simulator.signers = [PUBLISHER, FOREIGN]
    path = tmp_path / "f.mlbb"
    path.write_bytes(simulator.data())
    trust = TrustSet((PUBLISHER.verify_key, FOREIGN.verify_key))
    with pytest.raises(TrustError, match="exactly one signature"):
        verify_bundle(path, trust, key=HOSPITAL, now=NOW)


def test_a_plaintext_other_than_signed_is_refused(tmp_path):
    simulator = Simulator()
    simulator.payload = {"plain_sha256": "0" * 64}
    assert "SHA-256 of the opened content" in refusal(tmp_path / "f.mlbb", simulator.data())


def test_a_file_that_changes_between_the_two_passes_is_refused(tmp_path, monkeypatch):
    from mlb_offline.bundle import container

    simulator = Simulator()
    path = tmp_path / "f.mlbb"
    path.write_bytes(simulator.data())
    honest = container.Container.hash_payload

    def changed_after(self):
        result = honest(self)
        _plain, cipher = simulator.seal()  # another salt: authentic, of the same length, but not what was hashed
        path.write_bytes(join(self.envelope, cipher))
        return result

    monkeypatch.setattr(container.Container, "hash_payload", changed_after)
    with pytest.raises(TrustError, match="changed while it was being read"):
        verify_bundle(path, TRUST, key=HOSPITAL, now=NOW)


def test_a_refused_bundle_leaves_no_trace_in_the_state(tmp_path, small_bundle, state):
    path = tmp_path / "f.mlbb"
    path.write_bytes(small_bundle[:-1] + bytes([small_bundle[-1] ^ 1]))
    with pytest.raises(TrustError):
        open_bundle(path, TRUST, HOSPITAL, state=state, now=NOW)
    assert not (state.folder / "rollback.json").exists()


@pytest.mark.parametrize("data", [b"", b"\x89MLBB\r\n\x1a", b"\x89MLBB\r\n\x1a\x00\x00\x00\x00", b"PK\x03\x04" * 9])
def test_what_does_not_begin_as_a_bundle_is_refused(tmp_path, data):
    message = refusal(tmp_path / "f.mlbb", data)
    assert "no bundle" in message or "length of the envelope" in message


def test_an_envelope_length_beyond_the_limit_is_refused_before_reading_it(tmp_path):
    assert "length of the envelope" in refusal(tmp_path / "f.mlbb", b"\x89MLBB\r\n\x1a\xff\xff\xff\xff" + b"{}")


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_a_missing_file_is_bad_input_and_not_a_matter_of_trust(tmp_path, what):
    path = tmp_path if what == "folder" else tmp_path / "none.mlbb"
    with pytest.raises(InputError, match="cannot be read"):
        verify_bundle(path, TRUST, key=None, now=NOW)
