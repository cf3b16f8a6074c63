"""What the engines of both small judges share: probabilities, the version that they must be of, how they refuse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from mlb_offline.errors import InputError
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.calibrated import Calibrated
from mlb_offline.judge.rendering import VERSION
from mlb_offline.judge.vocabulary import Vocabulary
from mlb_offline.language import tr


class SmallJudge(ABC):
    """A model of ours, opened: it is shown evidence, and answers by log-odds."""

    vocabulary: Vocabulary

    @abstractmethod
    def logits(self, criteria: Sequence[Criterion]) -> list[float]:
        """Log-odds of 是, one a criterion, in order."""

    @abstractmethod
    def close(self) -> None:
        """Free the model."""

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float | None]:
        """Probabilities of 是, before calibration; None where the log-odds are no number."""
        return Calibrated(self, {}).probabilities(criteria)


def require_version(file: Path, found: str | None) -> None:
    """Refuse a model that was trained on other evidence than this version shows.

    Raises:
        InputError: it was.
    """
    if found != VERSION:
        raise unusable(
            file,
            tr(
                f"它不是本版本的小型裁判（需要 {VERSION}，文件为 {found}）",
                f"it is no small judge of this version (wanted {VERSION}, the file has {found})",
            ),
        )


def unusable(file: Path, reason: str) -> InputError:
    """The refusal of a model file."""
    return InputError(
        tr(f"无法作为裁判模型载入：{reason}", f"cannot be loaded as a judge: {reason}"),
        file=file,
        remedy=tr(
            "核对文件是否完整，且与 models/MANIFEST.json 相符",
            "check that the file is whole and the one of models/MANIFEST.json",
        ),
    )
