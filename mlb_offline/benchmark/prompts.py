"""From an item and a template to the text that the model under test receives; what templates may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

from mlb_offline.benchmark.catalogue import Dataset, Form, Metric
from mlb_offline.benchmark.items import LETTERS, Item
from mlb_offline.errors import InputError
from mlb_offline.language import tr

_SLOT = re.compile(r"\$\{([^{}]*)\}")
_SLOTS = frozenset({"question", "options"})
_OPENED = re.compile(r"\$\{([^{}\n]*)(\}?)")
_OF_POINTS = frozenset({"question", "answer", "topic", "point"})
_OF_FIXED = frozenset({"question", "answer", "criterion"})
_JUDGE_SLOTS = {
    Metric.JUDGE_POINTS: (_OF_POINTS, frozenset({"answer", "point"})),
    Metric.JUDGE_ETHICS: (_OF_FIXED, frozenset({"answer", "criterion"})),
    Metric.JUDGE_SAFETY: (_OF_FIXED, frozenset({"answer"})),
}
"""Slots that a judge prompt may have, and those that it must have."""
LONGEST_JUDGE_PROMPT = 4000
"""Characters of a publisher's own judge prompt."""
FENCES = "⟦⟧"
"""Marks that stand around what is judged, and nowhere else in a judge prompt."""


def check_template(dataset: Dataset, template: str, *, file: str | Path, field: str | None = None) -> str:
    """The template unchanged, if every slot in it is known and those the dataset needs are there.

    Raises:
        InputError: an unknown slot, no ``${question}``, or no ``${options}`` where items have options.
    """
    found = set(_SLOT.findall(template))
    needed = _SLOTS if dataset.form in {Form.CHOICE, Form.TERMS} else {"question"}
    unknown, missing, wanted = (_written(names) for names in (found - _SLOTS, needed - found, needed))
    if unknown or missing:
        wrong_zh = [f"未知 {unknown}"] * bool(unknown) + [f"缺少 {missing}"] * bool(missing)
        wrong_en = [f"unknown {unknown}"] * bool(unknown) + [f"missing {missing}"] * bool(missing)
        raise InputError(
            tr(
                f"提示词模板的占位符有误：{'，'.join(wrong_zh)}",
                f"the prompt template's slots are wrong: {', '.join(wrong_en)}",
            ),
            file=file,
            field=field,
            remedy=tr(f"{dataset.id} 的提示词恰用 {wanted}", f"a prompt of {dataset.id} has exactly {wanted}"),
        )
    return template


def check_judge_template(dataset: Dataset, template: str, *, file: str | Path) -> str:
    """A publisher's judge prompt unchanged, if it can be filled for the dataset.

    Raises:
        InputError: the dataset is not judged, a slot is unknown or missing, a mark of ``FENCES`` stands in it, or it is
            longer than ``LONGEST_JUDGE_PROMPT``; names the line where there is one.
    """
    if not dataset.metric.judged:
        raise _refused(
            file, None, f"{dataset.id} 不由裁判评分", f"{dataset.id} is not judged", "移走该文件", "remove the file"
        )
    known, needed = _JUDGE_SLOTS[dataset.metric]
    remedy = (
        f"{dataset.id} 的裁判提示词可用 {_written(known)}，其中必须有 {_written(needed)}",
        f"a judge prompt of {dataset.id} may have {_written(known)}, and must have {_written(needed)}",
    )
    for number, line in enumerate(template.split("\n"), start=1):
        for name, closed in _OPENED.findall(line):
            if not closed or name not in known:
                raise _refused(file, number, f"占位符 ${{{name}}} 有误", f"wrong slot ${{{name}}}", *remedy)
        if set(FENCES) & set(line):
            marks = " ".join(FENCES)
            raise _refused(
                file,
                number,
                f"{marks} 由程序使用",
                f"{marks} are marks of the program",
                "删去这些标记：程序会把它们加在被评判的内容两侧",
                "leave them out: the program puts them around what is judged",
            )
    missing = needed - set(_SLOT.findall(template))
    if missing:
        raise _refused(file, None, f"缺少占位符 {_written(missing)}", f"no slot {_written(missing)}", *remedy)
    if len(template) > LONGEST_JUDGE_PROMPT:
        limit = LONGEST_JUDGE_PROMPT
        raise _refused(
            file, None, f"超过 {limit} 个字符", f"longer than {limit} characters", "缩短提示词", "shorten the prompt"
        )
    return template


def _refused(file: str | Path, line: int | None, zh: str, en: str, todo_zh: str, todo_en: str) -> InputError:  # noqa: PLR0917 - texts in both languages
    return InputError(
        tr(f"裁判提示词不可用：{zh}", f"the judge prompt cannot be used: {en}"),
        file=file,
        line=line,
        remedy=tr(todo_zh, todo_en),
    )


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its slots filled in one pass, so that what is put in is never taken for a slot.

    Raises:
        KeyError: a slot has no value.
    """
    return _SLOT.sub(lambda slot: values[slot[1]], template)


def _written(names: Iterable[str]) -> str:
    return " ".join(f"${{{name}}}" for name in sorted(names, reverse=True))


def default_prompt(dataset: Dataset) -> str:
    """The project's own template for the dataset, for sources that bring none."""
    return resources.files(__package__).joinpath("default_prompts", f"{dataset.id}.txt").read_text(encoding="utf-8")


def render_prompt(dataset: Dataset, template: str, item: Item) -> str:
    """The template filled with an item."""
    return fill(template, {"question": question_text(item), "options": options_text(dataset, item)})


def question_text(item: Item) -> str:
    """The question, after its scenario where there is one."""
    return f"{item.scenario}\n{item.question}" if item.scenario else item.question


def options_text(dataset: Dataset, item: Item) -> str:
    """Options one a line: lettered ``A.…`` for choices, bare candidate lines for CHIP-CDN."""
    if dataset.form is Form.CHOICE:
        return "\n".join(f"{letter}.{text}" for letter, text in zip(LETTERS, item.options, strict=False))
    return "\n".join(item.options)
