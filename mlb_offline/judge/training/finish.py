"""From trained networks to files that the evaluator can use: export, quantise, calibrate.

Of the quantised forms of judge A the smallest is kept that loses at most ``TOLERATED`` of its accuracy on the
development side. Calibration is Platt's (1999): scale and shift of the log-odds, by family of criteria, fitted on the
development side, which tuning has not seen.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlb_offline.judge.annotation import Criterion, Family
from mlb_offline.judge.calibrated import LogitJudge
from mlb_offline.judge.training.config import TrainingConfig
from mlb_offline.judge.training.export_gguf import NAME as NAME_A
from mlb_offline.judge.training.export_gguf import write_gguf
from mlb_offline.judge.training.export_onnx import NAME as NAME_B
from mlb_offline.judge.training.export_onnx import quantise_onnx, write_onnx
from mlb_offline.judge.training.generator import Generator
from mlb_offline.judge.training.material import Material
from mlb_offline.judge.training.quantise import FILE_TYPES, quantise
from mlb_offline.judge.training.stages import Prepared, RoleName, trained
from mlb_offline.judge.training.tuning import TorchJudge
from mlb_offline.judge.training.writing import write_whole

TOLERATED = 0.005
DEVELOPMENT_ANSWERS = 150
"""Answers put together from the development side's groups, beside its cases."""

Calibration = dict[Family, tuple[float, float]]


def platt(logits: Sequence[float], labels: Sequence[bool]) -> tuple[float, float]:
    """Scale and shift of greatest likelihood, with Platt's smoothed targets, by Newton steps; the scale stays > 0."""
    x, y = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    right, wrong = y.sum(), len(y) - y.sum()
    target = np.where(y > 0, (right + 1) / (right + 2), 1 / (wrong + 2))
    design = np.stack((x, np.ones_like(x)), axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -60, 60)))
        gradient = design.T @ (p - target) + 1e-6 * weights
        curvature = (design * (p * (1 - p))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -1.0, 1.0)
        if float(np.abs(step).max()) < 1e-9:
            break
    return max(float(weights[0]), 0.01), float(weights[1])


def calibrate(judge: LogitJudge, criteria: Sequence[Criterion]) -> Calibration:
    """Scale and shift of each family that the criteria hold with both verdicts."""
    logits = judge.logits(criteria)
    found: Calibration = {}
    for family in sorted({one.family for one in criteria}):
        rows = [(logit, one.label) for logit, one in zip(logits, criteria, strict=True) if one.family == family]
        if len({label for _, label in rows}) == 2:
            found[family] = platt([logit for logit, _ in rows], [label for _, label in rows])
    return found


def development_criteria(prepared: Prepared, seed: int) -> list[Criterion]:
    """The development side: its cases, and answers put together from its groups."""
    made = Generator(Material((), prepared.development.groups), (), prepared.reader.lexicon, {"groups": 1.0}, seed)
    return [
        *prepared.development.criteria,
        *(made.batch(0, DEVELOPMENT_ANSWERS) if prepared.development.groups else ()),
    ]


def accuracy(judge: LogitJudge, criteria: Sequence[Criterion]) -> float:
    """Share of right verdicts at log-odds 0."""
    return sum((logit >= 0) == one.label for logit, one in zip(judge.logits(criteria), criteria, strict=True)) / len(
        criteria
    )


def finish(name: RoleName, config: TrainingConfig, prepared: Prepared, out: Path) -> dict[str, Any]:
    """Export a trained judge, and write ``<name>.json``: file, quantisation, parameters, calibration, accuracies.

    Raises:
        InputError: a file cannot be read or written.
    """
    model = trained(name, config, prepared, out)
    criteria = development_criteria(prepared, config.a.seed)
    accuracies = {"torch": accuracy(TorchJudge(model, prepared.reader), criteria)}
    if name == "a":
        file, quantisation, judge = _finish_a(model, prepared, out, criteria, accuracies)
    else:
        file, quantisation, judge = _finish_b(model, prepared, out, criteria, accuracies)
    told = {
        "file": file.name,
        "quantisation": quantisation,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "calibration": {
            family: {"scale": scale, "shift": shift} for family, (scale, shift) in calibrate(judge, criteria).items()
        },
        "development": {
            "n": len(criteria),
            "families": dict(Counter(one.family for one in criteria)),
            "accuracy": accuracies,
        },
    }
    write_whole(out / f"{name}.json", (json.dumps(told, ensure_ascii=False, indent=2) + "\n").encode())
    return told


def _finish_a(
    model: Any, prepared: Prepared, out: Path, criteria: Sequence[Criterion], accuracies: dict[str, float]
) -> tuple[Path, str, LogitJudge]:
    from mlb_offline.judge.llama_judge import LlamaJudge

    lexicon = prepared.reader.lexicon
    whole = write_gguf(out / f"{NAME_A}.f32.gguf", model, prepared.reader.vocabulary)
    accuracies["F32"] = accuracy(LlamaJudge(whole, lexicon), criteria)
    found = []
    for kind in FILE_TYPES:
        file = out / f"{NAME_A}.{kind}.gguf"
        quantise(whole, file, kind)
        accuracies[kind] = accuracy(LlamaJudge(file, lexicon), criteria)
        found.append((file.stat().st_size, kind, file))
    fit = [one for one in sorted(found) if accuracies["F32"] - accuracies[one[1]] <= TOLERATED] or [max(found)]
    _, kind, file = fit[0]
    final = out / f"{NAME_A}.gguf"
    write_whole(final, file.read_bytes())
    return final, kind, LlamaJudge(final, lexicon)


def _finish_b(
    model: Any, prepared: Prepared, out: Path, criteria: Sequence[Criterion], accuracies: dict[str, float]
) -> tuple[Path, str, LogitJudge]:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from mlb_offline.judge.onnx_judge import OnnxJudge

    lexicon = prepared.reader.lexicon
    whole = write_onnx(out / f"{NAME_B}.f32.onnx", model, prepared.reader.vocabulary)
    accuracies["F32"] = accuracy(OnnxJudge(whole, lexicon), criteria)
    final = quantise_onnx(whole, out / f"{NAME_B}.onnx")
    judge = OnnxJudge(final, lexicon)
    accuracies["int8"] = accuracy(judge, criteria)
    return final, "int8 weights, a scale for each column", judge
