"""What a run asks: which datasets, which items of each, how often, in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785

from mlb_offline.benchmark.catalogue import DATASETS, dataset_named
from mlb_offline.benchmark.items import Item
from mlb_offline.benchmark.prompts import render_prompt
from mlb_offline.bundle.opening import OpenedDataset
from mlb_offline.errors import UsageError
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.prompt import Prompt
from mlb_offline.judge.protocol import criteria_of
from mlb_offline.language import tr
from mlb_offline.run.changes import PlannedItem, Slot
from mlb_offline.scoring.outcome import Outcome, Score
from mlb_offline.scoring.score import judged_text, score_absent, score_response
from mlb_offline.target.types import Question, Response


class Plan:
    """The questions of a run, and how their answers are scored.

    Args:
        bundled: the datasets of the opened bundle.
        names: datasets to ask; none given: all.
        limit: most items of a dataset, the first in the bundle's order; None: all.
        repeats: how often each item is asked, at least 1.

    Raises:
        UsageError: a dataset that does not exist or is not in the bundle, or a number below 1.
    """

    def __init__(
        self,
        bundled: Mapping[str, OpenedDataset],
        *,
        names: Sequence[str] = (),
        limit: int | None = None,
        repeats: int = 1,
    ) -> None:
        for option, number in (("--limit", limit), ("--repeats", repeats)):
            if number is not None and number < 1:
                raise UsageError(
                    tr(f"{option} 必须至少为 1", f"{option} must be at least 1"),
                    remedy=tr("给出正整数", "give a positive number"),
                )
        self._named = frozenset(names)
        for name in self._named:
            _require_bundled(name, bundled)
        self.limit = limit
        self.repeats = repeats
        self.datasets = {
            name: bundled[name] for name in DATASETS if name in bundled and (not names or name in self._named)
        }
        self._bundled = {name: len(bundled[name].items) for name in self.datasets}
        self._items: dict[tuple[str, str], Item] = {
            (name, item.id): item for name, dataset in self.datasets.items() for item in dataset.items[:limit]
        }

    def slots(self) -> list[PlannedItem]:
        """Everything to ask, in order: all items once, then all again for the next repeat.

        Repeats are outermost so that a run that stops early has asked every item at least once.
        """
        planned = [(*key, item.digest(), self._absent_fn(*key)) for key, item in self._items.items()]
        return [
            PlannedItem(Slot(dataset, item, repeat), digest, absent_fn)
            for repeat in range(self.repeats)
            for dataset, item, digest, absent_fn in planned
        ]

    def question(self, slot: Slot) -> Question:
        """The prompt of one slot."""
        dataset = self.datasets[slot.dataset]
        prompt = render_prompt(dataset.dataset, dataset.prompt, self._items[slot.dataset, slot.item])
        return Question(slot.dataset, slot.item, prompt, slot.repeat)

    def score(self, slot: Slot, response: Response) -> Score:
        """The outcome of one answer."""
        dataset = self.datasets[slot.dataset].dataset
        item = self._items[slot.dataset, slot.item]
        return score_response(dataset, item, response.text, finish_reason=response.finish_reason)

    @property
    def judged(self) -> bool:
        """Whether any dataset needs the judges."""
        return any(dataset.dataset.metric.judged for dataset in self.datasets.values())

    def criteria(self, slot: Slot, text: str) -> tuple[Criterion, ...]:
        """What the judges are asked about one answer of a judged dataset.

        Raises:
            InputError: the item has neither evaluation points nor a reference answer.
            Unreadable: the answer holds nothing to be judged.
        """
        return criteria_of(self.datasets[slot.dataset].dataset, self._items[slot.dataset, slot.item], judged_text(text))

    def judge_prompts(self) -> dict[str, Prompt]:
        """The bundle's own wording for judges that read, by dataset."""
        return {
            name: Prompt.own(dataset.judge_prompt)
            for name, dataset in self.datasets.items()
            if dataset.judge_prompt is not None
        }

    def require_criteria(self) -> None:
        """Find items that could not be judged before any is asked.

        Raises:
            InputError: as ``criteria``.
        """
        for (name, _), item in self._items.items():
            dataset = self.datasets[name].dataset
            if dataset.metric.judged:
                criteria_of(dataset, item, "")

    def failed(self, slot: Slot, note: str) -> Score:
        """The outcome of a slot that will never be answered."""
        dataset = self.datasets[slot.dataset].dataset
        score = score_absent(dataset, self._items[slot.dataset, slot.item], Outcome.FAILED)
        return Score(score.outcome, score.tp, score.fp, score.fn, note)

    def counts(self) -> dict[str, int]:
        """Slots of each dataset, in the order of the report."""
        counts = dict.fromkeys(self.datasets, 0)
        for dataset, _item in self._items:
            counts[dataset] += self.repeats
        return counts

    def selection(self) -> dict[str, Any]:
        """For the identity: items in the bundle and asked, by dataset; the limit; the datasets named, or null."""
        asked = {name: count // self.repeats for name, count in self.counts().items()}
        return {
            "datasets": {name: {"asked": asked[name], "bundled": self._bundled[name]} for name in self.datasets},
            "limit": self.limit,
            "named": sorted(self._named) or None,
        }

    def items_sha256(self) -> str:
        """SHA-256 (hex) of what is asked: canonical JSON of [dataset, item, digest] in order."""
        rows = [[*key, item.digest()] for key, item in self._items.items()]
        return hashlib.sha256(rfc8785.dumps(rows)).hexdigest()

    def prompts_sha256(self) -> str:
        """SHA-256 (hex) of canonical JSON {dataset: prompt template} of the datasets asked."""
        return hashlib.sha256(rfc8785.dumps({k: v.prompt for k, v in self.datasets.items()})).hexdigest()

    def _absent_fn(self, dataset: str, item: str) -> int:
        score = score_absent(self.datasets[dataset].dataset, self._items[dataset, item], Outcome.MISSING)
        return score.fn


def _require_bundled(name: str, bundled: Mapping[str, OpenedDataset]) -> None:
    dataset_named(name)
    if name not in bundled:
        held = ", ".join(bundled)
        raise UsageError(
            tr(f"数据包中没有数据集 {name}", f"the bundle has no dataset {name}"),
            remedy=tr(f"数据包中有：{held}", f"it has: {held}"),
        )
