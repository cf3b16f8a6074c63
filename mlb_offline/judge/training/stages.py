"""A judge's training from start to end: verdicts on passages of the corpora, then on all sources; both resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import torch

from mlb_offline.errors import InputError
from mlb_offline.judge import lexicon as lexicons
from mlb_offline.judge.rendering import CONTEXT, aligner_vocabulary
from mlb_offline.judge.training import checkpoint
from mlb_offline.judge.training.aligner import Aligner, AlignerShape
from mlb_offline.judge.training.config import Stage, TrainingConfig
from mlb_offline.judge.training.corpora import Document, read_documents
from mlb_offline.judge.training.decoder import Decoder, DecoderShape
from mlb_offline.judge.training.generator import SOURCES, Generator
from mlb_offline.judge.training.loop import Progress, Schedule, train
from mlb_offline.judge.training.material import Material, read_material
from mlb_offline.judge.training.tuning import Reader, aligner_loss, decoder_loss
from mlb_offline.judge.training.writing import make_folder, write_whole
from mlb_offline.judge.vocabulary import Vocabulary, common_characters
from mlb_offline.language import tr

RoleName = Literal["a", "b"]
StageName = Literal["pretraining", "tuning"]
STAGES: tuple[StageName, ...] = ("pretraining", "tuning")
NETWORKS: Mapping[RoleName, str] = {"a": "training/decoder.py", "b": "training/aligner.py"}
CODE = (
    *("annotation.py", "evidence.py", "lexicon.py", "polarity.py", "rendering.py", "vocabulary.py", "wording.py"),
    *(f"training/{name}.py" for name in ("edits", "generator", "lesson", "loop", "material", "tuning")),
)
"""Modules that decide what a stage computes, with that of the network; their bytes are part of its key."""

CHARACTERS = "characters.txt"


@dataclass(frozen=True)
class Sources:
    """What a training reads: the corpora's folder and the folder of what was written for it."""

    corpora: Path
    material: Path


@dataclass(frozen=True)
class Prepared:
    """Everything read and split, ready for both stages, and a digest of all that they read."""

    documents: tuple[Document, ...]
    train: Material
    development: Material
    reader: Reader
    digest: str


def prepare(sources: Sources) -> Prepared:
    """Read corpora, material and lexicon.

    Raises:
        InputError: something is missing or faulty; names file and line.
    """
    documents = tuple(read_documents(sources.corpora))
    learnt, development = read_material(sources.material)
    _require_both_verdicts(sources.material, learnt, development)
    vocabulary = Vocabulary(common_characters(text for one in documents for text in one.passages))
    digest = hashlib.sha256(lexicons.embedded_sha256().encode())
    for one in documents:
        digest.update("\n".join(one.passages).encode())
    for row in (*map(vars, learnt.criteria), *map(vars, learnt.groups)):
        digest.update(json.dumps(row, ensure_ascii=False).encode())
    reader = Reader(lexicons.embedded(), vocabulary)
    return Prepared(documents, learnt, development, reader, digest.hexdigest())


def _require_both_verdicts(folder: Path, *sides: Material) -> None:
    for side in sides:
        if {one.label for one in side.criteria} != {True, False}:
            raise InputError(
                tr(
                    "训练与开发两侧都需要两种结论的判据（按概念划分，约十分之一用于开发）",
                    "the training and the development side need criteria of both verdicts each (cases are split by"
                    " concept, about a tenth go to development)",
                ),
                file=folder,
                remedy=tr("增加不同概念的病例", "add cases of other concepts"),
            )


def stage_key(config: TrainingConfig, prepared: Prepared, name: RoleName, stage: StageName) -> str:
    """The digest of all that decides what a stage leaves, the stages before it included."""
    digest = hashlib.sha256(prepared.digest.encode())
    for module in (NETWORKS[name], *CODE):
        digest.update(files("mlb_offline.judge").joinpath(module).read_bytes())
    sizes, role = (config.decoder, config.a) if name == "a" else (config.aligner, config.b)
    parts = [getattr(role, one) for one in STAGES[: STAGES.index(stage) + 1]]
    told = [name, config.half, config.threads, config.device, role.seed, *(one.model_dump() for one in (sizes, *parts))]
    digest.update(json.dumps(told).encode())
    return digest.hexdigest()


