"""The opened payload: one zstd frame (RFC 8878) a dataset, each holding JSON Lines.

The records of a frame, one a line, each with a ``type``: one ``dataset``, one ``prompt`` (with ``judge`` where the
publisher brings its own), then as many ``item`` as the dataset record and the manifest say. Frames stand in the
order of the manifest, and nothing follows the last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from mlb_offline.benchmark.catalogue import Dataset
from mlb_offline.benchmark.items import Item, load_item
from mlb_offline.benchmark.prompts import check_judge_template, check_template
from mlb_offline.bundle.manifest import DatasetEntry, Manifest
from mlb_offline.errors import InputError, TrustError
from mlb_offline.language import tr
from mlb_offline.trust.canonical import canonical_json, parse_canonical

LEVEL = 12
MAX_WINDOW = 8 * 1024 * 1024
MAX_FRAME = 256 * 1024 * 1024
MAX_TEXT = 1024 * 1024 * 1024
_SLICE = 512  # a slice of this size grows to at most about 22 MiB, whatever it holds


@dataclass(frozen=True)
class OpenedDataset:
    """One dataset out of a bundle: its place in the catalogue, its prompts and its items in the bundle's order.

    ``judge_prompt`` is the publisher's own wording for judges that read text; None: the program's.
    """

    dataset: Dataset
    prompt: str
    judge_prompt: str | None
    items: tuple[Item, ...]


def write_dataset(content: OpenedDataset, *, canary: str) -> bytes:
    """One zstd frame. Equal content gives equal bytes (with one version of the zstd library).

    Args:
        content: the dataset, its items in the order in which they are to stand.
        canary: the bundle's canary GUID, by which leaked text can be recognised.
    """
    dataset = content.dataset
    prompt = {"type": "prompt", "text": content.prompt}
    if content.judge_prompt is not None:
        prompt["judge"] = content.judge_prompt
    records: list[dict[str, Any]] = [
        {
            "type": "dataset",
            "id": dataset.id,
            "metric": dataset.metric.value,
            "items": len(content.items),
            "canary": canary,
        },
        prompt,
        *({"type": "item", "item": item.to_json()} for item in content.items),
    ]
    text = b"".join(canonical_json(record) + b"\n" for record in records)
    return zstandard.ZstdCompressor(level=LEVEL).compress(text)


def read_payload(
    plain: bytes, manifest: Manifest, datasets: Mapping[str, Dataset], *, file: str | Path
) -> dict[str, OpenedDataset]:
    """Read an authenticated payload.

    Args:
        plain: the whole of it, already found equal to the manifest's digest.
        manifest: what it must hold.
        datasets: catalogue entries of the manifest's datasets, by id.
        file: the bundle, for messages.

    Returns:
        the datasets by id, in the manifest's order.

    Raises:
        TrustError: it is not exactly what the manifest says, or is larger than a bundle may be.
    """
    opened = {}
    rest = memoryview(plain)
    budget = MAX_TEXT
    for entry in manifest.core.datasets:
        text, rest = _read_frame(rest, min(budget, MAX_FRAME), entry.id, file)
        budget -= len(text)
        opened[entry.id] = _read_dataset(text, entry, datasets[entry.id], manifest.core.canary, file)
    if rest:
        raise _malformed(tr("最后一个数据集之后还有内容", "something follows the last dataset"), file, None)
    return opened


def _read_frame(rest: memoryview, limit: int, dataset: str, file: str | Path) -> tuple[bytes, memoryview]:
    try:
        size = zstandard.get_frame_parameters(rest[:64]).content_size
        if size > limit:
            raise _malformed(tr("数据集过大", "the dataset is too large"), file, dataset)
        stream = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
        text = bytearray()
        position = 0
        # In small steps: the declared size is the publisher's word, and a short frame can hold gigabytes. The zstd
        # library stops at the declared size as well, but does not promise to.
        while not stream.eof and position < len(rest) and len(text) <= size:
            text += stream.decompress(rest[position : position + _SLICE])
            position += _SLICE
    except zstandard.ZstdError as error:
        raise _malformed(
            tr(f"zstd 帧无法解压：{error}", f"a zstd frame does not open: {error}"), file, dataset
        ) from None
    if not stream.eof or len(text) != size:
        raise _malformed(tr("zstd 帧不完整", "a zstd frame is not complete"), file, dataset)
    return bytes(text), rest[min(position, len(rest)) - len(stream.unused_data) :]


def _read_dataset(text: bytes, entry: DatasetEntry, dataset: Dataset, canary: str, file: str | Path) -> OpenedDataset:
    records = _records(text, entry.id, file)
    head = {
        "type": "dataset",
        "id": entry.id,
        "metric": entry.metric,
        "items": entry.items,
        "canary": canary,
    }
    if next(records, None) != head:
        raise _malformed(tr("dataset 记录与清单不符", "the dataset record differs from the manifest"), file, entry.id)
    prompt, judge_prompt = _prompt(next(records, None), entry, file)
    try:
        check_template(dataset, prompt, file=file)
        if judge_prompt is not None:
            check_judge_template(dataset, judge_prompt, file=file)
        items = tuple(
            load_item(dataset, _item(record, entry.id, file), file=file, line=number)
            for number, record in enumerate(records, start=3)
        )
    except InputError as error:
        # The same fault in a source folder is bad input; here the file is not what its publisher signed for.
        raise TrustError(
            tr(f"数据集 {entry.id}：{error.message}", f"dataset {entry.id}: {error.message}"),
            file=file,
            line=error.line,
            field=error.field,
            remedy=tr("请发布者重新制作数据包", "ask the publisher to build the bundle again"),
        ) from None
    if len(items) != entry.items:
        raise _malformed(
            tr(f"有 {len(items)} 条目，清单为 {entry.items}", f"{len(items)} items, the manifest says {entry.items}"),
            file,
            entry.id,
        )
    if len({item.id for item in items}) != len(items):
        raise _malformed(tr("条目编号重复", "an item id occurs twice"), file, entry.id)
    if len({item.content() for item in items}) != len(items):
        raise _malformed(tr("同一道题出现两次", "the same question occurs twice"), file, entry.id)
    return OpenedDataset(dataset, prompt, judge_prompt, items)


def _records(text: bytes, dataset: str, file: str | Path) -> Iterator[Any]:
    if not text.endswith(b"\n"):
        raise _malformed(tr("最后一行不完整", "the last line is not complete"), file, dataset)
    for line in text[:-1].split(b"\n"):
        try:
            yield parse_canonical(line)
        except ValueError as error:
            raise _malformed(str(error), file, dataset) from None


def judge_prompt_digest(text: str) -> str:
    """What the manifest says of a judge prompt: SHA-256 of its UTF-8, 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _prompt(record: Any, entry: DatasetEntry, file: str | Path) -> tuple[str, str | None]:
    good = (
        isinstance(record, dict)
        and record.get("type") == "prompt"
        and {"type", "text"} <= set(record) <= {"type", "text", "judge"}
        and all(isinstance(value, str) for value in record.values())
    )
    if not good:
        raise _malformed(tr("第二条记录不是 prompt", "the second record is no prompt"), file, entry.id)
    # Bundles made before the manifest told of judge prompts may hold one that it does not name.
    if entry.judge_prompt and entry.judge_prompt != judge_prompt_digest(record.get("judge", "")):
        raise _malformed(tr("裁判提示词与清单不符", "the judge prompt is not the one of the manifest"), file, entry.id)
    return record["text"], record.get("judge")


def _item(record: Any, dataset: str, file: str | Path) -> Any:
    if not isinstance(record, dict) or set(record) != {"type", "item"} or record["type"] != "item":
        raise _malformed(tr("有一条记录不是 item", "a record is no item"), file, dataset)
    return record["item"]


def _malformed(reason: str, file: str | Path, dataset: str | None) -> TrustError:
    where = "" if dataset is None else tr(f"数据集 {dataset}：", f"dataset {dataset}: ")
    return TrustError(
        tr(f"数据包内容不符：{where}{reason}", f"the bundle's content is malformed: {where}{reason}"),
        file=file,
        remedy=tr("请发布者重新制作数据包", "ask the publisher to build the bundle again"),
    )
