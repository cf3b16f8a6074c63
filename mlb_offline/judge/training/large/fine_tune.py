"""From a base and criteria to a judge: everything is checked first, then trained, measured, exported, quantised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.prompt import shipped_prompt
from mlb_offline.judge.training.digest import sha256_of
from mlb_offline.judge.training.large.base import Base, open_base
from mlb_offline.judge.training.large.checkpoint import Identity, load_checkpoint, save_checkpoint
from mlb_offline.judge.training.large.encoding import Encoder, Example, open_encoder
from mlb_offline.judge.training.large.export import Source, write_gguf, write_vocabulary
from mlb_offline.judge.training.large.fit import Progress, State, fit
from mlb_offline.judge.training.large.geometry import load_configuration
from mlb_offline.judge.training.large.model import load_with_adapter, probabilities
from mlb_offline.judge.training.large.recipe import LargeRecipe
from mlb_offline.judge.training.large.same_tokens import require_same_tokens
from mlb_offline.judge.training.large.vocabulary import read_vocabulary
from mlb_offline.judge.training.quantise import quantise
from mlb_offline.judge.training.writing import make_folder, write_whole
from mlb_offline.language import tr

CHECKPOINT = "checkpoint.pt"
_RESULT = "result.json"


@dataclass(frozen=True)
class Accuracy:
    """Right verdicts among dev criteria: 是 where its probability is above one half."""

    n: int
    right: int

    @property
    def value(self) -> float:
        """In [0, 1]."""
        return self.right / self.n


@dataclass(frozen=True)
class LargeResult:
    """A fine-tuned judge.

    Attributes:
        exported: the GGUF file in F16 or BF16.
        quantised: the quantised one; None if none was asked for.
        sha256: digests of these files by name, hex.
        architecture: name in GGUF.
        parameters: their number.
        steps: of the training.
        loss: mean loss of the last step, nats a verdict token.
        dev: by family, and ``all``; of the trained model in the training's precision. The quantised file is
            another model: measure it with ``judge calibrate``.
        dev_seen: dev criteria whose answer also stands in the training data; their accuracy tells little.
        prompt: version and SHA-256 of the prompt.
        identity: what the training depended on: base, recipe, prompt, data.
    """

    exported: Path
    quantised: Path | None
    sha256: dict[str, str]
    architecture: str
    parameters: int
    steps: int
    loss: float
    dev: dict[str, Accuracy]
    dev_seen: int
    prompt: dict[str, str]
    identity: Identity

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values; files by name."""
        value = asdict(self)
        value["exported"] = self.exported.name
        value["quantised"] = self.quantised.name if self.quantised else None
        value["dev"] = {family: {**asdict(one), "accuracy": one.value} for family, one in self.dev.items()}
        return value


@dataclass(frozen=True)
class _Prepared:
    source: Source
    train: list[Example]
    dev: list[Example]
    identity: Identity


