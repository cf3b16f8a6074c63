"""The source folder of a bundle (docs/format.md, "Source folder"): read, written, merged.

``bundle.toml``, one ``<Dataset>.jsonl`` and one ``prompts/<Dataset>.txt`` a dataset (``prompt = "default"`` in
``bundle.toml`` takes the project's own instead), and ``judge/<Dataset>.txt`` where the publisher brings its own judge
prompt. Every file of these kinds must belong to a dataset that ``bundle.toml`` names: none is passed over in silence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from mlb_offline.benchmark.catalogue import DATASETS, Dataset
from mlb_offline.benchmark.items import Item, load_item
from mlb_offline.benchmark.prompts import check_judge_template, check_template, default_prompt
from mlb_offline.bundle.manifest import Text
from mlb_offline.configuration import load_toml
from mlb_offline.errors import InputError
from mlb_offline.language import tr

BUNDLE_TOML = "bundle.toml"
MAX_LINE = 4 * 1024 * 1024
Spare = Callable[[InputError], None] | None
UNNAMED_PUBLISHER = "(请填写发布者 / name the publisher)"
"""What an importer writes as the publisher: nothing is sealed under it."""


@dataclass(frozen=True)
class SourceDataset:
    """One dataset of a source folder."""

    dataset: Dataset
    prompt: str
    judge_prompt: str | None
    items: tuple[Item, ...]
    licence: str
    source: str


@dataclass(frozen=True)
class Source:
    """A source folder.

    Attributes:
        series: what successive versions of the same bundle have in common.
        version: rises with every release of the series, from 1.
        issued: first day of validity (UTC); None: the moment of building.
        expires: last day of validity (UTC); None: a year after ``issued``.
        demonstration: good for demonstrations only.
        datasets: by id.
        canary: what every item names in its ``source``, so that text that leaked into training data is found; None:
            nothing.
    """

    title: str
    series: UUID
    version: int
    publisher: str
    issued: date | None
    expires: date | None
    demonstration: bool
    datasets: Mapping[str, SourceDataset]
    canary: UUID | None = None


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _DatasetToml(_Strict):
    licence: Text
    source: Text
    prompt: Literal["default"] | None = None


class _BundleToml(_Strict):
    title: Text
    series: Annotated[UUID, Field(strict=False)]
    version: Annotated[int, Field(ge=1, le=2**53 - 1)]
    publisher: Text
    issued: date | None = None
    expires: date | None = None
    demonstration: bool = False
    canary: Annotated[UUID | None, Field(strict=False)] = None
    datasets: Annotated[dict[str, _DatasetToml], Field(min_length=1)]


def read_source(path: Path, *, spare: Spare = None) -> Source:
    """Read and check a source folder.

    Args:
        path: the folder.
        spare: takes the fault of an item, which is then left out; without it the first one is raised.

    Raises:
        InputError: naming file, line and field of the first fault.
    """
    toml = _read_toml(path / BUNDLE_TOML)
    for name in toml.datasets:
        if name not in DATASETS:
            raise InputError(
                tr(f"没有名为“{name}”的数据集", f"there is no dataset named {name!r}"),
                file=path / BUNDLE_TOML,
                field=f"datasets.{name}",
                remedy=tr("可用的数据集：", "the datasets are: ") + ", ".join(DATASETS),
            )
    _refuse_strays(path, toml)
    # In the order of the catalogue, so that the order in bundle.toml cannot matter to a bundle.
    datasets = {name: _read_dataset(path, DATASETS[name], toml, spare) for name in DATASETS if name in toml.datasets}
    meta = toml.model_dump(exclude={"datasets"})
    return Source(**meta, datasets=datasets)


def _read_toml(file: Path) -> _BundleToml:
    remedy = tr("按 docs/format.md 修正", "correct it as docs/format.md says")
    return load_toml(_BundleToml, file, what=BUNDLE_TOML, remedy=remedy)


def _refuse_strays(path: Path, toml: _BundleToml) -> None:
    own = {name for name, entry in toml.datasets.items() if entry.prompt is None}
    for pattern, names in (("*.jsonl", set(toml.datasets)), ("prompts/*", own), ("judge/*", set(toml.datasets))):
        for file in sorted(path.glob(pattern)):
            if file.stem not in names or (pattern != "*.jsonl" and file.suffix != ".txt"):
                raise InputError(
                    tr("按 bundle.toml，不应有该文件", "by what bundle.toml says, this file should not be here"),
                    file=file,
                    remedy=tr(
                        '在 bundle.toml 中列出其数据集（提示词须去掉 prompt = "default"），或移走该文件',
                        'list its dataset there (for a prompt, without prompt = "default"), or remove the file',
                    ),
                )


def _read_dataset(path: Path, dataset: Dataset, toml: _BundleToml, spare: Spare) -> SourceDataset:
    entry = toml.datasets[dataset.id]
    prompt = default_prompt(dataset) if entry.prompt else _read_prompt(path, dataset)
    judge_prompt = _read_judge_prompt(path, dataset)
    items = tuple(_read_items(path / f"{dataset.id}.jsonl", dataset, spare))
    return SourceDataset(dataset, prompt, judge_prompt, items, entry.licence, entry.source)


def _read_prompt(path: Path, dataset: Dataset) -> str:
    file = path / "prompts" / f"{dataset.id}.txt"
    return check_template(dataset, _read_text(file), file=file)


def _read_judge_prompt(path: Path, dataset: Dataset) -> str | None:
    file = path / "judge" / f"{dataset.id}.txt"
    return check_judge_template(dataset, _read_text(file), file=file) if file.exists() else None


def _read_items(file: Path, dataset: Dataset, spare: Spare) -> Iterator[Item]:
    seen: dict[str, int] = {}
    contents: dict[str, int] = {}
    lines = _read_text(file).removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        try:
            item = load_item(dataset, _parse_line(line, file, number), file=file, line=number)
            _refuse_copy(item, seen, contents, file, number)
        except InputError as fault:
            if spare is None:
                raise
            spare(fault)
            continue
        yield item


def _refuse_copy(item: Item, seen: dict[str, int], contents: dict[str, int], file: Path, number: int) -> None:
    """Refuse an id or a question that an earlier line has; ``seen`` and ``contents`` give their lines."""
    if item.id in seen:
        raise InputError(
            tr(
                f"条目编号“{item.id}”与第 {seen[item.id]} 行重复",
                f"item id {item.id!r} is that of line {seen[item.id]}",
            ),
            file=file,
            line=number,
            field="id",
            remedy=tr("每个条目用不同的编号", "give every item an id of its own"),
        )
    seen[item.id] = number
    same = contents.setdefault(item.content(), number)
    if same != number:
        raise InputError(
            tr(f"与第 {same} 行是同一道题", f"this is the same question as line {same}"),
            file=file,
            line=number,
            field="question",
            remedy=tr("每道题只保留一次：重复的题会使结果显得更可靠", "keep each once: copies feign certainty"),
        )


def _parse_line(line: str, file: Path, number: int) -> Any:
    try:
        if len(line) > MAX_LINE:
            raise ValueError(tr("该行超过 4 MiB", "the line is over 4 MiB"))
        return json.loads(line, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InputError(
            tr(f"该行不是有效的 JSON：{error}", f"the line is not valid JSON: {error}"),
            file=file,
            line=number,
            remedy=tr("每行一个 JSON 对象，无空行", "one JSON object a line, and no empty lines"),
        ) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError(tr("键重复", "a key occurs twice"))
    return value


def _read_text(file: Path) -> str:
    try:
        # newline="": what a bundle seals is what the file holds.
        with file.open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            tr("不是 UTF-8 文本", "not UTF-8 text"),
            file=file,
            line=line,
            remedy=tr("把文件存为 UTF-8", "save the file as UTF-8"),
        ) from None
    except OSError as error:
        raise InputError(
            tr(f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}"),
            file=file,
            remedy=tr("核对源文件夹是否完整", "check that the source folder is complete"),
        ) from None


def write_source(source: Source, out: Path, *, merge: bool = False) -> None:
    """Write a source folder that ``read_source`` reads back equal.

    Args:
        source: what to write.
        out: a folder that does not exist yet or is empty.
        merge: add the datasets to the source folder that ``out`` already is, keeping its title, series, version and
            dates; ``out`` may also be new.

    Raises:
        InputError: ``out`` is not empty (without ``merge``), has one of the datasets already, or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        occupied = any(out.iterdir())
        if occupied and not merge:
            raise InputError(
                tr("文件夹不为空", "the folder is not empty"),
                file=out,
                remedy=tr("选择新的文件夹", "choose a new folder"),
            )
        existing = _read_toml(out / BUNDLE_TOML) if occupied else None
        _refuse_overlap(existing, source, out)
        for content in source.datasets.values():
            _write_dataset(content, out)
        # Last, so that an interrupted write never lists what is not there.
        partial = out / f"{BUNDLE_TOML}.partial"
        partial.write_text(_toml(source, existing), encoding="utf-8", newline="")
        partial.replace(out / BUNDLE_TOML)
    except OSError as error:
        raise InputError(
            tr(f"无法写入：{error.strerror}", f"cannot be written: {error.strerror}"),
            file=out,
            remedy=tr("核对路径、权限与剩余空间", "check the path, the permissions and the free space"),
        ) from None


