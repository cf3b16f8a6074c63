"""Key files: made once, sealed, bounded, refused when others may read them or anything was changed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlb_offline.errors import InputError, TrustError, UsageError
from mlb_offline.trust import sealing
from mlb_offline.trust.fingerprint import fingerprint
from mlb_offline.trust.keys import (
    KeyKind,
    load_recipient_key,
    load_recipient_public,
    load_signing_key,
    needs_passphrase,
    new_key,
    read_passphrase,
)
from mlb_offline.trust.signing import VerifyKey
from mlb_offline.trust.store import load_trust

NAMES = {
    KeyKind.PUBLISHER: ["publisher.key.json", "publisher.pub.pem", "publisher.recipient.json"],
    KeyKind.HOSPITAL: ["hospital.key.json", "hospital.recipient.json"],
    KeyKind.REPORT: ["report.key.json", "report.pub.pem"],
    KeyKind.REVIEWER: ["reviewer.key.json", "reviewer.pub.pem"],
}


@pytest.fixture(autouse=True)
def _quick_scrypt(monkeypatch):
    monkeypatch.setattr(sealing, "N_WITH_PASSPHRASE", 2**10)


@pytest.mark.parametrize("kind", KeyKind)
def test_a_key_is_made_with_its_files_and_modes(tmp_path, kind):
    files = new_key(kind, tmp_path / "a" / "b", None)
    assert [file.name for file in files] == NAMES[kind]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] + [0o644] * (len(files) - 1)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_modes_do_not_depend_on_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        files = new_key(KeyKind.REPORT, tmp_path, None)
    finally:
        os.umask(before)
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o644]


def test_what_a_private_file_signs_its_public_file_verifies(tmp_path):
    for kind in (KeyKind.PUBLISHER, KeyKind.REPORT, KeyKind.REVIEWER):
        _private, public, *_more = new_key(kind, tmp_path / kind, "p")
        key = load_signing_key(tmp_path / kind / f"{kind}.key.json", "p", kind)
        (trusted,) = load_trust([public]).keys
        trusted.verify(key.sign(b"m"), b"m")
        assert (trusted.keyid, key.kind) == (key.keyid, kind)
        with pytest.raises(TrustError, match="not valid"):
            trusted.verify(key.sign(b"m"), b"other")
        with pytest.raises(TrustError, match="not valid"):
            trusted.verify(b"short", b"m")


def test_what_a_public_file_seals_its_private_file_opens(tmp_path):
    for kind in (KeyKind.PUBLISHER, KeyKind.HOSPITAL):
        files = new_key(kind, tmp_path / kind, None, demonstration=True)
        public, private = load_recipient_public(files[-1]), load_recipient_key(files[0], None)
        assert private.unwrap(public.wrap(b"s", b"i"), b"i") == b"s"
        assert private.public == public
        assert private.demonstration
        assert public.demonstration


def test_openssl_reads_the_public_key(tmp_path):
    _private, public = new_key(KeyKind.REPORT, tmp_path, None)
    command = ["openssl", "pkey", "-pubin", "-in", str(public), "-outform", "DER"]
    der = subprocess.run(command, capture_output=True, check=True).stdout
    assert VerifyKey(der).keyid == load_trust([public]).keys[0].keyid


@pytest.mark.parametrize("index", [0, 1, 2])
def test_no_file_is_ever_overwritten_and_nothing_half_made_is_left(tmp_path, index):
    name = NAMES[KeyKind.PUBLISHER][index]
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="never overwritten"):
        new_key(KeyKind.PUBLISHER, tmp_path, None)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        new_key(KeyKind.REPORT, tmp_path / "file" / "x", None)


def test_a_file_that_cannot_be_written_is_bad_input(tmp_path):
    from mlb_offline.trust.files import create

    with pytest.raises(InputError, match="cannot be written"):
        create(tmp_path / "missing" / "x", b"", mode=0o600)


def test_the_file_says_plainly_whether_there_is_a_passphrase(tmp_path):
    without, *_ = new_key(KeyKind.REPORT, tmp_path / "a", None)
    with_one, *_ = new_key(KeyKind.REPORT, tmp_path / "b", "秘密")
    assert json.loads(without.read_text())["passphrase"] is False
    assert json.loads(with_one.read_text())["passphrase"] is True
    assert (needs_passphrase(without), needs_passphrase(with_one)) == (False, True)
    # A passphrase meant for another of the run's keys does no harm.
    assert load_signing_key(without, "for another key").keyid


def test_the_passphrase_is_needed_and_must_be_right(tmp_path):
    private, *_ = new_key(KeyKind.HOSPITAL, tmp_path, "right")
    with pytest.raises(TrustError, match="none was given"):
        load_recipient_key(private, None)
    for wrong in ("", "wrong", "right "):
        with pytest.raises(TrustError, match="wrong passphrase"):
            load_recipient_key(private, wrong)
    assert load_recipient_key(private, "right")


def test_by_default_a_passphrase_is_stretched_with_128_mib(monkeypatch):
    monkeypatch.undo()
    assert sealing.N_WITH_PASSPHRASE * 128 * 8 == 128 * 2**20


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o777])
def test_a_private_key_others_can_reach_is_refused(tmp_path, mode):
    private, *_ = new_key(KeyKind.HOSPITAL, tmp_path, None)
    private.chmod(mode)
    with pytest.raises(TrustError, match="others can reach") as caught:
        load_recipient_key(private, None)
    assert caught.value.remedy == f"chmod 600 {private}"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_key_for_its_owner_alone_is_fine(tmp_path, mode):
    private, *_ = new_key(KeyKind.HOSPITAL, tmp_path, None)
    private.chmod(mode)
    assert load_recipient_key(private, None)


def change(path: Path, where: str, value: object) -> None:
    raw = json.loads(path.read_text())
    *parents, last = where.split(".")
    inner = raw
    for name in parents:
        inner = inner[name]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    path.write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("where", "value"),
    [("kind", "publisher"), ("created", "2020-01-01T00:00:00Z"), ("demonstration", True), ("scrypt.p", 2)],
)
def test_no_field_of_a_private_file_can_be_changed(tmp_path, where, value):
    private, *_ = new_key(KeyKind.HOSPITAL, tmp_path, None)
    change(private, where, value)
    with pytest.raises(TrustError, match="was changed"):
        load_recipient_key(private, None)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("scrypt.n", 2**18),
        ("scrypt.n", 2**40),
        ("scrypt.n", 2**9),
        ("scrypt.n", 2**10 + 1),
        ("scrypt.r", 9),
        ("scrypt.r", 0),
        ("scrypt.p", 5),
        ("scrypt.p", True),
        ("scrypt.salt", "QQ=="),
        ("scrypt.salt", "?"),
        ("sealed.nonce", "QQ=="),
        ("sealed.ciphertext", "QQ=="),
        ("kind", "auditor"),
        ("created", "yesterday"),
        ("passphrase", None),
        ("more", 1),
    ],
)
def test_a_private_file_out_of_bounds_is_refused_before_any_work(tmp_path, where, value, monkeypatch):
    private, *_ = new_key(KeyKind.HOSPITAL, tmp_path, None)
    change(private, where, value)
    monkeypatch.setattr("hashlib.scrypt", None)
    with pytest.raises(InputError, match="not a valid private key file") as caught:
        load_recipient_key(private, None)
    assert caught.value.field.split(".")[0] == where.split(".", maxsplit=1)[0]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 50_000, b'{"format": "x"}'])
def test_what_is_no_private_file_is_refused(tmp_path, content):
    path = tmp_path / "k"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a"):
        load_signing_key(path, None)


def test_a_public_file_in_place_of_a_private_one_is_refused(tmp_path):
    *_, public = new_key(KeyKind.HOSPITAL, tmp_path, None)
    with pytest.raises(InputError, match="not a private key"):
        load_recipient_key(public, None)


def test_a_key_of_another_kind_is_refused_by_name(tmp_path):
    hospital, *_ = new_key(KeyKind.HOSPITAL, tmp_path, None)
    report, *_ = new_key(KeyKind.REPORT, tmp_path, None)
    with pytest.raises(UsageError, match="this is a hospital key; here one of kind publisher, report"):
        load_signing_key(hospital, None)
    with pytest.raises(UsageError, match="this is a report key; here one of kind hospital, publisher"):
        load_recipient_key(report, None)
    reviewer, *_ = new_key(KeyKind.REVIEWER, tmp_path, None)
    with pytest.raises(UsageError, match="this is a reviewer key; here one of kind publisher, report"):
        load_signing_key(reviewer, None)
    with pytest.raises(UsageError, match="this is a reviewer key; here one of kind hospital, publisher"):
        load_recipient_key(reviewer, None)
    with pytest.raises(UsageError, match="this is a report key; here one of kind reviewer"):
        load_signing_key(report, None, KeyKind.REVIEWER)


@pytest.mark.parametrize("make", ["missing", "folder", "pipe", "large"])
def test_what_cannot_be_a_key_file_is_refused_without_waiting_or_eating_memory(tmp_path, make):
    path = tmp_path / "k"
    if make == "folder":
        path.mkdir()
    elif make == "pipe":
        os.mkfifo(path)
    elif make == "large":
        path.write_bytes(b" " * (64 * 1024 + 1))
    with pytest.raises(InputError):
        load_signing_key(path, None)


def secret(path, content):
    path.write_bytes(content)
    path.chmod(0o600)
    return path


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), min_size=1, max_size=30))
def test_a_passphrase_is_the_one_line_of_its_file(tmp_path, text):
    for end in ("", "\n", "\r\n"):
        secret(tmp_path / "p", (text + end).encode())
        assert read_passphrase(tmp_path / "p") == text


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb\n", b"\xff\n"])
def test_a_file_that_is_not_one_line_is_no_passphrase(tmp_path, content):
    with pytest.raises(InputError, match="exactly one line"):
        read_passphrase(secret(tmp_path / "p", content))


def test_a_passphrase_file_that_others_may_read_is_refused(tmp_path):
    file = secret(tmp_path / "p", b"secret")
    file.chmod(0o640)
    with pytest.raises(TrustError, match="0640"):
        read_passphrase(file)


def test_no_passphrase_file_is_no_passphrase(monkeypatch):
    monkeypatch.setenv("MLB_PASSPHRASE", "x")
    assert read_passphrase(None) is None


def test_fingerprints_are_eight_groups_of_five_digits():
    assert fingerprint(bytes.fromhex("0000ffff00010100") + bytes(24)) == (
        "00000 65535 00001 00256 00000 00000 00000 00000"
    )


def test_a_verify_key_is_ed25519_or_nothing():
    with pytest.raises(TrustError, match="not an Ed25519"):
        VerifyKey(bytes(44))
