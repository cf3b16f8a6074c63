"""The configuration of a training: a TOML file of ``configs/`` or the user's own, every key checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import ConfigDict, Field

from mlb_offline.configuration import load_toml
from mlb_offline.language import tr

Count = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]


class _Part(pydantic.BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DecoderSizes(_Part):
    """Judge A; sizes as in ``decoder.DecoderShape``; its context is ``rendering.CONTEXT``."""

    width: Count
    layers: Count
    heads: Count
    inner: Count


class AlignerSizes(_Part):
    """Judge B; sizes as in ``aligner.AlignerShape``."""

    width: Count
    heads: Count
    encoder: Count
    comparison: Count


class Stage(_Part):
    """Steps, answers a step (each with some criteria), how the network learns, and shares of the sources.

    ``rate`` and ``muon`` are the highest learning rates of AdamW and, for matrices, of Muon (0: AdamW for all).
    ``drop`` is the share of activations dropped; ``support`` weighs what is asked after every character against the
    verdict (``tuning``).
    """

    steps: Count
    answers: Count
    rate: Rate
    muon: Annotated[float, Field(ge=0, le=1)] = 0.0
    warm: Count
    decay: Share
    drop: Share
    support: Weight
    cases: Weight = 0.0
    conduct: Weight = 0.0
    groups: Weight = 0.0
    lexicon: Weight = 0.0
    corpora: Weight = 0.0


class Role(_Part):
    """One judge's seed and stages."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    pretraining: Stage
    tuning: Stage


class TrainingConfig(_Part):
    """The whole file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    device: Literal["cpu", "cuda"]
    threads: Count
    half: bool
    every: Count
    decoder: DecoderSizes
    aligner: AlignerSizes
    a: Role
    b: Role


def load_config(file: Path) -> TrainingConfig:
    """Read a configuration.

    Raises:
        InputError: it cannot be read, or a key is missing, unknown or wrong; names line and field.
    """
    return load_toml(
        TrainingConfig,
        file,
        what=tr("训练配置", "training configuration"),
        remedy=tr(
            "参照 mlb_offline/judge/training/configs/cpu.toml", "follow mlb_offline/judge/training/configs/cpu.toml"
        ),
    )
