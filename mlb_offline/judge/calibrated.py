"""A judge whose log-odds are corrected by family of criteria, as its entry in the signed list says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mlb_offline.judge.annotation import Criterion, Family


class LogitJudge(Protocol):
    """Anything that gives log-odds of 是."""

    def logits(self, criteria: Sequence[Criterion]) -> list[float]:
        """One a criterion, in order."""
        ...


@dataclass(frozen=True)
class Calibrated:
    """Probabilities p = sigmoid(scale * logit + shift), by family (Platt 1999); None where the log-odds are no number.

    Attributes:
        judge: gives the log-odds.
        calibration: (scale, shift) by family; a family without stays as it is.
    """

    judge: LogitJudge
    calibration: Mapping[Family, tuple[float, float]]

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float | None]:
        """Calibrated probabilities of 是, in order."""
        found: list[float | None] = []
        for one, logit in zip(criteria, self.judge.logits(criteria), strict=True):
            scale, shift = self.calibration.get(one.family, (1.0, 0.0))
            found.append(sigmoid(scale * logit + shift) if math.isfinite(logit) else None)
        return found


def sigmoid(value: float) -> float:
    """The logistic function, of values of any size.

    Raises:
        ValueError: it is no number; a broken model must not say 是.
    """
    if math.isnan(value):
        raise ValueError("no number")
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, value))))
