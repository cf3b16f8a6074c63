"""Calibration of a judge at run time: the correction of its family, and nothing of training needed for it."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.calibrated import Calibrated, sigmoid

POINT = Criterion("1", "1", "points", "MADiagnosis", "point", "诊断", "肺炎", "", "肺炎", label=True)


class Fixed:
    """Gives the same log-odds for every criterion."""

    def logits(self, criteria: Sequence[Criterion]) -> list[float]:
        return [2.0] * len(criteria)


def test_log_odds_are_corrected_by_the_family_of_the_criterion() -> None:
    judge = Calibrated(Fixed(), {"points": (0.5, -1.0), "safety": (2.0, 1.0)})
    safety, ethics = replace(POINT, family="safety"), replace(POINT, family="ethics")
    assert judge.probabilities([POINT, safety, ethics]) == pytest.approx([sigmoid(0.0), sigmoid(5.0), sigmoid(2.0)])


def test_log_odds_of_any_size_give_a_probability() -> None:
    assert 0.0 < sigmoid(-1e9) < 1e-20
    assert sigmoid(1e9) == pytest.approx(1.0)


def test_the_evaluators_judge_imports_neither_torch_nor_training() -> None:
    names = "calibrated llama_judge onnx_judge manifest rendering agreement"
    code = f"import sys\nfor name in {names.split()!r}: __import__('mlb_offline.judge.' + name)\n"
    code += "print([name for name in sys.modules if name.startswith(('torch', 'mlb_offline.judge.training'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_log_odds_that_are_no_number_are_an_abstention_and_no_verdict(value: float) -> None:
    class Broken:
        def logits(self, criteria: Sequence[Criterion]) -> list[float]:
            return [value for _ in criteria]

    judge = Calibrated(Broken(), {})
    assert judge.probabilities([POINT]) == [None]


def test_the_logistic_function_of_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="number"):
        sigmoid(math.nan)
