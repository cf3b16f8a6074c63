"""The entry: files in, a folder with the judge out (``judge train`` and ``python -m ...large.command``)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from mlb_offline.errors import InputError, MlbError
from mlb_offline.judge.annotation import Criterion, read_annotations
from mlb_offline.judge.training.large.fine_tune import fine_tune
from mlb_offline.judge.training.large.fit import Progress
from mlb_offline.judge.training.large.recipe import load_recipe
from mlb_offline.language import tr


def run_large(  # noqa: PLR0917 - the caller gives all that a training has
    config: Path, base: Path, train: list[Path], dev: list[Path], out: Path, resume: bool, progress: Progress
) -> dict[str, Any]:
    """Fine-tune a base as a recipe says; returns ``LargeResult.to_json()``, which is also in OUT/result.json.

    Args:
        config: recipe (TOML).
        base: checkpoint folder.
        train, dev: annotation files.
        out: folder of the results.
        resume: go on from the checkpoint in ``out``.
        progress: told after each step: steps done, steps in all, mean loss.

    Raises:
        InputError: as ``fine_tune``, ``load_recipe`` and ``read_annotations``; a file stands in both train and dev.
        UsageError: the extra ``train`` is not installed.
    """
    recipe = load_recipe(config)
    both = {file.resolve() for file in train} & {file.resolve() for file in dev}
    if both:
        raise InputError(
            tr("同一文件既用于训练又用于评测", "the file is given for training and for measuring"),
            file=min(both),
            field="dev",
            remedy=tr("按回答划分标注，两边各用各的文件", "split the annotations by answer into two files"),
        )
    return fine_tune(base, _read(train), _read(dev), out, recipe, resume=resume, progress=progress).to_json()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it from a shell: the result as JSON on stdout, progress on stderr; returns the exit code."""
    parser = argparse.ArgumentParser(description=tr("微调大型基座为评审模型", "fine-tune a large base into a judge"))
    parser.add_argument("--config", type=Path, help="large.toml")
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--dev", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args(arguments)
    shipped = files("mlb_offline.judge.training").joinpath("configs", "large.toml")
    try:
        with as_file(shipped) as default:
            result = run_large(
                given.config or default, given.base, given.train, given.dev, given.out, given.resume, _tell
            )
    except MlbError as error:
        sys.stderr.write(error.diagnostics() + "\n")
        return int(error.exit_code)
    sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=2) + "\n")
    return 0


def _read(paths: Sequence[Path]) -> list[Criterion]:
    return [criterion for path in paths for criterion in read_annotations(path)]


def _tell(done: int, total: int, loss: float) -> None:
    sys.stderr.write(f"{done}/{total} loss {loss:.4f}\n")


if __name__ == "__main__":
    sys.exit(main())
