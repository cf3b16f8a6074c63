"""What the scripted model answers: right, wrong and unreadable in turn, so that every score is known beforehand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mlb_offline.benchmark.catalogue import Dataset, Form
from mlb_offline.benchmark.items import LETTERS, Item
from mlb_offline.benchmark.prompts import render_prompt
from mlb_offline.bundle.source import Source

KINDS = ("right", "wrong", "unreadable")
UNREADABLE = "这个问题我需要再想一想。"
JUDGED = "此为演示用的固定回答，请以医生意见为准。"
_NOWHERE = "演示用错误答案"


def scripted_replies(source: Source) -> tuple[dict[str, str], dict[str, Counter[str]]]:
    """The replies to all prompts of a source folder, and how many of each kind there are.

    Returns:
        prompt → reply; and, for each dataset that needs no judge, kind (``right``, ``wrong``, ``unreadable``) →
        number of items.
    """
    replies: dict[str, str] = {}
    kinds: dict[str, Counter[str]] = {}
    for name, entry in source.datasets.items():
        judged = entry.dataset.metric.judged
        for index, item in enumerate(entry.items):
            kind = KINDS[index % len(KINDS)]
            prompt = render_prompt(entry.dataset, entry.prompt, item)
            replies[prompt] = _judged(entry.dataset, item, kind) if judged else reply(entry.dataset, item, kind)
            if not judged:
                kinds.setdefault(name, Counter())[kind] += 1
    return replies, kinds


def reply(dataset: Dataset, item: Item, kind: str) -> str:
    """One reply of the kind wanted, in the form of the dataset."""
    if kind == "unreadable":
        return UNREADABLE
    answer = item.answer if kind == "right" else _wrong(dataset, item)
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _judged(dataset: Dataset, item: Item, kind: str) -> str:
    """A reply for the judges: the reference where the item has one and the reply should be right."""
    if kind == "right" and dataset.form is Form.RECORD and item.answer is not None:
        return json.dumps(item.answer, ensure_ascii=False)
    return JUDGED


def _wrong(dataset: Dataset, item: Item) -> Any:
    match dataset.form:
        case Form.CHOICE:
            return next(letter for letter in LETTERS if letter != item.answer)
        case Form.TERMS:
            terms = set(str(item.answer).split("##"))
            others = (line for line in item.options if line != item.answer)
            return min(others, key=lambda line: len(terms & set(line.split("##"))))
        case Form.ENTITIES:
            return {dataset.keys[0]: [_NOWHERE]}
        case Form.EVENTS:
            return [_one(dataset.keys)]
        case _:
            return {dataset.keys[0]: [_one(dataset.keys)]}


def _one(keys: tuple[str, ...]) -> Mapping[str, Any]:
    return {key: [] if key in {"描述词", "解剖部位"} else _NOWHERE for key in keys}
