"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as the program does before it imports onnxruntime; here for every test


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real public data, read in place; a test that needs it is skipped, saying so, without it."""
    folder = Path(os.environ.get("MLB_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("real public data is absent (set MLB_SHARED_DATA to its folder)")
    return folder
