"""The world of the run's tests is wanted here too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "run"))

import pytest
from run_world import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A small sealed bundle with its keys."""
    return make_world(tmp_path_factory.mktemp("world"))
