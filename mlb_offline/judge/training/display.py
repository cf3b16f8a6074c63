"""Progress of a training on stderr: one line a stage, with the loss and the time left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlb_offline.judge.training.command import Progress


@contextmanager
def showing() -> Iterator[Progress]:
    """A display for the length of a ``with`` block; plain lines where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield _plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]:.3f}"),
        console=Console(stderr=True),
    )
    tasks: dict[str, Any] = {}

    def show(stage: str, done: int, total: int, loss: float) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total, loss=loss)
        bars.update(tasks[stage], completed=done, loss=loss)

    with bars:
        yield show


def _plain(stage: str, done: int, total: int, loss: float) -> None:
    if done % 200 == 0 or done == total:
        sys.stderr.write(f"{stage}: {done}/{total}, {loss:.4f}\n")
        sys.stderr.flush()
