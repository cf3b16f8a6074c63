"""The 64 specialties that items may name (specialties.toml): our list, since the paper states only their number."""

from __future__ import annotations

import tomllib
from importlib.resources import files


def _read() -> tuple[str, ...]:
    text = files("mlb_offline.benchmark").joinpath("specialties.toml").read_text(encoding="utf-8")
    return tuple(name for family in tomllib.loads(text)["family"] for name in family["specialties"])


SPECIALTIES = _read()
"""Names in Chinese, in the order of the list."""
