"""From a finished training to published models: measured, described, listed, signed; and what is missing is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the train extra is not installed (make train-setup)")

from outside_cases import GAPS_ROW, C, E, N, kqa_row, label, labels, table, workbook
from training_cases import material

from mlb_offline.judge.manifest import check_judge, open_manifest
from mlb_offline.judge.training.command import Job
from mlb_offline.trust.keys import KeyKind, new_key
from mlb_offline.trust.store import load_trust


def trained(job: Job) -> None:
    corpora, folder = job.sources()
    words = ["judge", "train", "--config", job.config, "--corpora", corpora, "--material", folder, "--out", job.out]
    done = subprocess.run(
        [sys.executable, "-m", "mlb_offline", *map(str, words)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def release(job: Job, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    given = {
        "--config": job.config,
        "--trained": job.out,
        "--corpora": job.corpora,
        "--material": job.material,
        "--tests": folder / "tests",
        "--public": folder / "public",
        "--models": folder / "models",
        "--machine": "a machine",
        "--sign-key": folder / "publisher.key.json",
    }
    words = [str(word) for pair in given.items() for word in pair]
    command = [sys.executable, "-m", "mlb_offline.judge.training.release", *words, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Test parts, public data and a key."""
    place = tmp_path / "release"
    tests = material(place / "tests" if place.mkdir() is None else place)
    rows = (tests / "cases.jsonl").read_text(encoding="utf-8")
    for part in ("natural", "hard"):
        (tests / f"{part}.jsonl").write_text(rows, encoding="utf-8")
    labels(tests / "gaps_labels.jsonl", label(2, 1, 1), label(2, 1, 2, "否", doubt=True))
    for name in ("gaps", "kqa"):
        (place / "public" / name).mkdir(parents=True)
    workbook(place / "public" / "gaps" / "GAPS-NSCLC-preview.xlsx", GAPS_ROW)
    table(place / "public" / "kqa" / "NLI_medical_annotator.csv", kqa_row(E, E, N), kqa_row(N, N, C, claim="d"))
    new_key(KeyKind.PUBLISHER, place, None)
    return place


def test_a_release_is_measured_described_listed_and_signed(job: Job, folder: Path) -> None:
    trained(job)
    done = release(job, folder)
    assert done.returncode == 0, done.stderr
    models = folder / "models"
    manifest = open_manifest(models, load_trust([folder / "publisher.pub.pem"]))
    assert [one.role for one in manifest.judges] == ["A", "B"]
    for one in manifest.judges:
        record = check_judge(models / one.file, manifest)
        assert (record.listed, record.size) == (True, one.size)
        card = (models / f"{one.name}.md").read_text(encoding="utf-8")
        assert one.sha256 in card
        assert "TF-IDF" in card
        assert f"{one.figures['natural'].accuracy:.3f}" in card
    document = json.loads((models / "measured.json").read_text(encoding="utf-8"))
    assert set(document["sets"]) == {"natural", "hard", "gaps", "gaps without doubtful labels", "kqa"}
    assert set(document["judges"]) >= {"judge A", "judge B", "majority", "overlap with aliases"}
    for name in ("a", "b"):
        assert document["fidelity"][name]["before_quantisation"]["largest"] < 0.01
        assert document["fidelity"][name]["same_again"] is True
    measured = (models / "MEASURED.md").read_text(encoding="utf-8")
    assert "K-QA" in measured
    second = release(job, folder)
    assert second.returncode == 3
    assert "--again" in second.stderr
    assert release(job, folder, "--again").returncode == 0


def test_a_training_that_is_not_finished_is_not_released(job: Job, folder: Path) -> None:
    done = release(job, folder)
    assert done.returncode == 3
    assert str(job.out / "a.json") in done.stderr
    assert not (folder / "models").exists()
