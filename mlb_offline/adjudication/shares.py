"""How large the physicians' samples are: what is advised for each judged dataset, and what is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlb_offline.adjudication.planning import Plan
from mlb_offline.errors import UsageError
from mlb_offline.language import tr


@dataclass(frozen=True)
class DatasetPlan:
    """What a judged dataset asks of physicians.

    Attributes:
        dataset: official name.
        items: in the run; ``criteria`` of these, ``still_open`` of those.
        plans: one a gate that the dataset is part of, the most demanding share first; empty without gates.
        share: fixed already; None: not yet.
    """

    dataset: str
    items: int
    criteria: int
    still_open: int
    plans: tuple[tuple[str, Plan], ...]
    share: float | None

    @property
    def advised(self) -> float | None:
        """The share that is expected to decide every gate; None where there is none, or no share would do."""
        chosen = [plan.chosen for _, plan in self.plans]
        return max(one.share for one in chosen if one) if chosen and all(chosen) else None


def chosen_shares(plans: Sequence[DatasetPlan], named: Mapping[str, float]) -> dict[str, float]:
    """The shares to be fixed, by dataset: those named, else those advised; none where no gate asks for a sample.

    Raises:
        UsageError: a gate is about a dataset with judged answers, no share is likely to meet it, and none is named.
    """
    for one in plans:
        if one.plans and one.criteria and one.advised is None and one.dataset not in named:
            raise UsageError(
                tr(
                    f"{one.dataset} 没有可建议的抽样比例：即使全部评定也难以达到门槛",
                    f"no share can be advised for {one.dataset}: even all of its items would hardly meet the gate",
                ),
                field="--share",
                remedy=tr(
                    f"自行给出比例，例如 --share {one.dataset}=1；不抽样则该门槛无法判定，且此后不能补抽",
                    f"name one, such as --share {one.dataset}=1; without a sample the gate can never be evaluated",
                ),
            )
    advised = {one.dataset: one.advised for one in plans if one.advised is not None}
    return advised | dict(named)
