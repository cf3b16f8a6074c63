"""The record of installed judges: read strictly, written whole; a judge in it is known, and a changed one is not it."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.bundle.state import open_state
from mlb_offline.demo.tiny_gguf import write_tiny_gguf
from mlb_offline.errors import InputError, TrustError, UsageError
from mlb_offline.judge import install as module
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.calibration import calibrate
from mlb_offline.judge.install import bake, install, keep_calibration, remove
from mlb_offline.judge.installed import NAME, InstalledJudge, check_installed, installed_judges, known_judges
from mlb_offline.judge.manifest import open_manifest
from mlb_offline.judge.opening import Seats, checked, open_judge, seats_of
from mlb_offline.judge.prompt import Prompt, shipped_prompt

MODELS = Path(__file__).parents[2] / "models"
POINT = Criterion("1", "1", "points", "MADiagnosis", "point", "诊断", "急性心肌梗死", "", "诊断：心梗。", label=True)


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlb_offline.language._current", "en")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def figures(rate: float | None = 0.5) -> dict[str, Any]:
    """What ``calibrate`` says of one judge."""

    class Judge:
        def probabilities(self, criteria: Any) -> list[float | None]:
            return [rate] * len(criteria)

    labelled = [POINT, replace(POINT, id="2", answer_id="2", label=False)]
    found: dict[str, Any] = calibrate({"j": Judge()}, labelled, lambda *_: None)["judges"]["j"]
    return found


def test_a_folder_without_a_record_has_no_judges_and_looking_makes_nothing(state: Path) -> None:
    assert installed_judges(state) == ()
    assert known_judges(state, state / "models") == {}
    assert not state.exists()


def test_what_is_installed_is_read_back_and_its_file_is_where_the_record_says(model: Path, state: Path) -> None:
    made = install(model, state, licence="MIT", threads=1)
    assert installed_judges(state) == (made,)
    assert made.path == state / "judges" / f"{made.sha256}.gguf"
    assert made.path.read_bytes() == model.read_bytes()
    assert made.prompt.model_dump() == {"version": shipped_prompt().version, "sha256": shipped_prompt().sha256}
    assert json.loads((state / NAME).read_text(encoding="utf-8"))["format"] == "mlb-offline/installed-judges/v1"
    assert (state / "judges").stat().st_mode & 0o077 == 0
    check_installed(made)


def test_an_installed_judge_takes_its_place_in_a_panel_by_its_content_alone(model: Path, state: Path) -> None:
    manifest = open_manifest(MODELS)
    with pytest.raises(TrustError, match="not listed") as caught:
        checked(MODELS, manifest, [model])
    assert "judge install" in caught.value.remedy
    install(model, state, licence="MIT", threads=1)
    ((path, record),) = checked(MODELS, manifest, [model], installed=known_judges(state))
    assert (path, record.name) == (model, "mlb-tiny-random")
    assert (record.listed, record.accepted) == (False, False)
    told = record.to_json()
    assert told["installed"]["licence"] == "MIT"
    assert "file" not in told["installed"]
    with pytest.raises(UsageError):
        checked(MODELS, manifest, [model, model], installed=known_judges(state))
    opened = open_judge(path, record, threads=1, prompts={"MADiagnosis": Prompt.own("${answer}${point}")})
    assert opened.name == "mlb-tiny-random"
    assert opened.judge.prompt_of("MADiagnosis").version.startswith("own/")  # type: ignore[attr-defined]
    opened.close()


def test_a_judge_installed_to_reason_does_so_and_a_run_is_bound_to_it(model: Path, state: Path) -> None:
    install(model, state, licence="MIT", reasons=True, threads=1)
    (reasoning, _) = seats_of([model], accept_unlisted=False, needed=True, state=state).seats
    assert list(reasoning.asked) == [f"{shipped_prompt().version} +reasons"]
    opened = open_judge(reasoning.path, reasoning.record, threads=1)
    assert opened.judge._reasons  # type: ignore[attr-defined]
    opened.close()
    remove("mlb-tiny-random", state)
    install(model, state, licence="MIT", threads=1)
    (at_once, _) = seats_of([model], accept_unlisted=False, needed=True, state=state).seats
    assert list(at_once.asked) == [shipped_prompt().version]
    assert at_once.to_json() != reasoning.to_json()


def test_a_small_judge_cannot_reason(state: Path) -> None:
    with pytest.raises(UsageError) as caught:
        install(MODELS / "mlb-judge-a.gguf", state, licence="MIT", reasons=True, threads=1)
    assert caught.value.field == "--reasons"
    assert installed_judges(state) == ()


def test_a_judge_that_changes_between_its_check_and_its_loading_is_refused(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(model.read_bytes())
    (seat, _) = seats_of([file], accept_unlisted=True, needed=True).seats
    with file.open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(TrustError, match="changed"):
        Seats((seat,)).open()


def test_an_installed_judge_replaces_the_first_of_the_embedded_pair(model: Path, state: Path) -> None:
    install(model, state, licence="MIT", threads=1)
    seats = seats_of([model], accept_unlisted=False, needed=True, state=state)
    assert [seat.record.name for seat in seats.seats] == ["mlb-tiny-random", "mlb-judge-b"]
    with pytest.raises(TrustError):
        seats_of([model], accept_unlisted=False, needed=True)


def test_a_listed_name_is_no_cover_for_an_installed_file(model: Path, state: Path, tmp_path: Path) -> None:
    install(model, state, licence="MIT", threads=1)
    (tmp_path / "mlb-judge-a.gguf").write_bytes(model.read_bytes())
    with pytest.raises(TrustError, match="not the listed file"):
        checked(MODELS, open_manifest(MODELS), [tmp_path / "mlb-judge-a.gguf"], installed=known_judges(state))


def test_a_calibration_replaces_the_one_before_and_leaves_other_judges_alone(
    model: Path, state: Path, tmp_path: Path
) -> None:
    other = write_tiny_gguf(tmp_path / "other.gguf", seed="other")
    made = install(model, state, licence="MIT", threads=1)
    install(other, state, licence="MIT", name="other", threads=1)
    labelled = tmp_path / "set.jsonl"
    labelled.write_text("{}\n")
    keep_calibration(made, state, figures(None), labelled)
    kept = keep_calibration(made, state, figures(0.9), labelled)
    found = known_judges(state)[made.sha256]
    assert found == kept
    assert found.calibrated
    assert found.calibration is not None
    assert found.calibration.overall.rates["accuracy"] is not None
    assert found.calibration.overall.rates["accuracy"].value == 0.5
    assert found.calibration.by_family["points"].n == 2
    assert [one.calibrated for one in installed_judges(state) if one.name == "other"] == [False]


def test_a_calibration_with_another_prompt_than_todays_no_longer_counts(
    model: Path, state: Path, tmp_path: Path
) -> None:
    made = install(model, state, licence="MIT", threads=1)
    (tmp_path / "set.jsonl").write_text("{}\n")
    keep_calibration(made, state, figures(), tmp_path / "set.jsonl")
    content = json.loads((state / NAME).read_text(encoding="utf-8"))
    content["judges"][0]["calibration"]["prompt"]["sha256"] = "0" * 64
    (state / NAME).write_text(json.dumps(content))
    (found,) = installed_judges(state)
    assert found.calibration is not None
    assert not found.calibrated
    assert found.to_json()["calibrated"] is False


def test_a_judge_that_is_baked_in_and_calibrated_is_forgotten_as_calibrated_when_removed(
    model: Path, state: Path, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    copy = tmp_path / "models" / "own.gguf"
    copy.write_bytes(model.read_bytes())
    baked = bake(copy, licence="MIT", threads=1)
    (tmp_path / "set.jsonl").write_text("{}\n")
    keep_calibration(baked, state, figures(), tmp_path / "set.jsonl")
    assert known_judges(tmp_path / "models", state)[baked.sha256].path == copy
    remove("mlb-tiny-random", state)
    assert copy.exists()
    assert not known_judges(tmp_path / "models", state)[baked.sha256].calibrated


def test_a_file_that_changes_while_it_is_copied_is_refused_and_leaves_nothing(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_tiny_gguf(tmp_path / "own.gguf")
    real = module.open_regular

    def changed(path: Path) -> Any:
        file.write_bytes(file.read_bytes() + b"\0")
        return real(path)

    monkeypatch.setattr(module, "open_regular", changed)
    with pytest.raises(InputError, match="changed while"):
        install(file, state, licence="MIT", threads=1)
    assert list((state / "judges").iterdir()) == []
    assert installed_judges(state) == ()


def test_a_full_disk_leaves_no_half_copy(model: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    open_state(state)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        install(model, state, licence="MIT", threads=1)
    assert list((state / "judges").iterdir()) == []
    assert installed_judges(state) == ()


def test_what_an_interrupted_copy_left_is_overwritten_and_one_under_way_is_left_alone(model: Path, state: Path) -> None:
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    partial = state / "judges" / f"{digest}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * (model.stat().st_size + 5))
    with partial.open("rb+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError):
            install(model, state, licence="MIT", threads=1)
        assert partial.exists()
    assert install(model, state, licence="MIT", threads=1).path.read_bytes() == model.read_bytes()
    assert not partial.exists()


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", " "])
def test_a_name_that_could_steer_a_terminal_is_refused(model: Path, state: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        install(model, state, licence="MIT", name=name, threads=1)
    assert (caught.value.field, "--name" in caught.value.remedy) == ("name", True)


def test_a_state_folder_that_cannot_be_written_is_bad_input(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        install(model, tmp_path / "file", licence="MIT", threads=1)


def judges(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["judges"][0]
    return found


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "another format": lambda content: content.update(format="x"),
    "no list": lambda content: content.update(judges=None),
    "a key too many": lambda content: judges(content).update(more=1),
    "a key missing": lambda content: judges(content).pop("licence"),
    "no digest": lambda content: judges(content).update(sha256="x"),
    "a name twice": lambda content: content["judges"].append(judges(content) | {"sha256": "0" * 64}),
    "a judge twice": lambda content: content["judges"].append(judges(content) | {"name": "other"}),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_record_is_refused_and_left_alone(model: Path, state: Path, name: str) -> None:
    install(model, state, licence="MIT", threads=1)
    content = json.loads((state / NAME).read_text(encoding="utf-8"))
    DAMAGE[name](content)
    (state / NAME).write_text(json.dumps(content))
    before = (state / NAME).read_bytes()
    for look in (installed_judges, known_judges, lambda folder: remove("mlb-tiny-random", folder)):
        with pytest.raises(TrustError) as caught:
            look(state)
        assert caught.value.file == str(state / NAME)
    assert (state / NAME).read_bytes() == before


def test_records_of_judges_hold_no_path(model: Path, state: Path) -> None:
    made = install(model, state, licence="MIT", in_place=True, threads=1)
    assert made.file == str(model)
    assert str(model.parent) not in json.dumps(made.to_json())
    assert isinstance(made, InstalledJudge)
