"""The items file beside a report: every outcome by item id, without any text (docs/format-report.md).

One zstd frame of canonical JSON lines: a header, then one record an answer, ordered by dataset, item and repeat.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

import zstandard
from pydantic import Field, StringConstraints, ValidationError, model_validator

from mlb_offline.benchmark.catalogue import DATASETS, Metric
from mlb_offline.configuration import explain
from mlb_offline.errors import InputError
from mlb_offline.judge.panel import ASIDE
from mlb_offline.language import tr
from mlb_offline.policy.model import Policy
from mlb_offline.report import canonical
from mlb_offline.report.canonical import refuse
from mlb_offline.report.scalars import MAX_ANSWERS, Count, Sha256, Strict
from mlb_offline.run.results import ItemOutcome, RunResults
from mlb_offline.scoring.judged import criteria_fit
from mlb_offline.scoring.outcome import Outcome

FORMAT = "mlb-offline/items/v1"
LEVEL = 19
LIMIT = 2**27
"""Largest decompressed items file, in bytes: 900 for each of the answers that a report can hold."""
_MAX_WINDOW = 2**23
_SLICE = 512  # a slice of this size grows to at most about 22 MiB, whatever it holds

_SCORED: dict[Metric, frozenset[Outcome]] = {
    Metric.ACCURACY: frozenset({Outcome.RIGHT, Outcome.WRONG}),
    Metric.MICRO_F1: frozenset({Outcome.SCORED}),
}
_JUDGED = frozenset({Outcome.JUDGED, Outcome.UNJUDGED})
_ABSENT = frozenset({Outcome.UNREADABLE, Outcome.FAILED, Outcome.MISSING})
_UNITS = frozenset({"tp", "fp", "fn"})
_MARKS = frozenset({"judges", "physicians", "signs"})


class Header(Strict):
    """First line: whose outcomes these are."""

    format: Literal["mlb-offline/items/v1"]
    run: str
    identity_sha256: Sha256


class Record(Strict):
    """One answer; ``tp``, ``fp``, ``fn`` stand in it for micro-F1 datasets only, marks (``scoring.judged``) for answers
    that were judged only, and of those ``physicians`` only where one has looked at it, and ``signs``
    (``judge.panel.ASIDE``) only where it was set aside."""

    dataset: str
    item: str
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}\z")]
    repeat: Count
    outcome: Annotated[Outcome, Field(strict=False)]
    tp: Count = 0
    fp: Count = 0
    fn: Count = 0
    judges: Annotated[str, StringConstraints(pattern=r"^[ynda]{1,1000}\z")] = ""
    physicians: Annotated[str, StringConstraints(pattern=r"^[yn?-]{1,1000}\z")] = ""
    signs: Annotated[list[str], Field(min_length=1, default_factory=list)]

    @model_validator(mode="after")
    def _fits_the_dataset(self) -> Self:
        if self.dataset not in DATASETS:
            raise ValueError(tr(f"没有数据集 {self.dataset}", f"no dataset {self.dataset}"))
        metric = DATASETS[self.dataset].metric
        if self.outcome not in _SCORED.get(metric, _JUDGED) | _ABSENT:
            raise ValueError(tr("该数据集没有这种结果", "an outcome that the dataset cannot have"))
        if self.model_fields_set & _UNITS != (_UNITS if metric is Metric.MICRO_F1 else set()):
            raise ValueError(tr("tp、fp、fn 只属于微平均 F1 数据集", "tp, fp, fn belong to micro-F1 datasets only"))
        if self.outcome is not Outcome.SCORED and (self.tp or self.fp):
            raise ValueError(tr("未评分的回答没有所得要素", "an answer that was not scored has found nothing"))
        marks = self.model_fields_set & _MARKS
        judged = self.outcome is Outcome.JUDGED
        if ("judges" in marks) != judged or (marks and not judged):
            raise ValueError(tr("标记只属于已裁判的回答", "marks belong to answers that were judged only"))
        if judged and not criteria_fit(metric, len(self.judges)):
            raise ValueError(tr("该数据集的判据不是这么多", "the dataset has another number of criteria"))
        if self.physicians and len(self.physicians) != len(self.judges):
            raise ValueError(tr("医生的标记与裁判的不等长", "physicians' and judges' marks differ in number"))
        if self.signs != sorted(set(self.signs).intersection(ASIDE)):
            raise ValueError(tr("未交裁判的原因有误", "reasons for being set aside that are none"))
        if self.signs and self.judges.strip("a"):
            raise ValueError(
                tr("未交裁判的回答有裁判的评判", "a verdict of the judges on an answer that was set aside")
            )
        return self


def pack(results: RunResults) -> tuple[bytes, int]:
    """The items file of a run, and its number of records; the same run gives the same bytes.

    Raises:
        InputError: it would be larger than a reader reads.
    """
    header = {"format": FORMAT, "run": results.run_id, "identity_sha256": results.identity_sha256}
    ordered = sorted(results.outcomes, key=lambda outcome: (outcome.dataset, outcome.item, outcome.repeat))
    lines = [canonical.dump(header), *(canonical.dump(_record(outcome)) for outcome in ordered)]
    plain = b"".join(line + b"\n" for line in lines)
    if len(plain) > LIMIT or len(ordered) > MAX_ANSWERS:
        raise InputError(
            tr(
                f"逐题结果过多：{len(ordered)} 条（上限 {MAX_ANSWERS}）、{len(plain)} 字节（上限 {LIMIT}）",
                f"too many outcomes: {len(ordered)} (at most {MAX_ANSWERS}), {len(plain)} bytes (at most {LIMIT})",
            ),
            remedy=tr(
                "用 --limit、--dataset 或较少的 --repeats 运行", "run with --limit, --dataset, or fewer --repeats"
            ),
        )
    return zstandard.ZstdCompressor(level=LEVEL).compress(plain), len(ordered)


def _record(outcome: ItemOutcome) -> dict[str, str | int | list[str]]:
    record: dict[str, str | int | list[str]] = {
        "dataset": outcome.dataset,
        "item": outcome.item,
        "digest": outcome.digest,
        "repeat": outcome.repeat,
        "outcome": outcome.outcome.value,
    }
    if DATASETS[outcome.dataset].metric is Metric.MICRO_F1:
        record |= {"tp": outcome.tp, "fp": outcome.fp, "fn": outcome.fn}
    if outcome.outcome is Outcome.JUDGED:
        record["judges"] = outcome.judges
        if outcome.physicians.strip("-"):
            record["physicians"] = outcome.physicians
        if outcome.signs:
            record["signs"] = list(outcome.signs)
    return record


def unpack(raw: bytes, *, file: str | Path) -> tuple[Header, list[Record]]:
    """Header and records of an items file.

    Raises:
        TrustError: not one zstd frame of canonical JSON lines in order, or a record is not of the format.
    """
    lines = _decompress(raw, file).split(b"\n")
    if lines.pop() != b"" or not lines:
        refuse("逐题结果文件不完整", "the items file is cut short", file)
    if len(lines) > MAX_ANSWERS + 1:
        refuse("逐题结果文件的记录过多", "the items file has more records than a report can have", file)
    values = (canonical.load(line, file=file, field=f"line {n}") for n, line in enumerate(lines, start=1))
    try:
        header = Header.model_validate(next(values))
        records = [Record.model_validate(value) for value in values]
    except ValidationError as error:
        _field, message = explain(error)
        refuse(f"逐题结果文件的记录无效：{message}", f"a record of the items file is not valid: {message}", file)
    for before, record in zip([None, *records], records, strict=False):
        _follows(before, record, file)
    return header, records


def _decompress(raw: bytes, file: str | Path) -> bytes:
    """The content of the one frame that declares its size; never more than ``LIMIT`` is held."""
    plain = bytearray()
    try:
        size = zstandard.get_frame_parameters(raw).content_size
        stream = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
        position = 0
        # In small steps: a declared size is the signer's word, and a short frame can hold gigabytes.
        while size <= LIMIT and len(plain) <= size and position < len(raw) and not stream.eof:
            plain += stream.decompress(raw[position : position + _SLICE])
            position += _SLICE
    except zstandard.ZstdError:
        refuse("逐题结果文件无法解压", "the items file cannot be decompressed", file)
    if size > LIMIT or len(plain) != size or not stream.eof or stream.unused_data or position < len(raw):
        refuse(
            "逐题结果文件过大、不完整或之后还有内容",
            "the items file is too large, cut short, or followed by more",
            file,
        )
    return bytes(plain)


def _follows(before: Record | None, record: Record, file: str | Path) -> None:
    """Records ascend; those of one item count its repeats from 0, with one digest and one reference."""
    place = (record.dataset, record.item)
    known = before if before is not None and (before.dataset, before.item) == place else None
    if before is not None and known is None and (before.dataset, before.item) > place:
        refuse("逐题结果未按序排列", "the items file is out of order", file)
    if record.repeat != (0 if known is None else known.repeat + 1):
        refuse("逐题结果有重复、遗漏或未按序排列", "the items file is out of order, or has gaps or repetitions", file)
    same = known is None or (known.digest, known.tp + known.fn) == (record.digest, record.tp + record.fn)
    if not same:
        refuse("同一题各次的摘要或参考要素数不同", "digest or reference of an item differ between repeats", file)


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
