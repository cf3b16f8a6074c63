"""``judge info``: the list as a table and as JSON, and how it ends for every fault."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.cli import main
from mlb_offline.judge.lexicon import embedded_sha256
from mlb_offline.judge.manifest import PAYLOAD_TYPE, Manifest, write_manifest
from mlb_offline.judge.rendering import VERSION
from mlb_offline.trust.dsse import sign_envelope
from mlb_offline.trust.signing import SigningKey

PUBLISHER = SigningKey.from_seed(bytes(32), "publisher")
FOREIGN = SigningKey.from_seed(bytes([1]) * 32, "publisher")
WEIGHTS = b"weights"
LEXICON = b"lexicon"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


LISTED: dict[str, Any] = {
    "format": "mlb-offline/judges/v1",
    "created": "2026-01-31T08:00:00Z",
    "judges": [
        {
            "name": "小法官",
            "role": "A",
            "file": "a.gguf",
            "format": "gguf",
            "size": len(WEIGHTS),
            "sha256": sha256(WEIGHTS),
            "architecture": "llama",
            "quantisation": "Q8_0",
            "parameters": 1_234_567,
            "prompt": {"name": "points", "version": 1, "sha256": "0" * 64},
            "calibration": {"points": {"scale": 1.5, "shift": -0.25}},
            "data": [{"name": "synthetic", "licence": "Apache-2.0", "use": "training"}],
            "config": {},
            "seed": 7,
            "trained_on": "two CPU cores",
            "tool_version": "0.1.0",
            "figures": {"held out": {"n": 40, "accuracy": 0.9, "f1": 0.88, "kappa": 0.8, "auc": None}},
            "limits": ["Trained on synthetic answers only."],
        }
    ],
    "files": [{"name": "lexicon.txt", "size": len(LEXICON), "sha256": sha256(LEXICON)}],
}


@dataclass
class Told:
    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class House:
    models: Path
    key: Path
    ask: Callable[..., Told]

    def info(self, *words: str | Path, lang: str = "en") -> Told:
        return self.ask("judge", "info", "--models", self.models, "--trust", self.key, *words, "--lang", lang)


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Told]:
    monkeypatch.setattr("mlb_offline.language._current", "en")
    monkeypatch.setenv("MLB_STATE", str(tmp_path / "state"))

    def asked(*words: str | Path) -> Told:
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Told(int(end.value.code or 0), said.out, said.err)

    return asked


@pytest.fixture
def house(tmp_path: Path, ask: Callable[..., Told]) -> House:
    models = tmp_path / "models"
    models.mkdir()
    (models / "a.gguf").write_bytes(WEIGHTS)
    (models / "lexicon.txt").write_bytes(LEXICON)
    write_manifest(models / "MANIFEST.json", Manifest.model_validate(LISTED), [PUBLISHER])
    key = tmp_path / "publisher.pem"
    key.write_bytes(PUBLISHER.verify_key.to_pem())
    return House(models, key, ask)


def test_the_table_shows_every_file_verified_with_figures_and_limits(house: House) -> None:
    told = house.info()
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert PUBLISHER.verify_key.fingerprint in told.out
    assert "小法官  A     a.gguf       7      ✓ verified" in lines
    assert "–       –     lexicon.txt  7      ✓ verified" in lines
    assert "    held out: n 40, accuracy 0.900, F1 0.880, kappa 0.800, AUC –" in lines
    assert "    limit: Trained on synthetic answers only." in lines
    assert "✓ 相符" in house.info(lang="zh").out


def test_json_holds_the_list_the_publisher_and_every_check(house: House) -> None:
    told = house.info("--json")
    assert told.code == 0
    assert told.result["verified"] is True
    assert told.result["manifest"] == LISTED
    assert told.result["sha256"] == sha256((house.models / "MANIFEST.json").read_bytes())
    assert told.result["publishers"][0]["keyid"] == PUBLISHER.keyid
    assert [one["verified"] for one in told.result["checks"]] == [True, True]
    assert told.result["checks"][0]["record"]["role"] == "A"


def faults(told: Told) -> list[tuple[str, int, str | None]]:
    """(name of the file, exit code, field) of each check that failed; what stdout says, stderr says too."""
    found = [one["error"] for one in told.result["checks"] if not one["verified"]]
    for error in found:
        assert error["message"] in told.err
        assert error["remedy"] in told.err
    assert told.result["verified"] is not bool(found)
    return [(Path(error["file"]).name, error["exit_code"], error["field"]) for error in found]


def test_a_changed_and_a_missing_file_are_both_told_and_trust_decides_the_code(house: House) -> None:
    (house.models / "lexicon.txt").unlink()
    told = house.info("--json")
    assert (told.code, faults(told)) == (3, [("lexicon.txt", 3, None)])
    (house.models / "a.gguf").write_bytes(b"WEIGHTS")
    told = house.info("--json")
    assert (told.code, faults(told)) == (4, [("a.gguf", 4, "sha256"), ("lexicon.txt", 3, None)])
    table = house.info()
    assert table.code == 4
    assert "小法官  A     a.gguf       7      ✗ failed" in table.out.splitlines()


def test_a_judge_of_ones_own_is_refused_until_accepted_and_then_shown_with_its_hash(house: House) -> None:
    own = house.models.parent / "own.gguf"
    own.write_bytes(b"own")
    told = house.info("--judge", own, "--json")
    assert (told.code, faults(told)) == (4, [("own.gguf", 4, None)])
    told = house.info("--judge", own, "--accept-unlisted", "--json")
    assert (told.code, faults(told)) == (0, [])
    assert told.result["checks"][-1]["record"] == {
        "file": "own.gguf",
        "sha256": sha256(b"own"),
        "size": 3,
        "listed": False,
        "accepted": True,
    }
    assert f"not listed, accepted: {sha256(b'own')}" in house.info("--judge", own, "--accept-unlisted").out


def test_a_device_or_a_changed_copy_is_not_accepted(house: House) -> None:
    copy = house.models.parent / "a.gguf"
    copy.write_bytes(b"another judge")
    told = house.info("--judge", copy, "--judge", "/dev/zero", "--accept-unlisted", "--json")
    assert (told.code, faults(told)) == (4, [("a.gguf", 4, "size"), ("zero", 3, None)])


def test_a_list_that_cannot_be_trusted_or_read_ends_the_command(house: House) -> None:
    path = house.models / "MANIFEST.json"
    body = path.read_bytes()

    path.write_bytes(body.replace(b'"seed": 7', b'"seed": 8'))
    told = house.info("--json")
    assert (told.code, told.result["error"]["file"]) == (4, str(path))

    house.key.write_bytes(FOREIGN.verify_key.to_pem())
    path.write_bytes(body)
    told = house.info("--json")
    assert (told.code, told.result["error"]["file"]) == (4, f"{path}.sig")
    assert "--trust" in told.result["error"]["remedy"]

    body = body.replace(b'"seed": 7', b'"seed": -7')
    path.write_bytes(body)
    Path(f"{path}.sig").write_bytes(sign_envelope(PAYLOAD_TYPE, body, [FOREIGN]))
    error = house.info("--json").result["error"]
    assert (error["exit_code"], error["file"], error["field"]) == (3, str(path), "judges.0.seed")


def test_no_list_is_not_evaluable_and_the_default_folder_is_that_of_the_data(
    tmp_path: Path, ask: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundles").mkdir()
    monkeypatch.setenv("MLB_DATA", str(tmp_path))
    told = ask("judge", "info", "--json")
    assert told.code == 7
    assert told.result["error"]["file"] == str(tmp_path / "models" / "MANIFEST.json")
    assert "no list of judge models" in told.err
    assert "没有裁判模型清单" in ask("judge", "info", "--lang", "zh").err


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ({"name": VERSION, "version": 1, "sha256": embedded_sha256()}, 0),
        ({"name": VERSION, "version": 1, "sha256": "0" * 64}, 4),
        ({"name": "small/0", "version": 1, "sha256": embedded_sha256()}, 4),
    ],
)
def test_a_small_judge_trained_on_other_evidence_than_this_version_shows_is_refused(
    house: House, prompt: dict[str, Any], code: int
) -> None:
    for name in ("MANIFEST.json", "MANIFEST.json.sig"):
        (house.models / name).unlink()
    listed = LISTED | {"judges": [LISTED["judges"][0] | {"prompt": prompt}]}
    write_manifest(house.models / "MANIFEST.json", Manifest.model_validate(listed), [PUBLISHER])
    told = house.info()
    assert told.code == code
    assert ("trained on another version" in told.err) == (code == 4)
