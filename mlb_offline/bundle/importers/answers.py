"""Reference answers as sources write them → the form of ``benchmark.items``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from mlb_offline.benchmark.items import LETTERS
from mlb_offline.bundle.importers.files import parse_json
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.language import tr

_SEPARATORS = re.compile(r"[,、;/|\s]+")
_MISSING = {"", "nan", "none", "null", "n/a", "#n/a"}


def is_missing(value: Any) -> bool:
    """Whether a cell says nothing: empty, or ``nan`` and the like as spreadsheets write it."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _MISSING)


def read_letters(value: Any, options: Sequence[str]) -> str:
    """``ABD``, ``A、B,d`` or ``["A", "B"]`` → ``A,B,D``, checked against the options.

    Args:
        value: the answer as the source has it.
        options: texts of the options, A first.

    Raises:
        RowError: no answer, other characters, a letter twice or beyond the options, or another option has the very
            text of a right one, so that the right answer cannot be told from a wrong one.
    """
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        value = ",".join(value)
    if is_missing(value):
        raise RowError(tr("没有答案", "there is no answer"))
    if not isinstance(value, str):
        raise RowError(tr(f"答案不是文本：{value!r}", f"the answer is not text: {value!r}"))
    letters = _SEPARATORS.sub("", unicodedata.normalize("NFKC", value)).upper()
    allowed = LETTERS[: len(options)]
    if not letters or any(letter not in allowed for letter in letters):
        raise RowError(
            tr(
                f"答案“{value.strip()[:40]}”不在选项 A–{allowed[-1:]} 之内",
                f"the answer {value.strip()[:40]!r} is not among the options A to {allowed[-1:]}",
            )
        )
    if len(set(letters)) != len(letters):
        raise RowError(tr(f"答案“{value.strip()}”中字母重复", f"a letter is repeated in the answer {value.strip()!r}"))
    chosen = sorted(letters)
    _refuse_twins(chosen, options)
    return ",".join(chosen)


def _refuse_twins(chosen: Sequence[str], options: Sequence[str]) -> None:
    texts = [unicodedata.normalize("NFKC", option).strip() for option in options]
    for letter in chosen:
        for other, text in zip(LETTERS, texts, strict=False):
            if other not in chosen and text == texts[LETTERS.index(letter)]:
                raise RowError(
                    tr(
                        f"选项 {other} 与正确选项 {letter} 文字相同",
                        f"option {other} has the same text as the right option {letter}",
                    )
                )


def read_index(value: Any, base: int, options: Sequence[str]) -> str:
    """The number of the right option, or several of them → letters.

    Args:
        value: an integer, its digits, a list of integers, or digits with separators.
        base: number of the first option, 0 or 1.
        options: texts of the options, A first.

    Raises:
        RowError: as ``read_letters``.
    """
    entries = value if isinstance(value, list) else _SEPARATORS.split(str(value).strip())
    letters = []
    for entry in entries:
        digits = str(entry).strip()
        if isinstance(entry, bool) or not re.fullmatch(r"[0-9]{1,3}", digits):
            raise RowError(tr(f"答案“{entry}”不是选项序号", f"the answer {entry!r} is not the number of an option"))
        number = int(digits) - base
        if not 0 <= number < len(options):
            raise RowError(tr(f"答案“{entry}”超出选项", f"the answer {entry!r} is beyond the options"))
        letters.append(LETTERS[number])
    return read_letters(letters, options)


def read_option_text(value: Any, options: Sequence[str]) -> str:
    """The text of the right option → its letter.

    Raises:
        RowError: not exactly one option has that text.
    """
    wanted = read_line(value)
    found = [letter for letter, option in zip(LETTERS, options, strict=False) if option == wanted]
    if len(found) != 1:
        raise RowError(
            tr(
                f"有 {len(found)} 个选项的文字是答案“{wanted[:40]}”",
                f"{len(found)} options have the text of the answer, {wanted[:40]!r}",
            )
        )
    return found[0]


def read_json_answer(value: Any) -> Any:
    """A JSON value, or a string that holds one.

    Raises:
        RowError: missing, or the string is not JSON.
    """
    if is_missing(value):
        raise RowError(tr("没有答案", "there is no answer"))
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except ValueError as error:
        raise RowError(tr(f"答案不是有效的 JSON：{error}", f"the answer is not valid JSON: {error}")) from None


def read_line(value: Any) -> str:
    """A candidate line, as it is, without white space around it.

    Raises:
        RowError: missing or not text.
    """
    if is_missing(value):
        raise RowError(tr("没有答案", "there is no answer"))
    if not isinstance(value, str):
        raise RowError(tr(f"答案不是文本：{value!r}", f"the answer is not text: {value!r}"))
    return value.strip()
