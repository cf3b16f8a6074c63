"""Texts of other files, in whatever layout: every record as a whole, and every string of it.

UTF-8, with or without a byte order mark. A long text is cut into pieces that overlap.
"""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from mlb_offline.bundle.lint.texts import strings
from mlb_offline.errors import InputError
from mlb_offline.language import tr

SHORTEST = 12
"""Characters; shorter strings are labels and names."""
PIECE, OVERLAP = 8_000, 2_000
"""Characters of a piece of a long text, and of it that the next piece has too."""
LINES = 30
"""Of a text file, that are taken for one record; the next begins half as many further on."""
_BREAK = re.compile(r"\\n|<br ?/?>")
"""Line breaks as many data sets spell them."""
_LETTER = re.compile(r"(?:^|(?<=\s))[A-J][\s.、．:：)）]\s*", re.MULTILINE)
"""The letters of options, which items hold apart from them."""
_LARGEST_CELL = 1 << 26


def foreign_files(paths: Sequence[Path]) -> list[Path]:
    """The files to compare with.

    Args:
        paths: files, or folders that are searched for files of the kinds known.

    Raises:
        InputError: one does not exist, is a file of another kind, or a folder without any file of a known kind.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in _READERS and one.is_file())
            if not inside:
                raise _refused(path, "该文件夹中没有可比较的文件", "the folder holds no file that can be compared with")
            found += inside
        elif not path.exists():
            raise _refused(path, "文件不存在", "there is no such file")
        elif path.suffix.lower() not in _READERS:
            raise _refused(path, "不能与该类文件比较", "cannot compare with a file of this kind")
        else:
            found.append(path)
    return found


def _refused(path: Path, zh: str, en: str) -> InputError:
    remedy = tr("可用：", "known: ") + ", ".join(sorted(_READERS))
    return InputError(tr(zh, en), file=path, field="--against", remedy=remedy)


def texts_of(file: Path) -> Iterator[str]:
    """All texts of a file that are long enough to be compared with.

    Raises:
        InputError: it cannot be read, or is not what its name says.
    """
    try:
        for record in _READERS[file.suffix.lower()](file):
            every = [_LETTER.sub(" ", _BREAK.sub("\n", text)) for text in record]
            whole = "\n".join(every)
            for text in [whole, *every] if len(every) > 1 else [whole]:
                yield from _pieces(text)
    except UnicodeDecodeError:
        raise _unreadable(file, tr("不是 UTF-8 文本，请另存为 UTF-8", "not UTF-8: save it as UTF-8")) from None
    except (OSError, ValueError, KeyError, RecursionError, csv.Error, zipfile.BadZipFile, ParseError) as error:
        raise _unreadable(file, str(error)) from None


def _unreadable(file: Path, message: str) -> InputError:
    return InputError(
        tr(f"无法读取：{message}", f"cannot be read: {message}"),
        file=file,
        field="--against",
        remedy=tr("核对文件内容与后缀", "check that the file is what its name says"),
    )


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, max(1, len(text) - OVERLAP), PIECE - OVERLAP):
        piece = text[start : start + PIECE]
        if len(piece) >= SHORTEST:
            yield piece


def _json(file: Path) -> Iterator[Iterable[str]]:
    text = file.read_text(encoding="utf-8-sig")
    try:
        yield from _records(json.loads(text))
    except json.JSONDecodeError:  # many data sets keep JSON Lines under this name
        yield from (strings(json.loads(line)) for line in text.split("\n") if line.strip())


def _records(value: Any) -> Iterator[Iterable[str]]:
    """Objects that hold no other object in a list are records; so is a list without any object."""
    lists = [one for one in (value.values() if isinstance(value, dict) else [value]) if isinstance(one, list)]
    inner = [one for some in lists for one in some if isinstance(one, dict | list)]
    if inner:
        for one in inner:
            yield from _records(one)
    yield strings(value)


def _json_lines(file: Path) -> Iterator[Iterable[str]]:
    with file.open(encoding="utf-8-sig", newline="\n") as stream:
        yield from (strings(json.loads(line)) for line in stream if line.strip())


def _csv(file: Path) -> Iterator[Iterable[str]]:
    csv.field_size_limit(_LARGEST_CELL)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        yield from csv.reader(stream)


def _text(file: Path) -> Iterator[Iterable[str]]:
    lines = file.read_text(encoding="utf-8-sig").split("\n")
    for start in range(0, max(1, len(lines) - LINES // 2), LINES // 2):
        yield lines[start : start + LINES]


def _xlsx(file: Path) -> Iterator[Iterable[str]]:
    import openpyxl

    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    try:
        for sheet in book.worksheets:
            for row in sheet.iter_rows(values_only=True):
                yield [str(cell) for cell in row if cell is not None]
    finally:
        book.close()


_READERS: dict[str, Callable[[Path], Iterator[Iterable[str]]]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".txt": _text,
    ".xlsx": _xlsx,
}
