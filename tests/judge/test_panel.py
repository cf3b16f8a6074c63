"""What two judges and a physician make of a criterion, and of an answer."""

from __future__ import annotations

import pytest

from mlb_offline.judge.panel import Finding, Opinions, find
from mlb_offline.scoring.judged import Verdict


@pytest.mark.parametrize(
    ("said", "physician", "found"),
    [
        ((0.9, 0.6), None, Finding(True, "agreed")),
        ((0.1, 0.4), None, Finding(False, "agreed")),
        ((0.5, 0.5), None, Finding(True, "agreed")),
        ((0.9, 0.4), None, Finding(None, "disputed")),
        ((0.9, None), None, Finding(None, "abstained")),
        ((None, None), None, Finding(None, "abstained")),
        ((0.2,), None, Finding(False, "agreed")),
        ((0.9, 0.4), True, Finding(True, "settled")),
        ((0.9, 0.9), False, Finding(False, "settled")),
    ],
)
def test_agreement_holds_and_all_else_is_open_until_a_physician_decides(
    said: tuple[float | None, ...], physician: Verdict, found: Finding
) -> None:
    assert find(said, physician) == found


def test_without_a_judge_nothing_is_found() -> None:
    with pytest.raises(ValueError, match="no judge"):
        find(())


def test_the_marks_of_an_answer_say_what_the_judges_make_of_each_criterion() -> None:
    opinions = Opinions(("r1", "r2", "q1", "q2"), ((0.9, 0.1, 0.9, None), (0.8, 0.2, 0.1, 0.9)))
    assert opinions.marks == "ynda"
    assert [one.verdict for one in opinions.findings({"q2": True, "r1": False})] == [False, False, None, True]
    assert Opinions.from_json(opinions.to_json()) == opinions


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), ((),)),
        (("a",), ()),
        (("a", "a"), ((0.1, 0.2),)),
        (("a",), ((0.1, 0.2),)),
        (("a",), ((1.1,),)),
        (("a",), ((float("nan"),),)),
    ],
)
def test_opinions_that_are_none_are_refused(names: tuple[str, ...], said: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(ValueError, match="no opinions"):
        Opinions(names, said)
