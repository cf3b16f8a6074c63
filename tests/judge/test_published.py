"""The benchmark authors' layout: figures as scikit-learn gives them, replies that cannot be read counted apart."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mlb_offline.errors import InputError
from mlb_offline.judge.calibration import read_set
from mlb_offline.judge.published import Reply, confusion, figures


def line(label: str, response: str, shown: str = "问") -> str:
    messages = [{"role": "system", "content": "判"}, {"role": "user", "content": shown}]
    return json.dumps({"messages": messages, "labels": label, "response": response, "logprobs": None})


def replies(file: Path, rows: list[str]) -> tuple[Reply, ...]:
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    criteria, found = read_set(file)
    assert criteria == ()
    return found


def test_figures_are_those_of_scikit_learn_and_unread_replies_count_apart(tmp_path: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed (make train-setup)")
    rng = Random(3)
    rows = [(rng.choice("是否"), rng.choice(["是", "否", "<think>是</think>否", "说不清"])) for _ in range(200)]
    found = replies(tmp_path / "r.jsonl", [line(*row, shown=str(n)) for n, row in enumerate(rows)])
    told = figures(found)
    read = [one for one in found if one.verdict is not None]
    truth, verdicts = [one.label for one in read], [bool(one.verdict) for one in read]
    assert (told["n"], told["answered"], told["abstained"]) == (200, len(read), 200 - len(read))
    assert told["accuracy"]["value"] == pytest.approx(metrics.accuracy_score(truth, verdicts), abs=1e-6)
    assert told["precision"]["value"] == pytest.approx(metrics.precision_score(truth, verdicts), abs=1e-6)
    assert told["recall"]["value"] == pytest.approx(metrics.recall_score(truth, verdicts), abs=1e-6)
    assert told["f1"]["value"] == pytest.approx(metrics.f1_score(truth, verdicts), abs=1e-6)
    assert told["kappa"]["value"] == pytest.approx(metrics.cohen_kappa_score(truth, verdicts), abs=1e-6)
    tn, fp, fn, tp = metrics.confusion_matrix(truth, verdicts).ravel().tolist()
    counts = told["confusion"]
    assert (counts["tn"], counts["fp"], counts["fn"], counts["tp"]) == (tn, fp, fn, tp)
    assert counts["unread_yes"] + counts["unread_no"] == told["abstained"]
    assert told["abstained_as_wrong"]["accuracy"]["value"] == pytest.approx((tp + tn) / 200, abs=1e-6)


def test_figures_by_hand() -> None:
    cases = [(True, True)] * 3 + [(True, False)] + [(False, False)] * 4 + [(False, True)] * 2 + [(True, None)]
    told = figures([Reply(str(n), label, verdict) for n, (label, verdict) in enumerate(cases)])
    found = {name: told[name]["value"] for name in ("accuracy", "precision", "recall", "f1", "specificity")}
    wanted = {"accuracy": 0.7, "precision": 0.6, "recall": 0.75, "f1": 2 / 3, "specificity": 2 / 3}
    assert found == pytest.approx(wanted, abs=1e-6)
    assert told["abstained_as_wrong"]["recall"]["value"] == pytest.approx(0.6)


def test_a_line_nested_without_end_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("[" * 100_000)
    with pytest.raises(InputError):
        read_set(tmp_path / "r.jsonl")


def test_the_confusion_matrix_has_every_cell() -> None:
    cases = [(True, True), (False, True), (True, False), (False, False), (True, None), (False, None)]
    found = confusion([Reply("x", label, verdict) for label, verdict in cases])
    assert set(found.values()) == {1}
    assert sum(found.values()) == len(cases)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"messages": [], "labels": "是", "response": "是"}, "messages"),
        ({"messages": [{"role": "user", "content": "问"}], "labels": "也许", "response": "是"}, "labels"),
        ({"messages": [{"role": "user", "content": "问"}], "labels": "是", "response": None}, "response"),
    ],
)
def test_a_faulty_line_is_refused_with_line_and_field(tmp_path: Path, row: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        replies(tmp_path / "r.jsonl", [line("是", "是"), json.dumps(row)])
    assert (caught.value.line, caught.value.field) == (2, field)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.jsonl").write_text(content)
    with pytest.raises(InputError, match="no annotations"):
        read_set(tmp_path / "r.jsonl")
