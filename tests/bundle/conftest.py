"""A small bundle, built once, and a state folder for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle_simulator import HOSPITAL, NOW, PUBLISHER, choice_source

from mlb_offline.bundle.build import build_bundle
from mlb_offline.bundle.state import State, open_state
from mlb_offline.language import current, set_language


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    before = current()
    set_language("en")
    yield
    set_language(before)


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("bundle") / "small.mlbb"
    build_bundle(choice_source(), PUBLISHER, [HOSPITAL.public], out, now=NOW, shuffle_seed=bytes(32))
    return out.read_bytes()


@pytest.fixture
def state(tmp_path: Path) -> State:
    return open_state(tmp_path / "state")
