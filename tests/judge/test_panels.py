"""What a pair of judges is worth: counted by question and answer, kept for exactly the judges that were measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.errors import InputError, TrustError
from mlb_offline.judge.annotation import Criterion, Family
from mlb_offline.judge.calibration import calibrate
from mlb_offline.judge.opening import seats_of
from mlb_offline.judge.panels import (
    NAME,
    PanelCalibration,
    calibration_here,
    calibration_of,
    confusion,
    keep,
    kept_panels,
    measured_panel,
)
from mlb_offline.regular_file import measured

ROOT = Path(__file__).parents[2]
NATURAL = ROOT / "tests" / "data" / "judge" / "natural.jsonl"
QUESTIONS = {"points": [[1, 0, 1, 0, 3], [2, 1, 0, 0, 1]], "safety": [[0, 0, 1, 0, 2]]}


def seat(sha256: str, **changes: Any) -> dict[str, Any]:
    known = {"asked": {"large/1": "11" * 32}, "calibration": {"points": {"scale": 0.7, "shift": 0.4}}}
    return {"sha256": sha256 * 32, **known, "file": "x.gguf", "name": "x", **changes}


A, B = seat("aa"), seat("bb")


def kept_of(*seats: dict[str, Any], set_name: str = "set.jsonl") -> PanelCalibration:
    judges = [{name: one[name] for name in ("sha256", "asked", "calibration")} for one in seats]
    known = {"set_name": set_name, "set_sha256": "cc" * 32, "labelled_by": "两名医师", "tool_version": "1"}
    return PanelCalibration.model_validate({"judges": judges, "n": 11, "questions": QUESTIONS, **known})


def criterion(answer: str, name: str, family: Family, *, label: bool) -> Criterion:
    return Criterion(f"{answer}/{name}", answer, family, "MAEthic", name, "", "", "", answer, label)


def test_not_both_is_not_yes_and_answers_stay_together() -> None:
    labels = [True, True, True, False, False, False]
    criteria = [criterion("one", "point", "points", label=label) for label in labels]
    criteria += [criterion("two", "point", "points", label=True), criterion("three", "point", "points", label=True)]
    found = confusion(criteria, [True, False, None, True, False, None, True, True])
    assert found == {"points": [[1, 0, 0, 0, 2], [1, 2, 2, 1, 1]]}


def test_risks_and_qualities_of_one_answer_are_counted_apart() -> None:
    criteria = [criterion("one", name, "ethics", label=True) for name in ("r1", "r2", "q1", "q2", "q3", "q4")]
    criteria.append(criterion("one", "safe", "safety", label=False))
    found = confusion(criteria, [True, False, True, True, True, False, False])
    assert found == {"risk": [[1, 1, 0, 0, 1]], "quality": [[3, 1, 0, 0, 1]], "safety": [[0, 0, 1, 0, 1]]}


def test_calibrating_two_judges_counts_them_as_a_run_would() -> None:
    class Fixed:
        def __init__(self, *said: float | None) -> None:
            self.said = list(said)

        def probabilities(self, criteria: Any) -> list[float | None]:
            return self.said[: len(criteria)]

    criteria = [criterion("one", "point", "points", label=True) for _ in range(3)]
    pair = {"A": Fixed(0.9, 0.49999999, None), "B": Fixed(0.5, 0.9, 0.9)}
    # A run keeps six decimals, so 0.49999999 is 0.5 there too.
    assert calibrate(pair, criteria, lambda *_: None)["confusion"] == {"points": [[2, 1, 0, 0, 1]]}
    assert "confusion" not in calibrate({"A": Fixed(0.9, 0.9, 0.9)}, criteria, lambda *_: None)


def test_a_panel_is_found_in_whatever_order_its_judges_sit(tmp_path: Path) -> None:
    assert calibration_of([A, B], [tmp_path]) is None
    keep(tmp_path, kept_of(A, B))
    assert calibration_of([A, B], [tmp_path]) == calibration_of([B, A], [tmp_path]) == kept_of(A, B)


@pytest.mark.parametrize(
    "other",
    [
        seat("cc"),
        seat("bb", asked={"large/2": "11" * 32}),
        seat("bb", asked={"large/1": "12" * 32}),
        seat("bb", asked={"large/1": "11" * 32, "large/1 MADiagnosis": "33" * 32}),
        seat("bb", calibration={}),
        seat("bb", calibration={"points": {"scale": 0.7, "shift": 0.5}}),
    ],
)
def test_other_judges_or_the_same_asked_or_corrected_otherwise_are_not_known(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    keep(tmp_path, kept_of(A, B))
    assert calibration_of([A, other], [tmp_path]) is None
    assert calibration_of([A], [tmp_path]) is None


def test_a_new_calibration_replaces_that_of_the_panel_and_leaves_others(tmp_path: Path) -> None:
    keep(tmp_path, kept_of(A, B))
    keep(tmp_path, kept_of(A, seat("cc")))
    keep(tmp_path, kept_of(B, A, set_name="new.jsonl"))
    assert [one.set_name for one in kept_panels(tmp_path)] == ["set.jsonl", "new.jsonl"]


def test_the_state_folder_comes_before_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("models", "bundles", "state"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("MLB_DATA", str(tmp_path))
    keep(tmp_path / "models", kept_of(A, B, set_name="models"))
    found = calibration_here([A, B], tmp_path / "state")
    assert found is not None
    assert found.set_name == "models"
    keep(tmp_path / "state", kept_of(A, B, set_name="state"))
    found = calibration_here([A, B], tmp_path / "state")
    assert found is not None
    assert found.set_name == "state"
    assert calibration_here([], tmp_path / "state") is None


Change = Callable[[dict[str, Any]], object]
DAMAGE: dict[str, Change] = {
    "another n": lambda v: v.update(n=12),
    "rows out of order": lambda v: v["questions"]["points"].reverse(),
    "a row twice": lambda v: v["questions"].update(points=[[1, 0, 1, 0, 2], [1, 0, 1, 0, 1], [2, 1, 0, 0, 1]]),
    "a row of no criterion": lambda v: v["questions"]["points"].insert(0, [0, 0, 0, 0, 1]),
    "a row of no answer": lambda v: v["questions"]["points"].insert(0, [0, 0, 1, 0, 0]),
    "an unknown question": lambda v: v["questions"].update(other=v["questions"].pop("safety")),
    "a question without rows": lambda v: v["questions"].update(risk=[]),
    "more answers than a verifier counts": lambda v: v.update(n=150_006, questions={"points": [[1, 0, 0, 0, 150_006]]}),
    "one judge": lambda v: v["judges"].pop(),
    "nobody labelled it": lambda v: v.update(labelled_by=" "),
    "a key more": lambda v: v.update(extra=1),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_record_is_refused_by_its_file(tmp_path: Path, name: str) -> None:
    path = keep(tmp_path, kept_of(A, B))
    content = json.loads(path.read_text(encoding="utf-8"))
    DAMAGE[name](content["panels"][0])
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(TrustError) as caught:
        calibration_of([A, B], [tmp_path])
    assert caught.value.file == str(path)
    assert caught.value.remedy


def test_a_pair_that_stands_twice_is_damage(tmp_path: Path) -> None:
    path = keep(tmp_path, kept_of(A, B))
    content = json.loads(path.read_text(encoding="utf-8"))
    content["panels"].append(kept_of(B, A).model_dump(mode="json"))
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(TrustError):
        kept_panels(tmp_path)


def test_what_cannot_be_recorded_is_named_by_its_option(tmp_path: Path) -> None:
    labelled = tmp_path / "set.jsonl"
    labelled.write_text("{}")
    found = measured_panel([A, B], labelled, "两名医师", QUESTIONS)  # type: ignore[arg-type]
    assert (found.n, found.set_name, found.set_sha256) == (11, "set.jsonl", measured(labelled)[0])
    with pytest.raises(InputError) as caught:
        measured_panel([A, B], labelled, "a\x1bb", QUESTIONS)  # type: ignore[arg-type]
    assert caught.value.field == "--labelled-by"
    with pytest.raises(InputError):
        measured_panel([A, B], tmp_path / "none", "两名医师", QUESTIONS)  # type: ignore[arg-type]


def test_the_shipped_record_is_of_the_embedded_pair_as_this_program_asks_it() -> None:
    seats = seats_of([], accept_unlisted=False, needed=True).to_json()
    found = calibration_of(seats, [ROOT / "models"])
    assert found is not None
    assert (found.set_name, found.set_sha256, found.n) == (NATURAL.name, measured(NATURAL)[0], 453)
    assert "not reviewed by a physician" in found.labelled_by


def test_the_shipped_record_can_be_made_again(tmp_path: Path) -> None:
    shipped = kept_panels(ROOT / "models")[0]
    words = ["--set", str(NATURAL), "--keep", "--labelled-by", shipped.labelled_by, "--state", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "mlb_offline", "--lang", "en", "judge", "calibrate", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / NAME) in done.stdout
    (again,) = kept_panels(tmp_path)
    told = {"questions", "tool_version"}
    assert again.model_dump(exclude=told) == shipped.model_dump(exclude=told)
    assert again.questions.keys() == shipped.questions.keys()
    for question, rows in again.questions.items():
        for place in range(4):
            # Engines differ in their last digits between processors, and two verdicts lie within 0.0003 of 0.5.
            one, other = (sum(row[place] * row[4] for row in found) for found in (rows, shipped.questions[question]))
            assert abs(one - other) <= 1, (question, place)
