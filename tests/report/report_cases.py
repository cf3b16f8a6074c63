"""Runs made up for the report's tests, and the golden pages.

``PYTHONPATH=tests python tests/report/report_cases.py`` writes them anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import rfc8785
from egress_cases import IMAGE, egress_of

from mlb_offline.benchmark.catalogue import DATASETS, Metric
from mlb_offline.judge.panel import Opinions
from mlb_offline.judge.panels import PanelCalibration, Seated
from mlb_offline.policy.model import Policy, load_policy, parse_policy
from mlb_offline.report.build import sign
from mlb_offline.report.data import ReportData, parse
from mlb_offline.report.gather import gather
from mlb_offline.report.items import pack
from mlb_offline.run.changes import Criterion
from mlb_offline.run.labels import Adjudication, Labels
from mlb_offline.run.results import ItemOutcome, RunResults, Session
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.stats.draw import drawn
from mlb_offline.trust.fingerprint import fingerprint
from mlb_offline.trust.signing import SigningKey

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
KEY = SigningKey.from_seed(bytes(range(32)), "report")
FOREIGN = SigningKey.from_seed(bytes(range(1, 33)), "report")
GATED = """\
name = "院内试行策略"
version = "2026-1"
minimum_n = 5

[[gate]]
scope = "dataset"
id = "CMExam"
min = 0.3

[[gate]]
scope = "dataset"
id = "CMeEE"
min = 0.9
on_fail = "conditional"

[[critical]]
dataset = "MASafety"
items = ["MASafety-1", "MASafety-2"]

[[approvers]]
name = "示例"
role = "医务处"
date = 2026-01-05
"""
SMALL = {"CMExam": 12, "CMeEE": 8}
JUDGED = {"CMExam": 12, "GeneralSafety": 30, "MAEthic": 20, "MADiagnosis": 60}
SHARES = {"GeneralSafety": 1.0, "MADiagnosis": 0.6}
JUDGED_POLICY = (
    GATED.partition("[[gate]]")[0]
    + """\
[[gate]]
scope = "dataset"
id = "GeneralSafety"
min = 0.2

[[gate]]
scope = "dataset"
id = "MADiagnosis"
min = 0.3

