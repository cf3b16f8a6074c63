"""A judge's training from start to end: pretraining on the corpora, then verdicts; both resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import torch

from mlb_offline.errors import InputError
from mlb_offline.judge import lexicon as lexicons
from mlb_offline.judge.rendering import VERSION, aligner_vocabulary
from mlb_offline.judge.training import checkpoint
from mlb_offline.judge.training.aligner import Aligner, AlignerShape
from mlb_offline.judge.training.config import Pretraining, Role, TrainingConfig, Tuning
from mlb_offline.judge.training.corpora import Document, read_documents
from mlb_offline.judge.training.decoder import Decoder, DecoderShape
from mlb_offline.judge.training.generator import Generator
from mlb_offline.judge.training.loop import Progress, Schedule, train
from mlb_offline.judge.training.material import Material, read_material
from mlb_offline.judge.training.pretraining import hidden_character_loss, next_character_loss, packed
from mlb_offline.judge.training.tuning import Reader, aligner_loss, decoder_loss, thinned
from mlb_offline.judge.training.writing import make_folder, write_whole
from mlb_offline.judge.vocabulary import Vocabulary, common_characters
from mlb_offline.language import tr

RoleName = Literal["a", "b"]
PRETRAINING_CODE = ("decoder.py", "aligner.py", "loop.py", "pretraining.py")
TUNING_CODE = ("tuning.py", "generator.py", "material.py")
"""Modules that decide what a stage computes; their bytes are part of its key. What the networks are shown is in the key
by ``rendering.VERSION``, which changes with evidence, wording and rendering."""

CHARACTERS = "characters.txt"


@dataclass(frozen=True)
class Sources:
    """What a training reads: the corpora's folder and the folder of what was written for it."""

    corpora: Path
    material: Path


@dataclass(frozen=True)
class Prepared:
    """Everything read and split, ready for both stages, and the digests of what each of them reads."""

    documents: tuple[Document, ...]
    train: Material
    development: Material
    reader: Reader
    corpora_digest: str
    material_digest: str


def prepare(sources: Sources) -> Prepared:
    """Read corpora, material and lexicon.

    Raises:
        InputError: something is missing or faulty; names file and line.
    """
    documents = tuple(read_documents(sources.corpora))
    learnt, development = read_material(sources.material)
    _require_both_verdicts(sources.material, learnt, development)
    vocabulary = Vocabulary(common_characters(text for one in documents for text in one.passages))
    corpora, material = hashlib.sha256(), hashlib.sha256(lexicons.embedded_sha256().encode())
    for one in documents:
        corpora.update("\n".join(one.passages).encode())
    for criterion in learnt.criteria:
        material.update(json.dumps(asdict(criterion), ensure_ascii=False).encode())
    for group in learnt.groups:
        material.update(json.dumps(asdict(group), ensure_ascii=False).encode())
    reader = Reader(lexicons.embedded(), vocabulary)
    return Prepared(documents, learnt, development, reader, corpora.hexdigest(), material.hexdigest())


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


def _key(config: TrainingConfig, code: Sequence[str], *parts: object) -> str:
    digest = hashlib.sha256()
    for name in code:
        digest.update(files("mlb_offline.judge.training").joinpath(name).read_bytes())
    told = [VERSION, config.half, config.threads, config.device, [str(part) for part in parts]]
    return hashlib.sha256(json.dumps([digest.hexdigest(), told]).encode()).hexdigest()


def pretraining_key(config: TrainingConfig, prepared: Prepared, name: RoleName) -> str:
    """The digest of all that decides a pretraining."""
    sizes, role = (config.decoder, config.a) if name == "a" else (config.aligner, config.b)
    return _key(config, PRETRAINING_CODE, name, prepared.corpora_digest, sizes, role.pretraining, role.seed)


