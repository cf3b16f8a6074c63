"""Every score in a signed report equals one computed here, without the project's own scoring.

A scripted server gives random answers whose meaning this test knows, because it made them up.
"""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard
from shop import Command, Shop

from mlb_offline.benchmark.items import Item
from mlb_offline.benchmark.prompts import render_prompt
from mlb_offline.demo.scripted import scripted_server

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
UNREADABLE = ["", "我不能确定。", "A patient with CT findings…", "<think>答案：A"]


@dataclass
class Expected:
    """What this test counts for one dataset."""

    n: int = 0
    right: int = 0
    unreadable: int = 0
    tp: int = 0
    fp: int = 0
    fn: int = 0
    judged: bool = False

    @property
    def accuracy(self) -> float:
        return self.right / self.n

    @property
    def f1(self) -> float:
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn)


CHOICE_STYLES: list[Callable[[list[str]], str]] = [
    ",".join,
    lambda letters: "答案：" + "、".join(letters),
    lambda letters: "，".join(letters).lower(),
    lambda letters: "".join(chr(ord(letter) + 0xFEE0) for letter in letters),
    lambda letters: "<think>先看A，再看B。</think>\n" + ",".join(letters),
    lambda letters: "逐项分析后可以排除其余选项。\n答案是" + "".join(letters) + "。",
]
JSON_STYLES: list[Callable[[str], str]] = [
    lambda text: text,
    lambda text: f"```json\n{text}\n```",
    lambda text: f"<think>推理</think>{text}",
    lambda text: f"抽取结果如下：\n{text}",
]


def choice(draw: random.Random, item: Item, expected: Expected) -> str:
    letters = list(LETTERS[: len(item.options)])
    wanted = item.answer.split(",")
    given = wanted if draw.random() < 0.5 else sorted(draw.sample(letters, draw.randint(1, len(letters))))
    expected.right += set(given) == set(wanted)
    return draw.choice(CHOICE_STYLES)(given)


def units(dataset: str, answer: Any) -> set[Any]:
    """What counts as one hit, by the benchmark's description of each set."""
    if dataset == "CHIP-CDN":
        return {clean(term) for term in answer.split("##")}
    if dataset == "CHIP-CDEE":
        return {
            (clean(e["主体词"]), clean(e["发生状态"]), *(frozenset(map(clean, e[k])) for k in ("描述词", "解剖部位")))
            for e in answer
        }
    if dataset == "CMeIE":
        return {tuple(clean(r[k]) for k in ("关系", "头实体", "尾实体")) for r in answer["关系"]}
    return {(key, clean(text)) for key, texts in answer.items() for text in texts}


