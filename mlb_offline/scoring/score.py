"""From one raw answer to one ``Score``: the only entry the other packages use."""

from __future__ import annotations

from collections.abc import Hashable

from mlb_offline.benchmark.catalogue import Dataset, Form
from mlb_offline.benchmark.items import Item
from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.scoring.answer_text import Unreadable, after_thinking
from mlb_offline.scoring.choice import read_choice
from mlb_offline.scoring.extraction import read_extraction, reference_units
from mlb_offline.scoring.outcome import Outcome, Score
from mlb_offline.scoring.terms import read_terms, reference_terms


def score_response(dataset: Dataset, item: Item, text: str, *, finish_reason: str | None = None) -> Score:
    """Score the text that a model returned for an item.

    Args:
        dataset: the item's dataset; its form and metric decide how the text is read.
        item: with its reference answer, as ``load_item`` checks it.
        text: the raw text, whatever it is; it is never the cause of an error.
        finish_reason: as the server gave it, if it did; ``length`` marks an answer that may be cut.

    Returns:
        RIGHT, WRONG or UNREADABLE for choices; SCORED or UNREADABLE with tp, fp, fn for micro-F1 sets;
        UNJUDGED for sets that need the judge panel, UNREADABLE where there is nothing to judge.

    Raises:
        InputError: a dataset scored here and an item without a reference answer.
    """
    if not dataset.metric.judged and item.answer is None:
        raise _no_reference(item)
    try:
        if dataset.metric.judged:
            judged_text(text)
            return Score(Outcome.UNJUDGED)
        if dataset.form is Form.CHOICE:
            return _score_choice(item, text, finish_reason)
        return _score_units(dataset, item, text, finish_reason)
    except Unreadable as unreadable:
        return score_absent(dataset, item, Outcome.UNREADABLE, note=unreadable.reason)


def judged_text(text: str) -> str:
    """What the judges see of a raw answer: what follows its reasoning, trimmed (rules P1 and P5).

    Raises:
        Unreadable: nothing but reasoning, or nothing at all, was returned.
    """
    shown = after_thinking(text).strip()
    if not shown:
        raise Unreadable("empty")
    return shown


def score_absent(dataset: Dataset, item: Item, outcome: Outcome, *, note: str = "") -> Score:
    """The score where there is no answer: everything that the reference holds is missed.

    Args:
        dataset: the item's dataset.
        item: with its reference answer.
        outcome: FAILED, MISSING or UNREADABLE.
        note: a machine word on the cause.
    """
    missed = 0 if dataset.metric.judged or dataset.form is Form.CHOICE else len(_reference(dataset, item))
    return Score(outcome, fn=missed, note=note)


def _score_choice(item: Item, text: str, finish_reason: str | None) -> Score:
    reading = read_choice(text, item.options, finish_reason=finish_reason)
    right = reading.letters == frozenset(item.answer.split(","))
    return Score(Outcome.RIGHT if right else Outcome.WRONG, note=reading.how)


def _score_units(dataset: Dataset, item: Item, text: str, finish_reason: str | None) -> Score:
    units: frozenset[Hashable]
    if dataset.form is Form.TERMS:
        terms = read_terms(text, item.options, finish_reason=finish_reason)
        units, how = frozenset(terms.terms), terms.how
    else:
        extracted = read_extraction(dataset, text)
        units, how = extracted.units, extracted.how
    reference = _reference(dataset, item)
    found = len(units & reference)
    return Score(Outcome.SCORED, tp=found, fp=len(units) - found, fn=len(reference) - found, note=how)


def _reference(dataset: Dataset, item: Item) -> frozenset[Hashable]:
    if item.answer is None:
        raise _no_reference(item)
    if dataset.form is Form.TERMS:
        return frozenset(reference_terms(item.answer))
    return reference_units(dataset, item.answer)


def _no_reference(item: Item) -> InputError:
    return InputError(
        tr(f"条目 {item.id} 没有参考答案，无法评分", f"item {item.id} has no reference answer to score against"),
        field="answer",
        remedy=tr("重新构建数据包，为该条目补上答案", "build the bundle again with an answer for this item"),
    )