[[approvers]]
name = "示例"
role = "医务处"
date = 2026-01-05
"""
)
SEED = "5e" * 32
REVIEWERS = ("1a" * 32, "2b" * 32, "3c" * 32)


def policy_of(text: str | None) -> Policy:
    return load_policy(None) if text is None else parse_policy(text.encode(), file="policy.toml")


def outcome_of(dataset: str, number: int, repeat: int = 0) -> ItemOutcome:
    """A fixed pattern with every outcome in it."""
    item = f"{dataset}-{number}"
    kind, tp, fp, fn = Outcome.RIGHT, 0, 0, 0
    turn = number % 12
    metric = DATASETS[dataset].metric
    if turn in {9, 10, 11}:
        kind = {9: Outcome.UNREADABLE, 10: Outcome.FAILED, 11: Outcome.WRONG}[turn]
    if metric is Metric.MICRO_F1:
        kind = Outcome.SCORED if kind in {Outcome.RIGHT, Outcome.WRONG} else kind
        tp, fp, fn = (turn % 4 + 2, turn % 3, turn % 2) if kind is Outcome.SCORED else (0, 0, 4)
    digest = hashlib.sha256(item.encode()).hexdigest()[:16]
    opinions = None
    if metric.judged and kind in {Outcome.RIGHT, Outcome.WRONG}:
        kind, opinions = Outcome.JUDGED, opinions_of(metric, number + repeat)
    return ItemOutcome(dataset, item, digest, repeat, kind, tp, fp, fn, "", opinions)


def opinions_of(metric: Metric, turn: int) -> Opinions:
    """A fixed pattern of agreement, dispute and abstention; risks seldom."""
    names = {Metric.JUDGE_SAFETY: ("safe",), Metric.JUDGE_ETHICS: ("r1", "r2", "q1", "q2", "q3", "q4")}
    chosen = names.get(metric, ("001", "002", "003", "004"))
    said: list[tuple[float, float | None]] = []
    for place, name in enumerate(chosen):
        pattern = (turn * 5 + place * 7) % 23
        yes = pattern > 20 if name.startswith("r") else pattern > 6
        a = 0.9 if yes else 0.1
        said.append((a, None if pattern == 3 else 1 - a if pattern in {5, 11} else a))
    return Opinions(chosen, tuple(zip(*said, strict=True)))


REASONS = (("verdict",), ("instruction", "verdict"), ("length", "repetition"), ("judge-failed",))


def set_aside(results: RunResults, places: Mapping[str, Sequence[int]]) -> RunResults:
    """A run of which the judged answers at these places of a dataset were set aside, for ``REASONS`` in turn."""
    found = {name: [one for one in results.outcomes if one.dataset == name and one.opinions] for name in places}
    chosen = {(name, found[name][place].item, found[name][place].repeat) for name in places for place in places[name]}
    reasons = cycle(REASONS)
    outcomes = [
        replace(one, opinions=Opinions.set_aside(one.opinions.names, 2, next(reasons)))
        if one.opinions is not None and (one.dataset, one.item, one.repeat) in chosen
        else one
        for one in results.outcomes
    ]
    return replace(results, outcomes=tuple(outcomes))


ASIDE = {"GeneralSafety": (2, 7), "MADiagnosis": (0, 5, 11, 20, 33, 34)}
"""Of the run whose sample physicians have settled."""

JUDGES = [
    {
        "asked": {"small/2": "11" * 32},
        "calibration": {"points": {"scale": 0.7, "shift": 0.4}},
        "file": "mlb-judge-a.gguf",
        "installed": False,
        "listed": True,
        "name": "mlb-judge-a",
        "sha256": "a1" * 32,
        "size": 4122464,
    },
    {
        "asked": {"large/1": "22" * 32},
        "calibration": {},
        "file": "own-14b-q4.gguf",
        "installed": False,
        "listed": False,
        "name": "own-14b-q4.gguf",
        "sha256": "b2" * 32,
        "size": 9001752960,
    },
]
"""One that is listed, and one that the operator accepted."""


def identity_of(counts: Mapping[str, int], policy: Policy, repeats: int = 1, **changes: Any) -> dict[str, Any]:
    declaration = {
        "hospital": "示例医院",
        "vendor": "示例供应商",
        "model": "示例医疗大模型",
        "model_version": "2.1",
        "intended_use": "门诊分诊辅助，不用于自动诊断",
    }
    identity: dict[str, Any] = {
        "answers_file": False,
        "bundle": {
            "core_sha256": "c0" * 32,
            "demonstration": False,
            "expires": "2099-01-01T00:00:00Z",
            "file_sha256": "f1" * 32,
            "issued": "2026-01-01T00:00:00Z",
            "publisher": {"fingerprint": fingerprint(b"\xab" * 32), "keyid": "ab" * 32},
            "series": "0b8f5a0e-7f0c-4a7c-9d35-30e6f3e1a001",
            "title": "MLB 抽样数据包",
            "uuid": "0b8f5a0e-7f0c-4a7c-9d35-30e6f3e1a002",
            "version": 3,
        },
        "declaration": declaration,
        "declaration_sha256": "",
        "demonstration": {"bundle": False, "keys": False},
        "format": "mlb-offline/run/v1",
        "guard_mode": "unix-only",
        "image": IMAGE,
        "items_sha256": "d3" * 32,
        "judges": JUDGES if any(DATASETS[name].metric.judged for name in counts) else [],
        "policy_sha256": policy.digest,
        "prompts_sha256": "e4" * 32,
        "repeats": repeats,
        "seeds": list(range(repeats)),
        "selection": {
            "datasets": {name: {"asked": n, "bundled": n} for name, n in counts.items()},
            "limit": None,
            "named": None,
        },
        "target": {
            "kind": "openai",
            "endpoint": "unix:/run/model.sock",
            "model": "demo-med-7b",
            "parameters": {"max_tokens": 2048, "seed": 0, "temperature": 0.0, "top_p": 1.0},
        },
        "tool_version": "0.1.0",
    }
    identity |= changes
    identity["bundle"] = identity["bundle"] | {"demonstration": identity["demonstration"]["bundle"]}
    identity["declaration_sha256"] = hashlib.sha256(rfc8785.dumps(identity["declaration"])).hexdigest()
    return identity


def results_of(
    counts: Mapping[str, int] | None = None,
    *,
    policy: str | None = None,
    outcomes: Sequence[ItemOutcome] | None = None,
    repeats: int = 1,
    **changes: Any,
) -> RunResults:
    """A run over ``counts`` items; ``changes`` replace keys of its identity."""
    counts = SMALL if counts is None else counts
    if outcomes is None:
        outcomes = [outcome_of(name, n, r) for r in range(repeats) for name in counts for n in range(counts[name])]
    identity = identity_of(counts, policy_of(policy), repeats, **changes)
    indicative = {
        "demonstration-keys": identity["demonstration"]["keys"],
        "answers-file": identity["answers_file"],
        "limited": identity["selection"]["limit"] is not None,
    }
    seen = egress_of(identity["guard_mode"])
    received = sum(outcome.outcome not in {Outcome.FAILED, Outcome.MISSING} for outcome in outcomes)
    return RunResults(
        run_id="0b8f5a0e-7f0c-4a7c-9d35-30e6f3e1a003",
        identity=identity,
        identity_sha256=hashlib.sha256(rfc8785.dumps(identity)).hexdigest(),
        started="2026-03-01T08:00:00.000Z",
        finished="2026-03-03T09:30:00.250Z",
        complete=True,
        outcomes=tuple(outcomes),
        event_head="a5" * 32,
        events=4321,
        sessions=(
            Session("2026-03-01T08:00:00.000Z", None, "killed", {"egress": seen}),
            Session("2026-03-02T08:00:00.000Z", "2026-03-03T09:30:00.250Z", "finished", {"egress": seen}, seen),
        ),
        retries=7,
        finish_reasons={},
        models={"demo-med-7b": received},
        attempt=2,
        attempts_on_bundle=3,
        state_since="2026-02-01T00:00:00Z",
        state_created=False,
        indicative=tuple(code for code, holds in indicative.items() if holds),
        notes=(
            {"code": "answers-cut-off", "cut": 3, "answers": received},
            {"code": "sessions-killed", "sessions": 1},
        ),
    )


Said = Callable[[str, str, str], str]
"""What the first physician says: dataset, name of the criterion, the judges' mark → 是, 否 or ?."""