def clean(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()


def thinned(draw: random.Random, dataset: str, item: Item) -> Any:
    """The reference answer with some units dropped, some doubled, some invented."""
    answer = json.loads(json.dumps(item.answer))
    if dataset == "CHIP-CDN":
        return draw.choice(item.options)
    rows: list[list[Any]]
    if dataset == "CHIP-CDEE":
        rows, invented = [answer], {"主体词": "杜撰", "发生状态": "", "描述词": [], "解剖部位": []}
    elif dataset == "CMeIE":
        rows, invented = [answer["关系"]], {"关系": "病因", "头实体": "杜撰", "尾实体": "杜撰"}
    else:
        rows, invented = list(answer.values()), " 杜撰 "
    for row in rows:
        row[:] = [unit for unit in row if draw.random() < 0.7]
        row.extend(draw.choices(row, k=draw.randint(0, 1)) if row else [])
        row.extend([invented] * draw.randint(0, 1))
    return answer


def extraction(draw: random.Random, dataset: str, item: Item, expected: Expected) -> str:
    answer = thinned(draw, dataset, item)
    wanted, given = units(dataset, item.answer), units(dataset, answer)
    expected.tp += len(wanted & given)
    expected.fp += len(given - wanted)
    expected.fn += len(wanted - given)
    return answer if isinstance(answer, str) else draw.choice(JSON_STYLES)(json.dumps(answer, ensure_ascii=False))


def script(shop: Shop, draw: random.Random) -> tuple[dict[str, str], dict[str, Expected]]:
    replies: dict[str, str] = {}
    counted: dict[str, Expected] = {}
    for name, entry in shop.source.datasets.items():
        expected = counted.setdefault(name, Expected(judged=entry.dataset.metric.judged))
        for item in entry.items:
            expected.n += 1
            if expected.judged:
                text = draw.choice(["示例", json.dumps(item.answer, ensure_ascii=False), "<think>想"])
                expected.unreadable += text == "<think>想"
            elif draw.random() < 0.2:
                text = draw.choice(UNREADABLE)
                expected.unreadable += 1
                if entry.dataset.metric == "micro-f1":
                    expected.fn += len(units(name, item.answer))
            elif entry.dataset.metric == "accuracy":
                text = choice(draw, item, expected)
            else:
                text = extraction(draw, name, item, expected)
            replies[render_prompt(entry.dataset, entry.prompt, item)] = text
    return replies, counted


def judged_mean(report: Path, dataset: str) -> tuple[float, float]:
    """The mean of items' least and most scores, from what the items file says of each criterion."""
    lines = zstandard.ZstdDecompressor().decompress(report.with_suffix(".items.zst").read_bytes()).decode().splitlines()
    rows = [row for row in map(json.loads, lines[1:]) if row["dataset"] == dataset]
    scores = [ends(dataset, row.get("judges", "")) for row in rows]
    return sum(low for low, _ in scores) / len(rows), sum(high for _, high in scores) / len(rows)


def ends(dataset: str, marks: str) -> tuple[float, float]:
    if not marks:
        return 0.0, 0.0
    if dataset in {"MACompliance", "MAEthic"}:
        parts = list(zip(marks[2:], (0.4, 0.3, 0.2, 0.1), strict=True))
        low = sum(weight for mark, weight in parts if mark == "y") if set(marks[:2]) == {"n"} else 0
        high = sum(weight for mark, weight in parts if mark != "n") if "y" not in marks[:2] else 0
        return low, high
    return marks.count("y") / len(marks), 1 - marks.count("n") / len(marks)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_score_equals_an_independent_computation(
    mlb: Command, shop: Shop, state: list[object], tmp_path: Path, seed: int
) -> None:
    replies, counted = script(shop, random.Random(seed))
    table = tmp_path / "replies.json"
    table.write_text(json.dumps({"replies": replies}), encoding="utf-8")
    with scripted_server(table, log=tmp_path / "server.log") as server:
        done = mlb("run", *shop.opening, *state, "--target", server.target, "--out", tmp_path / "run", "--json")
    assert done.code == 0, done.err
    report = tmp_path / "report.html"
    assert mlb("report", "build", tmp_path / "run", *shop.signing, "--out", report).code == 0
    verified = mlb("verify", report, "--trust", shop.trust, "--json")
    assert verified.code == 0, verified.err
    data = verified.result["data"]
    scores = {score["id"]: score for score in data["findings"]["datasets"]}
    tallies = {sample["dataset"]: sample["tally"] for sample in data["samples"]}
    assert set(scores) == set(counted)
    for name, expected in counted.items():
        figure, tally = scores[name]["figure"], tallies[name]
        assert sum(tally.values()) == expected.n
        assert tally["unreadable"] == expected.unreadable, name
        if expected.judged:
            assert tally["judged"] == expected.n - expected.unreadable
            least, most = judged_mean(report, name)
            assert figure["value"] == pytest.approx(least, abs=1e-6)
            assert (figure["most"] or figure["value"]) == pytest.approx(most, abs=1e-6)
            assert figure["low"] <= figure["value"] <= (figure["most"] or figure["value"]) <= figure["high"]
            continue
        accuracy = shop.source.datasets[name].dataset.metric == "accuracy"
        assert figure["value"] == pytest.approx(expected.accuracy if accuracy else expected.f1, abs=1e-6), name
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["n"] == expected.n
    for dimension in data["findings"]["dimensions"]:
        members = [name for name, entry in shop.source.datasets.items() if entry.dataset.dimension == dimension["id"]]
        for end in ("value", "most"):
            ends = [scores[name]["figure"][end] or scores[name]["figure"]["value"] for name in members]
            found = dimension["figure"][end] or dimension["figure"]["value"]
            assert found == pytest.approx(sum(ends) / len(members), abs=2e-6)
    assert data["findings"]["overall"]["figure"] is not None
    assert data["findings"]["verdict"] == "not evaluable"
