"""Claims and answers from outside the judges' domain become criteria; every fault is named with its place."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from outside_cases import GAPS_HEADER, GAPS_ROW, KQA_HEADER, RUBRICS, C, E, N, kqa_row, label, labels, table, workbook

from mlb_offline.errors import InputError
from mlb_offline.judge.training.outside import (
    GAPS_MODELS,
    gaps_claims,
    gaps_drawn,
    gaps_pairs,
    kqa_pairs,
    physician_kappa,
    read_gaps_labels,
)

LABELS = Path(__file__).resolve().parents[2] / "data" / "judge" / "gaps_labels.jsonl"


def test_a_label_pairs_the_claim_with_the_answer_of_its_model(tmp_path: Path) -> None:
    file = workbook(tmp_path / "g.xlsx", GAPS_ROW, [9, "另问", *GAPS_ROW[2:]])
    read = labels(tmp_path / "l.jsonl", label(3, 3, 2, "否", doubt=True), label(3, 3, 1), label(2, 2, 1))
    first, second, third = gaps_pairs(file, read)
    assert (first.topic, first.answer, first.text) == ("另问", "丙答", "建议停药")
    assert (first.label, first.kind, first.id) == (False, "negative", "GAPS/3/3/2")
    assert (second.label, second.kind) == (True, "positive")
    assert first.answer_id == second.answer_id != third.answer_id
    assert third.answer == "乙答"
    assert [one.doubt for one in read_gaps_labels(read)] == [True, False, False]


@pytest.mark.parametrize(
    ("rows", "line", "field"),
    [
        ([label(), label(4)], 2, "row"),
        ([label(claim=3)], 1, "claim"),
        ([label(model=4)], 1, "model"),
        ([label(said="yes")], 1, "label"),
        ([label(text="答")], 1, "text"),
        ([label(), label(said="否")], 2, None),
    ],
)
def test_a_label_that_is_bad_or_names_no_pair_is_refused_with_its_line(
    tmp_path: Path, rows: list[dict[str, Any]], line: int, field: str | None
) -> None:
    file, read = workbook(tmp_path / "g.xlsx", GAPS_ROW), labels(tmp_path / "l.jsonl", *rows)
    with pytest.raises(InputError) as caught:
        gaps_pairs(file, read)
    assert (caught.value.file, caught.value.line, caught.value.field) == (str(read), line, field)


def changed(column: str, value: Any) -> list[Any]:
    return [value if name == column else cell for name, cell in zip(GAPS_HEADER, GAPS_ROW, strict=True)]


@pytest.mark.parametrize(
    ("make", "line", "field"),
    [
        (lambda path: workbook(path, GAPS_ROW, sheet="other"), None, "xlsx.sheet"),
        (lambda path: workbook(path, GAPS_ROW[:-1], header=GAPS_HEADER[:-1]), None, GAPS_MODELS[-1]),
        (lambda path: workbook(path, changed("question", " ")), 2, "question"),
        (lambda path: workbook(path, changed(GAPS_MODELS[0], None)), 2, GAPS_MODELS[0]),
        (lambda path: workbook(path, changed("rubrics", "[{]")), 2, "rubrics"),
        (lambda path: workbook(path, changed("rubrics", json.dumps([RUBRICS[0]] * 2))), 2, "rubrics"),
        (
            lambda path: workbook(path, changed("rubrics", json.dumps([RUBRICS[0] | {"type": "other"}]))),
            2,
            "rubrics.0.type",
        ),
    ],
)
def test_a_fault_of_the_workbook_is_named_with_row_and_column(
    tmp_path: Path, make: Callable[[Path], Path], line: int | None, field: str
) -> None:
    file = make(tmp_path / "g.xlsx")
    with pytest.raises(InputError) as caught:
        gaps_pairs(file, labels(tmp_path / "l.jsonl", label()))
    assert (caught.value.file, caught.value.line, caught.value.field) == (str(file), line, field)


def test_the_draw_takes_every_fifth_answer_over_all_models_and_claims_from_each_third() -> None:
    drawn = gaps_drawn([9] * 10)
    assert [(question, model) for question, model, _ in drawn[::3]] == [(0, 0), (1, 2), (3, 1), (5, 0), (6, 2), (8, 1)]
    assert [place for _, _, place in drawn[:6]] == [0, 3, 6, 2, 5, 8]
    assert gaps_drawn([2]) == ((0, 0, 0), (0, 0, 1))


def test_most_physicians_decide_and_each_is_kept(tmp_path: Path) -> None:
    rows = [kqa_row(E, E, C), kqa_row(E, N, C, claim="d"), kqa_row(N, N, N, model="other")]
    first, second, third = kqa_pairs(table(tmp_path / "k.csv", *rows))
    assert [one.criterion.label for one in (first, second, third)] == [True, False, False]
    assert second.physicians == (E, N, C)
    assert first.criterion.answer_id == second.criterion.answer_id != third.criterion.answer_id
    assert (first.criterion.topic, first.criterion.text, first.criterion.kind) == ("q", "c", "Must_have")


def test_kappa_of_physicians_counts_contradiction_as_not_entailed(tmp_path: Path) -> None:
    rows = [kqa_row(*said) for said in ((E, E, E), (E, E, N), (C, N, E), (N, C, N))]
    pairs = physician_kappa(kqa_pairs(table(tmp_path / "k.csv", *rows)))
    assert [(pair.first, pair.second) for pair in pairs] == [
        ("label_0", "label_1"),
        ("label_0", "label_2"),
        ("label_1", "label_2"),
    ]
    assert [pair.kappa and pair.kappa.value for pair in pairs] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("make", "line", "field"),
    [
        (lambda path: table(path, kqa_row(E, E)[:7], header=KQA_HEADER[:7]), None, "label_2"),
        (lambda path: table(path, kqa_row(E, E, E), kqa_row(E, "", E)), 3, "label_1"),
        (lambda path: table(path, kqa_row("entailed", E, E)), 2, "label_0"),
        (lambda path: table(path, kqa_row(E, E, E, claim=" ")), 2, "claim"),
    ],
)
def test_a_fault_of_the_table_is_named_with_line_and_column(
    tmp_path: Path, make: Callable[[Path], Path], line: int | None, field: str
) -> None:
    file = make(tmp_path / "k.csv")
    with pytest.raises(InputError) as caught:
        kqa_pairs(file)
    assert (caught.value.file, caught.value.line, caught.value.field) == (str(file), line, field)


def test_the_committed_labels_are_those_of_the_draw(shared_data: Path) -> None:
    file = shared_data / "gaps" / "GAPS-NSCLC-preview.xlsx"
    claims = gaps_claims(file)
    drawn = [
        (claims[q][0], model + 1, claims[q][1][place]) for q, model, place in gaps_drawn([len(c) for _, c in claims])
    ]
    assert [(one.row, one.model, one.claim) for one in read_gaps_labels(LABELS)] == drawn
    pairs = gaps_pairs(file, LABELS)
    assert len(pairs) == 168
    assert {(pair.kind, pair.label) for pair in pairs} == {
        (k, v) for k in ("positive", "negative") for v in (True, False)
    }


def test_the_majority_is_the_one_that_was_published(shared_data: Path) -> None:
    file = shared_data / "kqa" / "NLI_medical_annotator.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        published = [row["majority_label"] == E for row in csv.DictReader(stream)]
    pairs = kqa_pairs(file)
    assert [pair.criterion.label for pair in pairs] == published
    assert all(0.6 < pair.kappa.value < 0.8 for pair in physician_kappa(pairs) if pair.kappa)
