"""The language of messages: Chinese or English, chosen once at the start of a process.

Both texts of a message stand side by side where the message is made, so that neither can be forgotten and
neither goes stale: ``tr("文件不存在", "no such file")``.
"""

from __future__ import annotations

import os
from typing import Literal

Language = Literal["zh", "en"]

_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def from_environment() -> Language:
    """The language of the locale: ``zh`` for any Chinese locale, else ``en``."""
    for variable in _LOCALE_VARIABLES:
        value = os.environ.get(variable)
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


_current: Language = from_environment()


def set_language(language: Language) -> None:
    """Choose the language of every message made from now on."""
    global _current  # noqa: PLW0603 - one process speaks one language
    _current = language


def current() -> Language:
    """The language in use."""
    return _current


def tr(zh: str, en: str) -> str:
    """The one of the two texts that is in the language in use."""
    return zh if _current == "zh" else en
