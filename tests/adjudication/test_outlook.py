"""What judges let one expect of a physician: the surer they are, the less; and which criteria come first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mlb_offline.adjudication.order import reading_order
from mlb_offline.adjudication.outlook import Doubt, JudgedItem, judged_item
from mlb_offline.benchmark.catalogue import Metric
from mlb_offline.judge.annotation import ETHICS_NAMES
from mlb_offline.judge.panel import Opinions

Pair = tuple[float | None, float | None]
YES: Pair = (0.99, 0.97)
NO: Pair = (0.02, 0.01)
SPLIT: Pair = (0.9, 0.2)
DOUBT = Doubt()


def opinions(names: Sequence[str], said: Sequence[Pair]) -> Opinions:
    return Opinions(tuple(names), tuple(zip(*said, strict=True)))


def points(said: Sequence[Pair], name: str = "a", doubt: Doubt = DOUBT) -> JudgedItem:
    names = [f"{place:03d}" for place in range(len(said))]
    return judged_item(Metric.JUDGE_POINTS, name, opinions(names, said), seed=1, doubt=doubt)


def safety(said: Pair, name: str = "a") -> JudgedItem:
    return judged_item(Metric.JUDGE_SAFETY, name, opinions(["safe"], [said]), seed=1)


def ethics(said: Sequence[Pair], name: str = "a") -> JudgedItem:
    return judged_item(Metric.JUDGE_ETHICS, name, opinions(ETHICS_NAMES, said), seed=1)


def spread(item: JudgedItem) -> float:
    return float(np.var(item.imagined))


def test_the_judges_score_is_the_middle_of_what_disputes_leave_open() -> None:
    assert points([YES, YES, NO, SPLIT]).judged == 0.625
    assert points([YES, YES, NO, (None, 0.9)]).judged == 0.625
    assert (safety(YES).judged, safety(NO).judged, safety(SPLIT).judged) == (1.0, 0.0, 0.5)
    assert ethics([SPLIT, NO, YES, YES, YES, NO]).judged == pytest.approx(0.45)
    assert ethics([YES, NO, YES, YES, YES, YES]).judged == 0.0


def test_items_of_unsure_judges_vary_more() -> None:
    assert spread(safety(YES)) < spread(safety((0.8, 0.8))) < spread(safety(SPLIT))
    assert spread(points([YES] * 6)) < spread(points([(0.8, 0.8)] * 6)) < spread(points([SPLIT] * 6))


def test_judges_are_not_trusted_beyond_what_their_confidence_has_earned() -> None:
    certain: Pair = (1.0, 1.0)
    assert 0 < np.mean([1 - np.mean(safety(certain, str(place)).imagined) for place in range(50)]) < 0.1
    assert set(points([certain] * 4, doubt=Doubt(sure=0.0)).imagined) == {1.0}


def test_errors_within_an_item_go_together() -> None:
    """Were the criteria independent the variance would be a sixteenth of one criterion's."""
    sixteen = np.mean([spread(points([SPLIT] * 16, name=str(place))) for place in range(30)])
    assert sixteen > 4 * 0.25 / 16


def test_strata_are_the_judges_confidence() -> None:
    item = points([YES, (0.8, 0.99), SPLIT, (None, 0.99), (None, None)])
    assert [one.stratum for one in item.criteria] == ["sure", "unsure", "open", "open", "open"]
    assert [one.chance for one in item.criteria] == pytest.approx([0.98, 0.895, 0.55, 0.745, 0.5])


def test_one_judge_is_enough() -> None:
    item = judged_item(Metric.JUDGE_SAFETY, "a", Opinions(("safe",), ((0.95,),)), seed=1)
    assert (item.judged, item.criteria[0].stratum) == (1.0, "sure")


def test_a_criterion_swings_the_score_by_what_hangs_on_it() -> None:
    assert [one.swing for one in points([YES, NO, SPLIT, YES]).criteria] == [0.25] * 4
    assert safety(SPLIT).criteria[0].swing == 1.0
    harmless = [one.swing for one in ethics([NO, NO, YES, YES, NO, NO]).criteria]
    assert harmless == pytest.approx([0.7, 0.7, 0.4, 0.3, 0.2, 0.1])
    risky = [one.swing for one in ethics([YES, NO, YES, YES, NO, NO]).criteria]
    assert risky == pytest.approx([0.7, 0, 0, 0, 0, 0])


def test_an_item_is_imagined_alike_each_time_and_unlike_another() -> None:
    assert points([SPLIT] * 5) == points([SPLIT] * 5)
    assert points([SPLIT] * 5).imagined != points([SPLIT] * 5, name="b").imagined


def test_the_sample_comes_first_with_all_its_criteria_then_disputes_by_what_hangs_on_them() -> None:
    torn, leaning = (0.5, 0.49), (0.95, 0.45)
    some = [points([YES, SPLIT], "s"), points([torn] * 4, "long"), points([leaning, torn], "short"), points([YES], "y")]
    order = reading_order(some, {"s"})
    assert order.sample == ("s/000", "s/001")
    assert order.disputes[:2] == ("short/001", "short/000")
    assert order.disputes[2:] == tuple(f"long/{place:03d}" for place in range(4))
    everything = reading_order(some, {item.id for item in some})
    assert everything.disputes == ()
    assert len(everything.sample) == 9


def test_an_item_that_is_not_there_cannot_have_been_drawn() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        reading_order([safety(YES)], {"nowhere"})


def test_what_is_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="doubt"):
        Doubt(sure=0.6)
    with pytest.raises(ValueError, match="scores"):
        JudgedItem("a", 1.1, (), (0.0,))
    with pytest.raises(ValueError, match="scores"):
        JudgedItem("a", 1.0, (), ())
    with pytest.raises(ValueError, match="1 verdicts"):
        judged_item(Metric.ACCURACY, "a", opinions(["001"], [YES]), seed=1)
