"""Judge B in this process, under onnxruntime, its telemetry off before it is imported (DESIGN, section 6)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlb_offline.errors import UsageError
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.evidence import Answer
from mlb_offline.judge.lexicon import Lexicon
from mlb_offline.judge.rendering import Side, aligner_answer, aligner_criterion, padded
from mlb_offline.judge.small_judge import SmallJudge, require_version, unusable
from mlb_offline.judge.vocabulary import Vocabulary
from mlb_offline.language import tr

SHORTEST = 8
"""Characters that every text is padded to at least."""
CELLS = 32_000
"""Criteria times characters of their answer that go together at most: about 370 MiB."""


class OnnxJudge(SmallJudge):
    """An ONNX file of ours.

    Args:
        file: the model.
        lexicon: the names of concepts.
        threads: that onnxruntime may use.

    Raises:
        InputError: onnxruntime cannot load it, or it is not a judge of this version.
        UsageError: onnxruntime is not installed.
    """

    def __init__(self, file: Path, lexicon: Lexicon, *, threads: int = 2) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        try:
            import onnxruntime
        except ImportError:
            raise UsageError(
                tr("未安装 onnxruntime", "onnxruntime is not installed"),
                remedy=tr("安装 onnxruntime，或运行 make setup", "install onnxruntime, or run make setup"),
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(file), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 - onnxruntime has an exception for every fault, in a private module
            raise unusable(file, str(error).splitlines()[0][:300]) from None
        told = self._session.get_modelmeta().custom_metadata_map
        require_version(file, told.get("rendering"))
        self._lexicon = lexicon
        self.vocabulary = Vocabulary(tuple(told.get("characters", "")))

    def logits(self, criteria: Sequence[Criterion]) -> list[float]:
        """Log-odds of 是, one a criterion; the criteria of one answer go together, so that it is read once."""
        found: list[float] = []
        start = 0
        while start < len(criteria):
            end = start
            while end < len(criteria) and criteria[end].answer == criteria[start].answer:
                end += 1
            most = max(1, CELLS // max(1, len(criteria[start].answer)))
            for first in range(start, end, most):
                found += self._of_one_answer(criteria[first : min(end, first + most)])
            start = end
        return found

    def _of_one_answer(self, criteria: Sequence[Criterion]) -> list[float]:
        import numpy as np

        answer = aligner_answer(Answer(criteria[0].answer, self._lexicon), self._lexicon, self.vocabulary)
        wanted = [aligner_criterion(one, self._lexicon, self.vocabulary) for one in criteria]

        def rows(sides: Sequence[Side], name: str) -> Any:
            return np.asarray(padded([getattr(side, name) for side in sides], SHORTEST), dtype=np.int64)

        inputs = {
            "answer": rows([answer], "ids"),
            "answer_concepts": rows([answer], "concepts"),
            "answer_parents": rows([answer], "others"),
            "owner": np.zeros(len(criteria), dtype=np.int64),
            "criterion": rows(wanted, "ids"),
            "criterion_concepts": rows(wanted, "concepts"),
            "criterion_confusable": rows(wanted, "others"),
        }
        logits: list[float] = self._session.run(["logit"], inputs)[0].tolist()
        return logits

    def close(self) -> None:
        """Free the model."""
        self._session = None
