"""A model card in Markdown (Mitchell et al. 2019, arXiv 1810.03993), every figure beside the command that gave it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlb_offline.judge.manifest import Judge
from mlb_offline.judge.training.measure import rate, table, tables

Document = Mapping[str, Any]
COMMAND = "`python -m mlb_offline.judge.training.release …` (docs/judge.md)"
SPEED = "`python -m bench.judge_speed`"
INDICATIVE = 0.4
"""Least kappa on the natural part for a judge to be called indicative."""

_SETS = {
    "natural": "tests/data/judge/natural.jsonl: hand-written, natural proportion of easy and hard",
    "hard": "tests/data/judge/hard.jsonl: hand-written, hard ones only",
    "gaps": "GAPS (NSCLC): expert claims against answers of three models, labelled by reading",
    "kqa": "K-QA: English, three physicians each; out of domain",
}


def card(judge: Judge, document: Document) -> str:
    """The card of one judge.

    Args:
        judge: its entry in the list.
        document: ``measured.json``.
    """
    kappa = judge.figures["natural"].kappa
    standing = "indicative" if kappa is not None and kappa >= INDICATIVE else "not even indicative"
    lines = [
        f"# {judge.name}",
        "",
        f"Judge {judge.role} of the embedded panel: {judge.architecture}, {judge.parameters:,} parameters,"
        f" {judge.quantisation}, {judge.size:,} bytes, SHA-256 `{judge.sha256}`. Licence: Apache-2.0.",
        "",
        f"Trained from scratch on {judge.trained_on}, seed {judge.seed}, with mlb-offline {judge.tool_version}:"
        f" `mlb-offline judge train --config {judge.config['name']} --corpora DIR --out DIR`.",
        "",
        f"**Standing: {standing}.** κ on the natural part is {_number(kappa)}; below {INDICATIVE} a judge would not"
        " even be called indicative. It is no replacement for a physician.",
        "",
        *_limits(judge),
        "## Agreement with the labels",
        "",
        f"Measured once by {COMMAND}; 95 % intervals by a bootstrap over answers; 是 is the positive verdict. All",
        "sets, families, kinds, coverage, calibration and the pair of judges: [MEASURED.md](MEASURED.md).",
        "",
        *summary(document),
        f"![reliability on the natural part]({judge.name}.svg)",
        "",
        *_exported(judge, document),
        *_data(judge),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _limits(judge: Judge) -> list[str]:
    return ["## Limits", "", *(f"- {limit}" for limit in judge.limits), ""]


def measured(document: Document) -> str:
    """MEASURED.md: every table, and K-QA's physicians among themselves."""
    sets = [f"- {name}: {_SETS.get(name, name)}; {found['n']} criteria" for name, found in document["sets"].items()]
    pair = "The pair's confusion counts on natural, `panels.json`: by `mlb-offline judge calibrate --keep` (README.md)."
    head = ["# What was measured", "", f"By {COMMAND}, once, on sets that no training saw.", "", *sets, "", pair, ""]
    return "\n".join([*head, tables(dict(document)), *_physicians(document)]).rstrip() + "\n"


def _physicians(document: Document) -> Iterator[str]:
    yield from ("K-QA's physicians among themselves (Cohen's κ, entailed against the rest):", "")
    yield from table(
        ["physicians", "κ"],
        [[" and ".join(one["physicians"]), _number(one["kappa"])] for one in document["physicians"]],
    )
    yield ""


def _exported(judge: Judge, document: Document) -> Iterator[str]:
    one = document["fidelity"][judge.role.lower()]
    yield from (
        "## What was exported is what was trained",
        "",
        f"By {COMMAND}, {one['n']} inputs; differences of the probability from torch's.",
        "",
    )
    rows = [
        [form, f"{one[key]['largest']:.6f}", f"{one[key]['median']:.6f}", str(one[key]["verdicts_turned"])]
        for form, key in (("before quantisation", "before_quantisation"), ("as shipped", "after_quantisation"))
    ]
    yield from table(["", "largest", "median", "verdicts turned"], rows)
    yield from (
        "",
        f"A second pass over the same inputs gives the same probabilities: {'yes' if one['same_again'] else 'NO'}.",
        "",
    )
    told = document["training"][judge.role.lower()]["development"]
    rates = ", ".join(f"{form} {_number(rate)}" for form, rate in told["accuracy"].items())
    yield f"Accuracy on the development side (n = {told['n']}): {rates}."
    yield ""
    if document["speed"]:
        speed = document["speed"][judge.role.lower()]
        yield (
            f"Speed by {SPEED}: {speed['criteria_per_second']:.0f} criteria/s on {document['speed']['threads']} threads"
            f" (n = {speed['n']}, {document['speed']['machine']}); peak memory {speed['peak_mib']:.0f} MiB."
        )
        yield ""


def _data(judge: Judge) -> Iterator[str]:
    yield from ("## Data", "")
    yield from table(["data", "licence", "use"], [[one.name, one.licence, one.use] for one in judge.data])


def summary(document: Document, sets: Sequence[str] = ("natural", "hard")) -> Iterator[str]:
    """A short table of all judges: accuracy, F1, kappa and AUC on the sets."""
    rows = []
    for judge in document["judges"]:
        figures = [document["sets"][name]["judges"][judge]["overall"] for name in sets]
        rows.append([judge, *(cell for one in figures for cell in _short(one))])
    head = ["", *(f"{name}: {key}" for name in sets for key in ("accuracy", "F1", "κ", "AUC"))]
    return table(head, rows)


def _short(one: Mapping[str, Any]) -> list[str]:
    return [*(rate(one[key]) for key in ("accuracy", "f1", "kappa")), _number(one["auc"])]
