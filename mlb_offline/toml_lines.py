"""Where in a TOML text a key stands, for messages: ``tomllib`` keeps no line numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence


def line_of(source: bytes, place: Sequence[int | str]) -> int | None:
    """The line of a key, counted from 1.

    Args:
        source: UTF-8 text that ``tomllib`` accepts.
        place: such as ``("gate", 1, "min")`` for key ``min`` of the second ``[[gate]]``, or ``("name",)``.

    Returns:
        The line of the key, or of its table's header where the key is missing; None where it is written in a
        form that is not searched for (inline tables).
    """
    lines = source.decode("utf-8").splitlines()
    table, *rest = place or ("",)
    if rest and isinstance(rest[0], int):
        return _in_array(lines, str(table), rest[0], str(rest[1]) if len(rest) > 1 else "")
    pattern = re.compile(rf"\s*(\[\s*)?{re.escape(str(table))}\s*[=\].]")
    return next((number for number, line in enumerate(lines, start=1) if pattern.match(line)), None)


def _in_array(lines: Sequence[str], table: str, index: int, key: str) -> int | None:
    head = re.compile(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]")
    heads = [number for number, line in enumerate(lines, start=1) if head.match(line)]
    if index >= len(heads):
        return None
    for number, line in enumerate(lines[heads[index] :], start=heads[index] + 1):
        if line.lstrip().startswith("["):
            break
        if key and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return number
    return heads[index]
