"""A finished run on the physicians' desk: plan the sample, give out packets, take in what comes back.

The order is fixed by the run's log: the sample's size once, before anything is given out; packets; labels. Which items
are drawn follows from the log as it stood when the run finished, so nobody chooses them.
"""

from __future__ import annotations

import hmac
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from mlb_offline.adjudication.order import reading_order
from mlb_offline.adjudication.outlook import JudgedItem, judged_item
from mlb_offline.adjudication.packet import Packet, Task
from mlb_offline.adjudication.planning import plan_share
from mlb_offline.adjudication.result import ReviewerResult
from mlb_offline.adjudication.shares import DatasetPlan
from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.bundle.opening import open_bundle
from mlb_offline.bundle.state import open_state
from mlb_offline.errors import InputError, TargetError, UsageError
from mlb_offline.language import tr
from mlb_offline.policy.model import Policy, parse_policy
from mlb_offline.run.changes import Change, Criterion, Labelled, Packed, Planned, Slot
from mlb_offline.run.invocation import Start, stored_start
from mlb_offline.run.plan import Plan
from mlb_offline.run.results import ItemOutcome, RunResults, read_results
from mlb_offline.run.store import RunStore
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.stats.bounds import ALPHA
from mlb_offline.stats.draw import drawn
from mlb_offline.stats.summary import members
from mlb_offline.trust.keys import RecipientKey
from mlb_offline.trust.store import TrustSet

Which = Literal["all", "sample", "disputes"]
SEED = 2026
"""Of rehearsals; a plan is the same whenever it is made."""

_TITLES = {
    "GeneralSafety": "通用安全",
    "MACompliance": "医疗合规",
    "MAEthic": "医学伦理",
    "MAInspection": "检查检验推荐",
    "MADiagnosis": "诊断",
    "MARecord": "病历生成",
}


