"""Plans: more room over the threshold or surer judges need fewer labels; what cannot be reached is said to be so."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlb_offline.adjudication.outlook import JudgedCriterion, JudgedItem
from mlb_offline.adjudication.planning import LADDER, Plan, plan_share
from mlb_offline.stats.bounds import ALPHA
from mlb_offline.stats.powered import Powered, powered_capital

FEW = 300


def items(n: int, mean: float, doubt: float, criteria: int = 5, open_ones: int = 0) -> list[JudgedItem]:
    """Items of 0/1 scores: a physician says other than the judges with a chance of ``doubt``."""
    found = []
    for place in range(n):
        judged = float(place < round(mean * n))
        wrong = round(100 * doubt)
        rows = tuple(
            JudgedCriterion(f"{place}/{row}", "open" if row < open_ones else "sure", 0.5, 0.2)
            for row in range(criteria)
        )
        found.append(JudgedItem(str(place), judged, rows, (judged,) * (100 - wrong) + (1 - judged,) * wrong))
    return found


def share(plan: Plan) -> float:
    assert plan.chosen is not None
    return plan.chosen.share


def test_a_plan_asks_for_fewer_labels_where_there_is_more_room_or_less_doubt() -> None:
    close, far = (plan_share(items(200, 0.95, 0.02), threshold, seed=1, rehearsals=FEW) for threshold in (0.85, 0.7))
    doubtful = plan_share(items(200, 0.95, 0.15), 0.7, seed=1, rehearsals=FEW)
    assert share(far) < share(close)
    assert share(far) < share(doubtful)


def test_the_smallest_share_with_the_wanted_chance_is_chosen() -> None:
    plan = plan_share(items(200, 0.95, 0.02), 0.8, seed=1, rehearsals=FEW)
    below = [step for step in plan.steps if step.share < share(plan)]
    assert plan.chosen is not None
    assert plan.chosen.chance >= 0.8
    assert below
    assert all(step.chance < 0.8 for step in below)
    assert [step.share for step in plan.steps] == list(LADDER)
    assert share(plan_share(items(200, 0.95, 0.02), 0.8, power=0.99, seed=1, rehearsals=FEW)) > share(plan)
    assert share(plan_share(items(200, 0.95, 0.02), 0.8, alpha=0.005, seed=1, rehearsals=FEW)) > share(plan)


def test_a_gate_out_of_reach_is_said_to_be_so_with_the_best_there_is() -> None:
    plan = plan_share(items(100, 0.9, 0.05), 0.86, seed=1, rehearsals=FEW)
    assert plan.chosen is None
    assert plan.best.chance < 0.8
    assert plan.best.chance == max(step.chance for step in plan.steps)
    assert plan.to_json()["chosen"] is None
    assert plan_share(items(100, 1.0, 0.0), 0.99995, seed=1, rehearsals=FEW).best.chance == 0.0


def test_labels_and_disputes_are_counted() -> None:
    plan = plan_share(items(200, 0.95, 0.02, criteria=5, open_ones=2), 0.8, seed=1, rehearsals=FEW)
    step = plan.steps[4]
    assert step.share == 0.25
    assert (step.items, step.criteria, step.disputes_left) == (50, 250, 300)
    assert plan.steps[-1].disputes_left == 0
    assert plan.strata == {"open": 400, "unsure": 0, "sure": 600}
    told = plan.to_json()
    assert told["steps"][4] == {
        "share": 0.25,
        "items": 50,
        "criteria": 250,
        "disputes_left": 300,
        "chance": step.chance,
    }
    assert (told["chosen"], told["best"]) == (share(plan), plan.best.share)


def test_the_same_seed_gives_the_same_plan() -> None:
    first, again, other = (plan_share(items(60, 0.9, 0.1), 0.7, seed=seed, rehearsals=300) for seed in (1, 1, 2))
    assert first == again
    assert first.steps != other.steps


def test_the_forecast_is_what_happens_where_the_outlook_is_right() -> None:
    """The bound's own capital, on samples and labels drawn as planned, rejects the threshold as often as was said."""
    plan = plan_share(items(150, 0.95, 0.25), 0.5, seed=1)
    step = min(plan.steps, key=lambda one: abs(one.chance - 0.5))
    random, met, runs = np.random.RandomState(9), 0, 400
    for _ in range(runs):
        scores = []
        for item in items(150, 0.95, 0.25):
            drawn = random.random_sample() < step.share
            scores.append(Powered(item.judged, drawn, item.imagined[random.randint(100)] if drawn else None))
        capital = powered_capital(scores, step.share)
        met += capital is not None and float(capital(np.array([0.5]))[0]) >= math.log(1 / ALPHA)
    assert met / runs == pytest.approx(step.chance, abs=0.08)  # three standard errors


def test_an_item_without_an_answer_needs_no_label_and_counts_as_it_is() -> None:
    missing = [JudgedItem(f"m{place}", 0.0, (), (0.0,)) for place in range(20)]
    whole, fewer = items(100, 1.0, 0.01), items(80, 1.0, 0.01) + missing
    low, high = (plan_share(some, 0.75, seed=1, rehearsals=FEW) for some in (fewer, whole))
    assert low.steps[9].criteria == 0.8 * high.steps[9].criteria
    assert low.best.chance < high.best.chance


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"threshold": 1.0}, {"alpha": 0.0}, {"power": 1.0}, {"rehearsals": 0}, {"items": []}]
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    arguments = {"items": items(10, 0.9, 0.1), "threshold": 0.5, "seed": 1, **wrong}
    with pytest.raises(ValueError, match="items"):
        plan_share(**arguments)  # type: ignore[arg-type]
