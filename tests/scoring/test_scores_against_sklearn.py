"""Sums of scores give the same accuracy and micro-F1 as scikit-learn on random cases."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from mlb_offline.benchmark.catalogue import DATASETS, Dataset
from mlb_offline.benchmark.items import Item
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.scoring.score import score_response

WORDS = ["腹痛", "发热", "咳嗽", "胸闷", "乏力", "恶心"]
Units = set[tuple[Any, ...]]


def item(answer: Any, options: list[str] | None = None) -> Item:
    return Item(
        id="1",
        specialty="内科",
        question="？",
        source="t",
        licence="CC0",
        reviewed_by="none",
        answer=answer,
        options=options or [],
    )


def entities(dataset: Dataset, rng: random.Random) -> tuple[Any, Units]:
    answer = {key: rng.choices(WORDS, k=rng.randrange(4)) for key in dataset.keys}
    return answer, {(key, word) for key, found in answer.items() for word in found}


def events(_dataset: Dataset, rng: random.Random) -> tuple[Any, Units]:
    answer = [
        {
            "主体词": rng.choice(WORDS[:2]),
            "发生状态": rng.choice(["", "否定"]),
            "描述词": rng.choices("轻重", k=2),
            "解剖部位": [],
        }
        for _ in range(rng.randrange(4))
    ]
    return answer, {(e["主体词"], e["发生状态"], "".join(sorted(set(e["描述词"])))) for e in answer}


def relations(_dataset: Dataset, rng: random.Random) -> tuple[Any, Units]:
    names = ("关系", "头实体", "尾实体")
    found = [tuple(rng.choice(WORDS[:3]) for _ in names) for _ in range(rng.randrange(5))]
    return {"关系": [dict(zip(names, row, strict=True)) for row in found]}, set(found)


def terms(_dataset: Dataset, rng: random.Random) -> tuple[Any, Units]:
    line = rng.sample(WORDS, k=rng.randrange(1, 4))
    return "##".join(line), {(word,) for word in line}


Maker = Callable[[Dataset, random.Random], tuple[Any, Units]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("name", "make"),
    [("CMeEE", entities), ("MAEEMedic", entities), ("CHIP-CDEE", events), ("CMeIE", relations), ("CHIP-CDN", terms)],
)
def test_summed_counts_give_the_micro_f1_of_scikit_learn(name: str, make: Maker, seed: int) -> None:
    dataset, rng = DATASETS[name], random.Random(seed)
    references, answers, tp, fp, fn = [], [], 0, 0, 0
    for _ in range(60):
        (reference, wanted), (answer, given) = make(dataset, rng), make(dataset, rng)
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        if rng.random() < 0.1:
            text, given = "抱歉，我无法回答。", set()
        options = [reference] if name == "CHIP-CDN" else []
        score = score_response(dataset, item(reference, options), text)
        references.append(wanted)
        answers.append(given)
        tp, fp, fn = tp + score.tp, fp + score.fp, fn + score.fn
    labels = MultiLabelBinarizer().fit([*references, *answers])
    expected = f1_score(labels.transform(references), labels.transform(answers), average="micro")
    assert 2 * tp / (2 * tp + fp + fn) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_right_answers_give_the_accuracy_of_scikit_learn(seed: int) -> None:
    rng = random.Random(seed)
    styles = ["{}", "答案：{}", "故选{}。", "**{}**", "抱歉，我无法回答。"]
    references, answers, right = [], [], 0
    for _ in range(200):
        reference, answer = (",".join(sorted(rng.sample("ABC", k=rng.randrange(1, 3)))) for _ in range(2))
        style = rng.choice(styles)
        score = score_response(DATASETS["MAKnowledge"], item(reference, ["甲", "乙", "丙"]), style.format(answer))
        references.append(reference)
        answers.append(answer if "{}" in style else "unreadable")
        right += score.outcome is Outcome.RIGHT
    assert right / 200 == pytest.approx(accuracy_score(references, answers), abs=1e-12)
