"""The recipe as it stands in a TOML file (configs/large.toml), checked on the way in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mlb_offline.configuration import load_toml
from mlb_offline.language import tr

Weights = Literal["F16", "BF16"]
Quantisation = Literal["none", "Q8_0", "Q4_K_M"]
Precision = Literal["auto", "float32", "bfloat16"]

_WITHOUT_EFFECT_ON_TRAINING = {"weights", "quantisation", "checkpoint_every", "gradient_checkpointing"}


class LargeRecipe(BaseModel):
    """How a large base is fine-tuned and exported.

    Attributes:
        rank: of the two LoRA matrices (Hu et al., arXiv 2106.09685), on all linear layers of every block.
        alpha: the adapter is scaled by alpha / rank.
        dropout: before the adapter.
        learning_rate: the highest; after the warm-up it falls linearly to 0.
        warmup: part of all steps in which the rate rises.
        epochs: passes over the training criteria.
        batch: criteria a step; they are run one by one, so it costs time, not memory.
        max_tokens: of a prompt with its verdict; a longer annotation is refused, never cut.
        seed: of order, adapter and dropout.
        precision: of the base in training; ``auto`` is bfloat16 on a GPU and float32 on a CPU.
        gradient_checkpointing: recompute activations: less memory, more time.
        checkpoint_every: steps from one checkpoint to the next.
        weights: of the exported file.
        quantisation: of a second file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    rank: int = Field(default=16, ge=1, le=1024)
    alpha: float = Field(default=32.0, gt=0, le=4096)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    warmup: float = Field(default=0.03, ge=0, lt=1)
    epochs: int = Field(default=3, ge=1, le=1000)
    batch: int = Field(default=16, ge=1, le=4096)
    max_tokens: int = Field(default=4096, ge=16, le=131_072)
    seed: int = Field(default=20260106, ge=0, lt=2**31)
    precision: Precision = "auto"
    gradient_checkpointing: bool = True
    checkpoint_every: int = Field(default=50, ge=1, le=1_000_000)
    weights: Weights = "BF16"
    quantisation: Quantisation = "Q4_K_M"

    def training_identity(self) -> dict[str, Any]:
        """What a checkpoint depends on; how the result is exported may change between two starts."""
        return self.model_dump(mode="json", exclude=_WITHOUT_EFFECT_ON_TRAINING)


def load_recipe(file: Path) -> LargeRecipe:
    """The recipe of a TOML file.

    Raises:
        InputError: it cannot be read, is no TOML, or a key is unknown or out of range; names line and field.
    """
    return load_toml(
        LargeRecipe,
        file,
        what=tr("训练配方", "training recipe"),
        remedy=tr(
            "可用的键见 mlb_offline/judge/training/configs/large.toml",
            "the keys are listed in mlb_offline/judge/training/configs/large.toml",
        ),
    )
