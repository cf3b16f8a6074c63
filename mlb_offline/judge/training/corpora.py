"""The public Chinese texts that judges are pretrained on: read in place, never copied.

In: a folder of ``*.jsonl.xz`` files. Out: documents, each a list of passages that belong together, and pairs of
questions labelled as the same or not. Files that are not in ``SOURCES`` are not read.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.judge.wording import plain
from mlb_offline.language import tr


@dataclass(frozen=True)
class Document:
    """Passages that belong together, in order, and where they come from (``file:line``); data is split by it."""

    id: str
    passages: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A file of the folder: its licence, and how a row becomes passages."""

    file: str
    licence: str
    passages: Callable[[Mapping[str, Any]], list[str]]


def _dialogue(row: Mapping[str, Any]) -> list[str]:
    return [f"{speaker}:{text}" for speaker, text in row["dialogue"]]


def _instruction(row: Mapping[str, Any]) -> list[str]:
    ask, output = row["instruction"], row["output"]
    asks = [ask] if isinstance(ask, str) else ask
    return [*asks, *([output] if isinstance(output, str) else output)]


def _conversation(row: Mapping[str, Any]) -> list[str]:
    return [turn["value"] for turn in row["conversations"]]


def _toyhom(row: Mapping[str, Any]) -> list[str]:
    return [row["title"], row["ask"], row["answer"]]


def _pair(row: Mapping[str, Any]) -> list[str]:
    return [row["a"], row["b"]]


SOURCES = (
    Source("cmdd_dialogues.jsonl.xz", "Apache-2.0 or MIT (ChineseBLUE)", _dialogue),
    Source("cmedqq_pairs.jsonl.xz", "Apache-2.0 or MIT (ChineseBLUE)", _pair),
    Source("huatuo26m_test_qa.jsonl.xz", "Apache-2.0 or MIT (Zhongjing)", _instruction),
    Source("huatuo_liver_literature.jsonl.xz", "Apache-2.0 or MIT (Huatuo-Llama-Med-Chinese)", _instruction),
    Source("huatuo_llama_qa.jsonl.xz", "Apache-2.0 or MIT (Huatuo-Llama-Med-Chinese)", _instruction),
    Source("medicalgpt_sft.jsonl.xz", "Apache-2.0 or MIT (MedicalGPT)", _conversation),
    Source("toyhom_internal_medicine.jsonl.xz", "Apache-2.0 or MIT (Chinese-medical-dialogue-data)", _toyhom),
)


def read_documents(folder: Path) -> Iterator[Document]:
    """All documents of the folder's known files, in the order of ``SOURCES``.

    Raises:
        InputError: the folder has none of the files, or one is damaged, cut short, or holds a row of another form;
            names file and line.
    """
    present = [source for source in SOURCES if (folder / source.file).is_file()]
    if not present:
        raise InputError(
            tr("文件夹中没有可用的语料", "the folder holds none of the corpora"),
            file=folder,
            remedy=tr(
                f"放入 {', '.join(source.file for source in SOURCES)} 中的至少一个",
                f"put at least one of {', '.join(source.file for source in SOURCES)} there",
            ),
        )
    for source in present:
        yield from _documents(folder / source.file, source)


def _documents(file: Path, source: Source) -> Iterator[Document]:
    number = 0
    try:
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                passages = (plain(text) for text in source.passages(json.loads(line)))
                yield Document(f"{source.file}:{number}", tuple(filter(None, passages)))
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(
            tr(f"语料文件已损坏或不完整：{error}", f"the corpus file is damaged or cut short: {error}"),
            file=file,
            line=number + 1,
            remedy=tr("重新取得该文件并核对其 SHA-256", "fetch the file again and compare its SHA-256"),
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            tr(f"该行不是预期的格式：{error!r}", f"the row is not of the form expected: {error!r}"),
            file=file,
            line=number,
            remedy=tr("核对语料的版本", "check that this is the release of the corpus that the code was written for"),
        ) from None
