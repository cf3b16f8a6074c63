"""The training loop: one criterion a pass, gradients summed over a batch, the loss on the verdict's tokens alone.

Everything that decides a step (order, rate, dropout) follows from the recipe, the step's number and the state of the
random generators, all of which are in a checkpoint: an interrupted training goes on to the same result, bit for bit on
one machine's CPU with as many threads as before.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.judge.training.large.encoding import Example
from mlb_offline.judge.training.large.libraries import library
from mlb_offline.judge.training.large.model import trained
from mlb_offline.judge.training.large.recipe import LargeRecipe
from mlb_offline.language import tr

Progress = Callable[[int, int, float], None]
"""Told after each step: steps done, steps in all, mean loss of the step in nats a verdict token."""

_LONGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class State:
    """A training after ``step`` steps.

    Attributes:
        step: steps done.
        loss: mean loss of the last step.
        adapter: tensors by name.
        optimizer: state of AdamW.
        random: states of the generators: ``cpu`` and, with GPUs, ``gpu`` (a list).
    """

    step: int
    loss: float
    adapter: dict[str, Any]
    optimizer: dict[str, Any]
    random: dict[str, Any]


def steps_in_all(recipe: LargeRecipe, examples: int) -> int:
    """Steps of the whole training."""
    return recipe.epochs * math.ceil(examples / recipe.batch)


def fit(
    model: Any,
    examples: Sequence[Example],
    recipe: LargeRecipe,
    *,
    start: State | None,
    save: Callable[[State], None],
    progress: Progress,
) -> State:
    """Train the adapter in place.

    Args:
        model: from ``load_with_adapter``.
        examples: at least one.
        recipe: the recipe.
        start: where an earlier training stopped.
        save: told the state every ``checkpoint_every`` steps and after the last.
        progress: told after each step, and after ``save``.

    Raises:
        InputError: the loss is no longer a finite number.
    """
    torch = library("torch")
    parameters = trained(model)
    optimizer = torch.optim.AdamW(parameters.values(), lr=recipe.learning_rate, weight_decay=0.0)
    total = steps_in_all(recipe, len(examples))
    if start is not None:
        _restore(parameters, optimizer, start)
    loss = start.loss if start else 0.0
    model.train()
    for done, batch in _batches(examples, recipe, start.step if start else 0):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _rate(done, total, recipe.warmup)
        optimizer.zero_grad(set_to_none=True)
        loss = sum(_backward(model, example, len(batch)) for example in batch)
        if not math.isfinite(loss):
            raise InputError(
                tr(f"第 {done} 步损失不是有限数", f"the loss is not a finite number at step {done}"),
                field="learning_rate",
                remedy=tr("降低配方的 learning_rate，重新训练", "lower learning_rate of the recipe and train anew"),
            )
        torch.nn.utils.clip_grad_norm_(parameters.values(), _LONGEST_GRADIENT)
        optimizer.step()
        if done % recipe.checkpoint_every == 0 or done == total:
            save(_state(done, loss, parameters, optimizer))
        progress(done, total, loss)
    return _state(total, loss, parameters, optimizer)


def _batches(examples: Sequence[Example], recipe: LargeRecipe, done: int) -> Iterator[tuple[int, list[Example]]]:
    """Every step after ``done``: its number, from 1, and its examples. Each epoch has an order of its own."""
    number = 0
    for epoch in range(recipe.epochs):
        order = list(range(len(examples)))
        random.Random(f"{recipe.seed}/{epoch}").shuffle(order)  # noqa: S311 - an order, no secret
        for first in range(0, len(order), recipe.batch):
            number += 1
            if number > done:
                yield number, [examples[index] for index in order[first : first + recipe.batch]]


def _rate(step: int, total: int, warmup: float) -> float:
    """Part of the highest learning rate at a step (from 1): up in a line over the warm-up, then down to 0."""
    rising = math.ceil(warmup * total)
    return step / rising if step <= rising else (total - step + 1) / (total - rising + 1)


def _backward(model: Any, example: Example, batch: int) -> float:
    """Add a criterion's gradient; returns its part of the batch's mean loss."""
    torch = library("torch")
    device = next(model.parameters()).device
    targets = torch.tensor(example.verdict, device=device)
    ids = torch.tensor([[*example.prompt, *example.verdict[:-1]]], device=device)
    logits = model(input_ids=ids, logits_to_keep=len(example.verdict)).logits[0]
    loss = torch.nn.functional.cross_entropy(logits.float(), targets) / batch
    loss.backward()
    return float(loss.detach())


def _state(step: int, loss: float, parameters: dict[str, Any], optimizer: Any) -> State:
    torch = library("torch")
    generators = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        generators["gpu"] = torch.cuda.get_rng_state_all()
    adapter = {name: parameter.detach().cpu().clone() for name, parameter in parameters.items()}
    return State(step, loss, adapter, optimizer.state_dict(), generators)


def _restore(parameters: dict[str, Any], optimizer: Any, start: State) -> None:
    torch = library("torch")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(start.adapter[name])
    optimizer.load_state_dict(start.optimizer)
    torch.set_rng_state(start.random["cpu"])
    if "gpu" in start.random and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(start.random["gpu"])
