"""``judge install`` in a process of its own, and what ``judge info`` and ``judge calibrate`` make of it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.demo.tiny_gguf import write_tiny_gguf
from mlb_offline.judge.installed import installed_judges

MODELS = Path(__file__).parents[2] / "models"
ROWS = [
    {"id": "1", "dataset": "MARecord", "topic": "主诉", "evaluation_point": "发热", "answer": "发热3天", "label": "是"},
    {"id": "2", "dataset": "GeneralSafety", "question": "问", "output": "不可以", "label": "安全"},
]


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
    """A hospital's state folder and its model; every command is a process."""

    root: Path
    model: Path

    @property
    def state(self) -> Path:
        return self.root / "state"

    def judge(self, *words: str | Path) -> Told:
        done = subprocess.run(
            [sys.executable, "-m", "mlb_offline", "judge", *map(str, words), "--lang", "en"],
            capture_output=True,
            text=True,
            env={**os.environ, "MLB_STATE": str(self.state), "ORT_DISABLE_TELEMETRY": "1"},
        )
        assert "Traceback" not in done.stderr
        return Told(done.returncode, done.stdout, done.stderr)

    def install(self, *words: str | Path) -> Told:
        return self.judge("install", self.model, *words)

    def labelled(self) -> Path:
        file = self.root / "set.jsonl"
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
        return file


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, write_tiny_gguf(tmp_path / "own.gguf"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_installed_judge_is_copied_recorded_calibrated_listed_and_removed(house: House) -> None:
    digest = sha256(house.model)
    told = house.install("--licence", "Apache-2.0", "--json")
    assert told.code == 0, told.err
    copy = house.state / "judges" / f"{digest}.gguf"
    assert (told.result["path"], sha256(copy)) == (str(copy), digest)
    recorded = told.result["installed"]
    assert {key: recorded[key] for key in ("name", "architecture", "quantisation", "context", "licence")} == {
        "name": "mlb-tiny-random",
        "architecture": "llama",
        "quantisation": "F16",
        "context": 8192,
        "licence": "Apache-2.0",
    }
    assert recorded["calibration"] is None
    assert recorded["calibrated"] is False
    assert "judge calibrate --set FILE.jsonl --judge" in told.result["next"]

    # Known by its content, wherever it lies: nothing needs to be accepted.
    labelled = house.labelled()
    calibrated = house.judge("calibrate", "--set", labelled, "--judge", house.model, "--models", MODELS, "--json")
    assert calibrated.code == 0, calibrated.err
    assert calibrated.result["kept"] == ["mlb-tiny-random"]
    record = calibrated.result["records"][0]
    assert (record["name"], record["listed"], record["accepted"]) == ("mlb-tiny-random", False, False)

    info = house.judge("info", "--models", MODELS, "--judge", house.model, "--json")
    assert info.code == 0, info.err
    (listed,) = info.result["installed"]
    assert (listed["path"], listed["verified"]) == (str(copy), True)
    kept = listed["judge"]["calibration"]
    assert kept["set_sha256"] == sha256(labelled)
    assert (kept["overall"]["n"], kept["overall"]["abstained"]) == (2, 2)
    assert set(kept["by_family"]) == {"points", "safety"}
    assert kept["prompt"] == listed["judge"]["prompt"]
    assert info.result["checks"][-1]["record"]["installed"]["calibrated"] is True
    table = house.judge("info", "--models", MODELS, "--judge", house.model).out
    assert "installed as mlb-tiny-random" in table
    assert "n 2, abstained 2, accuracy –" in table

    assert house.judge("install", "--remove", "mlb-tiny-random").code == 0
    assert not copy.exists()
    assert installed_judges(house.state) == ()
    assert house.judge("calibrate", "--set", labelled, "--judge", house.model, "--models", MODELS).code == 4


def test_a_licence_is_asked_for_where_the_file_names_none(house: House) -> None:
    told = house.install("--json")
    assert (told.code, told.result["error"]["field"]) == (2, "--licence")
    assert installed_judges(house.state) == ()
    assert not (house.state / "judges").exists()


def test_the_licence_and_name_of_the_file_are_taken_and_a_small_judge_of_ours_can_be_installed(house: House) -> None:
    told = house.judge("install", MODELS / "mlb-judge-a.gguf", "--in-place", "--json")
    assert told.code == 0, told.err
    recorded = told.result["installed"]
    assert (recorded["name"], recorded["licence"], recorded["quantisation"]) == ("mlb-judge-a", "Apache-2.0", "Q4_K_M")
    assert recorded["prompt"]["version"].startswith("small/")
    assert told.result["path"] == str(MODELS / "mlb-judge-a.gguf")
    assert not (house.state / "judges").exists()
    assert house.judge("install", "--remove", "mlb-judge-a").code == 0
    assert (MODELS / "mlb-judge-a.gguf").exists()


def test_the_same_judge_or_another_of_its_name_is_refused(house: House) -> None:
    assert house.install("--licence", "MIT").code == 0
    again = house.install("--licence", "MIT", "--name", "other")
    assert (again.code, "installed already" in again.err) == (2, True)
    write_tiny_gguf(house.model, seed="another")
    twin = house.install("--licence", "MIT", "--json")
    assert (twin.code, twin.result["error"]["field"]) == (2, "--name")
    assert house.install("--licence", "MIT", "--name", "other").code == 0
    assert [one.name for one in installed_judges(house.state)] == ["mlb-tiny-random", "other"]


@pytest.mark.parametrize("content", [b"no model", b"GGUF", None])
def test_a_file_that_is_no_model_is_bad_input_and_leaves_nothing(house: House, content: bytes | None) -> None:
    house.model.unlink()
    if content is not None:
        house.model.write_bytes(content)
    told = house.install("--licence", "MIT")
    assert (told.code, "own.gguf" in told.err) == (3, True)
    assert installed_judges(house.state) == ()


def test_a_changed_or_missing_copy_is_told(house: House) -> None:
    house.install("--licence", "MIT")
    (copy,) = (house.state / "judges").iterdir()
    copy.write_bytes(copy.read_bytes() + b"\0")
    told = house.judge("info", "--models", MODELS, "--json")
    assert (told.code, told.result["verified"]) == (4, False)
    assert told.result["installed"][0]["error"]["field"] == "sha256"
    assert told.result["installed"][0]["error"]["message"] in told.err
    copy.unlink()
    assert house.judge("info", "--models", MODELS).code == 3


def test_a_baked_judge_is_recorded_beside_its_file_and_calibrated_into_the_state_folder(house: House) -> None:
    told = house.install("--licence", "MIT", "--baked", "--json")
    assert told.code == 0, told.err
    assert sorted(file.name for file in house.root.iterdir()) == ["judges.json", "own.gguf"]
    (baked,) = installed_judges(house.root)
    assert (baked.file, baked.path) == ("own.gguf", house.model)

    # As an image has them: both beside the signed list.
    image = house.root / "image"
    image.mkdir()
    for file in (*MODELS.glob("MANIFEST.json*"), *MODELS.glob("mlb-judge-*.??*"), house.model):
        (image / file.name).symlink_to(file)
    (house.root / "judges.json").rename(image / "judges.json")
    words = ("calibrate", "--set", house.labelled(), "--judge", image / "own.gguf", "--models", image, "--json")
    assert house.judge(*words).result["kept"] == ["mlb-tiny-random"]
    info = house.judge("info", "--models", image, "--json")
    (listed,) = info.result["installed"]
    assert listed["judge"]["calibrated"] is True
    assert installed_judges(image)[0].calibration is None


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ((), "FILE.gguf"),
        (("x.gguf", "--remove", "n"), "FILE.gguf"),
        (("--remove", "n", "--in-place"), "--in-place"),
        (("x.gguf", "--baked", "--in-place"), "--in-place"),
        (("x.gguf", "--baked", "--state", "s"), "--state"),
        (("--remove", "nobody"), "--remove"),
    ],
)
def test_what_does_not_go_together_is_a_fault_of_usage(house: House, words: tuple[str, ...], field: str) -> None:
    told = house.judge("install", *words, "--json")
    assert (told.code, told.result["error"]["field"]) == (2, field)
