"""The speed of a judge: what it is asked, what comes back from the process that measures, and how it fails."""

from __future__ import annotations

import json
import signal
import subprocess
from itertools import groupby
from pathlib import Path

import pytest

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.demo.tiny_gguf import write_tiny_gguf
from mlb_offline.errors import InputError
from mlb_offline.judge import speed
from mlb_offline.judge.annotation import ETHICS_NAMES
from mlb_offline.judge.install import install
from mlb_offline.judge.manifest import JudgeRecord
from mlb_offline.judge.speed import LENGTHS, judged_criteria, measure, synthetic


def record(path: Path) -> JudgeRecord:
    return JudgeRecord(path.name, "0" * 64, 1, None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def test_six_criteria_are_asked_of_each_answer_of_each_length_and_always_the_same() -> None:
    groups = [list(group) for _, group in groupby(synthetic(), key=lambda one: one.answer)]
    assert [len(group[0].answer) for group in groups] == [*LENGTHS, *LENGTHS]
    assert [len(group) for group in groups] == [6] * 6
    assert [group[0].family for group in groups] == ["points"] * 3 + ["ethics"] * 3
    assert {one.name for one in groups[-1]} == set(ETHICS_NAMES)
    assert len({one.id for one in synthetic()}) == 36
    assert synthetic() == synthetic()


def test_a_measurement_without_a_time_goes_through_the_criteria_once(model: Path) -> None:
    found = measure(model, record(model), synthetic(), threads=1)
    assert found.n == 36
    assert set(found.by_length) == set(LENGTHS)
    assert found.criteria_per_second == pytest.approx(found.n / found.seconds)
    assert found.load_seconds > 0
    assert found.peak_mib > model.stat().st_size / 2**20
    assert set(found.to_json()) == {"n", "criteria_per_second", "load_seconds", "peak_mib", "by_length"}


def test_a_measurement_of_no_time_asks_one_answer_of_each_length(model: Path) -> None:
    assert measure(model, record(model), synthetic(), threads=1, seconds=1e-9).n == 18


def test_a_measurement_of_some_time_goes_on_until_it_is_over(model: Path) -> None:
    found = measure(model, record(model), synthetic()[:6], threads=1, seconds=1.0)
    assert found.seconds >= 1.0
    assert found.n % 6 == 0


def test_a_file_that_is_no_judge_is_refused_as_when_it_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "own.gguf"
    file.write_bytes(b"no model")
    with pytest.raises(InputError) as caught:
        measure(file, record(file), synthetic(), threads=1)
    assert (caught.value.file, bool(caught.value.remedy)) == (str(file), True)


def test_the_measuring_process_opens_a_reasoning_judge_as_one(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install(model, tmp_path / "state", licence="MIT", reasons=True, threads=1)
    jobs: list[str] = []
    opened: list[JudgeRecord] = []

    def kept(_words: list[str], *, input: str, **_options: object) -> object:  # noqa: A002 - as subprocess.run
        jobs.append(input)
        return subprocess.CompletedProcess([], 1, "", "stopped")

    def noted(_path: Path, record: JudgeRecord, **_options: object) -> object:
        opened.append(record)
        raise InputError("enough", remedy="-")

    monkeypatch.setattr(speed.subprocess, "run", kept)
    with pytest.raises(InputError, match="stopped"):
        measure(model, JudgeRecord(model.name, made.sha256, made.size, None, made), synthetic(), threads=1)
    monkeypatch.setattr("mlb_offline.judge.opening.open_judge", noted)
    with pytest.raises(InputError, match="enough"):
        speed._work(json.loads(jobs[0]))
    assert opened[0].reasons


def test_a_process_that_is_killed_is_told(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = speed.subprocess.run

    def killed(words: list[str], **options: object) -> object:
        kill = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
        return real([words[0], "-c", kill], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(speed.subprocess, "run", killed)
    with pytest.raises(InputError, match="SIGKILL"):
        measure(model, record(model), synthetic(), threads=1)


def test_the_judged_part_of_the_benchmark_is_counted_from_the_catalogue() -> None:
    found = judged_criteria()
    assert set(found) == {one.id for one in DATASETS.values() if one.metric.judged}
    assert found["GeneralSafety"] == 200
    assert (found["MAEthic"], found["MARecord"]) == (1200, 1200)
    assert sum(found.values()) == 6200
