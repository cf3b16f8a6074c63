"""Each judge beside each baseline on the natural part, answer by answer: differences with 95 % intervals.

``python -m bench.judge_paired --corpora DIR [--models DIR] [--json]``: accuracy, κ and AUC of the judge less those of
the baseline, on the same bootstrap samples of answers (2,000, fixed seed). An interval above 0 shows a difference that
the two intervals of a table, which overlap more easily, may not show.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlb_offline.judge.annotation import Criterion, read_annotations
from mlb_offline.judge.manifest import open_manifest
from mlb_offline.judge.opening import checked, open_judge
from mlb_offline.judge.training.command import configuration
from mlb_offline.judge.training.config import load_config
from mlb_offline.judge.training.release import fitted_baselines
from mlb_offline.judge.training.stages import Sources, prepare

RESAMPLES = 2_000
Array = Any


def accuracy(truth: Array, said: Array) -> float:
    return float(((said >= 0.5) == truth).mean())


def kappa(truth: Array, said: Array) -> float:
    verdicts = said >= 0.5
    chance = truth.mean() * verdicts.mean() + (1 - truth.mean()) * (1 - verdicts.mean())
    return float(((verdicts == truth).mean() - chance) / (1 - chance)) if chance < 1 else 0.0


def auc(truth: Array, said: Array) -> float:
    yes, no = said[truth][:, None], said[~truth][None, :]
    return float((yes > no).mean() + (yes == no).mean() / 2) if yes.size and no.size else 0.5


FIGURES: dict[str, Callable[[Array, Array], float]] = {"accuracy": accuracy, "kappa": kappa, "auc": auc}


def differences(criteria: Sequence[Criterion], judge: Array, baseline: Array) -> dict[str, list[float]]:
    """For each figure [difference, low, high]."""
    truth = np.array([one.label for one in criteria])
    names = np.array([one.answer_id for one in criteria])
    rows = [np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())]
    random = np.random.default_rng(2026)
    drawn = [np.concatenate([rows[i] for i in random.integers(0, len(rows), len(rows))]) for _ in range(RESAMPLES)]
    found = {}
    for name, figure in FIGURES.items():
        values = [figure(truth[some], judge[some]) - figure(truth[some], baseline[some]) for some in drawn]
        low, high = np.quantile(values, [0.025, 0.975])
        found[name] = [round(float(x), 3) for x in (figure(truth, judge) - figure(truth, baseline), low, high)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    config = load_config(configuration("cpu"))
    baselines = fitted_baselines(prepare(Sources(given.corpora, Path("models/src/criteria"))), config)
    criteria = read_annotations(Path("tests/data/judge/natural.jsonl"))
    manifest = open_manifest(given.models)
    judges = {one.name: one for one in (open_judge(*file) for file in checked(given.models, manifest, ()))}

    def asked(judge: Any) -> Array:
        return np.array([0.5 if value is None else value for value in judge.probabilities(criteria)])

    said = {name: asked(one.judge) for name, one in judges.items()}
    plain = {name: asked(one) for name, one in baselines.items()}
    result = {
        name: {other: differences(criteria, mine, theirs) for other, theirs in plain.items()}
        for name, mine in said.items()
    }
    if given.json:
        print(json.dumps(result, indent=2))
        return
    for name, others in result.items():
        for other, figures in others.items():
            told = ", ".join(f"{what} {x:+.3f} [{low:+.3f}, {high:+.3f}]" for what, (x, low, high) in figures.items())
            print(f"{name} less {other}: {told}")


if __name__ == "__main__":
    main()
