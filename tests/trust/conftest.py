"""Messages in English, whatever the locale."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mlb_offline.language import current, set_language


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    before = current()
    set_language("en")
    yield
    set_language(before)
