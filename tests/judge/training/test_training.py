"""Training the small judges: interrupted or not, the same weights; and every fault told as one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the train extra is not installed (make train-setup)")

import torch

from mlb_offline.errors import InputError, UsageError
from mlb_offline.judge.rendering import decoder_ids
from mlb_offline.judge.training import checkpoint
from mlb_offline.judge.training.command import Job, configuration, names_of, refuse_unused, train_small
from mlb_offline.judge.training.config import load_config
from mlb_offline.judge.training.finish import platt
from mlb_offline.judge.training.lesson import point
from mlb_offline.judge.training.loop import Schedule
from mlb_offline.judge.training.stages import Prepared, RoleName, Sources, new_decoder, prepare, train_judge, trained
from mlb_offline.judge.training.tuning import TorchJudge, aligner_targets, decoder_loss, decoder_row


class StoppedError(Exception):
    """Stands for a process that is killed."""


def quiet(stage: str, done: int, total: int, loss: float) -> None:
    assert 0 < done <= total
    assert loss > 0


def prepared_for(job: Job) -> Prepared:
    torch.set_num_threads(1)
    return prepare(Sources(*job.sources()))


def state(job: Job, name: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(job.out / f"{name}.pt", weights_only=True)["model"]
    return found


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("stopped_in", ["pretraining", "tuning"])
def test_a_training_that_is_killed_and_resumed_ends_with_the_same_weights(
    job: Job, name: RoleName, stopped_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, prepared = load_config(job.config), prepared_for(job)
    train_judge(name, config, prepared, job.out, quiet)
    broken = replace(job, out=job.out.with_name("broken"))
    save, saved = checkpoint.save, []

    def dying(path: Path, **state: object) -> None:
        save(path, **state)  # type: ignore[arg-type]
        saved.append(path.name)
        if sum((stopped_in == "tuning" and one == f"{name}.pt") or stopped_in in one for one in saved) == 2:
            raise StoppedError

    monkeypatch.setattr(checkpoint, "save", dying)
    monkeypatch.setattr("mlb_offline.judge.training.loop.time.monotonic", iter(range(10**6)).__next__)
    with pytest.raises(StoppedError):
        train_judge(name, config, prepared, broken.out, quiet)
    monkeypatch.setattr(checkpoint, "save", save)
    train_judge(name, config, prepared, broken.out, quiet)
    first, second = state(job, name), state(broken, name)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_another_seed_gives_other_weights(job: Job) -> None:
    config, prepared = load_config(job.config), prepared_for(job)
    train_judge("a", config, prepared, job.out, quiet)
    other = config.model_copy(update={"a": config.a.model_copy(update={"seed": 7})})
    train_judge("a", other, prepared, job.out.with_name("other"), quiet)
    elsewhere = state(replace(job, out=job.out.with_name("other")), "a")
    assert any(not torch.equal(value, elsewhere[key]) for key, value in state(job, "a").items())


def test_a_checkpoint_of_another_training_or_network_is_refused(job: Job) -> None:
    config, prepared = load_config(job.config), prepared_for(job)
    train_judge("b", config, prepared, job.out, quiet)
    (job.out / "a.pt").write_bytes((job.out / "b.pt").read_bytes())
    with pytest.raises(InputError, match="another training"):
        trained("a", config, prepared, job.out)
    wider = config.model_copy(update={"decoder": config.decoder.model_copy(update={"width": 32})})
    model = new_decoder(wider, prepared.reader)
    checkpoint.save(job.out / "x.pt", key="k", step=1, model=model, optimizers=())
    with pytest.raises(InputError, match="another training"):
        checkpoint.load(job.out / "x.pt", key="k", model=new_decoder(config, prepared.reader), optimizers=())


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no", None])
def test_a_damaged_checkpoint_is_refused(job: Job, damage: bytes | None) -> None:
    config, prepared = load_config(job.config), prepared_for(job)
    train_judge("b", config, prepared, job.out, quiet)
    file = job.out / "b.pt"
    file.write_bytes(file.read_bytes()[:2000] if damage is None else damage)
    with pytest.raises(InputError) as caught:
        trained("b", config, prepared, job.out)
    assert caught.value.file == str(file)
    assert caught.value.remedy


def test_a_missing_checkpoint_says_what_to_run(job: Job) -> None:
    with pytest.raises(InputError, match="finished training"):
        trained("a", load_config(job.config), prepared_for(job), job.out)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tiny disk takes root")
def test_a_full_disk_is_told_and_leaves_the_checkpoint_before(job: Job, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        model = new_decoder(load_config(job.config), prepared_for(job).reader)
        small = torch.nn.Linear(4, 4)
        checkpoint.save(disk / "a.pt", key="k", step=1, model=small, optimizers=())
        before = (disk / "a.pt").read_bytes()
        with pytest.raises(InputError) as caught:
            checkpoint.save(disk / "a.pt", key="k", step=2, model=model, optimizers=())
        assert "space" in caught.value.remedy
        assert (disk / "a.pt").read_bytes() == before
        assert [file.name for file in disk.iterdir()] == ["a.pt"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("line", "field"),
    [("width = 0", "decoder.width"), ("colour = 1", "decoder.colour"), ('heads = "2"', "decoder.heads")],
)
def test_a_faulty_configuration_is_refused_with_its_field(job: Job, line: str, field: str) -> None:
    key = line.split(maxsplit=1)[0]
    kept = [row for row in job.config.read_text().split("\n") if not row.startswith(f"{key} =")]
    kept.insert(kept.index("[decoder]") + 1, line)
    if key in {"width", "heads"}:
        kept.insert(kept.index("[aligner]") + 1, f"{key} = 2")
    job.config.write_text("\n".join(kept))
    with pytest.raises(InputError) as caught:
        load_config(job.config)
    assert caught.value.field == field


def test_options_that_would_be_ignored_are_refused() -> None:
    for base_given in (True, False):
        with pytest.raises(UsageError, match="--corpora"):
            refuse_unused({"--corpora": Path("x"), "--judge": None}, base_given=base_given)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_configuration_for_a_gpu_is_refused_where_there_is_none(job: Job) -> None:
    job.config.write_text(job.config.read_text().replace('"cpu"', '"cuda"'))
    with pytest.raises(UsageError) as caught:
        train_small(job, quiet)
    assert caught.value.field == "device"


def test_material_whose_development_side_is_empty_is_refused_before_any_training(job: Job) -> None:
    cases = job.material / "cases.jsonl"
    lines = cases.read_text(encoding="utf-8").split("\n")
    cases.write_text("\n".join(lines[:2]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="both verdicts"):
        prepared_for(job)


def test_an_unknown_configuration_or_judge_is_a_usage_error() -> None:
    assert configuration("cpu").is_file()
    with pytest.raises(UsageError, match="nothing"):
        configuration("nothing")
    with pytest.raises(UsageError):
        names_of(["c"])


def test_every_shipped_configuration_of_the_small_judges_can_be_read() -> None:
    for name in ("cpu", "gpu"):
        assert load_config(configuration(name)).name == name


def test_the_learning_rate_warms_up_and_falls_to_a_tenth() -> None:
    schedule = Schedule(steps=100, rate=1.0, warm=10, decay=0.0, every=10, half=False)
    rates = [schedule.course(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == pytest.approx(1.0)
    assert rates[99] == pytest.approx(0.1, abs=0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_platts_correction_gives_honest_probabilities_back() -> None:
    generator = torch.Generator().manual_seed(1)
    truth = torch.randn(4000, generator=generator) * 2
    labels = (torch.rand(4000, generator=generator) < torch.sigmoid(truth)).tolist()
    scale, shift = platt([3.0 * value + 1.0 for value in truth.tolist()], labels)
    assert scale == pytest.approx(1 / 3, rel=0.15)
    assert shift == pytest.approx(-1 / 3, abs=0.12)


def test_a_judge_that_never_errs_stays_finite() -> None:
    scale, shift = platt([-2.0, -1.0, 1.0, 2.0], [False, False, True, True])
    assert 0 < scale < 100
    assert abs(shift) < 10


def test_verdicts_do_not_depend_on_what_else_is_in_the_batch(job: Job) -> None:
    prepared = prepared_for(job)
    model = new_decoder(load_config(job.config), prepared.reader)
    criteria = prepared.train.criteria[:20]
    together = TorchJudge(model, prepared.reader, batch=20).probabilities(criteria)
    apart = TorchJudge(model, prepared.reader, batch=1).probabilities(criteria)
    assert together == pytest.approx(apart, abs=1e-5)


def test_a_decoder_learns_where_a_point_fails_from_its_characters(job: Job) -> None:
    prepared = prepared_for(job)
    model = new_decoder(load_config(job.config), prepared.reader)
    lesson = point("患者发热3天。", "MARecord", "现病史", "发热5天", False, "number", (2,))
    told = decoder_loss(model, prepared.reader, [lesson], drop=0.0, support=1.0)
    untold = decoder_loss(model, prepared.reader, [replace(lesson, faults=None)], drop=0.0, support=1.0)
    other = decoder_loss(model, prepared.reader, [replace(lesson, faults=(0, 1, 3))], drop=0.0, support=1.0)
    assert told > untold
    assert other != told


def test_a_fault_is_asked_for_at_its_own_character(job: Job) -> None:
    reader = prepared_for(job).reader
    lesson = point("患者发热3天。", "MARecord", "现病史", "发热5天", False, "number", (2,))
    row = decoder_row(lesson, reader.answer(lesson.answer), reader.vocabulary)
    asked = [(reader.vocabulary.tokens[index], target) for index, target in zip(row.ids, row.supported, strict=True)]
    assert row.ids == decoder_ids(lesson, reader.answer(lesson.answer), reader.vocabulary)
    assert [one for one in asked if one[1] == one[1]] == [("发", 1.0), ("热", 1.0), ("5", 0.0), ("天", 1.0)]
    start = len("现病史:")
    assert aligner_targets(lesson, 10)[start : start + 4] == [1.0, 1.0, 0.0, 1.0]


def command(job: Job, *more: str) -> list[str]:
    corpora, material = job.sources()
    words = ["judge", "train", "--config", job.config, "--corpora", corpora, "--material", material, "--out", job.out]
    return [sys.executable, "-m", "mlb_offline", *map(str, words), *more]


def test_the_command_trains_exports_and_calibrates_both_judges_and_goes_on_after_ctrl_c(job: Job) -> None:
    slow = job.config.read_text().replace("steps = 4", "steps = 400")
    job.config.write_text(slow)
    process = subprocess.Popen(command(job), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (job.out / "a.pt").is_file() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    done = subprocess.run(command(job, "--json"), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == {"a", "b"}
    assert (job.out / told["a"]["file"]).read_bytes().startswith(b"GGUF")
    assert set(told["a"]["development"]["accuracy"]) == {"torch", "F32", "Q8_0", "Q4_K_M"}
    assert "points" in told["b"]["calibration"]


def test_a_fault_in_a_file_ends_the_command_with_its_place_and_code(job: Job) -> None:
    cases = job.material / "cases.jsonl"
    cases.write_text(cases.read_text(encoding="utf-8") + "{}\n", encoding="utf-8")
    done = subprocess.run(command(job), capture_output=True, text=True, timeout=120)
    assert done.returncode == 3
    assert f"{cases}:101" in done.stderr
    assert "Traceback" not in done.stderr
