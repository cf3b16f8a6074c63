"""``trust.canonical`` for a report's reader: one spelling of JSON and base64, every other one a ``TrustError``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from mlb_offline.errors import InputError, TrustError
from mlb_offline.language import tr
from mlb_offline.trust.canonical import canonical_json, decode_base64, parse_canonical


def refuse(zh: str, en: str, file: str | Path, field: str | None = None) -> NoReturn:
    """Raise the ``TrustError`` that says what does not hold."""
    remedy = tr(
        "不要采信该文件；向出具方索取未经编辑或转存的原始文件",
        "do not rely on this file; ask the issuer for the original, neither edited nor saved again",
    )
    raise TrustError(tr(zh, en), file=file, field=field, remedy=remedy)


def dump(value: Any) -> bytes:
    """Canonical JSON bytes of a JSON value.

    Raises:
        InputError: the value holds what JSON cannot carry (a lone surrogate, a number beyond 2^53, NaN).
    """
    try:
        return canonical_json(value)
    except ValueError as error:
        raise InputError(
            tr(f"内容无法写成规范 JSON：{error}", f"the content cannot be written as canonical JSON: {error}"),
            remedy=tr("从声明与配置中去掉该字符或数值", "remove that character or number from declaration or config"),
        ) from None


def load(raw: bytes, *, file: str | Path, field: str) -> Any:
    """The value of canonical JSON bytes.

    Raises:
        TrustError: the bytes are no JSON, or JSON spelled in any but the canonical way.
    """
    try:
        return parse_canonical(raw)
    except ValueError as error:
        refuse(f"内容已被改动或损坏（{error}）", f"the content was changed or damaged ({error})", file, field)


def unbase64(text: bytes, *, file: str | Path, field: str) -> bytes:
    """The bytes of canonical base64 without line breaks.

    Raises:
        TrustError: a character, padding or trailing bit is not what the encoder would have written.
    """
    try:
        return decode_base64(text.decode("ascii"))
    except ValueError as error:
        refuse(f"内容已被改动或损坏（{error}）", f"the content was changed or damaged ({error})", file, field)
