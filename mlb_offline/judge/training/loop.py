"""One training stage: a number of optimizer steps, each on a batch that depends on seed and step alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from mlb_offline.judge.training import checkpoint

Progress = Callable[[str, int, int, float], None]
"""Called with the stage's name, steps done, steps to do, and the mean loss of the latest steps."""


@dataclass(frozen=True)
class Schedule:
    """How a stage is trained.

    Attributes:
        steps: optimizer steps.
        rate: the highest learning rate, reached after ``warm`` steps and lowered by a half cosine to a tenth.
        warm: steps of warming up.
        decay: weight decay of matrices.
        every: steps between two checkpoints.
        half: whether matrices are multiplied in bfloat16 (weights stay in float32).
    """

    steps: int
    rate: float
    warm: int
    decay: float
    every: int
    half: bool

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warm:
            return self.rate * (step + 1) / self.warm
        done = (step - self.warm) / max(1, self.steps - self.warm)
        return self.rate * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


def optimizer_of(model: torch.nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW with decay on matrices only (Loshchilov and Hutter 2019, arXiv 1711.05101)."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [{"params": matrices, "weight_decay": schedule.decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.rate, betas=(0.9, 0.98), fused=True)


def train(
    name: str,
    model: torch.nn.Module,
    loss_of: Callable[[int], torch.Tensor],
    schedule: Schedule,
    *,
    file: Path,
    key: str,
    seed: int,
    progress: Progress,
) -> None:
    """Run the stage from its checkpoint to its last step, and leave the checkpoint of the last step.

    Args:
        name: of the stage, for ``progress``.
        model: trained in place; it has its first weights already.
        loss_of: the loss on the batch of a step; may draw random numbers (they are seeded by the step).
        schedule: steps and rates.
        file: the checkpoint.
        key: digest of what decides the result.
        seed: of the stage.
        progress: told every 20 steps.

    Raises:
        InputError: the checkpoint cannot be read or written.
    """
    optimizer = optimizer_of(model, schedule)
    start = checkpoint.load(file, key=key, model=model, optimizer=optimizer)
    model.train()
    device = next(model.parameters()).device.type
    recent: list[float] = []
    saved = time.monotonic()
    for step in range(start, schedule.steps):
        torch.manual_seed(seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=schedule.half):
            loss = loss_of(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent = [*recent[-99:], float(loss.detach())]
        done = step + 1
        if done % 20 == 0 or done == schedule.steps:
            progress(name, done, schedule.steps, sum(recent) / len(recent))
        if done == schedule.steps or (done % schedule.every == 0 and time.monotonic() - saved > 1.0):
            checkpoint.save(file, key=key, step=done, model=model, optimizer=optimizer)
            saved = time.monotonic()
    model.eval()
