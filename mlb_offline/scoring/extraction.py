"""Extraction answers: from a model's text to the units that micro-F1 counts.

A unit is a whole (key, string), event or relation; what has the wrong form becomes one unit that no reference
contains, and so one false positive. Rules E1 to E10 of docs/scoring.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mlb_offline.benchmark.catalogue import Dataset, Form
from mlb_offline.scoring.answer_text import Unreadable, unit_text
from mlb_offline.scoring.json_repair import Repeated, read_json

Unit = Hashable
"""What is counted; equal units match, and a unit counts once."""

_QUOTES_AROUND_KEYS = "'\"“”‘’` \t"


@dataclass(frozen=True)
class Extracted:
    """The units of one answer and how it was read."""

    units: frozenset[Unit]
    how: str


def read_extraction(dataset: Dataset, text: str) -> Extracted:
    """The units of an answer of form entities, events or relations.

    Raises:
        Unreadable: see ``json_repair.read_json``; also ``wrong-shape`` for a value that is no answer at all.
    """
    shape = _SHAPES[dataset.form]
    reading = read_json(text, lambda value: shape.rank(dataset, value))
    units, repaired = shape.units(dataset, reading.value)
    return Extracted(frozenset(units), _joined(reading.how, repaired))


def reference_units(dataset: Dataset, answer: Any) -> frozenset[Unit]:
    """The units of a reference answer, counted in the same way."""
    return frozenset(_SHAPES[dataset.form].units(dataset, answer)[0])


def _joined(how: str, repaired: str) -> str:
    if not repaired:
        return how
    return f"repaired:{repaired}" if how == "strict" else f"{how}+{repaired}"


def _key(text: str) -> str:
    """A key as it is compared; a quotation mark that strayed into it is dropped (rule E2)."""
    return unit_text(text).strip(_QUOTES_AROUND_KEYS)


def _misformed(where: str, value: Any) -> Unit:
    spelled = json.dumps(value, sort_keys=True, ensure_ascii=True, default=lambda repeated: list(repeated.values))
    return ("wrong form", where, spelled)


def _each(value: Any) -> list[Any]:
    """The entries stated under a key: a list's, those of all occurrences, none for null, else the one (rule E3)."""
    if isinstance(value, Repeated):
        return [entry for part in value.values for entry in _each(part)]
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


# --- entities: {key: [strings]} ---------------------------------------------------------------------------------


def _rank_entities(dataset: Dataset, value: Any) -> int:
    if isinstance(value, dict):
        return 2 if {_key(key) for key in value} & set(dataset.keys) else 1
    if _is_objects(value):
        return max(_rank_entities(dataset, entry) for entry in value)
    strings = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    return int(strings and (not value or len(dataset.keys) == 1))


def _entity_units(dataset: Dataset, value: Any) -> tuple[set[Unit], str]:
    if isinstance(value, dict):
        return _entities_of(value), ""
    if _is_objects(value):
        return {unit for entry in value for unit in _entities_of(entry)}, "list-of-objects"
    if value == []:
        return set(), ""
    if isinstance(value, list) and len(dataset.keys) == 1:
        return _entities_of({dataset.keys[0]: value}), "bare-list"
    raise Unreadable("wrong-shape")


def _entities_of(value: Mapping[str, Any]) -> set[Unit]:
    """Every entry under every key; one under an unknown key can match nothing (rule E4)."""
    units: set[Unit] = set()
    for raw_key, stated in value.items():
        key = _key(raw_key)
        for entry in _each(stated):
            if not isinstance(entry, str):
                units.add(_misformed(key, entry))
            elif unit_text(entry):
                units.add((key, unit_text(entry)))
    return units


# --- events: [{主体词, 发生状态, 描述词: [], 解剖部位: []}] ------------------------------------------------------


def _rank_events(dataset: Dataset, value: Any) -> int:
    entries = _unwrapped(dataset, value)[0]
    if any(isinstance(entry, dict) and dataset.keys[0] in map(_key, entry) for entry in entries):
        return 2
    return int(value in ([], {}))


