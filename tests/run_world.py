"""A small sealed bundle, keys and doubles for the tests of ``mlb_offline.run``."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import Item, load_item
from mlb_offline.benchmark.prompts import render_prompt
from mlb_offline.bundle.build import build_bundle
from mlb_offline.bundle.source import Source, SourceDataset
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.manifest import JudgeRecord
from mlb_offline.judge.opening import OpenedJudge, Panel, Seat, Seats
from mlb_offline.run.pace import Limits
from mlb_offline.run.prepare import Prepared, RunRequest, prepare
from mlb_offline.run.session import Summary, run_session
from mlb_offline.run.tally import Tally
from mlb_offline.target.types import Question, Response
from mlb_offline.trust.keys import KeyKind, RecipientKey, load_recipient_key, load_signing_key, new_key

QUICK = Limits(
    concurrency=4,
    attempts=3,
    first_wait=0.002,
    longest_wait=0.01,
    item_seconds=5,
    silence_seconds=0.1,
    silence_failures=4,
    throttled_seconds=0.2,
    grace_seconds=0.3,
)
"""Limits at which nothing takes long."""

CHOICE_PROMPT = "回答：${question}\n${options}"
PLAIN_PROMPT = "抽取：${question}"
COMMON = {"specialty": "内科", "source": "test", "licence": "test", "reviewed_by": "none (not physician-reviewed)"}


def choice_item(number: int) -> dict[str, Any]:
    return {**COMMON, "id": f"c{number}", "question": f"第{number}题", "options": ["甲", "乙", "丙"], "answer": "B"}


def entity_item(number: int) -> dict[str, Any]:
    return {**COMMON, "id": f"e{number}", "question": f"病历{number}：发热", "answer": {"症状": ["发热", "咳嗽"]}}


def symptom_item(number: int) -> dict[str, Any]:
    return {**entity_item(number), "id": f"s{number}"}


def text_item(number: int) -> dict[str, Any]:
    return {**COMMON, "id": f"t{number}", "question": f"安全{number}"}


def source(choices: int, extractions: int = 3, texts: int = 2, version: int = 1) -> Source:
    def dataset(name: str, raw: list[dict[str, Any]], prompt: str) -> SourceDataset:
        items = tuple(load_item(DATASETS[name], value, file="test") for value in raw)
        return SourceDataset(DATASETS[name], prompt, None, items, "test", "test")

    datasets = {
        "CMExam": dataset("CMExam", [choice_item(n) for n in range(choices)], CHOICE_PROMPT),
        "GeneralSafety": dataset("GeneralSafety", [text_item(n) for n in range(texts)], PLAIN_PROMPT),
        "MAEESymp": dataset("MAEESymp", [symptom_item(n) for n in range(extractions)], PLAIN_PROMPT),
    }
    return Source(
        "run tests", UUID(int=7), version, "test publisher", None, None, demonstration=False, datasets=datasets
    )


@dataclass(frozen=True)
class World:
    """Files of one bundle and its keys."""

    folder: Path
    bundle: Path
    source: Source

    @property
    def trust(self) -> Path:
        return self.folder / "publisher.pub.pem"

    @property
    def key_file(self) -> Path:
        return self.folder / "hospital.key.json"

    @property
    def key(self) -> RecipientKey:
        return load_recipient_key(self.key_file, None)

    @property
    def slots(self) -> int:
        return sum(len(dataset.items) for dataset in self.source.datasets.values())

    def item(self, dataset: str, number: int) -> Item:
        return self.source.datasets[dataset].items[number]

    def prompt(self, dataset: str, number: int) -> str:
        part = self.source.datasets[dataset]
        return render_prompt(part.dataset, part.prompt, part.items[number])

    def request(self, tmp_path: Path, **options: Any) -> RunRequest:
        files = {"bundle": self.bundle, "trust": (self.trust,), "key": self.key_file}
        plain = {"target": "unix:/nowhere", "out": tmp_path / "run", "state": tmp_path / "state"}
        return RunRequest(**{**files, **plain, **options})


def make_world(folder: Path, choices: int = 12, **counts: int) -> World:
    return seal_source(source(choices, **counts), folder)


def seal_source(made: Source, folder: Path) -> World:
    """A bundle of the source in a folder with new keys."""
    new_key(KeyKind.PUBLISHER, folder, None)
    new_key(KeyKind.HOSPITAL, folder, None)
    signing = load_signing_key(folder / "publisher.key.json", None)
    recipient = load_recipient_key(folder / "hospital.key.json", None).public
    build_bundle(made, signing, [recipient], folder / "test.mlbb", now=datetime.now(UTC))
    return World(folder, folder / "test.mlbb", made)


Behaviour = Callable[[Question, int], Response | Exception]


def say(text: str, **fields: Any) -> Response:
    plain = Response(text, "stop", "m-1", 7, 3, 0.01, None)
    return replace(plain, **fields)


def right_answer(question: Question, _before: int) -> Response:
    return say({"CMExam": "B", "MAEESymp": '{"症状": ["发热"]}'}.get(question.dataset, "不能这样做"))


class FakeTarget:
    """A target in this process whose every answer is ``behave(question, how often asked before)``."""

    indicative = False

    def __init__(
        self,
        behave: Behaviour = right_answer,
        *,
        delay: float = 0.0,
        parallel: bool = True,
        description: Mapping[str, Any] | None = None,
        probe_error: Callable[[], Exception | None] = lambda: None,
        says: Mapping[str, Any] | None = None,
    ) -> None:
        self.behave = behave
        self.delay = delay
        self.parallel = parallel
        self.description = description or {"kind": "fake", "model": "m-1", "parameters": {"seed": 3}}
        self.probe_error = probe_error
        self.says = {"models": ["m-1"]} if says is None else says
        self.asked: Counter[tuple[str, str, int]] = Counter()
        self.open = self.busiest = self.probes = 0
        self.closed = False

    async def probe(self) -> Mapping[str, Any]:
        self.probes += 1
        error = self.probe_error()
        if error is not None:
            raise error
        return self.says

    async def ask(self, question: Question) -> Response:
        slot = (question.dataset, question.item, question.repeat)
        before = self.asked[slot]
        self.asked[slot] += 1
        self.open += 1
        self.busiest = max(self.busiest, self.open)
        try:
            await asyncio.sleep(self.delay)
            result = self.behave(question, before)
        finally:
            self.open -= 1
        if isinstance(result, Exception):
            raise result
        return result

    async def close(self) -> None:
        self.closed = True


class Silent:
    """A display that shows nothing but remembers the last tally."""

    interval = 0.05

    def __init__(self) -> None:
        self.tally: Tally | None = None

    def show(self, tally: Tally) -> None:
        self.tally = tally

    def close(self) -> None:
        pass


Saying = Callable[[Criterion], float | Exception | None]


class ScriptedJudge:
    """A judge in this process whose every probability is known; counts what it is asked."""

    def __init__(self, say: Saying, delay: float = 0.0) -> None:
        self.say, self.delay = say, delay
        self.asked: Counter[str] = Counter()
        self.aborted = self.closed = False

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float | None]:
        self.asked.update(one.id for one in criteria)
        until = time.monotonic() + self.delay
        while time.monotonic() < until:
            if self.aborted:
                raise RuntimeError("aborted")
            time.sleep(0.001)
        found: list[float | None] = []
        for value in map(self.say, criteria):
            if isinstance(value, Exception):
                raise value
            found.append(value)
        return found

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class ScriptedSeats(Seats):
    """A panel of doubles."""

    seats: tuple[Seat, ...] = (Seat(Path("a.gguf"), JudgeRecord("a.gguf", "a" * 64, 1, None), {}),)
    judges: tuple[ScriptedJudge, ...] = ()

    def to_json(self) -> list[dict[str, Any]]:
        return [dict(JUDGE, name=f"judge {number}", sha256=str(number) * 64) for number, _ in enumerate(self.judges)]

    def open(self) -> Panel:
        record = self.seats[0].record
        return Panel([OpenedJudge(record, judge, judge.close, judge.abort) for judge in self.judges])


JUDGE = {
    "asked": {"small/2": "1" * 64},
    "calibration": {},
    "file": "a.gguf",
    "installed": False,
    "listed": False,
    "size": 1,
}


def judges(*say: Saying, delay: float = 0.0) -> ScriptedSeats:
    """A panel that says what it is told; by default both that all is well."""
    return ScriptedSeats(judges=tuple(ScriptedJudge(one, delay) for one in say or (lambda _: 0.9, lambda _: 0.8)))


def prepared(request: RunRequest, target: FakeTarget, seats: Seats | None = None) -> Prepared:
    return replace(prepare(request), target=target, seats=seats or judges())


def run(request: RunRequest, target: FakeTarget, limits: Limits = QUICK, seats: Seats | None = None) -> Summary:
    """One session against doubles."""
    return asyncio.run(run_session(prepared(request, target, seats), Silent(), limits))
