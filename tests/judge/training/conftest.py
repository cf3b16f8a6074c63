"""A training that takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_cases import CONFIG, ROLE, corpus, material

from mlb_offline.judge.training.command import Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A training that takes seconds."""
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG + "".join(ROLE.format(name=name, seed=seed) for name, seed in (("a", 1), ("b", 2))))
    corpus(tmp_path / "corpora")
    return Job(config, tmp_path / "corpora", material(tmp_path / "material"), tmp_path / "out", ("a", "b"))