def new_decoder(config: TrainingConfig, reader: Reader) -> Decoder:
    """Judge A before any training, its weights drawn from the seed."""
    torch.manual_seed(config.a.seed)
    return Decoder(DecoderShape(len(reader.vocabulary.tokens), context=CONTEXT, **config.decoder.model_dump()))


def new_aligner(config: TrainingConfig, reader: Reader) -> Aligner:
    """Judge B before any training, its weights drawn from the seed."""
    torch.manual_seed(config.b.seed)
    return Aligner(AlignerShape(aligner_vocabulary(reader.vocabulary), **config.aligner.model_dump()))


def trained(name: RoleName, config: TrainingConfig, prepared: Prepared, out: Path) -> Decoder | Aligner:
    """A judge as its training left it.

    The key is not asked for again: whatever the material has become since, the checkpoint holds what was trained. Its
    vocabulary is kept beside it, because ids mean nothing without it.

    Raises:
        InputError: its last checkpoint is missing, damaged, of another network or vocabulary, or not the last.
    """
    model: Decoder | Aligner = (new_decoder if name == "a" else new_aligner)(config, prepared.reader)
    file = out / f"{name}.pt"
    steps = (config.a if name == "a" else config.b).tuning.steps
    if checkpoint.load(file, key=None, model=model, optimizers=()) != steps or not _same_vocabulary(out, prepared):
        raise InputError(
            tr("没有训练完成的检查点", "there is no checkpoint of a finished training"),
            file=file,
            remedy=tr("先运行 mlb-offline judge train", "run mlb-offline judge train first"),
        )
    return model.eval()


def keep_vocabulary(out: Path, prepared: Prepared) -> None:
    """Write the vocabulary beside the checkpoints.

    Raises:
        InputError: it cannot be written.
    """
    make_folder(out)
    write_whole(out / CHARACTERS, "".join(prepared.reader.vocabulary.characters).encode())


def _same_vocabulary(out: Path, prepared: Prepared) -> bool:
    file = out / CHARACTERS
    return file.is_file() and file.read_bytes() == "".join(prepared.reader.vocabulary.characters).encode()


def train_judge(
    name: RoleName, config: TrainingConfig, prepared: Prepared, out: Path, progress: Progress
) -> Decoder | Aligner:
    """Train a judge, or go on where it was stopped; its last checkpoint is ``<name>.pt``.

    Raises:
        InputError: a checkpoint cannot be read or written.
    """
    role = config.a if name == "a" else config.b
    model = (new_decoder if name == "a" else new_aligner)(config, prepared.reader).to(config.device)
    keys = {stage: stage_key(config, prepared, name, stage) for stage in STAGES}  # of the code as it is now
    for stage in STAGES:
        part: Stage = getattr(role, stage)
        train(
            f"{name}-{stage}",
            model,
            _losses_of(model, prepared, part, role.seed),
            Schedule(part.steps, part.rate, part.warm, part.decay, config.every, config.half, part.muon),
            file=out / (f"{name}.pt" if stage == STAGES[-1] else f"{name}-{stage}.pt"),
            key=keys[stage],
            seed=role.seed,
            progress=progress,
        )
    return model


def _losses_of(model: Decoder | Aligner, prepared: Prepared, part: Stage, seed: int) -> Callable[[int], torch.Tensor]:
    weights = {name: getattr(part, name) for name in SOURCES}
    generator = Generator(prepared.train, prepared.documents, prepared.reader.lexicon, weights, seed)

    def loss(step: int) -> torch.Tensor:
        lessons = generator.batch(step, part.answers)
        if isinstance(model, Decoder):
            return decoder_loss(model, prepared.reader, lessons, drop=part.drop, support=part.support)
        return aligner_loss(model, prepared.reader, lessons, drop=part.drop, support=part.support)

    return loss
