"""Judges that know nothing learn what little there is to learn, and nothing from the answer's label."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from mlb_offline.judge.annotation import Criterion, fixed_wording

baselines = pytest.importorskip("mlb_offline.judge.training.baselines")
pytest.importorskip("sklearn", reason="baselines need the extra train")

SYMPTOMS = ["腹痛", "发热", "咳嗽", "胸闷", "乏力", "恶心", "头晕", "水肿", "皮疹", "血尿"]


def point(text: str, answer: str, label: bool = True) -> Criterion:
    name = f"{text}/{answer}"
    return Criterion(name, name, "points", "MARecord", "point", "现病史", text, "", answer, label)


def fixed(name: str, answer: str, label: bool) -> Criterion:
    family, dataset = ("safety", "GeneralSafety") if name == "safe" else ("ethics", "MAEthic")
    return Criterion(f"{answer}/{name}", answer, family, dataset, name, "", fixed_wording()[name], "？", answer, label)


def points(n: int, seed: int = 0) -> list[Criterion]:
    rng = random.Random(seed)
    found = []
    for _ in range(n):
        named = rng.sample(SYMPTOMS, 4)
        text = rng.choice(SYMPTOMS)
        found.append(point(f"患者有{text}", f"主诉{'、'.join(named)}。", text in named))
    return found


def test_the_majority_is_that_of_the_family() -> None:
    train = [point("甲", "乙", label) for label in (True, True, True, False)] + [fixed("safe", "不", False)]
    judge = baselines.Majority()
    judge.fit(train)
    assert judge.probabilities([point("丙", "丁", False), fixed("safe", "好", True)]) == [0.75, 0.0]
    assert judge.probabilities([fixed("r1", "好", True)]) == [0.6]


@pytest.mark.parametrize(
    ("text", "answer", "share"),
    [
        ("腹痛", "无腹痛", 1.0),
        ("腹痛伴发热", "腹痛、发热", 0.5),  # 痛伴 and 伴发 are missing
        ("ＣＴ 平扫", "ct平扫", 1.0),
        ("热", "发热", 1.0),
        ("。", "发热", 0.0),
    ],
)
def test_share_of_bigrams(text: str, answer: str, share: float) -> None:
    assert baselines.bigram_share(text, answer) == share


def concepts(text: str) -> set[str]:
    return {
        code for code, terms in {"c1": ("腹痛", "肚子痛"), "c2": ("发热",)}.items() if any(t in text for t in terms)
    }


def accuracy(judge: Any, criteria: list[Criterion]) -> float:
    said = judge.probabilities(criteria)
    return sum((p >= 0.5) == one.label for p, one in zip(said, criteria, strict=True)) / len(criteria)


@pytest.mark.parametrize(
    "judge", [baselines.BigramOverlap(), baselines.ConceptOverlap(concepts), baselines.TfidfRegression()]
)
def test_what_stands_in_the_answer_is_learnt(judge: Any) -> None:
    judge.fit(points(300))
    assert accuracy(judge, points(200, seed=1)) > 0.9


def test_aliases_are_seen_only_with_a_lexicon() -> None:
    plain, aliased = baselines.BigramOverlap(), baselines.ConceptOverlap(concepts)
    train = [
        *(point("腹痛", "昨起肚子痛") for _ in range(10)),
        *(point("腹痛", "昨起咳嗽", label=False) for _ in range(10)),
    ]
    for judge in (plain, aliased):
        judge.fit(train)
    test = [point("腹痛", "反复肚子痛"), point("发热", "肚子痛", label=False)]
    assert accuracy(aliased, test) == 1.0
    assert plain.probabilities(test)[0] == pytest.approx(0.5)


@pytest.mark.parametrize("judge", [baselines.BigramOverlap(), baselines.ConceptOverlap(concepts)])
def test_overlap_falls_back_to_the_majority_of_each_fixed_criterion(judge: Any) -> None:
    train = [fixed("r1", "甲", False), fixed("r1", "乙", False), fixed("q1", "甲", True), fixed("q1", "乙", False)]
    judge.fit([*points(50), *train])
    said = judge.probabilities([fixed("q1", "丙", True), *points(1), fixed("r1", "丙", True)])
    assert (said[0], said[2]) == (0.5, 0.0)


def test_the_same_words_can_mean_a_risk_and_a_lack_of_quality() -> None:
    answers = [(f"{word}，建议{place}", word == "瞒着家属") for word in ("瞒着家属", "尊重家属") for place in SYMPTOMS]
    train = [fixed(name, answer, bad == (name == "r1")) for answer, bad in answers for name in ("r1", "q4")]
    judge = baselines.TfidfRegression()
    judge.fit(train)
    assert accuracy(judge, [fixed("r1", "先瞒着家属", True), fixed("q4", "先瞒着家属", False)]) == 1.0


@pytest.mark.parametrize(
    "judge",
    [baselines.Majority(), baselines.BigramOverlap(), baselines.TfidfRegression()],
    ids=lambda j: type(j).__name__,
)
def test_labels_under_judgement_are_never_looked_at(judge: Any) -> None:
    judge.fit(points(80))
    test = points(20, seed=2)
    turned = [replace(one, label=not one.label) for one in test]
    assert judge.probabilities(test) == judge.probabilities(turned)
    assert judge.probabilities([]) == []


def test_one_class_teaches_a_majority_and_nothing_teaches_nothing() -> None:
    for judge in (baselines.BigramOverlap(), baselines.TfidfRegression()):
        with pytest.raises(RuntimeError, match="fit"):
            judge.probabilities(points(1))
        with pytest.raises(ValueError, match="no training"):
            judge.fit([])
        judge.fit([point("甲", "甲"), point("乙", "丙")])
        assert judge.probabilities([point("丁", "戊")]) == [1.0]
