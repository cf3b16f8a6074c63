"""Real option lists (CMExam) written in every pattern are read back; next to none is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_options import INLINE, LINES, LISTS

from mlb_offline.bundle.importers.cmexam import import_cmexam
from mlb_offline.bundle.importers.options import split_question
from mlb_offline.bundle.importers.refusal import RowError


@pytest.fixture(scope="module")
def questions(shared_data: Path) -> list[tuple[str, list[str]]]:
    imported = import_cmexam(shared_data / "cmexam" / "val.xlsx")
    return [(item.question, item.options) for item in imported.datasets["CMExam"].items][::17]


def test_real_options_survive_every_pattern(questions: list[tuple[str, list[str]]]) -> None:
    writers: dict[str, Callable[[list[str]], str]] = {**INLINE, **LINES, **LISTS}
    assert len(writers) >= 12
    for name, writer in writers.items():
        refused = 0
        for question, options in questions:
            stem = question if question[-1] in "？?。：:）)" or name in LINES else question + "？"
            try:
                found = split_question(stem + ("\n" if name in LINES else "") + writer(options))
            except RowError:
                refused += 1
                continue
            assert found.options == tuple(options), name
            assert found.question == stem, name
        assert refused <= len(questions) * 0.01, name