def _refuse_overlap(existing: _BundleToml | None, source: Source, out: Path) -> None:
    for name in source.datasets:
        if existing is not None and name in existing.datasets:
            raise InputError(
                tr(f"数据集 {name} 已在该源文件夹中", f"dataset {name} is in this source folder already"),
                file=out / BUNDLE_TOML,
                field=f"datasets.{name}",
                remedy=tr("先移除旧的，或选择另一个文件夹", "remove the old one first, or choose another folder"),
            )


def _write_dataset(content: SourceDataset, out: Path) -> None:
    name = content.dataset.id
    lines = [json.dumps(item.to_json(), ensure_ascii=False) + "\n" for item in content.items]
    (out / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8", newline="")
    for folder, text in (("prompts", content.prompt), ("judge", content.judge_prompt)):
        if text is not None:
            (out / folder).mkdir(exist_ok=True)
            (out / folder / f"{name}.txt").write_text(text, encoding="utf-8", newline="")


def _toml(source: Source, existing: _BundleToml | None) -> str:
    meta = source if existing is None else existing
    lines = [
        f"title = {_toml_string(meta.title)}",
        f'series = "{meta.series}"',
        f"version = {meta.version}",
        f"publisher = {_toml_string(meta.publisher)}",
        *(f"{name} = {day}" for name, day in (("issued", meta.issued), ("expires", meta.expires)) if day),
        f"demonstration = {str(meta.demonstration).lower()}",
        *([] if meta.canary is None else [f'canary = "{meta.canary}"']),
    ]
    datasets = {} if existing is None else dict(existing.datasets)
    datasets |= {name: _DatasetToml(licence=new.licence, source=new.source) for name, new in source.datasets.items()}
    for name, entry in datasets.items():
        lines += ["", f"[datasets.{name}]"]
        lines += [f"{key} = {_toml_string(text)}" for key, text in entry.model_dump(exclude_none=True).items()]
    return "\n".join(lines) + "\n"


def _toml_string(text: str) -> str:
    # A JSON string is a TOML basic string but for DEL, which TOML wants escaped (TOML 1.0, "String").
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
