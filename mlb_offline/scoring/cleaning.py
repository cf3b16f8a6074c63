"""The form in which a choice answer is read: without marks of layout, JSON written out as lines of text.

Rules C1 and C18 of docs/scoring.md. All patterns are bounded, so that cleaning takes linear time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from mlb_offline.scoring.answer_text import Unreadable
from mlb_offline.scoring.letters import clean

_FENCE_LINE = re.compile(
    r"^[ \t]*(?:```|~~~)[ \t]*(?:json|text|txt|plaintext|markdown|md|latex|tex)?[ \t]*$", re.MULTILINE | re.IGNORECASE
)
_TEX = re.compile(r"\\(?:text|mathrm|mathbf|textbf|rm|bf) {0,2}\{([^{}\n]{0,200})\}")
_TEX_SPACE = re.compile(r"\\(?:[ ,;:!]|q?quad\b)")
_TEX_ESCAPED = re.compile(r"\\([()\[\]&_%])")
_BREAK_TAG = re.compile(r"<(?:br ?/?|/?p|/?div|/answer)>", re.IGNORECASE)
_STRUCK = re.compile(r"~~[^~]{1,500}~~|<(?:s|del|strike)>[^<]{0,500}</(?:s|del|strike)>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:b|strong|i|em|u|span)>", re.IGNORECASE)
_LINE_PREFIX = re.compile(r"^ {0,3}(?:#{1,6} |> ?|[-•] )", re.MULTILINE)
_BLANK_LINES = re.compile(r"\s*\n\s*\n\s*")

_ANSWER_KEY = re.compile(
    r"(?:the )?(?:final|correct|best)? ?(?:answers?|options?|choices?|output|result)"
    r"|(?:最终|正确|最佳|标准|参考)?(?:答案|选项|选择|输出|结果)",
    re.IGNORECASE,
)
_OTHERS_KEY = re.compile(
    r"错|误|干扰|排除|学生|考生|备选|次|其他|其它|替代|wrong|incorrect|false|reject|exclu|distract|student"
    r"|alternat|second",
    re.IGNORECASE,
)
_ONLY_LETTERS = re.compile(
    r"[\s\[\]\"',、;和&+]*(?:[A-Za-z]\b|[A-Z]{2,8}\b)(?:[\s\[\]\"',、;和&+.]*[A-Z]\b){0,25}[\s.。]*"
)


def prepared(text: str) -> str:
    """Cleaned text without fences, TeX wrappers, struck-out words, emphasis, heading and quotation marks (rule C1).

    Raises:
        Unreadable: ``not-letters``, ``contradictory`` or ``no-statement`` for a JSON object that states no one answer
            (rule C18).
    """
    text = _FENCE_LINE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _TAG.sub("", _BREAK_TAG.sub("\n", _STRUCK.sub(" ", clean(text))))
    text = _written_out(text)
    if "\\" in text:
        text = _TEX_ESCAPED.sub(r"\1", _TEX_SPACE.sub(" ", _TEX.sub(r"\1", text)))
    return _BLANK_LINES.sub("\n\n", _LINE_PREFIX.sub("", text)).strip()


def _written_out(text: str) -> str:
    """The text with its JSON value, if it has one, as lines ``答案:…`` and then, as an explanation, the rest."""
    body = text.strip()
    whole_list = body.startswith("[") and body.endswith("]")
    start, end = text.find("[" if whole_list else "{"), text.rfind("]" if whole_list else "}") + 1
    if not 0 <= start < end:
        return text
    try:
        value = _parsed(text[start:end])
    except (ValueError, RecursionError):
        return text
    return f"{text[:start]}\n{_lines(value)}\n{text[end:]}"


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with every pair as written, repeated keys too."""


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Pairs, strict=False)
    except ValueError:
        if '"' in text or "'" not in text:
            raise
        return json.loads(text.replace("'", '"'), object_pairs_hook=_Pairs, strict=False)


def _lines(value: Any) -> str:
    if not isinstance(value, _Pairs):
        return _letters_of(value)
    answers, rest = [], []
    for raw_key, entry in value:
        key = clean(raw_key).replace("_", " ").strip()
        if _ANSWER_KEY.fullmatch(key):
            answers.append("答案:" + _letters_of(entry))
            continue
        lines = list(_flat(key, entry))
        if not _OTHERS_KEY.search(key) and any(_ONLY_LETTERS.fullmatch(line.split(":", 1)[1]) for line in lines):
            raise Unreadable("contradictory")
        rest += lines
    if not answers:
        raise Unreadable("no-statement")
    return "\n".join([*answers, *(["解析:"] if rest else []), *rest])


def _letters_of(value: Any) -> str:
    """A string, or a list of strings; what else stands for an answer is none: ``{"A": true}`` (rule C18)."""
    if isinstance(value, str):
        return value
    if isinstance(value, _Pairs) or not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise Unreadable("not-letters")
    return "、".join(value)


def _flat(key: str, value: Any) -> Iterator[str]:
    """Every string or number of a value as ``key:value``."""
    if isinstance(value, _Pairs):
        for inner, entry in value:
            yield from _flat(inner, entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _flat(key, entry)
    else:
        yield f"{key}:{value}"
