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
        muon: the highest learning rate of matrices by Muon, on the same course; 0 leaves them to AdamW.
        every: steps between two checkpoints.
        half: whether matrices are multiplied in bfloat16 (weights stay in float32).
    """

    steps: int
    rate: float
    warm: int
    decay: float
    every: int
    half: bool
    muon: float = 0.0

    def course(self, step: int) -> float:
        """The share of the highest learning rate that a step has, counted from 0."""
        if step < self.warm:
            return (step + 1) / self.warm
        done = (step - self.warm) / max(1, self.steps - self.warm)
        return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def optimizers_of(model: torch.nn.Module, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """AdamW with decay on matrices only (Loshchilov and Hutter 2019, arXiv 1711.05101); where the schedule says so,
    Muon for the matrices that are no embedding (Jordan et al. 2024; steps of AdamW's size after Liu et al. 2025,
    arXiv 2502.16982)."""
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}

    def by_muon(parameter: torch.nn.Parameter) -> bool:
        return schedule.muon > 0 and parameter.dim() == 2 and id(parameter) not in embeddings

    left = [parameter for parameter in model.parameters() if not by_muon(parameter)]
    groups = [
        {"params": [one for one in left if one.dim() >= 2], "weight_decay": schedule.decay},
        {"params": [one for one in left if one.dim() < 2], "weight_decay": 0.0},
    ]
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=schedule.rate, betas=(0.9, 0.98), fused=True),
    ]
    matrices = [parameter for parameter in model.parameters() if by_muon(parameter)]
    if matrices:
        muon = torch.optim.Muon(matrices, lr=schedule.muon, weight_decay=schedule.decay, adjust_lr_fn="match_rms_adamw")
        found.append(muon)
    return found


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
    optimizers = optimizers_of(model, schedule)
    highest = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    start = checkpoint.load(file, key=key, model=model, optimizers=optimizers)
    model.train()
    device = next(model.parameters()).device.type
    recent: list[float] = []
    saved = time.monotonic()
    for step in range(start, schedule.steps):
        torch.manual_seed(seed * 1_000_003 + step)
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        for group, rate in zip(groups, highest, strict=True):
            group["lr"] = rate * schedule.course(step)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=schedule.half):
            loss = loss_of(step)
        model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        recent = [*recent[-99:], float(loss.detach())]
        done = step + 1
        if done % 20 == 0 or done == schedule.steps:
            progress(name, done, schedule.steps, sum(recent) / len(recent))
        if done == schedule.steps or (done % schedule.every == 0 and time.monotonic() - saved > 1.0):
            checkpoint.save(file, key=key, step=done, model=model, optimizers=optimizers)
            saved = time.monotonic()
    model.eval()
