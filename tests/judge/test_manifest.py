"""The signed list of judge models: what is refused, with which exit code, file and field; and what passes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.errors import Exit, InputError, MlbError, NotEvaluableError, TrustError
from mlb_offline.judge import manifest as manifest_module
from mlb_offline.judge.manifest import (
    PAYLOAD_TYPE,
    Manifest,
    check_file,
    check_judge,
    embedded_publisher,
    open_manifest,
    write_manifest,
)
from mlb_offline.trust.dsse import sign_envelope
from mlb_offline.trust.signing import SigningKey
from mlb_offline.trust.store import TrustSet

PUBLISHER = SigningKey.from_seed(bytes(32), "publisher")
FOREIGN = SigningKey.from_seed(bytes([1]) * 32, "publisher")
TRUST = TrustSet((PUBLISHER.verify_key,))
CONTENT = {"a.gguf": b"weights of judge A", "b.onnx": b"weights of judge B", "lexicon.txt": "词典".encode()}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def judge(role: str, file: str) -> dict[str, Any]:
    return {
        "name": f"judge-{role.lower()}",
        "role": role,
        "file": file,
        "format": file.partition(".")[2],
        "size": len(CONTENT[file]),
        "sha256": digest(CONTENT[file]),
        "architecture": "llama",
        "quantisation": "Q8_0",
        "parameters": 1000,
        "prompt": {"name": "points", "version": 1, "sha256": digest(b"prompt")},
        "calibration": {"points": {"scale": 1, "shift": -0.25}},
        "data": [{"name": "合成标注", "licence": "Apache-2.0", "use": "training"}],
        "config": {"epochs": 3, "rate": 0.0001, "layers": ["q", "v"]},
        "seed": 7,
        "trained_on": "two CPU cores",
        "tool_version": "0.1.0",
        "figures": {"held out": {"n": 40, "accuracy": 0.9, "f1": 0.88, "kappa": 0.8, "auc": None}},
        "limits": ["Trained on synthetic answers only."],
    }


def listed() -> dict[str, Any]:
    return {
        "format": "mlb-offline/judges/v1",
        "created": "2026-01-31T08:00:00Z",
        "judges": [judge("A", "a.gguf"), judge("B", "b.onnx")],
        "files": [
            {"name": "lexicon.txt", "size": len(CONTENT["lexicon.txt"]), "sha256": digest(CONTENT["lexicon.txt"])}
        ],
    }


def sign_as_it_is(folder: Path, body: bytes, key: SigningKey = PUBLISHER) -> None:
    (folder / "MANIFEST.json").write_bytes(body)
    (folder / "MANIFEST.json.sig").write_bytes(sign_envelope(PAYLOAD_TYPE, body, [key]))


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlb_offline.language._current", "en")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name, content in CONTENT.items():
        (tmp_path / name).write_bytes(content)
    write_manifest(tmp_path / "MANIFEST.json", Manifest.model_validate(listed()), [PUBLISHER])
    return tmp_path


def refused(kind: type[MlbError], code: Exit, file: Path | str, action: Callable[[], object]) -> MlbError:
    with pytest.raises(MlbError) as caught:
        action()
    error = caught.value
    assert (type(error), error.exit_code, error.file) == (kind, code, str(file))
    assert error.message
    assert error.remedy
    return error


def test_what_is_written_is_readable_and_opens_with_the_publishers_key_alone(models: Path) -> None:
    body = (models / "MANIFEST.json").read_bytes()
    assert body == (json.dumps(listed(), ensure_ascii=False, indent=2, sort_keys=True) + "\n").replace(
        '"scale": 1,', '"scale": 1.0,'
    ).encode("utf-8")
    opened = open_manifest(models, TRUST)
    assert opened.model_dump() == listed()
    assert opened.sha256 == digest(body)
    assert opened.publishers == (PUBLISHER.verify_key,)


def test_an_existing_list_is_never_written_over(models: Path) -> None:
    path = models / "MANIFEST.json"
    refused(InputError, Exit.BAD_INPUT, path, lambda: write_manifest(path, open_manifest(models, TRUST), [PUBLISHER]))


def test_every_byte_of_the_list_and_of_its_signature_counts(models: Path) -> None:
    for name in ("MANIFEST.json", "MANIFEST.json.sig"):
        path = models / name
        whole = path.read_bytes()
        for position in range(0, len(whole), 7):
            changed = bytearray(whole)
            changed[position] ^= 1 << (position % 8)
            path.write_bytes(changed)
            error = refused(TrustError, Exit.TRUST, path, lambda: open_manifest(models, TRUST))
            assert name.endswith(".sig") or "not the one that was signed" in error.message
        path.write_bytes(whole)
    open_manifest(models, TRUST)


def test_a_foreign_key_a_report_key_and_a_missing_signature_are_not_trusted(models: Path) -> None:
    signature = models / "MANIFEST.json.sig"
    report_key = SigningKey.from_seed(bytes(32), "report").verify_key
    for trust in (TrustSet((FOREIGN.verify_key,)), TrustSet((report_key,))):
        error = refused(TrustError, Exit.TRUST, signature, partial(open_manifest, models, trust))
        assert "not trusted" in error.message
    sign_as_it_is(models, (models / "MANIFEST.json").read_bytes(), FOREIGN)
    assert "not trusted" in refused(TrustError, Exit.TRUST, signature, lambda: open_manifest(models, TRUST)).message
    signature.unlink()
    error = refused(TrustError, Exit.TRUST, signature, lambda: open_manifest(models, TRUST))
    assert "no signature file" in error.message


def test_a_signature_over_another_kind_of_content_does_not_count(models: Path) -> None:
    body = (models / "MANIFEST.json").read_bytes()
    signature = models / "MANIFEST.json.sig"
    signature.write_bytes(sign_envelope("application/vnd.in-toto+json", body, [PUBLISHER]))
    error = refused(TrustError, Exit.TRUST, signature, lambda: open_manifest(models, TRUST))
    assert error.field == "payloadType"


def test_without_a_list_nothing_can_be_judged(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        error = refused(
            NotEvaluableError,
            Exit.NOT_EVALUABLE,
            folder / "MANIFEST.json",
            partial(open_manifest, folder, TRUST),
        )
        assert "no list of judge models" in error.message


def scale(raw: dict[str, Any]) -> None:
    raw["judges"][0]["calibration"]["points"]["scale"] = 0


WRONG: dict[str, tuple[str | None, Callable[[dict[str, Any]], object]]] = {
    "other format": ("format", lambda raw: raw.update(format="mlb-offline/judges/v2")),
    "no judge": ("judges", lambda raw: raw.update(judges=[])),
    "unknown field": ("judges.0.colour", lambda raw: raw["judges"][0].update(colour="red")),
    "missing field": ("judges.1.limits", lambda raw: raw["judges"][1].pop("limits")),
    "number as text": ("judges.0.size", lambda raw: raw["judges"][0].update(size="18")),
    "role": ("judges.0.role", lambda raw: raw["judges"][0].update(role="C")),
    "path for a name": ("judges.0.file", lambda raw: raw["judges"][0].update(file="../a.gguf")),
    "digest": ("judges.0.sha256", lambda raw: raw["judges"][0].update(sha256="0" * 63)),
    "family": ("judges.0.calibration.taste.[key]", lambda raw: raw["judges"][0]["calibration"].update(taste={})),
    "scale": (
        "judges.0.calibration.points.scale",
        lambda raw: raw["judges"][0]["calibration"]["points"].update(scale=0),
    ),
    "rate": ("judges.0.figures.held out.f1", lambda raw: raw["judges"][0]["figures"]["held out"].update(f1=1.5)),
    "control character": ("judges.0.limits.0", lambda raw: raw["judges"][0].update(limits=["\x1b[2J"])),
    "time": ("created", lambda raw: raw.update(created="2026-01-31")),
    "twice": (None, lambda raw: raw["judges"][1].update(name="judge-a")),
    "file twice": (None, lambda raw: raw["files"][0].update(name="b.onnx")),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_signed_list_with_a_wrong_field_is_refused_and_the_field_named(models: Path, fault: str) -> None:
    field, spoil = WRONG[fault]
    raw = listed()
    spoil(raw)
    sign_as_it_is(models, json.dumps(raw, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n")
    error = refused(InputError, Exit.BAD_INPUT, models / "MANIFEST.json", lambda: open_manifest(models, TRUST))
    assert error.field == field


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        (b"{\n  nothing\n}\n", 2, "not JSON"),
        (b"\xff", None, "not JSON"),
        (b'{"created": NaN}', None, "not JSON"),
        (b"[" * 100_000, None, "not JSON"),
        (json.dumps(listed()).encode(), None, "not spelled"),
        (json.dumps(listed()).replace('"epochs"', r'"\ud800"').encode(), None, ""),
        (b" " * ((1 << 20) + 1), None, "larger than 1 MiB"),
    ],
)
def test_a_signed_list_that_is_no_json_or_spelled_otherwise_is_refused(
    models: Path, body: bytes, line: int | None, said: str
) -> None:
    sign_as_it_is(models, body)
    error = refused(InputError, Exit.BAD_INPUT, models / "MANIFEST.json", lambda: open_manifest(models, TRUST))
    assert error.line == line
    assert said in error.message


def test_a_key_that_stands_twice_is_refused(models: Path) -> None:
    body = (models / "MANIFEST.json").read_bytes()
    sign_as_it_is(models, body.replace(b'  "created"', b'  "created": "2020-01-31T08:00:00Z",\n  "created"', 1))
    refused(InputError, Exit.BAD_INPUT, models / "MANIFEST.json", lambda: open_manifest(models, TRUST))


def test_a_list_or_signature_that_is_no_regular_file_is_not_waited_for(models: Path) -> None:
    for name in ("MANIFEST.json.sig", "MANIFEST.json"):
        (models / name).unlink()
        os.mkfifo(models / name)
        error = refused(InputError, Exit.BAD_INPUT, models / name, lambda: open_manifest(models, TRUST))
        assert "not a regular file" in error.message


def test_a_listed_file_is_known_by_its_name_or_its_content(models: Path) -> None:
    opened = open_manifest(models, TRUST)
    sha256 = digest(CONTENT["a.gguf"])
    expected = {"sha256": sha256, "size": 18, "listed": True, "accepted": False, "name": "judge-a", "role": "A"}
    assert check_judge(models / "a.gguf", opened).to_json() == {"file": "a.gguf"} | expected
    (models / "mine.gguf").symlink_to("a.gguf")
    assert check_judge(models / "mine.gguf", opened, accept_unlisted=True).to_json() == {"file": "mine.gguf"} | expected
    check_file(models / "lexicon.txt", opened.files[0])


@pytest.mark.parametrize(("content", "field"), [(b"weights of judge a", "sha256"), (b"longer " * 9, "size")])
@pytest.mark.parametrize("accept", [False, True])
def test_other_content_under_a_listed_name_is_never_accepted(
    models: Path, content: bytes, field: str, accept: bool
) -> None:
    opened = open_manifest(models, TRUST)
    path = models / "a.gguf"
    path.write_bytes(content)
    error = refused(TrustError, Exit.TRUST, path, lambda: check_judge(path, opened, accept_unlisted=accept))
    assert error.field == field
    (models / "lexicon.txt").write_bytes(content)
    error = refused(
        TrustError, Exit.TRUST, models / "lexicon.txt", lambda: check_file(models / "lexicon.txt", opened.files[0])
    )
    assert error.field == "size"


def test_a_judge_in_the_place_of_the_other_is_refused(models: Path) -> None:
    opened = open_manifest(models, TRUST)
    path = models / "a.gguf"
    path.write_bytes(CONTENT["b.onnx"])
    assert refused(TrustError, Exit.TRUST, path, lambda: check_judge(path, opened)).field == "sha256"


def test_a_link_counts_as_the_file_that_it_leads_to(models: Path) -> None:
    opened = open_manifest(models, TRUST)
    path = models / "a.gguf"
    path.unlink()
    path.symlink_to("b.onnx")
    assert refused(TrustError, Exit.TRUST, path, lambda: check_judge(path, opened)).field == "sha256"


def test_an_unlisted_file_needs_to_be_accepted_and_its_record_says_so(models: Path) -> None:
    opened = open_manifest(models, TRUST)
    path = models / "own.gguf"
    path.write_bytes(b"own")
    error = refused(TrustError, Exit.TRUST, path, lambda: check_judge(path, opened))
    assert digest(b"own") in error.message
    assert "--accept-unlisted" in error.remedy
    assert check_judge(path, opened, accept_unlisted=True).to_json() == {
        "file": "own.gguf",
        "sha256": digest(b"own"),
        "size": 3,
        "listed": False,
        "accepted": True,
    }


def test_a_missing_file_a_folder_a_device_and_a_link_to_one_cannot_be_read(models: Path) -> None:
    opened = open_manifest(models, TRUST)
    (models / "a.gguf").unlink()
    (models / "zero.gguf").symlink_to("/dev/zero")
    (models / "folder").mkdir()
    for name, said in {
        "a.gguf": "No such file",
        "zero.gguf": "not a regular file",
        "folder": "not a regular file",
        "/dev/zero": "not a regular file",
    }.items():
        path = models / name
        error = refused(InputError, Exit.BAD_INPUT, path, partial(check_judge, path, opened, accept_unlisted=True))
        assert said in error.message


def test_the_publishers_key_of_the_package_is_the_default(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = models / "p.pem"
    monkeypatch.setattr(manifest_module, "PUBLISHER", str(pem))
    refused(TrustError, Exit.TRUST, pem, embedded_publisher)
    refused(TrustError, Exit.TRUST, pem, lambda: open_manifest(models))
    pem.write_bytes(PUBLISHER.verify_key.to_pem())
    assert embedded_publisher() == PUBLISHER.verify_key
    assert open_manifest(models).publishers == (PUBLISHER.verify_key,)
    pem.write_bytes(FOREIGN.verify_key.to_pem())
    refused(TrustError, Exit.TRUST, models / "MANIFEST.json.sig", lambda: open_manifest(models))
