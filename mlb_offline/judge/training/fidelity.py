"""Whether what was exported is what was trained: the same probabilities, and the same ones again."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.llama_judge import LlamaJudge
from mlb_offline.judge.onnx_judge import OnnxJudge
from mlb_offline.judge.training.config import TrainingConfig
from mlb_offline.judge.training.export_gguf import NAME as NAME_A
from mlb_offline.judge.training.export_onnx import NAME as NAME_B
from mlb_offline.judge.training.measure import Judge
from mlb_offline.judge.training.stages import Prepared, RoleName, trained
from mlb_offline.judge.training.tuning import TorchJudge


def _differences(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    apart = [abs(a - b) for a, b in zip(first, second, strict=True)]
    flips = sum((a >= 0.5) != (b >= 0.5) for a, b in zip(first, second, strict=True))
    return {"largest": max(apart), "median": statistics.median(apart), "verdicts_turned": flips}


def _compared(network: Judge, whole: Judge, final: Judge, criteria: Sequence[Criterion]) -> dict[str, Any]:
    reference = [float(p or 0.0) for p in network.probabilities(criteria)]
    once = [float(p or 0.0) for p in final.probabilities(criteria)]
    again = [float(p or 0.0) for p in final.probabilities(criteria)]
    return {
        "n": len(criteria),
        "before_quantisation": _differences(reference, [float(p or 0.0) for p in whole.probabilities(criteria)]),
        "after_quantisation": _differences(reference, once),
        "same_again": once == again,
    }


def fidelity(config: TrainingConfig, prepared: Prepared, out: Path, criteria: Sequence[Criterion]) -> Mapping[str, Any]:
    """For each judge the differences of its probabilities (uncalibrated) from the network's, before and after
    quantisation, and whether a second pass gives the very same ones.

    Raises:
        InputError: a file of the training is missing or is none.
    """
    lexicon = prepared.reader.lexicon

    def network(name: RoleName) -> TorchJudge:
        return TorchJudge(trained(name, config, prepared, out), prepared.reader)

    return {
        "a": _compared(
            network("a"),
            LlamaJudge(out / f"{NAME_A}.f32.gguf", lexicon),
            LlamaJudge(out / f"{NAME_A}.gguf", lexicon),
            criteria,
        ),
        "b": _compared(
            network("b"),
            OnnxJudge(out / f"{NAME_B}.f32.onnx", lexicon),
            OnnxJudge(out / f"{NAME_B}.onnx", lexicon),
            criteria,
        ),
    }
