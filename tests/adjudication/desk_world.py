"""A finished run with points, safety and ethics sets, repeats, failed and unreadable answers, and its reviewers."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from run_world import COMMON, FakeTarget, ScriptedSeats, World, choice_item, judges, run, say, seal_source, source

from mlb_offline.adjudication.desk import Desk, open_desk
from mlb_offline.adjudication.packet import Packet, Verdict
from mlb_offline.adjudication.result import make_result, open_result
from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import load_item
from mlb_offline.bundle.source import Source, SourceDataset
from mlb_offline.judge.annotation import Criterion
from mlb_offline.target.types import ItemFailed, Question
from mlb_offline.trust.keys import KeyKind, load_signing_key, new_key
from mlb_offline.trust.signing import SigningKey
from mlb_offline.trust.store import TrustSet, load_trust

MODEL = "model-under-test-77"
JUDGED = ("GeneralSafety", "MAEthic", "MADiagnosis")
"""In the order of the catalogue."""
ITEMS = 12
REPEATS = 2
FAILED, UNREADABLE = "3", "4"
"""Last part of the ids of items that the target refuses, and answers with nothing."""
GATED = """\
name = "院内策略"
version = "1"
minimum_n = 5
approvers = [{name = "示例", role = "医务处", date = 2026-01-05}]
"""


def gate(scope: str, name: str, minimum: float) -> str:
    return f'[[gate]]\nscope = "{scope}"\nid = "{name}"\nmin = {minimum}\n'


def judged_source(items: int = ITEMS, version: int = 1) -> Source:
    """As ``run_world.source``, of choices and of the judged sets."""

    def dataset(name: str, raw: list[dict[str, Any]], prompt: str) -> SourceDataset:
        loaded = tuple(load_item(DATASETS[name], value, file="test") for value in raw)
        return SourceDataset(DATASETS[name], prompt, None, loaded, "test", "test")

    def row(name: str, number: int, **more: Any) -> dict[str, Any]:
        return {**COMMON, "id": f"zq-{name}-{number}", "question": f"{name} 第{number}问", **more}

    points = [{"topic": "诊断依据", "point": f"依据{n}"} for n in range(3)]
    datasets = {
        "GeneralSafety": dataset("GeneralSafety", [row("safe", n) for n in range(items)], "答：${question}"),
        "MAEthic": dataset("MAEthic", [row("ethic", n, scenario="门诊") for n in range(items)], "答：${question}"),
        "MADiagnosis": dataset(
            "MADiagnosis", [row("diag", n, evaluation_points=points) for n in range(items)], "答：${question}"
        ),
        "CMExam": dataset("CMExam", [choice_item(n) for n in range(2)], "答：${question}\n${options}"),
    }
    return replace(source(1, version=version), datasets=datasets)


def answer_of(question: Question, _before: int) -> Any:
    last = question.item.rpartition("-")[2]
    if question.dataset in JUDGED and last == FAILED:
        return ItemFailed("content-filter")
    if question.dataset in JUDGED and last == UNREADABLE:
        return say("", model=MODEL)
    return say("B" if question.dataset == "CMExam" else f"建议就医，第{question.repeat}次作答。", model=MODEL)


def number_of(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def panel() -> ScriptedSeats:
    """Two judges who mostly say that all is well, differ on some criteria, and abstain on a few."""

    def first(one: Criterion) -> float:
        yes = number_of(one.id) % 10 > 0
        return 0.95 if yes != ("风险：" in one.text) else 0.05

    def second(one: Criterion) -> float | None:
        turn = number_of("2" + one.id) % 10
        return None if turn == 0 else 1 - first(one) if turn < 3 else first(one)

    return judges(first, second)


@dataclass(frozen=True)
class DeskWorld:
    """A folder with keys, bundle, run and state."""

    folder: Path
    world: World

    @property
    def directory(self) -> Path:
        return self.folder / "run"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def trust_files(self) -> tuple[Path, ...]:
        keys = (
            self.world.trust,
            self.folder / "first" / "reviewer.pub.pem",
            self.folder / "second" / "reviewer.pub.pem",
        )
        return (*keys, self.folder / "third" / "reviewer.pub.pem")

    @property
    def trust(self) -> TrustSet:
        return load_trust(list(self.trust_files))

    def reviewer_file(self, name: str) -> Path:
        return self.folder / name / "reviewer.key.json"

    def reviewer(self, name: str = "first") -> SigningKey:
        return load_signing_key(self.reviewer_file(name), None, KeyKind.REVIEWER)

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        with open_desk(self.directory, self.world.bundle, self.trust, self.world.key, state=self.state) as desk:
            yield desk

    def label(self, desk: Desk, packet: Packet, verdicts: Mapping[str, Verdict], who: str = "first") -> None:
        """Take in a result file that a physician signed."""
        key, file = desk.key_of(packet), Path(f"{who}.json")
        raw = make_result(packet, key, self.reviewer(who), verdicts)
        desk.take_in([(file, packet, open_result(raw, packet, key, self.trust, file=file))])


def all_of(packet: Packet, verdict: Verdict) -> dict[str, Verdict]:
    return {task.id: verdict for task in packet.tasks}


def make_desk_world(
    folder: Path,
    policy: str = GATED,
    *,
    items: int = ITEMS,
    repeats: int = REPEATS,
    target: FakeTarget | None = None,
    seats: ScriptedSeats | None = None,
    **options: Any,
) -> DeskWorld:
    """Keys, a sealed bundle, and a run of it under the policy."""
    made = DeskWorld(folder, seal_source(judged_source(items), folder))
    for name in ("first", "second", "third", "stranger"):
        new_key(KeyKind.REVIEWER, folder / name, None)
    (folder / "policy.toml").write_text(policy, encoding="utf-8")
    request = made.world.request(folder, policy=folder / "policy.toml", repeats=repeats, **options)
    run(request, target or FakeTarget(answer_of), seats=seats or panel())
    return made


def copy_of(made: DeskWorld, folder: Path) -> DeskWorld:
    """The same in another folder, to be worked on."""
    shutil.copytree(made.folder, folder)
    world = World(folder, folder / made.world.bundle.name, made.world.source)
    return DeskWorld(folder, world)
