"""Bytes of a foreign file → text → JSON values, strictly, with the place of every fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.regular_file import read_at_most

Encoding = Literal["utf-8", "gb18030"]

MAX_BYTES = 256 * 1024 * 1024
"""A larger file is no evaluation set, and would not fit into memory beside its items."""

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def read_bytes(path: Path) -> bytes:
    """All bytes of the file, which is neither empty nor over ``MAX_BYTES``.

    Raises:
        InputError: missing, not a file, unreadable, empty or too large.
    """
    try:
        data = read_at_most(path, MAX_BYTES)
    except OSError as error:
        raise InputError(
            tr(f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}"),
            file=path,
            remedy=tr("核对路径与权限", "check the path and its permissions"),
        ) from None
    if len(data) > MAX_BYTES:
        raise InputError(
            tr("文件过大（超过 256 MiB）", "the file is too large (over 256 MiB)"),
            file=path,
            remedy=tr("拆分文件，每个不超过 256 MiB", "split it into files of at most 256 MiB"),
        )
    if not data.removeprefix(_UTF8_BOM).strip():
        raise InputError(
            tr("文件为空", "the file is empty"),
            file=path,
            remedy=tr("核对是否拷贝完整", "check that it was copied whole"),
        )
    return data


def decode(data: bytes, *, file: Path, encoding: Encoding = "utf-8") -> str:
    """The text, without a byte order mark. Other encodings than UTF-8 are never guessed.

    Raises:
        InputError: the bytes are not of that encoding; names the line.
    """
    if data.startswith(_UTF16_BOMS):
        raise InputError(
            tr("文件是 UTF-16 编码", "the file is in UTF-16"),
            file=file,
            remedy=tr("另存为 UTF-8", "save it as UTF-8"),
        )
    if encoding == "utf-8":
        data = data.removeprefix(_UTF8_BOM)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            tr(f"不是 {encoding} 编码的文本", f"not text in {encoding}"),
            file=file,
            line=data[: error.start].count(b"\n") + 1,
            remedy=tr(
                '另存为 UTF-8；若是 GB18030，可用 table 导入并在映射文件中写 encoding = "gb18030"',
                'save it as UTF-8; GB18030 can be imported with table, with encoding = "gb18030" in the mapping',
            ),
        ) from None


def read_text(path: Path, *, encoding: Encoding = "utf-8") -> str:
    """``read_bytes`` and ``decode`` in one."""
    return decode(read_bytes(path), file=path, encoding=encoding)


def parse_json(text: str) -> Any:
    """One JSON value; unlike ``json.loads``, no duplicate keys, ``NaN`` or ``Infinity``.

    Raises:
        ValueError: saying what is wrong. ``line_of`` finds the line in it.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(tr("嵌套过深", "nested too deeply")) from None


def line_of(error: ValueError) -> int | None:
    """The line at which ``parse_json`` failed, from 1, if it is known."""
    return error.lineno if isinstance(error, json.JSONDecodeError) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        repeated = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
        raise ValueError(tr(f"键“{repeated}”重复", f"the key {repeated!r} occurs twice"))
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(tr(f"{name} 不是 JSON", f"{name} is not JSON"))
