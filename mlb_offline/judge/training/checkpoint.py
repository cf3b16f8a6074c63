"""Checkpoints of a training stage: written whole or not at all, and read only into the stage that wrote them.

A checkpoint holds weights, optimizers, step and random state, and the ``key`` of its stage: a digest of everything
that decides the result (configuration, data, code of the network). A stage resumed from one reaches the same weights
as one never interrupted, on the same machine with the same number of threads.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mlb_offline.errors import InputError
from mlb_offline.judge.training.writing import make_folder, replacing
from mlb_offline.language import tr

Optimizers = Sequence[torch.optim.Optimizer]


def save(path: Path, *, key: str, step: int, model: torch.nn.Module, optimizers: Optimizers) -> None:
    """Write a checkpoint beside ``path`` and put it in its place.

    Raises:
        InputError: the disk is full or the folder cannot be written; the checkpoint before stays as it was.
    """
    state = {
        "key": key,
        "step": step,
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "random": torch.get_rng_state(),
    }
    buffer = io.BytesIO()  # torch hides the reason of a write that failed
    torch.save(state, buffer)
    make_folder(path.parent)
    with replacing(path) as partial:
        partial.write_bytes(buffer.getbuffer())


def load(path: Path, *, key: str | None, model: torch.nn.Module, optimizers: Optimizers) -> int:
    """Read a checkpoint into model and optimizers (which may be none) and give its step; 0 where there is none. Without
    a key any will do that fits the model.

    Raises:
        InputError: the file is damaged, or was written by a stage with another key or another network.
    """
    if not path.is_file():
        return 0
    remedy = tr("删除该检查点，或换一个输出文件夹", "delete the checkpoint, or choose another output folder")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = state["key"]
    except Exception as error:  # noqa: BLE001 - zip, pickle, key and OS errors alike
        raise InputError(
            tr(f"检查点已损坏：{type(error).__name__}", f"the checkpoint is damaged: {type(error).__name__}"),
            file=path,
            remedy=remedy,
        ) from None
    try:
        if key is not None and found != key:
            raise ValueError(tr("配置、数据或网络不同", "configuration, data or network differ"))
        model.load_state_dict(state["model"])
        for optimizer, kept in zip(optimizers, state["optimizers"], strict=bool(optimizers)):
            optimizer.load_state_dict(kept)
    except (KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            tr(f"检查点属于另一次训练：{error}", f"the checkpoint is of another training: {error}"),
            file=path,
            remedy=remedy,
        ) from None
    torch.set_rng_state(state["random"])
    return int(state["step"])
