"""Judges on labelled criteria: alone, and as a panel that speaks where both agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.calibration import calibrate, table


@dataclass
class Scripted:
    """Says what it is told to."""

    replies: dict[str, float | None]
    asked: list[int] = field(default_factory=list)

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float | None]:
        self.asked.append(len(criteria))
        return [self.replies[one.id] for one in criteria]


def criterion(number: int, *, label: bool) -> Criterion:
    answer = f"答{number // 3}"
    return Criterion(
        str(number), answer, "points", "MARecord", "point", "主诉", "要点", "", answer, label, f"k{number % 2}"
    )


CRITERIA = [criterion(number, label=number % 2 == 0) for number in range(12)]


def quiet(_name: str, done: int, total: int) -> None:
    assert 0 < done <= total


def test_the_panel_speaks_where_both_agree_and_abstains_elsewhere() -> None:
    right = {one.id: 0.9 if one.label else 0.1 for one in CRITERIA}
    first = Scripted({**right, "0": 0.2, "1": None})
    second = Scripted({**right, "2": 0.4, "3": 0.6})
    told = calibrate({"A": first, "B": second}, CRITERIA, quiet)
    assert (told["n"], told["answered"], told["abstained"]) == (12, 8, 4)
    assert told["accuracy"]["value"] == 1.0
    assert told["judges"]["A"]["accuracy"]["value"] == pytest.approx(10 / 11, abs=1e-6)
    assert told["judges"]["B"]["accuracy"]["value"] == pytest.approx(10 / 12, abs=1e-6)
    assert set(told["by_kind"]) == {"k0", "k1"}
    assert first.asked == [3, 3, 3, 3]


def test_one_judge_is_its_own_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlb_offline.language._current", "en")
    told = calibrate({"A": Scripted({one.id: 0.9 for one in CRITERIA})}, CRITERIA, quiet)
    assert told["accuracy"] == told["judges"]["A"]["accuracy"]
    assert told["accuracy"]["value"] == 0.5
    assert "where both judges agree" not in "\n".join(table(told))


def test_both_wrong_together_is_not_seen_by_agreement_alone() -> None:
    wrong = {one.id: 0.1 if one.label else 0.9 for one in CRITERIA}
    told = calibrate({"A": Scripted(wrong), "B": Scripted(wrong)}, CRITERIA, quiet)
    assert told["abstained"] == 0
    assert told["accuracy"]["value"] == 0.0
