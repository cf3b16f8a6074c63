"""Options written as a list of quoted strings: ``['A 牛奶', 'B 红肉']``, JSON, or the same without brackets.

The quotes say where an option begins and ends, so a list that stands at the end of a text is read exactly.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import warnings

from mlb_offline.bundle.importers.option_markers import Pattern, lettered
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.language import tr

_STRING = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""")
_COMMA = re.compile(r"\s*,\s*")
_QUOTES = "'\""
_START = re.compile(r"""(?P<bracket>\[\s*)?(?P<quote>['"])(?=\s*[(（\[【]?[AＡ])""")


def read_list(text: str) -> tuple[int, tuple[str, ...]] | None:
    """The list of lettered options that a text ends with.

    Args:
        text: without trailing white space.

    Returns:
        Where the list starts, and the options without their letters; None where the text ends with no such list.

    Raises:
        RowError: the text can be cut in two ways, or the strings of the list do not run A, B, C, … in one pattern.
    """
    if not text or text[-1] not in "]'\"":
        return None
    found = []
    for start in _START.finditer(text):
        strings = _strings(text, start.start("quote"), bracket=start["bracket"] is not None)
        if strings is not None and len(strings) >= 2:
            found.append((start.start(), strings))
    if not found:
        return None
    if len(found) > 1:
        raise RowError(tr("列表的起点不唯一", "the list of options could start in more than one place"))
    start_at, strings = found[0]
    return start_at, strip_letters(strings)


def _strings(text: str, position: int, *, bracket: bool) -> list[str] | None:
    """The strings of a list whose first quote is at the position, if the list ends exactly with the text."""
    end = len(text) - 1 if bracket else len(text)
    if bracket and text[-1] != "]":
        return None
    strings: list[str] = []
    while True:
        token = _STRING.match(text, position, end)
        value = None if token is None else _unquoted(token[0])
        if token is None or value is None:
            return None
        strings.append(value)
        position = token.end()
        if not text[position:end].strip():
            return strings
        comma = _COMMA.match(text, position, end)
        if comma is None:
            return None
        position = comma.end()


def _unquoted(token: str) -> str | None:
    """The string that a JSON or Python literal stands for; None where it is neither."""
    if token[0] == '"':
        with contextlib.suppress(ValueError):
            return str(json.loads(token))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an escape that Python does not know is kept as it is, with a warning
            return str(ast.literal_eval(token))
    except (SyntaxError, ValueError):
        return None


def strip_letters(strings: list[str]) -> tuple[str, ...]:
    """The strings without their letters.

    Raises:
        RowError: they do not run A, B, C, … in one pattern.
    """
    pattern: Pattern | None = None
    bodies = []
    for index, string in enumerate(strings):
        found = lettered(string)
        if found is None or found[1] != index or pattern not in (None, found[0]):
            raise RowError(
                tr(
                    f"选项列表的第 {index + 1} 项不是按 A、B、C… 顺序且同一写法标注的：“{string[:40]}”",
                    f"entry {index + 1} of the list does not follow A, B, C, … in one pattern: {string[:40]!r}",
                )
            )
        pattern = found[0]
        bodies.append(found[2])
    return tuple(bodies)


def looks_quoted(text: str, position: int) -> bool:
    """Whether a quote stands just before the position: a list that could not be read as one."""
    return position > 0 and text[position - 1] in _QUOTES + "‘“"
