"""Rules for reference answers that quote the text: every string stands in it, at a place of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count

from mlb_offline.benchmark.catalogue import Dataset, Form
from mlb_offline.benchmark.items import Item
from mlb_offline.language import tr

Found = Iterator[tuple[str, str]]
_BETWEEN = re.compile(r"[、，,;；。:：'\"“”{}\[\]\s]+")
"""What stands between the types that a prompt lists."""
STATES = ("", "否定", "不确定")
"""What CHIP-CDEE says of an event."""


def quoted(dataset: Dataset, item: Item) -> Iterator[tuple[str, str]]:
    """Field and text of each string of an answer that must stand in the question word for word."""
    if dataset.form is Form.ENTITIES:
        for kind, names in item.answer.items():
            yield from ((f"answer.{kind}.{place}", name) for place, name in enumerate(names))
    elif dataset.form is Form.RELATIONS:
        for place, relation in enumerate(item.answer[dataset.keys[0]]):
            yield from ((f"answer.{dataset.keys[0]}.{place}.{end}", relation[end]) for end in dataset.keys[1:])
    elif dataset.form is Form.EVENTS:
        subject, _state, *lists = dataset.keys
        for place, event in enumerate(item.answer):
            yield f"answer.{place}.{subject}", event[subject]
            yield from (
                (f"answer.{place}.{key}.{number}", text)
                for key in lists
                for number, text in zip(count(), event[key], strict=False)
            )


def verbatim(dataset: Dataset, item: Item) -> Found:
    """Every string stands in the text as it is, and nothing stands twice: entity of a type, relation, event, list."""
    for field, text in quoted(dataset, item):
        if text not in item.question:
            yield field, tr(f"原文中没有“{text}”", f"{text!r} does not stand in the text")
    for field, entries in _lists(dataset, item):
        for text in sorted({text for text in entries if entries.count(text) > 1}):
            yield field, tr(f"“{text}”重复", f"{text!r} stands twice")


def _lists(dataset: Dataset, item: Item) -> Iterator[tuple[str, list[str]]]:
    """Field and entries, as text, of each list of an answer."""
    if dataset.form is Form.ENTITIES:
        yield from ((f"answer.{kind}", names) for kind, names in item.answer.items())
    elif dataset.form is Form.RELATIONS:
        root = dataset.keys[0]
        yield f"answer.{root}", ["-".join(one[key] for key in dataset.keys) for one in item.answer[root]]
    elif dataset.form is Form.EVENTS:
        yield "answer", [repr(sorted(event.items())) for event in item.answer]
        for place, event in enumerate(item.answer):
            yield from ((f"answer.{place}.{key}", event[key]) for key in dataset.keys[2:])


def nested(dataset: Dataset, item: Item) -> Found:
    """An entity has a place in the text that is not inside a longer one's: only the longest is annotated.

    Of the sets of one type (MAEE…) only: CMeEE's own annotation lets symptoms hold other entities.
    """
    if dataset.form is not Form.ENTITIES or len(dataset.keys) > 1:
        return
    names = {name for kind in item.answer.values() for name in kind}
    for name in sorted(names):
        longer = [other for other in names if name in other and name != other]
        if longer and not _free(name, longer, item.question):
            yield (
                "answer",
                tr(
                    f"“{name}”只出现在更长的实体“{'、'.join(sorted(longer))}”之内",
                    f"{name!r} stands nowhere but inside {', '.join(sorted(longer))}",
                ),
            )


def values(dataset: Dataset, item: Item, prompt: str) -> Found:
    """Relations are of a type that the prompt names; events have a state that there is."""
    if dataset.form is Form.RELATIONS:
        root, types = dataset.keys[0], frozenset(_BETWEEN.split(prompt))
        for place, relation in enumerate(item.answer[root]):
            if relation[root] not in types:
                yield (
                    f"answer.{root}.{place}.{root}",
                    tr(f"提示词未列出“{relation[root]}”", f"the prompt does not list {relation[root]!r}"),
                )
    elif dataset.form is Form.EVENTS:
        state = dataset.keys[1]
        for place, event in enumerate(item.answer):
            if event[state] not in STATES:
                yield f"answer.{place}.{state}", tr("应为空、否定或不确定", "must be empty, 否定 or 不确定")


def _free(name: str, longer: list[str], text: str) -> bool:
    """Whether a name stands somewhere outside all places of the longer ones."""
    covered = [False] * len(text)
    for other in longer:
        for start in _places(other, text):
            covered[start : start + len(other)] = [True] * len(other)
    return any(not all(covered[start : start + len(name)]) for start in _places(name, text))


def _places(name: str, text: str) -> Iterator[int]:
    start = text.find(name)
    while start >= 0:
        yield start
        start = text.find(name, start + 1)
