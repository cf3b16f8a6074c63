"""The official files of MLB: ``<Dataset>.json`` with ``system_prompt`` and ``examples``.

``system_prompt`` becomes the dataset's prompt as it is. In the choice sets the options stand inside ``question``
(``options``), in CHIP-CDN the candidates stand on lines after ``候选标准词：``. Everything else of a question stays
as it is, dialogues and tables included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mlb_offline.benchmark.catalogue import DATASETS, Dataset, Form, dataset_named
from mlb_offline.benchmark.prompts import check_template
from mlb_offline.bundle.importers.answers import is_missing, read_json_answer, read_letters, read_line
from mlb_offline.bundle.importers.files import line_of, parse_json, read_text
from mlb_offline.bundle.importers.gathering import gather, item_id
from mlb_offline.bundle.importers.options import split_question
from mlb_offline.bundle.importers.refusal import Refusal, RowError
from mlb_offline.bundle.importers.result import Imported
from mlb_offline.bundle.source import SourceDataset
from mlb_offline.errors import InputError
from mlb_offline.language import tr

LICENCE = "Apache-2.0 (the authors' repository); full files under the authors' data-use agreement"
SOURCE = "MLB, arXiv 2601.06193, official file {name}"
REVIEWED_BY = "the authors of MLB (as published)"

_CANDIDATES = re.compile(r"^[ \t]*候选标准词[ \t]*[:：][ \t]*$", re.MULTILINE)
_OWN = frozenset({"question", "answer", "options"})
_TEXTS = frozenset({"specialty", "difficulty", "scenario", "note", "reviewed_by"})


def import_mlb(path: Path, dataset: str | None = None) -> Imported:
    """Import one official file, or every official file in a folder.

    Args:
        path: a file ``<Dataset>.json``, or a folder of them; other files of a folder are named in the notes.
        dataset: read the file as this dataset whatever its name, or read only this one of the folder.

    Raises:
        InputError: nothing there to import, or a file that is not of the official layout.
        UsageError: ``dataset`` is none of the 22.
    """
    wanted = None if dataset is None else dataset_named(dataset)
    files, notes = _files(path, wanted)
    datasets: dict[str, SourceDataset] = {}
    refused: list[Refusal] = []
    for found, file in files:
        prompt, items, refusals, ignored = _read_file(found, file)
        refused += refusals
        notes += ignored
        if items:
            source = SOURCE.format(name=file.name)
            datasets[found.id] = SourceDataset(found, prompt, None, items, LICENCE, source)
    read = sum(len(entry.items) for entry in datasets.values())
    return Imported(datasets, read, tuple(refused), tuple(notes))


def _files(path: Path, wanted: Dataset | None) -> tuple[list[tuple[Dataset, Path]], list[str]]:
    if not path.is_dir():
        return [(wanted or _named_after(path), path)], []
    here = {file.stem: file for file in sorted(path.iterdir()) if file.suffix == ".json"}
    chosen = [entry for entry in DATASETS.values() if entry.id in here and wanted in (None, entry)]
    if not chosen:
        raise InputError(
            tr("文件夹中没有要导入的官方文件", "the folder holds no official file to import"),
            file=path,
            remedy=tr("官方文件名形如 CMExam.json", "official files are named as CMExam.json is"),
        )
    notes = []
    strangers = [name for name in here if name not in DATASETS]
    missing = [name for name in DATASETS if name not in here]
    if strangers:
        names = ", ".join(f"{name}.json" for name in strangers)
        notes.append(tr(f"不是官方文件，未导入：{names}", f"not official files, left aside: {names}"))
    if missing and wanted is None:
        names = ", ".join(missing)
        notes.append(tr(f"文件夹中没有这些数据集：{names}", f"the folder lacks these datasets: {names}"))
    return [(entry, here[entry.id]) for entry in chosen], notes


def _named_after(path: Path) -> Dataset:
    if path.stem in DATASETS:
        return DATASETS[path.stem]
    read_text(path)  # a file that is not there is the greater fault
    raise InputError(
        tr("文件名不是 22 个数据集之一", "the file is not named after one of the 22 datasets"),
        file=path,
        remedy=tr("用 --dataset 指明数据集", "name its dataset with --dataset"),
    )


def _read_file(dataset: Dataset, file: Path) -> tuple[str, tuple[Any, ...], tuple[Refusal, ...], list[str]]:
    raw = _load(file)
    prompt = check_template(dataset, raw["system_prompt"], file=file, field="system_prompt")
    examples: list[Any] = raw["examples"]
    rows = [
        (number, partial(_record, dataset, file, number, example)) for number, example in enumerate(examples, start=1)
    ]
    items, refused = gather(dataset, file, rows)
    return prompt, items, refused, _ignored(dataset, examples)


def _load(file: Path) -> Mapping[str, Any]:
    text = read_text(file)
    remedy = tr("使用作者发布的原文件", "use the file as the authors released it")
    try:
        raw = parse_json(text)
    except ValueError as error:
        message = tr(f"不是有效的 JSON：{error}", f"not valid JSON: {error}")
        raise InputError(message, file=file, line=line_of(error), remedy=remedy) from None
    if not isinstance(raw, dict):
        raise InputError(tr("应为 JSON 对象", "must be a JSON object"), file=file, remedy=remedy)
    for field, kind, name in (
        ("system_prompt", str, tr("非空字符串", "a non-empty string")),
        ("examples", list, tr("非空列表", "a non-empty list")),
    ):
        if not isinstance(raw.get(field), kind) or not raw[field]:
            raise InputError(tr(f"应为{name}", f"must be {name}"), file=file, field=field, remedy=remedy)
    return raw


def _ignored(dataset: Dataset, examples: list[Any]) -> list[str]:
    keys = {key for example in examples if isinstance(example, dict) for key in example}
    unknown = sorted(keys - _OWN - _TEXTS - {"evaluation_points"})
    if not unknown:
        return []
    names = ", ".join(unknown)
    return [tr(f"{dataset.id}：字段未导入：{names}", f"{dataset.id}: fields left aside: {names}")]


def _record(dataset: Dataset, file: Path, number: int, example: Any) -> dict[str, Any]:
    if not isinstance(example, dict):
        raise RowError(tr("记录不是 JSON 对象", "the record is not a JSON object"))
    question = example.get("question")
    if not isinstance(question, str) or not question.strip():
        raise RowError(tr("没有题目", "there is no question"))
    record = {
        "id": item_id(dataset, number),
        "specialty": "",
        "question": question,
        "source": f"{SOURCE.format(name=file.name)}, example {number}",
        "licence": LICENCE,
        "reviewed_by": REVIEWED_BY,
    }
    record |= {key: example[key] for key in _TEXTS if not is_missing(example.get(key))}
    if example.get("evaluation_points"):
        record["evaluation_points"] = example["evaluation_points"]
    return record | _READERS[dataset.form](dataset, question, example)


def _read_choice(_dataset: Dataset, question: str, example: Mapping[str, Any]) -> dict[str, Any]:
    given = example.get("options")
    if given:
        raise RowError(
            tr("有单独的 options 字段，官方文件没有", "it has an options field, which official files have not")
        )
    split = split_question(question)
    answer = read_letters(example.get("answer"), split.options)
    return {"question": split.question, "options": list(split.options), "answer": answer}


def split_candidates(text: str) -> tuple[str, tuple[str, ...]]:
    """A CHIP-CDN question → the phrase and its candidate lines.

    Raises:
        RowError: not exactly one line ``候选标准词：``, or nothing before or after it.
    """
    parts = _CANDIDATES.split(text)
    if len(parts) != 2:
        raise RowError(
            tr(
                f"应恰有一行“候选标准词：”，实有 {len(parts) - 1} 行",
                f"there must be one line 候选标准词：, there are {len(parts) - 1}",
            )
        )
    phrase, lines = parts[0].strip(), tuple(line.strip() for line in parts[1].splitlines() if line.strip())
    if not phrase or not lines:
        raise RowError(tr("没有短语或没有候选标准词", "there is no phrase or there are no candidates"))
    return phrase, lines


def _read_terms(_dataset: Dataset, question: str, example: Mapping[str, Any]) -> dict[str, Any]:
    phrase, candidates = split_candidates(question)
    return {"question": phrase, "options": list(candidates), "answer": read_line(example.get("answer"))}


def _read_json(_dataset: Dataset, _question: str, example: Mapping[str, Any]) -> dict[str, Any]:
    return {"answer": read_json_answer(example.get("answer"))}


def _read_free_text(_dataset: Dataset, _question: str, example: Mapping[str, Any]) -> dict[str, Any]:
    answer = example.get("answer")
    if is_missing(answer):
        return {}
    return {"note": answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)}


def _read_judged(_dataset: Dataset, _question: str, example: Mapping[str, Any]) -> dict[str, Any]:
    if is_missing(example.get("answer")) and example.get("evaluation_points"):
        return {}
    return {"answer": read_json_answer(example.get("answer"))}


_READERS: Mapping[Form, Callable[[Dataset, str, Mapping[str, Any]], dict[str, Any]]] = {
    Form.CHOICE: _read_choice,
    Form.TERMS: _read_terms,
    Form.ENTITIES: _read_json,
    Form.EVENTS: _read_json,
    Form.RELATIONS: _read_json,
    Form.TEXT: _read_free_text,
    Form.RECORD: _read_judged,
}