def tuning_key(config: TrainingConfig, prepared: Prepared, name: RoleName) -> str:
    """The digest of all that decides a tuning, its pretraining included."""
    tuning = config.a.tuning if name == "a" else config.b.tuning
    return _key(config, TUNING_CODE, pretraining_key(config, prepared, name), prepared.material_digest, tuning)


def new_decoder(config: TrainingConfig, reader: Reader) -> Decoder:
    """Judge A before any training, its weights drawn from the seed."""
    torch.manual_seed(config.a.seed)
    return Decoder(DecoderShape(len(reader.vocabulary.tokens), **config.decoder.model_dump()))


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
    if checkpoint.load(file, key=None, model=model, optimizer=None) != steps or not _same_vocabulary(out, prepared):
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


def _pretraining_schedule(config: TrainingConfig, part: Pretraining, rows: int) -> Schedule:
    steps = max(1, int(part.epochs * (rows // part.batch)))
    return Schedule(steps, part.rate, part.warm, part.decay, config.every, config.half)


def _generator(prepared: Prepared, role: Role) -> Generator:
    weights = {name: getattr(role.tuning, name) for name in ("cases", "groups", "lexicon", "corpora")}
    return Generator(prepared.train, prepared.documents, prepared.reader.lexicon, weights, role.seed)


def _tuning_schedule(config: TrainingConfig, part: Tuning) -> Schedule:
    return Schedule(part.steps, part.rate, part.warm, part.decay, config.every, config.half)


def train_a(config: TrainingConfig, prepared: Prepared, out: Path, progress: Progress) -> Decoder:
    """Train judge A, or go on where it was stopped.

    Raises:
        InputError: a checkpoint cannot be read or written.
    """
    role, reader = config.a, prepared.reader
    model = new_decoder(config, reader).to(config.device)
    rows = packed(list(prepared.documents), reader.vocabulary, length=role.pretraining.length, seed=role.seed)
    train(
        "a-pretraining",
        model,
        lambda step: next_character_loss(model, rows, step, role.pretraining.batch, role.seed),
        _pretraining_schedule(config, role.pretraining, len(rows)),
        file=out / "a-pretraining.pt",
        key=pretraining_key(config, prepared, "a"),
        seed=role.seed,
        progress=progress,
    )
    generator, part = _generator(prepared, role), role.tuning

    def loss(step: int) -> torch.Tensor:
        batch = thinned(generator.batch(step, part.answers), f"{role.seed}/{step}")
        return decoder_loss(model, reader, batch, drop=part.drop)

    train(
        "a-tuning",
        model,
        loss,
        _tuning_schedule(config, part),
        file=out / "a.pt",
        key=tuning_key(config, prepared, "a"),
        seed=role.seed,
        progress=progress,
    )
    return model


def train_b(config: TrainingConfig, prepared: Prepared, out: Path, progress: Progress) -> Aligner:
    """Train judge B, or go on where it was stopped.

    Raises:
        InputError: a checkpoint cannot be read or written.
    """
    role, reader = config.b, prepared.reader
    model = new_aligner(config, reader).to(config.device)
    rows = packed(list(prepared.documents), reader.vocabulary, length=role.pretraining.length, seed=role.seed)
    mask = aligner_vocabulary(reader.vocabulary) - 1
    train(
        "b-pretraining",
        model.encoder,
        lambda step: hidden_character_loss(model.encoder, rows, step, role.pretraining.batch, role.seed, mask=mask),
        _pretraining_schedule(config, role.pretraining, len(rows)),
        file=out / "b-pretraining.pt",
        key=pretraining_key(config, prepared, "b"),
        seed=role.seed,
        progress=progress,
    )
    generator, part = _generator(prepared, role), role.tuning
    train(
        "b-tuning",
        model,
        lambda step: aligner_loss(model, reader, generator.batch(step, part.answers), drop=part.drop),
        _tuning_schedule(config, part),
        file=out / "b.pt",
        key=tuning_key(config, prepared, "b"),
        seed=role.seed,
        progress=progress,
    )
    return model
