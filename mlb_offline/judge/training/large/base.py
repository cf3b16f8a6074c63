"""The base: a Hugging Face checkpoint folder, checked before any of it is loaded.

Format of a shard: 8 bytes little-endian length of the header, the header (JSON: name -> dtype, shape, data_offsets),
then the data (huggingface/safetensors, README, "Format"). ``model.safetensors.index.json`` says which tensor is in
which shard.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.judge.training.digest import sha256_of
from mlb_offline.language import tr
from mlb_offline.regular_file import open_regular

ARCHITECTURES = {"Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3", "LlamaForCausalLM": "llama"}
"""Architectures that can be fine-tuned and exported, each with its name in GGUF."""

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_DTYPES = frozenset({"F32", "F16", "BF16"})
_LARGEST_JSON = 1 << 28
_LARGEST_HEADER = 100_000_000  # the limit of the safetensors library
_DESCRIBING = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
)


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies, and its shape."""

    file: Path
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Base:
    """A checked base.

    Attributes:
        folder: where it is.
        architecture: a key of ``ARCHITECTURES``.
        tensors: by name.
    """

    folder: Path
    architecture: str
    tensors: Mapping[str, Tensor]

    @property
    def tokenizer(self) -> Path:
        """Its tokenizer.json."""
        return self.folder / "tokenizer.json"

    def digest(self) -> str:
        """SHA-256, hex, over the names and digests of all files that take part; reads all of them."""
        shards = sorted({tensor.file for tensor in self.tensors.values()})
        named = [self.folder / name for name in _DESCRIBING if (self.folder / name).is_file()]
        lines = [f"{sha256_of(file)}  {file.name}\n" for file in [*named, *shards]]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def open_base(folder: Path) -> Base:
    """Check a folder.

    Raises:
        InputError: no folder; config.json, weights or tokenizer.json missing or unreadable; an architecture that is
            not supported; already quantised weights; a shard missing, truncated or of another content than the index.
    """
    if not folder.is_dir():
        raise _refused(folder, None, "没有这个文件夹", "there is no such folder")
    config = read_json(folder / "config.json")
    architecture = _architecture(config, folder / "config.json")
    if not (folder / "tokenizer.json").is_file():
        raise InputError(
            tr("基座缺少 tokenizer.json", "the base has no tokenizer.json"),
            file=folder,
            remedy=tr(
                "用 transformers 的快速分词器保存一次（save_pretrained），得到 tokenizer.json",
                "save the tokenizer once with a fast tokenizer of transformers (save_pretrained), which writes it",
            ),
        )
    return Base(folder, architecture, _tensors(folder))


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object of the base.

    Raises:
        InputError: it is missing, too large, no JSON or no object.
    """
    try:
        with open_regular(file) as opened:
            data = opened.read(_LARGEST_JSON + 1)
    except OSError as error:
        raise _refused(file, None, f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}") from None
    try:
        value = json.loads(data) if len(data) <= _LARGEST_JSON else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _refused(file, None, "不是 JSON 对象", "is not a JSON object")
    return value


def _refused(file: Path, field: str | None, zh: str, en: str) -> InputError:
    return InputError(
        tr(f"基座不可用：{zh}", f"the base cannot be used: {en}"),
        file=file,
        field=field,
        remedy=tr(
            "重新复制完整的检查点文件夹（config.json、全部 safetensors 分片、tokenizer.json）并核对其校验值",
            "copy the whole checkpoint folder again (config.json, every safetensors shard, tokenizer.json) "
            "and check its digests",
        ),
    )


def _architecture(config: dict[str, Any], file: Path) -> str:
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None
    supported = ", ".join(ARCHITECTURES)
    if name not in ARCHITECTURES:
        raise InputError(
            tr(f"不支持的架构 {name}", f"the architecture {name} is not supported"),
            file=file,
            field="architectures",
            remedy=tr(f"换用以下架构的基座：{supported}", f"use a base of one of these: {supported}"),
        )
    if config.get("quantization_config") is not None:
        raise InputError(
            tr("基座的权重已量化，无法微调后导出", "the base's weights are quantised already"),
            file=file,
            field="quantization_config",
            remedy=tr("换用未量化（F32、F16 或 BF16）的检查点", "use the checkpoint in F32, F16 or BF16"),
        )
    return name


def _tensors(folder: Path) -> dict[str, Tensor]:
    index = folder / _INDEX
    if index.is_file():
        placed = _placed(index)
    elif (folder / _SINGLE).is_file():
        placed = dict.fromkeys(_header(folder / _SINGLE), _SINGLE)
    else:
        raise _refused(folder, None, "没有 safetensors 权重", "there are no safetensors weights")
    headers = {name: _header(folder / name) for name in sorted(set(placed.values()))}
    for name, shard in placed.items():
        if name not in headers[shard]:
            raise _refused(
                folder / shard, name, "分片中没有索引所列的张量", "a tensor of the index is not in the shard"
            )
    return {name: Tensor(folder / shard, headers[shard][name]) for name, shard in placed.items()}


def _placed(index: Path) -> dict[str, str]:
    placed = read_json(index).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise _refused(index, "weight_map", "缺失或为空", "is missing or empty")
    for shard in placed.values():
        if not isinstance(shard, str) or Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise _refused(index, "weight_map", f"不是分片文件名：{shard!r}", f"is not the name of a shard: {shard!r}")
        if not (index.parent / shard).is_file():
            raise _refused(index.parent / shard, None, "缺少这个分片", "this shard is missing")
    return placed


def _header(file: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by name; checks that the file holds all bytes that the header announces."""
    try:
        with open_regular(file) as opened:
            size = os.fstat(opened.fileno()).st_size
            length = int.from_bytes(opened.read(8), "little")
            text = opened.read(length) if 2 <= length <= min(_LARGEST_HEADER, size - 8) else b""
    except OSError as error:
        raise _refused(file, None, f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}") from None
    try:
        header = json.loads(text)
        described = {name: one for name, one in header.items() if name != "__metadata__"}
        shapes = {name: tuple(int(n) for n in one["shape"]) for name, one in described.items()}
        end = max((int(one["data_offsets"][1]) for one in described.values()), default=0)
        dtypes = {str(one["dtype"]) for one in described.values()}
    except (ValueError, AttributeError, LookupError, TypeError, RecursionError):
        raise _refused(file, None, "分片损坏或被截断", "the shard is damaged or truncated") from None
    if size != 8 + length + end:
        raise _refused(
            file,
            None,
            f"分片被截断或多出内容：应有 {8 + length + end} 字节，实有 {size}",
            f"the shard is truncated or has more than it should: {size} bytes instead of {8 + length + end}",
        )
    if not dtypes <= _DTYPES:
        found = ", ".join(sorted(dtypes - _DTYPES))
        raise _refused(file, "dtype", f"数据类型 {found} 不受支持", f"the data type {found} is not supported")
    return shapes