def as_the_judges(_dataset: str, name: str, mark: str) -> str:
    """Mostly what the judges say; where they differ, by the name."""
    return {"y": "是", "n": "否"}.get(mark, "否" if name.startswith("r") else "是")


def adjudicated(
    results: RunResults, shares: Mapping[str, float] = SHARES, say: Said = as_the_judges, *, second: int = 12
) -> RunResults:
    """A run of which a physician has settled the sample; a second one has seen the first ``second`` criteria, and says
    the contrary of every fourth, and a third has decided on those as the first."""
    first: dict[Criterion, str] = {}
    for one in results.outcomes:
        if one.opinions is not None and drawn(SEED, one.dataset, one.item, shares.get(one.dataset, 0.0)):
            for name, mark in zip(one.opinions.names, one.judges, strict=True):
                first[one.dataset, one.item, one.repeat, name] = say(one.dataset, name, mark)
    seen = list(first)[:second]
    contrary = seen[::4]
    other = {"是": "否", "否": "是", "?": "?"}
    said = [
        first,
        {one: other[first[one]] if one in contrary else first[one] for one in seen},
        {one: first[one] for one in contrary},
    ]
    labels = [
        Labels(f"packet {who}", who, "2026-03-03T12:00:00Z", verdicts)
        for who, verdicts in zip(REVIEWERS, said, strict=True)
        if verdicts
    ]
    found = Adjudication(SEED, dict(shares), tuple(labels), packets=3, exports=1)
    marks = found.marks()
    outcomes = [
        one
        if one.opinions is None
        else replace(
            one,
            physicians="".join(
                marks.get((one.dataset, one.item, one.repeat, name), "-") for name in one.opinions.names
            ),
        )
        for one in results.outcomes
    ]
    return replace(results, outcomes=tuple(outcomes), adjudication=found)


CALIBRATION = PanelCalibration(
    judges=[Seated(**{name: judge[name] for name in Seated.model_fields}) for judge in reversed(JUDGES)],
    set_name="院内标注.jsonl",
    set_sha256="c5" * 32,
    labelled_by="两名主治医师（示例）",
    n=440,
    tool_version="0.1.0",
    questions={
        "points": [[0, 0, 2, 0, 10], [1, 1, 2, 0, 20], [2, 0, 1, 1, 20], [3, 1, 0, 0, 40]],
        "quality": [[0, 0, 4, 0, 5], [2, 1, 1, 0, 10], [4, 0, 0, 0, 5]],
        "risk": [[0, 0, 2, 0, 5], [0, 1, 1, 0, 5]],
    },
)
"""Of both; the judges never find a risk, and the set holds no criterion of safety."""


def data_of(
    results: RunResults,
    policy: str | None = None,
    key: SigningKey = KEY,
    calibration: PanelCalibration | None = None,
) -> ReportData:
    """The data of a report, with the measured program fixed so that it is the same on every machine."""
    items = pack(results)[0]
    data = gather(results, policy_of(policy), key, items=items, now=NOW, calibration=calibration)
    tool = data.tool.model_copy(update={"version": "0.1.0", "files": 100, "files_sha256": "b6" * 32})
    return data.model_copy(update={"tool": tool})


def full_counts() -> dict[str, int]:
    return {name: dataset.n for name, dataset in DATASETS.items()}


@cache
def golden_cases() -> dict[str, tuple[ReportData, SigningKey]]:
    """The golden pages: a full run under a policy with gates, one that physicians have settled, and an indicative
    one under the shipped policy."""
    demonstration = replace(KEY, demonstration=True)
    whole = data_of(results_of(full_counts(), policy=GATED), GATED, calibration=CALIBRATION)
    selection = {"datasets": {"CMExam": {"asked": 12, "bundled": 100}}, "limit": 12, "named": ["CMExam"]}
    counts = {"CMExam": 12}
    keys = {"bundle": True, "keys": True}
    partial = results_of(counts, selection=selection, demonstration=keys, declaration={}, guard_mode="none")
    killed = replace(partial.sessions[0], ending="open")
    partial = replace(
        partial, finished=None, attempt=1, attempts_on_bundle=1, state_created=True, notes=(), sessions=(killed,)
    )
    spoken = set_aside(results_of(JUDGED, policy=JUDGED_POLICY), ASIDE)
    settled = data_of(adjudicated(spoken), JUDGED_POLICY)
    return {
        "gated": (whole, KEY),
        "adjudicated": (settled, KEY),
        "indicative": (data_of(partial, None, demonstration), demonstration),
    }


def reread(data: ReportData) -> ReportData:
    return parse(data.to_bytes(), file="test")


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, (data, key) in golden_cases().items():
        (GOLDEN / f"{name}.html").write_bytes(sign(data, key).report)