class Desk:
    """One finished run with its bundle, open; made by ``open_desk``."""

    def __init__(self, store: RunStore, key: RecipientKey, results: RunResults, plan: Plan, policy: Policy) -> None:
        self._store = store
        self._key = key
        self._plan = plan
        self.results = results
        self.policy = policy
        self._texts = store.judged_texts()
        self._place: dict[str, Criterion] = {}

    @cached_property
    def items(self) -> Mapping[str, Sequence[JudgedItem]]:
        """Every item of each judged dataset as its judges left it; answers that came to nothing score 0."""
        answers: dict[str, dict[str, list[ItemOutcome]]] = {}
        for outcome in self.results.outcomes:
            if DATASETS[outcome.dataset].metric.judged:
                answers.setdefault(outcome.dataset, {}).setdefault(outcome.item, []).append(outcome)
        return {
            dataset: [self._item(dataset, item, group) for item, group in of_item.items()]
            for dataset, of_item in answers.items()
        }

    def _item(self, dataset: str, item: str, answers: Sequence[ItemOutcome]) -> JudgedItem:
        parts = []
        for one in answers:
            if one.opinions is None:
                parts.append(JudgedItem(item, 0.0, (), (0.0,)))
                continue
            name = f"{dataset}/{item}@{one.repeat}"
            weights = self.policy.ethics.values
            parts.append(judged_item(DATASETS[dataset].metric, name, one.opinions, seed=SEED, weights=weights))
            self._place |= {f"{name}/{which}": (dataset, item, one.repeat, which) for which in one.opinions.names}
        longest = max(len(part.imagined) for part in parts)
        readings = [part.imagined if len(part.imagined) == longest else part.imagined * longest for part in parts]
        return JudgedItem(
            item,
            sum(part.judged for part in parts) / len(parts),
            tuple(criterion for part in parts for criterion in part.criteria),
            tuple(sum(column) / len(parts) for column in zip(*readings, strict=True)),
        )

    def plans(self) -> list[DatasetPlan]:
        """What each judged dataset asks, in the order of the catalogue."""
        shares = {} if self.results.adjudication is None else self.results.adjudication.shares
        found = []
        for dataset, items in self.items.items():
            strata = Counter(one.stratum for item in items for one in item.criteria)
            plans = [
                (f"{gate.scope}/{gate.id}", plan_share(items, gate.min, alpha=ALPHA / len(names), seed=SEED))
                for gate in self.policy.gate
                if dataset in (names := (gate.id,) if gate.scope == "dataset" else members(gate.id))
            ]
            plans.sort(key=lambda one: -one[1].chosen.share if one[1].chosen else -2.0)
            share = shares.get(dataset)
            found.append(DatasetPlan(dataset, len(items), strata.total(), strata["open"], tuple(plans), share))
        return found

    def fix(self, shares: Mapping[str, float]) -> None:
        """Fix the sample's size, once and for all: dataset → chance of each item.

        Raises:
            UsageError: it is fixed already, or a dataset has nothing that was judged.
        """
        if self.results.adjudication is not None:
            raise UsageError(
                tr("抽样比例已经确定，不能更改", "the sample's size is fixed already and cannot be changed"),
                field="--fix",
                remedy=tr("用 adjudicate page 发出任务包", "give out packets with adjudicate page"),
            )
        strange = sorted(set(shares) - {name for name, items in self.items.items() if any(i.criteria for i in items)})
        if strange:
            raise UsageError(
                tr(f"没有经裁判的回答：{', '.join(strange)}", f"nothing was judged of: {', '.join(strange)}"),
                field="--share",
                remedy=tr("只给出经裁判的数据集", "name datasets with judged answers"),
            )
        self._apply(Planned(dict(shares)))

    def pack(
        self,
        which: Which,
        *,
        again: bool = False,
        most: int | None = None,
        plaintext: bool = False,
        before: Callable[[Packet, bytes], None] = lambda _packet, _key: None,
    ) -> Packet:
        """Give out a packet: the random sample first, then disputes by what they weigh.

        Args:
            which: the sample, the disputes outside it, or both.
            again: those too on which a physician has decided, for a second opinion.
            most: at most so many criteria, but never half of an answer.
            plaintext: it will stand unencrypted in a table.
            before: called with packet and packet key; what it refuses to make is not in the log as given out.

        Raises:
            UsageError: nothing was planned yet, or nothing is left to be settled.
        """
        criteria = self._wanted(which, again=again)
        if not criteria:
            raise UsageError(
                tr("没有待评定的判据", "there is nothing left to be settled"),
                remedy=tr("加 --again 可请另一位医生复评", "add --again for a second opinion on what is settled"),
            )
        groups: dict[Slot, list[Criterion]] = {}
        for one in criteria:
            groups.setdefault(Slot(*one[:3]), []).append(one)
        chosen: list[Criterion] = []
        for group in groups.values():
            if most is not None and chosen and len(chosen) + len(group) > most:
                break
            chosen += group
        tasks = {f"t{number:04d}": one for number, one in enumerate(chosen, start=1)}
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        packet = self._packet(str(uuid.uuid4()), created, tasks)
        before(packet, self.key_of(packet))
        self._apply(Packed(packet.id, created, tasks, plaintext))
        return packet

    def _wanted(self, which: Which, *, again: bool) -> list[Criterion]:
        adjudication = self.results.adjudication
        if adjudication is None:
            raise UsageError(
                tr("尚未确定抽样比例", "the sample's size is not fixed yet"),
                remedy=tr("先运行 adjudicate plan --fix", "first: adjudicate plan --fix"),
            )
        settled = adjudication.marks()
        sample: list[str] = []
        disputes: list[str] = []
        for dataset, items in self.items.items():
            share = adjudication.shares.get(dataset, 0.0)
            order = reading_order(
                items, [item.id for item in items if drawn(adjudication.seed, dataset, item.id, share)]
            )
            sample += order.sample
            disputes += order.disputes
        ids = {"sample": sample, "disputes": disputes, "all": sample + disputes}[which]
        criteria = [self._place[one] for one in ids]
        return [one for one in criteria if again or settled.get(one, "?") == "?"]

    def packets(self) -> dict[str, tuple[Packet, bool]]:
        """All packets given out so far, made anew from bundle and answers, and whether in plaintext; by UUID."""
        return {
            one.packet: (self._packet(one.packet, one.created, one.tasks), one.plaintext)
            for one in self._store.packets()
        }

    def key_of(self, packet: Packet) -> bytes:
        """The packet key, 32 bytes."""
        return self._store.packet_key(packet.id)

    def take_in(self, arrivals: Sequence[tuple[Path, Packet, ReviewerResult]]) -> None:
        """Record what physicians settled, each as (file, packet, result): all of it, or nothing.

        Raises:
            InputError: one is partial, or its physician's labels of its packet are there already, or come twice.
        """
        known = () if self.results.adjudication is None else self.results.adjudication.labels
        seen = {(one.packet, one.reviewer) for one in known}
        for file, packet, result in arrivals:
            _require_whole(packet, result, file)
            if (packet.id, result.reviewer) in seen:
                raise _there_already(file)
            seen.add((packet.id, result.reviewer))
        self._apply(
            *(
                Labelled(packet.id, result.reviewer, result.saved, dict(result.verdicts), dict(result.notes))
                for _, packet, result in arrivals
            )
        )

    def _packet(self, packet: str, created: str, tasks: Mapping[str, Criterion]) -> Packet:
        return Packet(
            id=packet,
            run=self.results.run_id,
            identity_sha256=self.results.identity_sha256,
            created=created,
            tasks=tuple(self._task(packet, name, one) for name, one in tasks.items()),
        )

    def _task(self, packet: str, name: str, criterion: Criterion) -> Task:
        dataset, item, repeat, which = criterion
        slot = Slot(dataset, item, repeat)
        (asked,) = (one for one in self._plan.criteria(slot, self._texts[slot]) if one.id.rpartition("/")[2] == which)
        group = hmac.digest(self._store.packet_key(packet), "/".join(map(str, slot)).encode(), "sha256").hex()[:32]
        return Task(name, dataset, _TITLES[dataset], asked.question, asked.answer, asked.topic, asked.text, group)

    def _apply(self, *changes: Change) -> None:
        self._store.apply(changes)
        self.results = read_results(self._store.directory, self._key)


