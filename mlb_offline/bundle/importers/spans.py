"""Marked spans of a text → the entities of an extraction answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mlb_offline.benchmark.catalogue import Dataset
from mlb_offline.bundle.importers.mapping import SpanRule
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.language import tr


def read_spans(
    dataset: Dataset, text: str, spans: Any, *, rule: SpanRule, labels: Mapping[str, str], aside: Counter[str]
) -> dict[str, list[str]]:
    """The entities by key, in order of appearance, each string once; every key is there, maybe empty.

    Args:
        dataset: whose keys they are.
        text: what the offsets count in, in code points.
        spans: a list of objects.
        rule: their keys.
        labels: label → key; ``""`` leaves the span aside.
        aside: takes the number of spans left aside, by label.

    Raises:
        RowError: no list, an unknown label, an offset that is none, or a span whose text is not what stands there.
    """
    if not isinstance(spans, list):
        raise RowError(tr("标注不是列表", "the spans are not a list"))
    left: Counter[str] = Counter()
    entities: dict[str, list[str]] = {key: [] for key in dataset.keys}
    for number, span in enumerate(spans, start=1):
        if not isinstance(span, Mapping):
            raise RowError(tr(f"第 {number} 个标注不是对象", f"span {number} is not an object"))
        label = span.get(rule.label)
        if not isinstance(label, str) or label not in labels:
            raise RowError(
                tr(
                    f"第 {number} 个标注的类别“{label}”不在 labels 中",
                    f"span {number}: label {label!r} is not in labels",
                )
            )
        entity = _text_of(text, span, rule, number)
        key = labels[label]
        if not key:
            left[label] += 1
        elif entity not in entities[key]:
            entities[key].append(entity)
    aside.update(left)
    return entities


def _text_of(text: str, span: Mapping[str, Any], rule: SpanRule, number: int) -> str:
    start = _offset(span, rule.start, number)
    given = span.get(rule.text) if rule.text is not None else None
    if rule.text is not None and not isinstance(given, str):
        raise RowError(tr(f"第 {number} 个标注没有“{rule.text}”", f"span {number} has no {rule.text!r}"))
    if rule.end is not None:
        end = _offset(span, rule.end, number) + (1 if rule.end_included else 0)
    else:
        end = start + len(given or "")
    found = text[start:end]
    if not found.strip() or end > len(text):
        raise RowError(
            tr(f"第 {number} 个标注的位置 {start}–{end} 没有文字", f"span {number}: no text at {start} to {end}")
        )
    if given is not None and found != given:
        raise RowError(
            tr(
                f"第 {number} 个标注为“{given[:40]}”，原文该处为“{found[:40]}”",
                f"span {number} says {given[:40]!r}, but the text there is {found[:40]!r}",
            )
        )
    return found


def _offset(span: Mapping[str, Any], key: str, number: int) -> int:
    value = span.get(key)
    # isascii: str.isdigit also holds for ², which int() does not take.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise RowError(
        tr(f"第 {number} 个标注的“{key}”不是位置：{value!r}", f"span {number}: {key!r} is no offset: {value!r}")
    )
