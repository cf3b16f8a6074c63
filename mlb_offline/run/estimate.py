"""What a run would ask, counted without asking anything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlb_offline.run.plan import Plan
from mlb_offline.run.prepare import RunRequest, prepare
from mlb_offline.run.storable import storable
from mlb_offline.target.types import Target

_TOKENS_PER_WIDE = 0.7
_TOKENS_PER_NARROW = 0.3
"""Rough: tokenizers of Chinese models take 0.5 to 1 token a Chinese character, and 0.25 to 0.35 an ASCII one."""


@dataclass(frozen=True)
class DatasetEstimate:
    """Requests of one dataset, repeats included, and the size of their prompts."""

    requests: int
    characters: int
    tokens: int


@dataclass(frozen=True)
class Estimate:
    """What a run would ask. ``probe`` is what the target said of itself."""

    datasets: Mapping[str, DatasetEstimate]
    probe: Mapping[str, Any]

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(part.requests for part in self.datasets.values())

    @property
    def characters(self) -> int:
        """Characters of all prompts."""
        return sum(part.characters for part in self.datasets.values())

    @property
    def tokens(self) -> int:
        """Estimated tokens of all prompts."""
        return sum(part.tokens for part in self.datasets.values())


def estimate_tokens(text: str) -> int:
    """A rough number of tokens of a text, by the width of its characters."""
    narrow = sum(character.isascii() for character in text)
    return round(narrow * _TOKENS_PER_NARROW + (len(text) - narrow) * _TOKENS_PER_WIDE)


def estimate_request(request: RunRequest) -> Estimate:
    """The whole of ``mlb-offline run --estimate``; no run is made.

    Raises:
        MlbError: as ``prepare``, and ``TargetError`` where the target cannot be reached.
    """
    prepared = prepare(request, estimate=True)
    return asyncio.run(estimate(prepared.plan, prepared.target))


async def estimate(plan: Plan, target: Target) -> Estimate:
    """Count the requests and prompts of a plan, and probe the target; no question is asked.

    Raises:
        TargetError: the target cannot be reached.
    """
    try:
        probe = storable(await target.probe())
    finally:
        await target.close()
    sizes: dict[str, list[int]] = {name: [0, 0, 0] for name in plan.datasets}
    for planned in plan.slots():
        prompt = plan.question(planned.slot).prompt
        for index, amount in enumerate((1, len(prompt), estimate_tokens(prompt))):
            sizes[planned.slot.dataset][index] += amount
    return Estimate({name: DatasetEstimate(*size) for name, size in sizes.items()}, probe)
