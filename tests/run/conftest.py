from __future__ import annotations

import pytest
from run_world import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A sealed bundle of 12 choices, 3 extractions and 2 judged items, with its keys."""
    return make_world(tmp_path_factory.mktemp("world"))
