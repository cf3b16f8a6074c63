"""A folder as a hospital has it: keys, trust, a sealed bundle; and ``mlb-offline doctor`` in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from doctor_setup import House, bundle_of, demo_core

from mlb_offline.trust.keys import KeyKind, new_key


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    # A folder whose name holds what no pattern of a path expects.
    folder = tmp_path_factory.mktemp("信息科 server")
    for kind in KeyKind:
        new_key(kind, folder / "keys", None)
    (folder / "trust").mkdir()
    (folder / "trust" / "publisher.pub.pem").write_bytes((folder / "keys" / "publisher.pub.pem").read_bytes())
    return House(folder, bundle_of(folder, demo_core(demonstration=False), "good.mlbb"))


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder whose path is short enough for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="mlb-") as folder:
        yield Path(folder)