def fine_tune(
    base: Path,
    train: Sequence[Criterion],
    dev: Sequence[Criterion],
    out: Path,
    recipe: LargeRecipe,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> LargeResult:
    """Fine-tune a base on criteria and export it.

    Args:
        base: checkpoint folder.
        train: criteria to learn from.
        dev: criteria to measure on; never trained on.
        out: folder of the results; made if it is not there.
        recipe: how.
        resume: go on from the checkpoint in ``out``; from the beginning where there is none.
        progress: told after each step.

    Raises:
        InputError: the base, the annotations or the recipe cannot be used; ``out`` holds another training, or cannot
            be written; the checkpoint is of another base or recipe.
        UsageError: the extra ``train`` is not installed.
    """
    _require_criteria(train, dev)
    checkpoint = out / CHECKPOINT
    if not resume and (checkpoint.exists() or (out / _RESULT).exists()):
        raise InputError(
            tr("输出文件夹已有一次训练", "the output folder already holds a training"),
            file=out,
            remedy=tr("以 --resume 继续，或换一个文件夹", "go on with --resume, or choose another folder"),
        )
    make_folder(out)
    prepared = _prepare(base, train, dev, out, recipe)
    start = load_checkpoint(checkpoint, prepared.identity) if resume and checkpoint.exists() else None
    state, found = _train(prepared, recipe, checkpoint, start, progress or (lambda _done, _total, _loss: None))
    _write_dev(out / "dev.jsonl", prepared.dev, found)
    exported = out / f"judge-{recipe.weights}.gguf"
    parameters = write_gguf(exported, prepared.source, state.adapter, recipe)
    quantised = None
    if recipe.quantisation != "none":
        quantised = out / f"judge-{recipe.quantisation}.gguf"
        quantise(exported, quantised, recipe.quantisation)
    seen = {criterion.answer for criterion in train}
    prompt = prepared.source.encoder.prompt
    result = LargeResult(
        exported=exported,
        quantised=quantised,
        sha256={file.name: sha256_of(file) for file in (exported, quantised) if file},
        architecture=prepared.source.architecture,
        parameters=parameters,
        steps=state.step,
        loss=state.loss,
        dev=_accuracies(prepared.dev, found),
        dev_seen=sum(criterion.answer in seen for criterion in dev),
        prompt={"version": prompt.version, "sha256": prompt.sha256},
        identity=prepared.identity,
    )
    write_whole(out / _RESULT, (json.dumps(result.to_json(), ensure_ascii=False, indent=2) + "\n").encode())
    return result


def _require_criteria(train: Sequence[Criterion], dev: Sequence[Criterion]) -> None:
    for name, criteria in (("train", train), ("dev", dev)):
        if not criteria:
            raise InputError(
                tr(f"{name} 没有任何标注", f"there are no annotations for {name}"),
                field=name,
                remedy=tr("给出非空的标注文件（见 docs/judge.md）", "give a file that holds some (see docs/judge.md)"),
            )


def _prepare(
    folder: Path, train: Sequence[Criterion], dev: Sequence[Criterion], out: Path, recipe: LargeRecipe
) -> _Prepared:
    """All checks that need no training, so that none of them waits for the end of one."""
    base = open_base(folder)
    encoder = open_encoder(base, shipped_prompt())
    configuration = load_configuration(base)
    vocabulary = read_vocabulary(base, configuration.vocab_size)
    source = Source(base, configuration, vocabulary, encoder)
    examples = encoder.encode([*train, *dev], recipe.max_tokens)
    tokens_only = out / "vocabulary.gguf"
    write_vocabulary(tokens_only, source)
    try:
        require_same_tokens(tokens_only, examples)
    finally:
        tokens_only.unlink(missing_ok=True)
    learnt = examples[: len(train)]
    return _Prepared(source, learnt, examples[len(train) :], _identity(base, encoder, learnt, recipe))


def _identity(base: Base, encoder: Encoder, train: Sequence[Example], recipe: LargeRecipe) -> Identity:
    data = hashlib.sha256()
    for one in train:
        data.update(json.dumps([one.id, one.prompt, one.verdict]).encode() + b"\n")
    return {
        "base": base.digest(),
        "recipe": recipe.training_identity(),
        "prompt": encoder.prompt.sha256,
        "data": data.hexdigest(),
    }


def _train(
    prepared: _Prepared, recipe: LargeRecipe, checkpoint: Path, start: State | None, progress: Progress
) -> tuple[State, list[float]]:
    """The trained state, and the probability of 是 for each dev criterion."""
    encoder = prepared.source.encoder
    model = load_with_adapter(prepared.source.base, prepared.source.configuration, recipe)
    state = fit(
        model,
        prepared.train,
        recipe,
        start=start,
        save=lambda state: save_checkpoint(checkpoint, state, prepared.identity),
        progress=progress,
    )
    return state, probabilities(model, prepared.dev, encoder.yes[0], encoder.no[0])


def _write_dev(path: Path, dev: Sequence[Example], found: Sequence[float]) -> None:
    rows = [
        {"id": one.id, "family": one.family, "label": one.label, "probability": value}
        for one, value in zip(dev, found, strict=True)
    ]
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def _accuracies(dev: Sequence[Example], found: Sequence[float]) -> dict[str, Accuracy]:
    right = [(value > 0.5) == one.label for one, value in zip(dev, found, strict=True)]
    groups = {"all": right}
    for family in sorted({one.family for one in dev}):
        groups[family] = [hit for one, hit in zip(dev, right, strict=True) if one.family == family]
    return {name: Accuracy(len(hits), sum(hits)) for name, hits in groups.items()}
