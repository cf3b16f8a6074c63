"""Any table (JSON, JSON Lines, CSV, XLSX) as a dataset, by a mapping (``mapping.TableMapping``)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mlb_offline.benchmark.catalogue import Dataset, Form, dataset_named
from mlb_offline.benchmark.prompts import check_template, default_prompt
from mlb_offline.bundle.importers.answers import (
    is_missing,
    read_index,
    read_json_answer,
    read_letters,
    read_line,
    read_option_text,
)
from mlb_offline.bundle.importers.files import read_text
from mlb_offline.bundle.importers.gathering import gather, item_id
from mlb_offline.bundle.importers.mapping import AnswerRule, OptionsRule, TableMapping, load_mapping
from mlb_offline.bundle.importers.options import split_block, split_question
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.bundle.importers.result import Imported
from mlb_offline.bundle.importers.spans import read_spans
from mlb_offline.bundle.importers.tables import Row, read_table
from mlb_offline.bundle.source import SourceDataset
from mlb_offline.errors import InputError, UsageError
from mlb_offline.language import tr

_CHOICE_READS = frozenset({"letters", "index", "option"})
_READS: dict[Form, frozenset[str]] = {
    Form.CHOICE: _CHOICE_READS,
    Form.TERMS: frozenset({"line"}),
    Form.ENTITIES: frozenset({"json", "spans"}),
    Form.EVENTS: frozenset({"json"}),
    Form.RELATIONS: frozenset({"json"}),
    Form.TEXT: frozenset(),
    Form.RECORD: frozenset({"json"}),
}


def import_table(path: Path, mapping: Path, dataset: str | None = None) -> Imported:
    """Import one table as one dataset.

    Args:
        path: the table.
        mapping: the TOML file that says which column is what.
        dataset: official name of the dataset; None: the one the mapping names.

    Raises:
        InputError: the table or the mapping cannot be read, or they do not fit the dataset.
        UsageError: no dataset is named, or there is none of that name.
    """
    rule = load_mapping(mapping)
    name = dataset or rule.dataset
    if name is None:
        raise UsageError(
            tr("没有指明数据集", "no dataset is named"),
            remedy=tr("用 --dataset，或在映射文件中写 dataset", "use --dataset, or name dataset in the mapping"),
        )
    target = dataset_named(name)
    _check_fit(target, rule, mapping)
    prompt = _prompt(target, rule, mapping)
    rows = read_table(
        path,
        form=rule.format,
        encoding=rule.encoding,
        delimiter=rule.csv.delimiter,
        quote=rule.csv.quote,
        sheet=rule.xlsx.sheet,
        needed=rule.wanted(),
    )
    reader = _Reader(target, rule, path)
    makers = [(row.number, partial(reader.record, number, row)) for number, row in enumerate(rows, start=1)]
    items, refused = gather(target, path, makers)
    entry = SourceDataset(target, prompt, None, items, rule.licence, rule.source)
    return Imported({target.id: entry} if items else {}, len(items), refused, _notes(reader.aside))


def _notes(aside: Counter[str]) -> tuple[str, ...]:
    return tuple(
        tr(f"按映射文件未导入 {count} 个“{label}”标注", f"{count} spans {label!r} left aside, as the mapping says")
        for label, count in aside.most_common()
    )


def _check_fit(dataset: Dataset, rule: TableMapping, mapping: Path) -> None:
    """Refuse a mapping that cannot give items of this dataset."""

    def unfit(field: str, zh: str, en: str) -> InputError:
        remedy = tr("见 docs/importers.md", "see docs/importers.md")
        return InputError(tr(zh, en), file=mapping, field=field, remedy=remedy)

    allowed = _READS[dataset.form]
    has_options = dataset.form in {Form.CHOICE, Form.TERMS}
    if has_options != (rule.options is not None):
        raise unfit("options", f"{dataset.id} 需要或不应有选项", f"{dataset.id} needs options, or has none")
    points = "evaluation_points" in rule.columns
    if rule.answer is None and allowed and not (dataset.form is Form.RECORD and points):
        raise unfit("answer", f"{dataset.id} 需要答案", f"{dataset.id} needs an answer")
    if rule.answer is not None and rule.answer.read not in allowed:
        names = ", ".join(sorted(allowed)) or "-"
        raise unfit("answer.read", f"{dataset.id} 的答案可为：{names}", f"an answer of {dataset.id} can be: {names}")
    strange = sorted(set(rule.answer.labels.values()) - {*dataset.keys, ""}) if rule.answer else []
    if strange:
        keys = ", ".join(dataset.keys)
        raise unfit("answer.labels", f"{strange} 不是键；应为：{keys}", f"{strange} are no keys; they are: {keys}")


def _prompt(dataset: Dataset, rule: TableMapping, mapping: Path) -> str:
    if rule.prompt is None:
        return default_prompt(dataset)
    file = mapping.parent / rule.prompt
    return check_template(dataset, read_text(file), file=file)


@dataclass(frozen=True)
class _Reader:
    """Makes records of rows; ``aside`` counts the spans that the mapping leaves out."""

    dataset: Dataset
    rule: TableMapping
    path: Path
    aside: Counter[str] = field(default_factory=Counter)

    def record(self, number: int, row: Row) -> dict[str, Any]:
        """The record of the row that is the ``number``-th of the table."""
        rule = self.rule
        record: dict[str, Any] = {
            "id": item_id(self.dataset, number),
            "specialty": "",
            "source": f"{rule.source} ({self.path.name}, row {row.number})",
            "licence": rule.licence,
            "reviewed_by": rule.reviewed_by,
        }
        record |= {str(name): text for name, text in rule.constants.items()}
        for name, column in rule.columns.items():
            value = row.cell(column) if name == "evaluation_points" else row.text(column)
            if not is_missing(value):
                record[name] = read_json_answer(value) if name == "evaluation_points" else value
        question = record.get("question")
        if question is None:
            raise RowError(tr("没有题目", "there is no question"))
        if rule.options is not None:
            record |= _options(rule.options, question, row)
        if rule.answer is not None:
            # Offsets count in the text as the source has it: ``question``, not what the options left of it.
            record["answer"] = self._answer(rule.answer, question, record.get("options", []), row)
        return record

    def _answer(self, rule: AnswerRule, question: str, options: list[str], row: Row) -> Any:
        value = row.cell(rule.column)
        if rule.read == "letters":
            return read_letters(value, options)
        if rule.read == "index":
            return read_index(value, rule.base, options)
        if rule.read == "option":
            return read_option_text(value, options)
        if rule.read == "line":
            line = read_line(value)
            return "##".join(part.strip() for part in line.split(rule.separator)) if rule.separator else line
        found = read_json_answer(value)
        if rule.spans is None:
            return found
        return read_spans(self.dataset, question, found, rule=rule.spans, labels=rule.labels, aside=self.aside)


def _options(rule: OptionsRule, question: str, row: Row) -> dict[str, Any]:
    if rule.in_question:
        split = split_question(_unescaped(question, rule))
        return {"question": split.question, "options": list(split.options)}
    if rule.columns:
        return {"options": _from_columns([row.text(column) for column in rule.columns])}
    value = row.cell(rule.column or "")
    if is_missing(value):
        raise RowError(tr("没有选项", "there are no options"))
    if isinstance(value, str) and rule.split != "json":
        return {"options": _from_text(_unescaped(value, rule), rule)}
    options = read_json_answer(value)
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise RowError(tr("选项不是字符串列表", "the options are not a list of strings"))
    return {"options": [option.strip() for option in options]}


def _unescaped(text: str, rule: OptionsRule) -> str:
    return text.replace("\\n", "\n") if rule.escaped_newlines else text


def _from_columns(texts: list[str | None]) -> list[str]:
    options = [None if is_missing(text) else text for text in texts]
    while options and options[-1] is None:
        options.pop()
    if None in options:
        raise RowError(tr("中间有空的选项", "an option before the last one is empty"))
    return [option.strip() for option in options if option is not None]


def _from_text(text: str, rule: OptionsRule) -> list[str]:
    if rule.split == "lettered":
        return list(split_block(text))
    parts = text.splitlines() if rule.split == "lines" else text.split(rule.separator or "\n")
    return [part.strip() for part in parts if part.strip()]
