"""What people write by hand, TOML files above all: read whole, checked against a model, every fault named.

``explain`` says in the language in use what pydantic found, for everything else that is checked on the way in.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mlb_offline.errors import InputError
from mlb_offline.language import current, tr
from mlb_offline.regular_file import read_at_most
from mlb_offline.toml_lines import line_of

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    Model = TypeVar("Model", bound=BaseModel)

LARGEST = 1 << 20
"""Bytes of the largest file that is read: a MiB is more than anyone writes by hand."""

_CHINESE = {
    "missing": "缺少该字段",
    "extra_forbidden": "没有这个字段",
    "string_type": "应为字符串",
    "string_too_short": "不能少于 {min_length} 个字符",
    "string_too_long": "不能超过 {max_length} 个字符",
    "string_pattern_mismatch": "不符合规定的格式 {pattern}",
    "int_type": "应为整数",
    "int_from_float": "应为整数",
    "float_type": "应为数字",
    "finite_number": "应为有限的数字",
    "bool_type": "应为 true 或 false",
    "list_type": "应为列表",
    "dict_type": "应为表（键和值）",
    "model_type": "应为表（键和值）",
    "date_type": "应为日期",
    "enum": "只能是 {expected}",
    "literal_error": "只能是 {expected}",
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "不能小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "不能大于 {le}",
    "too_short": "至少需要 {min_length} 项",
    "too_long": "最多 {max_length} 项",
}


def explain(error: ValidationError) -> tuple[str | None, str]:
    """The first fault that pydantic found: its field as a dotted path (None: the whole), and what is wrong."""
    first = error.errors()[0]
    return ".".join(str(part) for part in first["loc"]) or None, _message(first)


def _message(fault: ErrorDetails) -> str:
    chinese = _CHINESE.get(fault["type"])
    if current() == "zh" and chinese is not None:
        return chinese.format(**fault.get("ctx", {}))
    return fault["msg"].removeprefix("Value error, ")


def load_toml(
    model: type[Model], file: Path, *, what: str, remedy: str, adjust: Callable[[dict[str, Any]], None] | None = None
) -> Model:
    """A TOML file as the model, which checks every key.

    Args:
        model: what it must be.
        file: the file.
        what: what it is, in the language in use, for messages.
        remedy: what to do about a fault in it.
        adjust: changes the parsed table before it is checked.

    Raises:
        InputError: it cannot be read, is too large, not UTF-8, no TOML, or a key is missing, unknown or wrong;
            names line and field.
    """
    source = read_bounded(file, what=what)
    return parse_toml(model, source, file=file, what=what, remedy=remedy, adjust=adjust)


def read_bounded(file: Path, *, what: str) -> bytes:
    """The bytes of such a file; one byte more than ``LARGEST`` where it is larger.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return read_at_most(file, LARGEST)
    except OSError as error:
        raise InputError(
            tr(f"{what}无法读取：{error.strerror}", f"the {what} cannot be read: {error.strerror}"),
            file=file,
            remedy=tr("检查路径与权限", "check the path and its permissions"),
        ) from None


def parse_toml(
    model: type[Model],
    source: bytes,
    *,
    file: str | Path | None,
    what: str,
    remedy: str,
    adjust: Callable[[dict[str, Any]], None] | None = None,
) -> Model:
    """A TOML document as the model; as ``load_toml``."""
    from pydantic import ValidationError

    def refusal(zh: str, en: str, line: int | None = None, field: str | None = None) -> InputError:
        return InputError(tr(f"{what}{zh}", f"the {what} {en}"), file=file, line=line, field=field, remedy=remedy)

    try:
        raw = _parsed(source)
    except _FaultyText as fault:
        raise refusal(fault.zh, fault.en, fault.line) from None
    if adjust is not None:
        adjust(raw)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        field, message = explain(error)
        line = line_of(source, error.errors()[0]["loc"])
        raise refusal(f"无效：{message}", f"is not valid: {message}", line, field) from None


class _FaultyText(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, zh: str, en: str, line: int | None = None) -> None:
        super().__init__(en)
        self.zh, self.en, self.line = zh, en, line


def _parsed(source: bytes) -> dict[str, Any]:
    if len(source) > LARGEST:
        raise _FaultyText("过大（上限 1 MiB）", "is larger than 1 MiB")
    try:
        return tomllib.loads(source.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _FaultyText("不是 UTF-8 文本", "is not UTF-8 text", source[: error.start].count(b"\n") + 1) from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        line = int(found[1]) if found else max(1, len(source.splitlines()))  # else "at end of document"
        raise _FaultyText(f"不是有效的 TOML：{error}", f"is not valid TOML: {error}", line) from None
    except RecursionError:
        raise _FaultyText("嵌套过深", "is nested too deeply") from None
    except ValueError as error:  # such as an integer of thousands of digits
        raise _FaultyText(f"含有无法读取的值：{error}", f"holds a value that cannot be read: {error}") from None
