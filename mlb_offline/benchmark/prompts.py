"""From an item and a template to the text that the model under test receives."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from mlb_offline.benchmark.catalogue import Dataset, Form
from mlb_offline.benchmark.items import LETTERS, Item
from mlb_offline.errors import InputError
from mlb_offline.language import tr

_SLOT = re.compile(r"\$\{([^{}]*)\}")
_SLOTS = frozenset({"question", "options"})


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


def _written(names: Iterable[str]) -> str:
    return " ".join(f"${{{name}}}" for name in sorted(names, reverse=True))


def default_prompt(dataset: Dataset) -> str:
    """The project's own template for the dataset, for sources that bring none."""
    return resources.files(__package__).joinpath("default_prompts", f"{dataset.id}.txt").read_text(encoding="utf-8")


def render_prompt(dataset: Dataset, template: str, item: Item) -> str:
    """Fill the template's slots in one pass, so that an item's own text is never taken for a slot."""
    values = {"question": question_text(item), "options": options_text(dataset, item)}
    return _SLOT.sub(lambda slot: values[slot[1]], template)


def question_text(item: Item) -> str:
    """The question, after its scenario where there is one."""
    return f"{item.scenario}\n{item.question}" if item.scenario else item.question


def options_text(dataset: Dataset, item: Item) -> str:
    """Options one a line: lettered ``A.…`` for choices, bare candidate lines for CHIP-CDN."""
    if dataset.form is Form.CHOICE:
        return "\n".join(f"{letter}.{text}" for letter, text in zip(LETTERS, item.options, strict=False))
    return "\n".join(item.options)