def _unwrapped(dataset: Dataset, value: Any) -> tuple[list[Any], str]:
    """The events of a list, of a single event, or of an object with one list under any key (rule E7)."""
    if isinstance(value, dict):
        if dataset.keys[0] in map(_key, value):
            return [value], "single-object"
        inner = [part for part in value.values() if isinstance(part, list)]
        if len(value) == 1 and inner:
            return inner[0], "wrapped-list"
        return ([], "") if not value else ([value], "single-object")
    return (value, "") if isinstance(value, list) else ([], "")


def _event_units(dataset: Dataset, value: Any) -> tuple[set[Unit], str]:
    if not isinstance(value, dict | list):
        raise Unreadable("wrong-shape")
    entries, repaired = _unwrapped(dataset, value)
    return {_event_unit(dataset, entry) for entry in entries}, repaired


def _event_unit(dataset: Dataset, entry: Any) -> Unit:
    """One event; a missing or null field is empty, anything else that is amiss spoils the event (rule E6)."""
    subject, state, *lists = dataset.keys
    if not isinstance(entry, dict):
        return _misformed("event", entry)
    fields = {_key(key): value for key, value in entry.items()}
    words = [unit_text(value) if isinstance(value, str) else None for value in _scalars(fields, subject, state)]
    sets = [_strings(fields.get(key)) for key in lists]
    if not set(fields) <= set(dataset.keys) or len(fields) < len(entry) or not words[0] or None in [*words, *sets]:
        return _misformed("event", entry)
    return (*words, *sets)


def _scalars(fields: Mapping[str, Any], *keys: str) -> list[Any]:
    return ["" if fields.get(key) is None else fields[key] for key in keys]


def _strings(value: Any) -> frozenset[str] | None:
    """A set of strings; None where an entry is none."""
    if isinstance(value, Repeated):
        return None
    entries = _each(value)
    if not all(isinstance(entry, str) for entry in entries):
        return None
    return frozenset(text for entry in entries if (text := unit_text(entry)))


# --- relations: {"关系": [{关系, 头实体, 尾实体}]} ---------------------------------------------------------------


def _is_relation(dataset: Dataset, value: Any) -> bool:
    return isinstance(value, dict) and dataset.keys[1] in map(_key, value)


def _rank_relations(dataset: Dataset, value: Any) -> int:
    if _is_relation(dataset, value) or (isinstance(value, list) and any(_is_relation(dataset, v) for v in value)):
        return 2
    if isinstance(value, dict):
        return 2 if dataset.keys[0] in map(_key, value) else 1
    return int(value == [])


def _relation_units(dataset: Dataset, value: Any) -> tuple[set[Unit], str]:
    if _is_relation(dataset, value):
        return {_relation_unit(dataset, value)}, "single-object"
    if isinstance(value, list):
        return {_relation_unit(dataset, entry) for entry in value}, "bare-list" if value else ""
    if not isinstance(value, dict):
        raise Unreadable("wrong-shape")
    units: set[Unit] = set()
    for key, stated in value.items():
        right_key = _key(key) == dataset.keys[0]
        for entry in _each(stated):
            units.add(_relation_unit(dataset, entry) if right_key else _misformed(_key(key), entry))
    return units, ""


def _relation_unit(dataset: Dataset, entry: Any) -> Unit:
    """One relation of exactly three strings; anything else has the wrong form (rule E8)."""
    if not isinstance(entry, dict):
        return _misformed("relation", entry)
    fields = {_key(key): unit_text(value) for key, value in entry.items() if isinstance(value, str)}
    if set(fields) != set(dataset.keys) or len(fields) < len(entry) or not all(fields.values()):
        return _misformed("relation", entry)
    return tuple(fields[key] for key in dataset.keys)


@dataclass(frozen=True)
class _Shape:
    rank: Callable[[Dataset, Any], int]
    units: Callable[[Dataset, Any], tuple[Iterable[Unit], str]]


_SHAPES: Mapping[Form, _Shape] = {
    Form.ENTITIES: _Shape(_rank_entities, _entity_units),
    Form.EVENTS: _Shape(_rank_events, _event_units),
    Form.RELATIONS: _Shape(_rank_relations, _relation_units),
}
