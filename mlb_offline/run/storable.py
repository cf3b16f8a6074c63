"""What a target says of itself, made such that it can be recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlb_offline.target.types import clean_text

_LARGEST = 2**53 - 1
"""Of the integers that RFC 8785 can write; a larger float would be read again as an integer it cannot."""


def storable(value: Any) -> Any:
    """The nearest value that canonical JSON (RFC 8785) can write.

    Lone surrogates (JSON may escape them, and headers that are no ASCII are decoded to them) become U+FFFD; numbers
    without a canonical spelling, and whatever is no JSON, become text.
    """
    match value:
        case None | bool():
            return value
        case int() | float() if abs(value) <= _LARGEST:
            return value
        case Mapping():
            return {clean_text(str(key)): storable(inner) for key, inner in value.items()}
        case list() | tuple():
            return [storable(inner) for inner in value]
    return clean_text(str(value))
