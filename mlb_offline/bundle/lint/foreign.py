"""Texts of other files, in whatever layout: every string of a record, or line of a text, is one text."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mlb_offline.bundle.lint.texts import strings
from mlb_offline.errors import InputError
from mlb_offline.language import tr

SHORTEST = 12
"""Characters; shorter strings are labels and names."""


def foreign_texts(paths: Sequence[Path], progress: Callable[[int, int], None]) -> Iterator[tuple[Path, Iterator[str]]]:
    """Each file, with its texts.

    Args:
        paths: files, or folders that are searched for files of the kinds known; a file of another kind is refused.
        progress: told how many files have been read, of how many.

    Raises:
        InputError: a file cannot be read, or is not what its name says.
    """
    files: list[Path] = []
    for path in paths:
        files += sorted(one for one in path.rglob("*") if one.suffix in _READERS) if path.is_dir() else [path]
    for number, file in enumerate(files):
        progress(number, len(files))
        reader = _READERS.get(file.suffix)
        if reader is None:
            raise InputError(
                tr(f"不能比较 {file.suffix or '无后缀'} 文件", f"cannot compare with a file of kind {file.suffix!r}"),
                file=file,
                field="--against",
                remedy=tr("可用：", "known: ") + ", ".join(sorted(_READERS)),
            )
        yield file, _read(file, reader)
    progress(len(files), len(files))


def _read(file: Path, reader: Callable[[Path], Iterator[str]]) -> Iterator[str]:
    try:
        yield from (text for text in reader(file) if len(text) >= SHORTEST)
    except (OSError, ValueError, RecursionError, csv.Error, zipfile.BadZipFile) as error:
        raise InputError(
            tr(f"无法读取：{error}", f"cannot be read: {error}"),
            file=file,
            field="--against",
            remedy=tr("核对文件内容与后缀", "check that the file is what its name says"),
        ) from None


def _json(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    try:
        yield from strings(json.loads(text))
    except json.JSONDecodeError:  # many data sets keep JSON Lines under this name
        yield from _lines_of_json(text)


def _json_lines(file: Path) -> Iterator[str]:
    yield from _lines_of_json(file.read_text(encoding="utf-8"))


def _lines_of_json(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.strip():
            yield from strings(json.loads(line))


def _csv(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.reader(stream):
            yield from row


def _text(file: Path) -> Iterator[str]:
    yield from file.read_text(encoding="utf-8").splitlines()


def _xlsx(file: Path) -> Iterator[str]:
    import openpyxl

    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    try:
        for sheet in book.worksheets:
            for row in sheet.iter_rows(values_only=True):
                yield from (str(cell) for cell in row if cell is not None)
    finally:
        book.close()


_READERS: dict[str, Callable[[Path], Iterator[str]]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".txt": _text,
    ".xlsx": _xlsx,
}
