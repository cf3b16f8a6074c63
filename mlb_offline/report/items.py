"""The items file beside a report: every outcome by item id, without any text (docs/format-report.md).

One zstd frame of canonical JSON lines: a header, then one record an answer, ordered by dataset, item and repeat.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import zstandard
from pydantic import Field, StringConstraints, ValidationError

from mlb_offline.benchmark.catalogue import DATASETS, Metric
from mlb_offline.configuration import explain
from mlb_offline.policy.model import Policy
from mlb_offline.report import canonical
from mlb_offline.report.canonical import refuse
from mlb_offline.report.data import Count, Sha256, Strict
from mlb_offline.run.results import ItemOutcome, RunResults
from mlb_offline.scoring.outcome import Outcome

FORMAT = "mlb-offline/items/v1"
LEVEL = 19
LIMIT = 2**30
"""Largest decompressed items file that is read, in bytes."""


class Header(Strict):
    """First line: whose outcomes these are."""

    format: Literal["mlb-offline/items/v1"]
    run: str
    identity_sha256: Sha256


class Record(Strict):
    """One answer; ``tp``, ``fp``, ``fn`` stand in it for micro-F1 datasets only."""

    dataset: str
    item: str
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}\z")]
    repeat: Count
    outcome: Annotated[Outcome, Field(strict=False)]
    tp: Count = 0
    fp: Count = 0
    fn: Count = 0


def pack(results: RunResults) -> tuple[bytes, int]:
    """The items file of a run, and its number of records; the same run gives the same bytes."""
    header = {"format": FORMAT, "run": results.run_id, "identity_sha256": results.identity_sha256}
    ordered = sorted(results.outcomes, key=lambda outcome: (outcome.dataset, outcome.item, outcome.repeat))
    lines = [canonical.dump(header), *(canonical.dump(_record(outcome)) for outcome in ordered)]
    plain = b"".join(line + b"\n" for line in lines)
    return zstandard.ZstdCompressor(level=LEVEL).compress(plain), len(ordered)


def _record(outcome: ItemOutcome) -> dict[str, str | int]:
    record: dict[str, str | int] = {
        "dataset": outcome.dataset,
        "item": outcome.item,
        "digest": outcome.digest,
        "repeat": outcome.repeat,
        "outcome": outcome.outcome.value,
    }
    if DATASETS[outcome.dataset].metric is Metric.MICRO_F1:
        record |= {"tp": outcome.tp, "fp": outcome.fp, "fn": outcome.fn}
    return record


def unpack(raw: bytes, *, file: str | Path) -> tuple[Header, list[Record]]:
    """Header and records of an items file.

    Raises:
        TrustError: not one zstd frame of canonical JSON lines in order, or a record is not of the format.
    """
    try:
        plain = zstandard.ZstdDecompressor().decompress(raw, max_output_size=LIMIT, allow_extra_data=False)
    except zstandard.ZstdError:
        refuse("逐题结果文件无法解压", "the items file cannot be decompressed", file)
    lines = plain.split(b"\n")
    if lines.pop() != b"" or not lines:
        refuse("逐题结果文件不完整", "the items file is cut short", file)
    values = [canonical.load(line, file=file, field=f"line {n}") for n, line in enumerate(lines, start=1)]
    try:
        header = Header.model_validate(values[0])
        records = [Record.model_validate(value) for value in values[1:]]
    except ValidationError as error:
        _field, message = explain(error)
        refuse(f"逐题结果文件的记录无效：{message}", f"a record of the items file is not valid: {message}", file)
    places = [(record.dataset, record.item, record.repeat) for record in records]
    if any(before >= after for before, after in pairwise(places)):
        refuse("逐题结果未按序排列，或有重复", "the items file is out of order or holds a record twice", file)
    return header, records


def critical_items(policy: Policy, outcomes: Iterable[ItemOutcome | Record]) -> dict[str, dict[str, bool]]:
    """For each item that a critical rule names and that was asked: whether every answer to it was wholly right."""
    named = {rule.dataset: set[str]() for rule in policy.critical if rule.items}
    for rule in policy.critical:
        named.get(rule.dataset, set()).update(rule.items)
    seen: dict[str, dict[str, bool]] = {}
    for outcome in outcomes:
        if outcome.item in named.get(outcome.dataset, ()):
            items = seen.setdefault(outcome.dataset, {})
            items[outcome.item] = items.get(outcome.item, True) and _right(outcome)
    return {dataset: dict(sorted(items.items())) for dataset, items in sorted(seen.items())}


def _right(outcome: ItemOutcome | Record) -> bool:
    scored = outcome.outcome is Outcome.SCORED and outcome.fp == 0 and outcome.fn == 0
    return outcome.outcome is Outcome.RIGHT or scored
