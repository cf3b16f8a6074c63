"""What a policy asks for, worked out: bounds, numbers needed, and what in it cannot work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from mlb_offline.benchmark.catalogue import DATASETS, Metric
from mlb_offline.language import tr
from mlb_offline.policy.model import Gate, Policy
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.stats.bounds import clopper_pearson_lower
from mlb_offline.stats.lower import dataset_lower, mean_lower
from mlb_offline.stats.sample import DatasetSample
from mlb_offline.stats.summary import members, weights


@dataclass(frozen=True)
class GateMeaning:
    """What one gate asks for.

    Attributes:
        gate: the gate.
        minimum_n: items needed, by dataset.
        best: highest lower bound that these numbers of items can give (all right); None where judged datasets
            are concerned, which this version cannot evaluate.
        right_needed: for a single accuracy dataset at its minimum n, the fewest right answers that meet the
            gate; None for others, and where none meets it.
        method: how the bound is made; empty where ``best`` is None.
        size_caps: cap of 2TP + FP + FN of one answer, by micro-F1 dataset concerned; a run raises it to twice its
            largest reference, and one answer with more errors than that misses the gate.
    """

    gate: Gate
    minimum_n: dict[str, int]
    best: float | None
    right_needed: int | None
    method: str
    size_caps: dict[str, int]

    @property
    def attainable(self) -> bool:
        """Whether a run of the minimum n could meet it at all."""
        return self.best is not None and self.best >= self.gate.min


def explain(policy: Policy) -> list[GateMeaning]:
    """The meaning of each gate, in the order of the policy."""
    return [_meaning(policy, gate) for gate in policy.gate]


def warnings(policy: Policy, *, today: date | None = None) -> list[str]:
    """What a reader of a readable policy must know, in the language in use.

    First what keeps it from ever giving a pass, then what makes a pass say less than the benchmark's own numbers
    would, then what a size cap does.

    Args:
        policy: the policy.
        today: approvals dated later are named; by default the day it is, UTC.
    """
    return [*_hindrances(policy, today or datetime.now(UTC).date()), *_small_numbers(policy), *_caps(policy)]


def _small_numbers(policy: Policy) -> list[str]:
    few: dict[str, tuple[int, int]] = {}
    for gate in policy.gate:
        for name in (gate.id,) if gate.scope == "dataset" else members(gate.id):
            needed, official = policy.minimum_of(gate, name), DATASETS[name].n
            if needed < official:
                few[name] = min(few.get(name, (needed, official)), (needed, official))
    named = ", ".join(f"{name} {needed}/{official}" for name, (needed, official) in few.items())
    if not few:
        return []
    return [
        tr(
            f"minimum_n 低于官方条目数（要求/官方）：{named}；抽取部分条目也能通过",
            f"minimum_n is below the official number (asked/official): {named}; a run of fewer items can pass",
        )
    ]


def _caps(policy: Policy) -> list[str]:
    caps = {name: cap for meaning in explain(policy) for name, cap in meaning.size_caps.items()}
    named = ", ".join(f"{name} {cap}" for name, cap in caps.items())
    if not caps:
        return []
    return [
        tr(
            f"size_cap（{named}）：一题的错误数 FP+FN 若超过该上限与数据包中最大参考答案两倍之较大者，"
            "所涉门槛即未达到；宜设为最大参考答案条数的两倍，过小则下限偏低",
            f"size_cap ({named}): one answer with more errors FP+FN than it, or than twice the bundle's largest "
            "reference where that is more, misses the gate; best is twice the largest reference, too small a cap "
            "lowers the bound",
        )
    ]


def _hindrances(policy: Policy, today: date) -> list[str]:
    found = []
    if not policy.gate:
        found.append(tr("没有阈值：结论总是“无法评定”", "no thresholds: the verdict is always not evaluable"))
    elif not policy.approvers:
        found.append(tr("没有批准人：结论总是“无法评定”", "no approver: the verdict is always not evaluable"))
    found += [
        tr(
            f"批准日期 {who.date} 尚未到：此前开始的运行不会通过",
            f"the approval dated {who.date} lies ahead: a run that starts before cannot pass",
        )
        for who in policy.approvers
        if date.fromisoformat(who.date) > today
    ]
    for meaning in explain(policy):
        gate = meaning.gate
        name = f"{gate.scope}/{gate.id}"
        if meaning.best is None:
            found.append(
                tr(
                    f"{name}：含需裁判的数据集，本版本无法评定",
                    f"{name}: has judged datasets, not evaluable by this version",
                )
            )
        elif not meaning.attainable:
            found.append(
                tr(
                    f"{name}：按最少条目数全部答对，下限也只有 {meaning.best}，达不到 {gate.min}",
                    f"{name}: at the minimum n even all right gives a bound of {meaning.best} only, below {gate.min}",
                )
            )
    return found


def _meaning(policy: Policy, gate: Gate) -> GateMeaning:
    names = (gate.id,) if gate.scope == "dataset" else members(gate.id)
    needed = {name: policy.minimum_of(gate, name) for name in names}
    caps = {name: policy.cap_of(name) for name in names if DATASETS[name].metric is Metric.MICRO_F1}
    if any(DATASETS[name].metric.judged for name in names):
        return GateMeaning(gate, needed, None, None, "", caps)
    samples = [_perfect(name, needed[name], caps.get(name, 0)) for name in names]
    if len(samples) == 1:
        bound = dataset_lower(samples[0], size_cap=policy.cap_of)
    else:
        bound = mean_lower(samples, weights(names, policy.weighting), size_cap=policy.cap_of)
    right = None
    if gate.scope == "dataset" and DATASETS[gate.id].metric is Metric.ACCURACY:
        right = _right_needed(gate.min, needed[gate.id])
    return GateMeaning(gate, needed, bound.low, right, bound.method, caps)


def _perfect(name: str, n: int, cap: int) -> DatasetSample:
    """All right; documents of the largest size that the cap allows, which gives the highest bound there is."""
    dataset = DATASETS[name]
    micro = dataset.metric is Metric.MICRO_F1
    outcome = Outcome.SCORED if micro else Outcome.RIGHT
    row = (max(1, cap // 2), 0, 0, n) if micro else (1, 1, n)
    return DatasetSample(name, dataset.metric, dataset.n, n, {outcome.value: n}, (row,))


def _right_needed(minimum: float, n: int) -> int | None:
    low, high = 0, n + 1
    while high - low > 1:  # the bound grows with the number of right answers
        middle = (low + high) // 2
        if clopper_pearson_lower(middle, n) >= minimum:
            high = middle
        else:
            low = middle
    return high if high <= n else None
