"""Reading a JSON value out of a model's raw text: strictly if possible, else by a short fixed list of repairs.

The repairs, in their order, are rules J1 to J11 of docs/scoring.md. They change how a value is written, never what
it says: nothing that is missing is added, so an answer cut off in the middle stays unreadable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlb_offline.scoring.answer_text import Unreadable, after_thinking

LONGEST_READ = 1_048_576
"""Characters of an answer, without its reasoning block, above which it is not read (rule P4)."""

DEEPEST = 32
"""Levels of nesting above which a value is not read (rule J9)."""


MOST_VALUES = 1000
"""Bracketed values side by side above which a text is not read (rule J10)."""


@dataclass(frozen=True)
class Repeated:
    """The values of a key that stands several times in one object."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class JsonReading:
    """A value and how it was read: ``strict`` or ``repaired:`` with the names of the repairs."""

    value: Any
    how: str


Rank = Callable[[Any], int]
"""How well a value fits as an answer: 0 not at all, 1 as an empty or odd one, 2 clearly."""

_FENCE = re.compile(r"```[ \t]*(?:json5?|python|text|plaintext)?[ \t]*\r?\n?(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)


def read_json(text: str, rank: Rank) -> JsonReading:
    """Read the one JSON value that answers.

    Args:
        text: the model's raw text.
        rank: tells values that can be an answer from others, such as the ``[1]`` of a citation.

    Raises:
        Unreadable: ``empty``, ``unclosed-think``, ``too-long``, ``not-json`` (nothing to be read),
            ``unfinished`` (a bracket is never closed), ``too-deep`` or ``several-answers``.
    """
    body = after_thinking(text).strip().removeprefix("\ufeff").strip()
    thinking = ("think",) if len(body) < len(text.strip()) else ()
    if not body:
        raise Unreadable("empty")
    if len(body) > LONGEST_READ:
        raise Unreadable("too-long")
    try:
        value = _parse(body)
    except ValueError:
        pass
    else:
        _outermost(body)  # for its limit on nesting
        return JsonReading(value, _repaired(*thinking) if thinking else "strict")
    fenced = [block[1] for block in _FENCE.finditer(body)]
    if fenced and (found := _only_value("\n".join(fenced).strip(), rank)):
        return JsonReading(found[0], _repaired(*thinking, "fence", *found[1]))
    found = _only_value(body, rank)
    if found is None:
        raise Unreadable("not-json")
    return JsonReading(found[0], _repaired(*thinking, *found[1]))


def _repaired(*names: str) -> str:
    return "repaired:" + "+".join(names)


def _only_value(text: str, rank: Rank) -> tuple[Any, tuple[str, ...]] | None:
    """The value of the highest rank in a text, with the names of the repairs it needed; None if there is none."""
    best, values = 1, dict[str, tuple[Any, tuple[str, ...]]]()
    for start, end in _outermost(text):
        rewritten, repairs = _rewritten(text[start:end])
        try:
            value = _parse(rewritten)
        except ValueError:
            continue
        if rank(value) > best:
            best, values = rank(value), {}
        if rank(value) == best:
            around = ("outermost",) if (start, end) != (0, len(text)) else ()
            values[_spelled(value)] = (value, around + repairs)
    if len(values) > 1:
        raise Unreadable("several-answers")
    return next(iter(values.values()), None)


def _parse(text: str) -> Any:
    """Strict JSON without NaN and with repeated keys kept; ``ValueError`` for anything else."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        raise Unreadable("too-deep") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else Repeated(tuple(values)) for key, values in found.items()}


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=lambda repeated: list(repeated.values))


_CLOSING = {"[": "]", "{": "}", "［": "]", "｛": "}"}
_AS_ASCII = {"［": "[", "］": "]", "｛": "{", "｝": "}", "：": ":", "，": ",", "\u3000": " ", "\u00a0": " "}
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "＂": "＂"}
_OPENING = re.compile(r"[\[{［｛]")
_TOKEN = re.compile(r"[\[\]{}［］｛｝\"'“‘＂]")
_STRAY_QUOTE = re.compile(r"'(?=\"[^\"\\\n]{1,40}\"\s{0,9}:)")


def _outermost(text: str) -> list[tuple[int, int]]:
    """Start and end of every bracketed value that is inside no other, quotation marks heeded.

    Raises:
        Unreadable: a bracket is closed by one of the other kind, or never; or the nesting is too deep.
    """
    spans, open_brackets, start, position = [], list[str](), 0, 0
    while (token := (_TOKEN if open_brackets else _OPENING).search(text, position)) is not None:
        sign, position = token[0], token.end()
        if sign in _CLOSING:
            start = token.start() if not open_brackets else start
            open_brackets.append(_CLOSING[sign])
            if len(open_brackets) > DEEPEST:
                raise Unreadable("too-deep")
        elif sign in _QUOTES:
            position = _after_string(text, token.start())
        elif open_brackets.pop() != _AS_ASCII.get(sign, sign):
            raise Unreadable("not-json")
        elif not open_brackets:
            spans.append((start, position))
            if len(spans) > MOST_VALUES:
                raise Unreadable("several-answers")
    if open_brackets:
        raise Unreadable("unfinished")
    return spans


def _after_string(text: str, start: int) -> int:
    """The index after the string that begins at a quotation mark; an apostrophe inside a word begins none."""
    sign = text[start]
    if sign == "'" and (_sign_before(text, start) not in "[{,:［｛，：" or _STRAY_QUOTE.match(text, start)):
        return start + 1
    string = _STRING[sign].match(text, start)
    if string is None:
        raise Unreadable("unfinished")
    return string.end()


def _sign_before(text: str, start: int) -> str:
    return text[max(0, start - 16) : start].rstrip()[-1:]


_STRING = {
    sign: re.compile(rf"{sign}((?:[^{closing}\\]|\\.)*+){closing}", re.DOTALL) for sign, closing in _QUOTES.items()
}
_WORDS = {"None": "null", "True": "true", "False": "false"}
_PIECE = re.compile(
    r"(?P<trailing>[,，]\s*+(?=[\]}］｝]))|(?P<quote>[\"'“‘＂])|(?P<sign>[［］｛｝：，\u3000\u00a0])"
    r"|(?P<word>\b(?:None|True|False)\b)"
)
_CONTROL = re.compile(r"[\x00-\x1f]")


def _rewritten(value: str) -> tuple[str, tuple[str, ...]]:
    """A bracketed value in strict JSON's spelling, and the names of the repairs that this took."""
    pieces, repairs, position = list[str](), dict[str, None](), 0
    while (piece := _PIECE.search(value, position)) is not None:
        pieces.append(value[position : piece.start()])
        new, position, repair = _respelled(value, piece)
        pieces.append(new)
        if repair:
            repairs[repair] = None
    pieces.append(value[position:])
    return "".join(pieces), tuple(repairs)


def _respelled(value: str, piece: re.Match[str]) -> tuple[str, int, str]:
    """The new spelling of one piece, the index after it, and the repair's name."""
    if piece["trailing"] is not None:
        return "", piece.end(), "trailing-comma"
    if piece["word"] is not None:
        return _WORDS[piece[0]], piece.end(), "python"
    if piece["sign"] is not None:
        return _AS_ASCII[piece[0]], piece.end(), "full-width"
    end = _after_string(value, piece.start())
    if end > piece.end():
        return _respelled_string(value[piece.start() : end], end)
    return ("", end, "stray-quote") if _STRAY_QUOTE.match(value, piece.start()) else (piece[0], end, "")


def _respelled_string(string: str, end: int) -> tuple[str, int, str]:
    sign, content = string[0], string[1:-1]
    repair = "" if sign == '"' else "quotes"
    if sign != '"':
        content = content.replace("\\'", "'") if sign == "'" else content
        content = re.sub(r'(?<!\\)((?:\\\\)*)"', r'\1\\"', content)
    if _CONTROL.search(content):
        content = _CONTROL.sub(lambda control: f"\\u{ord(control[0]):04x}", content)
        repair = repair or "control"
    return f'"{content}"', end, repair
