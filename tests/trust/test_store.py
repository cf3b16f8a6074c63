"""What --trust accepts: Ed25519 public keys in PEM, one a file, and folders of them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mlb_offline.errors import InputError, TrustError
from mlb_offline.trust.keys import KeyKind, new_key
from mlb_offline.trust.signing import SigningKey
from mlb_offline.trust.store import load_trust

A, B = (SigningKey.from_seed(bytes([number] * 32), "publisher").verify_key for number in (1, 2))
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "b.pem").write_bytes(B.to_pem())
    (tmp_path / "t" / "a.pem").write_bytes(A.to_pem())
    (tmp_path / "t" / "publisher.recipient.json").write_text("{}")
    return tmp_path / "t"


def test_files_and_folders_are_read_and_every_key_counts_once(folder):
    found = load_trust([folder / "b.pem", folder])
    assert found.keys == (B, A)
    assert found.find(A.keyid) == A
    assert found.find("0" * 64) is None


def test_line_ends_of_another_system_do_no_harm(tmp_path):
    (tmp_path / "a.pem").write_bytes(A.to_pem().replace(b"\n", b"\r\n"))
    assert load_trust([tmp_path / "a.pem"]).keys == (A,)


@pytest.mark.parametrize("name", ["ca.pem", "ca.crt", "CA.CER", "ca.der"])
def test_certificates_are_refused_and_never_passed_over(folder, name):
    (folder / name).write_bytes(CERTIFICATE)
    for path in (folder, folder / name):
        with pytest.raises(TrustError, match=r"X\.509 certificates are not supported") as caught:
            load_trust([path])
        assert caught.value.file == str(folder / name)


def test_keys_of_another_algorithm_are_refused(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "p256.pem"
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(TrustError, match="Ed25519 public keys only"):
        load_trust([path])


def test_a_private_key_is_no_trust_anchor(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "k.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(InputError, match="this is a private key"):
        load_trust([path])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        A.to_pem() + B.to_pem(),
        A.to_pem() + b"-----BEGIN OTHER-----\nAAAA\n-----END OTHER-----\n",
        A.to_pem().replace(b"MC", b"AA"),
        A.to_pem()[:-20],
    ],
)
def test_what_is_not_exactly_one_public_key_is_refused(tmp_path, content):
    path = tmp_path / "x.pem"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_trust([path])
    assert caught.value.file == str(path)


def test_a_folder_without_keys_and_no_path_at_all_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no \*\.pem public key"):
        load_trust([tmp_path])
    with pytest.raises(InputError, match="no trusted public key was named"):
        load_trust([])


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_trust([tmp_path / "none"])


def test_a_folder_that_cannot_be_listed_is_refused(folder, monkeypatch):
    def fails(_self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", fails)
    with pytest.raises(InputError, match="Permission denied"):
        load_trust([folder])


def test_a_key_counts_for_the_purpose_that_its_file_names_and_an_unlabelled_one_for_bundles_and_reports(tmp_path):
    new_key(KeyKind.PUBLISHER, tmp_path, None)
    new_key(KeyKind.REPORT, tmp_path, None)
    new_key(KeyKind.REVIEWER, tmp_path, None)
    labelled = (tmp_path / "report.pub.pem").read_bytes()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "any.pem").write_bytes(labelled[labelled.index(b"-----BEGIN") :])
    trust = load_trust([tmp_path])
    assert [key.purpose for key in trust.of("publisher")] == ["publisher"]
    assert [key.purpose for key in trust.of("report")] == ["report"]
    assert [key.purpose for key in trust.of("reviewer")] == ["reviewer"]
    anything = load_trust([tmp_path / "other"])
    assert anything.of("publisher") == anything.of("report") == anything.keys
    assert anything.of("reviewer") == ()
    (tmp_path / "report.pub.pem").write_bytes(labelled.replace(b"of: report", b"of: everything"))
    with pytest.raises(InputError, match="everything"):
        load_trust([tmp_path])
