"""``judge bench`` in a process of its own: the pair, and a model of one's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.demo.tiny_gguf import write_tiny_gguf

MODELS = Path(__file__).parents[2] / "models"


def bench(state: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "mlb_offline", "judge", "bench", "--models", MODELS, *words, "--lang", "en"],
        capture_output=True,
        text=True,
        env={**os.environ, "MLB_STATE": str(state), "ORT_DISABLE_TELEMETRY": "1"},
    )
    assert "Traceback" not in done.stderr
    return done


def test_the_pair_is_measured_each_alone_and_the_hours_are_those_of_both(tmp_path: Path) -> None:
    done = bench(tmp_path / "state", "--seconds", "0.1", "--threads", "1", "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert list(told["judges"]) == ["mlb-judge-a", "mlb-judge-b"]
    for one in told["judges"].values():
        assert one["benchmark_hours"] == pytest.approx(6200 / one["criteria_per_second"] / 3600)
    assert told["benchmark_hours"] == pytest.approx(sum(one["benchmark_hours"] for one in told["judges"].values()))
    assert told["threads"] == 1
    assert not (tmp_path / "state").exists()


def test_a_model_of_ones_own_is_measured_once_it_is_accepted(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "own.gguf")
    words = ("--judge", model, "--seconds", "0.1", "--threads", "1")
    assert bench(tmp_path / "state", *words).returncode == 4
    done = bench(tmp_path / "state", *words, "--accept-unlisted")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("own.gguf: ")
    assert "200: " in done.stdout
    assert "judged part of the whole benchmark (6,200 criteria" in done.stdout


def test_a_file_that_is_no_model_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "own.gguf").write_text("no model")
    done = bench(tmp_path / "state", "--judge", tmp_path / "own.gguf", "--accept-unlisted", "--seconds", "0.1")
    assert (done.returncode, "own.gguf" in done.stderr) == (3, True)
