"""One spelling for every signed or hashed value: canonical JSON (RFC 8785) and canonical base64 (RFC 4648, 3.5).

A signature covers decoded content, not its spelling: without these checks a byte of a signed file could change
and the signature would still verify.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import rfc8785

from mlb_offline.language import tr


def canonical_json(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value.

    Raises:
        ValueError: the value has no canonical form (NaN, integers beyond ±2^53, lone surrogates, other types).
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def parse_canonical(data: bytes) -> Any:
    """Parse JSON that is spelled canonically.

    Raises:
        ValueError: not JSON, or JSON in any other spelling (white space, key order, escapes, repeated keys).
    """
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(tr(f"不是 JSON：{error}", f"not JSON: {error}")) from None
    try:
        same = canonical_json(value) == data
    except ValueError:
        same = False
    if not same:
        raise ValueError(tr("不是规范 JSON（RFC 8785）", "not canonical JSON (RFC 8785)"))
    return value


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding, on one line."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: Any) -> bytes:
    """Decode base64 that is spelled canonically.

    Raises:
        ValueError: no string, or a spelling that ``encode_base64`` would not give (white space, missing padding,
            stray bits in the last character).
    """
    if not isinstance(text, str):
        raise ValueError(tr("不是字符串", "not a string"))  # noqa: TRY004 - callers handle one kind of failure
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(tr("不是 base64", "not base64")) from None
    if encode_base64(data) != text:
        raise ValueError(tr("不是规范的 base64", "not canonical base64"))
    return data
