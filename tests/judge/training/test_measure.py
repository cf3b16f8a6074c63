"""Judges side by side: the document, its tables and its diagrams, with judges made up for the purpose."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

import pytest

from mlb_offline.judge.agreement import agreement, confidence
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.training.measure import measure, reliability_svg, tables
from mlb_offline.language import current, set_language


def criteria(n: int) -> list[Criterion]:
    """Three points to an answer, then six ethics criteria on one more."""
    points = [
        Criterion(
            f"p{number}",
            f"a{number // 3}",
            "points",
            "MARecord",
            "point",
            "主诉",
            "腹痛",
            "",
            "腹痛",
            number % 4 != 0,
            "否定" if number % 5 == 0 else "直接",
        )
        for number in range(n)
    ]
    names = ("r1", "r2", "q1", "q2", "q3", "q4")
    ethics = [Criterion(f"e/{k}", "e", "ethics", "MAEthic", k, "", k, "？", "答", k in {"q1", "q3"}) for k in names]
    return points + ethics


class Knowing:
    """Right, but for every ``wrong``-th criterion, and silent on every ``silent``-th."""

    def __init__(self, wrong: int, silent: int = 10_000) -> None:
        self.wrong, self.silent, self.asked = wrong, silent, 0

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float | None]:
        self.asked += 1
        return [
            None if place % self.silent == 0 else 0.9 if one.label != (place % self.wrong == 0) else 0.1
            for place, one in enumerate(criteria, start=1)
        ]


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    before = current()
    set_language("en")
    yield
    set_language(before)


def test_each_judge_is_measured_on_each_set_and_asked_once() -> None:
    judges = {"a": Knowing(5), "b": Knowing(7, silent=4)}
    test = criteria(60)
    document = measure(judges, {"test": test, "hard": test[:9]})
    assert [judge.asked for judge in judges.values()] == [2, 2]
    assert document["judges"] == ["a", "b"]
    found = document["sets"]["test"]
    assert (found["n"], found["answers"]) == (66, 21)
    labels, said = [one.label for one in test], Knowing(7, silent=4).probabilities(test)
    clusters, kinds = [one.answer_id for one in test], [one.kind for one in test]
    expected = {**agreement(labels, said, clusters, kinds).to_json(), **confidence(labels, said).to_json()}
    assert found["judges"]["b"]["overall"] == expected
    assert json.loads(json.dumps(document)) == document


def test_families_and_kinds_are_measured_by_themselves() -> None:
    test = criteria(60)
    document = measure({"points only": Knowing(10_000, silent=10_000)}, {"test": test})
    families = document["sets"]["test"]["judges"]["points only"]["families"]
    assert {family: one["n"] for family, one in families.items()} == {"points": 60, "ethics": 6}
    assert "by_kind" not in families["points"]
    kinds = document["sets"]["test"]["judges"]["points only"]["overall"]["by_kind"]
    assert {kind: (one["n"], one["accuracy"]["value"]) for kind, one in kinds.items()} == {
        "否定": (12, 1.0),
        "直接": (48, 1.0),
    }


def test_pairs_of_judges_are_compared_where_both_answer() -> None:
    document = measure({"a": Knowing(5), "b": Knowing(5, silent=2), "c": Knowing(3)}, {"test": criteria(54)})
    pairs = {tuple(pair["judges"]): pair["overall"] for pair in document["sets"]["test"]["pairs"]}
    assert set(pairs) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert (pairs["a", "b"]["n"], pairs["a", "b"]["agreed"]) == (60, 30)
    # Of 1 to 60: 12 - 4 wrong for a alone, 20 - 4 for c alone, 4 for both.
    assert pairs["a", "c"]["agreed"] == 36
    assert pairs["a", "c"]["accuracy"]["value"] == pytest.approx(32 / 36, abs=1e-6)


def test_a_judge_that_skips_a_criterion_is_refused_by_name() -> None:
    class Short:
        def probabilities(self, criteria: Sequence[Criterion]) -> list[float]:
            return [0.5] * (len(criteria) - 1)

    with pytest.raises(ValueError, match="hasty / test: 8 probabilities for 9 criteria"):
        measure({"hasty": Short()}, {"test": criteria(3)})


def test_tables_have_a_row_for_each_judge_and_a_dash_for_what_cannot_be_said() -> None:
    text = tables(measure({"a|b": Knowing(5), "mute": Knowing(5, silent=1)}, {"test": criteria(60)}))
    rows = [line for line in text.splitlines() if line.startswith("| a\\|b |")]
    assert len(rows) == 5  # overall, points, ethics, coverage, reliability
    assert "66 criteria on 21 answers" in text
    assert "#### ethics" in text
    mute = next(line for line in text.splitlines() if line.startswith("| mute |"))
    assert mute == "| mute | 66 | 66 |" + " – |" * 9
    assert "0.803 [" in rows[0]
    assert "| a\\|b + mute | 0 / 66 | 0.000 [0.000, " in text
    for block in text.split("\n\n"):
        widths = {line.replace("\\|", "").count("|") for line in block.splitlines() if line.startswith("|")}
        assert len(widths) <= 1


def test_tables_speak_chinese_and_stand_empty_sets() -> None:
    set_language("zh")
    text = tables(measure({"a": Knowing(5)}, {"test": []}))
    assert "准确率" in text
    assert "| a | 0 | 0 |" in text
    assert tables({"judges": [], "sets": {}}) == ""


def test_the_diagram_places_a_dot_for_each_bin() -> None:
    bins = [{"n": 100, "probability": 0.0, "observed": 0.0}, {"n": 25, "probability": 1.0, "observed": 0.5}]
    picture = ElementTree.fromstring(reliability_svg(bins))
    dots = [one.attrib for one in picture.iter("{http://www.w3.org/2000/svg}circle")]
    assert [(one["cx"], one["cy"], one["r"]) for one in dots] == [("44.0", "212.0", "9.0"), ("244.0", "112.0", "4.5")]
    assert "href" not in reliability_svg(bins)
    assert ElementTree.fromstring(reliability_svg([])).tag.endswith("svg")
