"""Answers given beforehand in a file: JSON Lines of ``{dataset, id, repeat?, response}``.

Nobody can vouch that the model under test wrote them, so such a run is *indicative* and never passes. The whole
file is checked at opening. UTF-8, with or without a byte order mark; ``repeat`` counts from 0 and defaults to 0.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.regular_file import read_at_most
from mlb_offline.target.types import ItemFailed, Question, Response, clean_text

LARGEST = 1 << 30
"""Bytes of the largest file of answers: it is held in memory."""

_REQUIRED = ("dataset", "id", "response")
_KEYS = frozenset({*_REQUIRED, "repeat"})
_Key = tuple[str, str, int]


class AnswersTarget:
    """See ``Target``: looks answers up; one that is missing fails its item."""

    parallel = True
    indicative = True

    def __init__(self, file: Path, sha256: str, answers: Mapping[_Key, str]) -> None:
        self._file = file
        self._sha256 = sha256
        self._answers = answers

    @property
    def description(self) -> Mapping[str, Any]:
        """``{kind, file (name without folder), sha256, answers}``."""
        return {"kind": "answers", "file": self._file.name, "sha256": self._sha256, "answers": len(self._answers)}

    async def probe(self) -> Mapping[str, Any]:
        """How many answers the file has for each dataset: ``{answers: {dataset: n}}``."""
        return {"answers": dict(Counter(dataset for dataset, _, _ in self._answers))}

    async def ask(self, question: Question) -> Response:
        """The answer in the file.

        Raises:
            ItemFailed: there is none for this item and repeat (``no-answer``).
        """
        text = self._answers.get((question.dataset, question.item, question.repeat))
        if text is None:
            raise ItemFailed(
                "no-answer",
                tr(
                    f"{self._file.name}：没有 {question.dataset}/{question.item} 第 {question.repeat} 次的回答",
                    f"{self._file.name}: no answer to {question.dataset}/{question.item}, repeat {question.repeat}",
                ),
            )
        return Response(text, None, None, None, None, 0.0, None)

    def strangers(self, asked: Collection[_Key]) -> list[_Key]:
        """Answers to what is not asked, in the order of the file."""
        return [key for key in self._answers if key not in asked]

    async def close(self) -> None:
        """Nothing is held open."""


def open_answers(path: Path) -> AnswersTarget:
    """Read and check a file of answers.

    Raises:
        InputError: the file cannot be read, or a line is no such object, is wrong in a field or repeats another.
    """
    try:
        content = read_at_most(path, LARGEST)
    except OSError as error:
        raise InputError(
            tr(f"无法读取回答文件：{error.strerror}", f"the file of answers cannot be read: {error.strerror}"),
            file=path,
            remedy=tr("检查路径与权限", "check the path and its permissions"),
        ) from None
    if len(content) > LARGEST:
        raise _bad(path, None, None, tr("文件超过 1 GiB", "the file is over 1 GiB"))
    answers: dict[_Key, str] = {}
    seen: dict[_Key, int] = {}
    for number, line in enumerate(_lines(content), start=1):
        key, text = _read_line(line, path, number)
        if key in seen:
            raise _bad(
                path,
                number,
                "id",
                tr(f"与第 {seen[key]} 行重复", f"answers the same item and repeat as line {seen[key]}"),
            )
        seen[key] = number
        answers[key] = text
    if not answers:
        raise _bad(path, None, None, tr("文件里没有回答", "the file holds no answers"))
    return AnswersTarget(path, hashlib.sha256(content).hexdigest(), answers)


def _lines(content: bytes) -> list[bytes]:
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def _read_line(line: bytes, path: Path, number: int) -> tuple[_Key, str]:
    try:
        raw = json.loads(line.decode("utf-8"), object_pairs_hook=_distinct)
    except UnicodeDecodeError:
        raise _bad(path, number, None, tr("不是 UTF-8 文本", "not UTF-8 text")) from None
    except _Repeated as repeated:
        raise _bad(path, number, str(repeated), tr("字段出现两次", "the field is given twice")) from None
    except (ValueError, RecursionError):
        raise _bad(path, number, None, tr("不是 JSON", "not JSON")) from None
    if not isinstance(raw, dict):
        raise _bad(path, number, None, tr("不是 JSON 对象", "not a JSON object"))
    _check_fields(raw, path, number)
    return (raw["dataset"], raw["id"], raw.get("repeat", 0)), clean_text(raw["response"])


def _check_fields(raw: dict[str, Any], path: Path, number: int) -> None:
    for key in sorted(set(raw) - _KEYS):
        raise _bad(path, number, key, tr("未知字段", "unknown field"))
    for key in _REQUIRED:
        if key not in raw:
            raise _bad(path, number, key, tr("缺少该字段", "the field is missing"))
        if not isinstance(raw[key], str):
            raise _bad(path, number, key, tr("应为字符串", "must be a string"))
    if raw["dataset"] not in DATASETS:
        raise _bad(path, number, "dataset", tr(f"没有数据集“{raw['dataset']}”", f"no dataset {raw['dataset']!r}"))
    repeat = raw.get("repeat", 0)
    if not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 0:
        raise _bad(path, number, "repeat", tr("应为不小于 0 的整数", "must be an integer of at least 0"))


class _Repeated(ValueError):  # noqa: N818 - carries a name, never leaves this module
    pass


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Repeated(next(name for name in names if names.count(name) > 1))
    return result


def _bad(path: Path, line: int | None, field: str | None, message: str) -> InputError:
    return InputError(
        message,
        file=path,
        line=line,
        field=field,
        remedy=tr(
            '每行应为 {"dataset": …, "id": …, "repeat": 0, "response": …}',
            'a line is {"dataset": …, "id": …, "repeat": 0, "response": …}',
        ),
    )