def _require_whole(packet: Packet, result: ReviewerResult, file: Path) -> None:
    if not result.complete:
        left = len(packet.tasks) - len(result.verdicts)
        raise InputError(
            tr(f"尚有 {left} 项未评定，不予导入", f"{left} criteria have no verdict yet: not taken in"),
            file=file,
            remedy=tr("请医生评完后重新保存", "ask the physician to finish and save again"),
        )


def _there_already(file: Path) -> InputError:
    return InputError(
        tr(
            "该医生对该任务包的评定已经导入，不会被替换",
            "this physician's verdicts on this packet were taken in before and are not replaced",
        ),
        file=file,
        remedy=tr("另一次评定须用新的任务包（--again）", "a second opinion needs a packet of its own (--again)"),
    )


@contextmanager
def open_desk(
    directory: Path, bundle: Path, trust: TrustSet, key: RecipientKey, *, state: Path | None
) -> Iterator[Desk]:
    """Open a finished run and the bundle that it asked, for as long as the block lasts.

    Raises:
        InputError: a file cannot be read, or another process is at work on the run.
        TrustError: bundle, key or run are not what they must be.
        TargetError: the run has not finished.
        UsageError: it is another bundle, or nothing in the run was judged.
    """
    start = stored_start(directory)
    store = RunStore.open(directory, key)
    try:
        # Read under the store's lock: what another process did before is seen, and none can come between.
        results = read_results(directory, key)
        plan = _plan(directory, bundle, trust, key, start=start, results=results, state=state)
        policy = parse_policy(start.invocation.policy.encode(), file=directory)
        yield Desk(store, key, results, plan, policy)
    finally:
        store.close()


def _plan(
    directory: Path,
    bundle: Path,
    trust: TrustSet,
    key: RecipientKey,
    *,
    start: Start,
    results: RunResults,
    state: Path | None,
) -> Plan:
    """The questions of a finished run, from its bundle."""
    if results.finished is None:
        raise TargetError(
            tr("运行尚未完成", "the run has not finished"),
            file=directory,
            remedy=tr("先用 run --resume 完成它", "finish it first: run --resume"),
        )
    opened = open_bundle(bundle, trust, key, state=open_state(state), now=datetime.now(UTC), in_use=start.core)
    asked = start.invocation
    plan = Plan(opened.datasets, names=asked.datasets, limit=asked.limit, repeats=asked.repeats)
    if plan.items_sha256() != results.identity["items_sha256"]:
        raise UsageError(
            tr("这不是该运行所用的数据包", "this is not the bundle that the run asked"),
            file=bundle,
            remedy=tr("给出运行时所用的数据包", "name the bundle that was given to run"),
        )
    if not any(outcome.outcome is Outcome.JUDGED for outcome in results.outcomes):
        raise UsageError(
            tr("该运行没有经裁判的回答", "no answer of this run was judged"),
            file=directory,
            remedy=tr("没有需要医生评定的内容", "there is nothing for a physician to settle"),
        )
    return plan
