"""``mlb-offline policy show|check|explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_offline.cli.kit import JsonFlag, emit
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.policy.explain import GateMeaning
    from mlb_offline.policy.model import Policy

app = typer.Typer(no_args_is_help=True)

PolicyFile = Annotated[Path, typer.Argument(metavar="F.toml", readable=False, help=tr("策略文件", "policy file"))]


@app.command("show", help=tr("显示策略（默认为随附策略）", "show a policy (by default the shipped one)"))
def show(
    file: Annotated[
        Path | None, typer.Argument(metavar="[F.toml]", readable=False, help=tr("策略文件", "policy file"))
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print what a policy says."""
    from mlb_offline.policy.model import load_policy

    policy = load_policy(file)
    emit(policy.to_json(), as_json=as_json, lines=_described(policy))


@app.command("check", help=tr("检查策略文件", "check a policy file"))
def check(file: PolicyFile, as_json: JsonFlag = False) -> None:
    """Read a policy; exit 3 if it cannot be read, else list what keeps it from ever giving a pass."""
    from mlb_offline.policy.explain import warnings
    from mlb_offline.policy.model import load_policy

    policy = load_policy(file)
    found = warnings(policy)
    lines = [tr(f"策略可读：{policy.name} {policy.version}", f"readable: {policy.name} {policy.version}")]
    lines += [tr(f"注意：{warning}", f"note: {warning}") for warning in found]
    emit({"readable": True, "sha256": policy.digest, "warnings": found}, as_json=as_json, lines=lines)


@app.command("explain", help=tr("说明每个阈值的含义", "say what each threshold asks for"))
def explain_command(file: PolicyFile, as_json: JsonFlag = False) -> None:
    """Work out each gate: items and right answers needed, method, highest bound that can be reached."""
    from mlb_offline.policy.explain import explain, warnings
    from mlb_offline.policy.model import load_policy

    policy = load_policy(file)
    meanings = explain(policy)
    found = warnings(policy)
    lines = [line for meaning in meanings for line in _explained(meaning)]
    lines += [tr(f"注意：{warning}", f"note: {warning}") for warning in found]
    emit({"gates": [_gate_json(meaning) for meaning in meanings], "warnings": found}, as_json=as_json, lines=lines)


def _described(policy: Policy) -> list[str]:
    lines = [
        tr(f"策略：{policy.name}，版本 {policy.version}", f"policy: {policy.name}, version {policy.version}"),
        f"SHA-256: {policy.digest}",
        tr(f"有效期：{policy.validity_days} 天", f"validity: {policy.validity_days} days"),
    ]
    if not policy.gate:
        lines.append(tr("没有阈值：结论总是“无法评定”", "no thresholds: the verdict is always not evaluable"))
    lines += [
        tr(f"阈值 {gate.scope}/{gate.id}：下限 ≥ {gate.min}", f"gate {gate.scope}/{gate.id}: lower bound >= {gate.min}")
        for gate in policy.gate
    ]
    lines += [
        tr(
            f"严重失败 {rule.dataset}：最多 {rule.max_count} 次",
            f"critical failures in {rule.dataset}: at most {rule.max_count}",
        )
        for rule in policy.critical
    ]
    if policy.gate and not policy.approvers:
        lines.append(tr("没有批准人：阈值不生效", "no approver: the thresholds do not count"))
    lines += [
        tr(f"批准：{who.name}（{who.role}），{who.date}", f"approved by {who.name} ({who.role}) on {who.date}")
        for who in policy.approvers
    ]
    return lines


def _explained(meaning: GateMeaning) -> list[str]:
    gate = meaning.gate
    needed = ", ".join(f"{name} {n}" for name, n in meaning.minimum_n.items())
    lines = [
        tr(
            f"{gate.scope}/{gate.id}：单侧 95% 下限须 ≥ {gate.min}；最少条目数：{needed}",
            f"{gate.scope}/{gate.id}: the one-sided 95 % lower bound must be >= {gate.min}; minimum n: {needed}",
        )
    ]
    if meaning.best is not None:
        lines.append(
            tr(
                f"  方法 {meaning.method}；全部答对时下限为 {meaning.best}",
                f"  method {meaning.method}; all right gives a bound of {meaning.best}",
            )
        )
    if meaning.right_needed is not None:
        n = meaning.minimum_n[gate.id]
        lines.append(
            tr(f"  {n} 题中至少答对 {meaning.right_needed} 题", f"  at least {meaning.right_needed} of {n} right")
        )
    if meaning.size_caps:
        caps = ", ".join(f"{name} {cap}" for name, cap in meaning.size_caps.items())
        lines.append(
            tr(f"  2TP+FP+FN 的上限：{caps}；超出部分先减 TP", f"  cap of 2TP+FP+FN: {caps}; above it TP is cut")
        )
    return lines


def _gate_json(meaning: GateMeaning) -> dict[str, Any]:
    return {
        "scope": meaning.gate.scope,
        "id": meaning.gate.id,
        "min": meaning.gate.min,
        "on_fail": meaning.gate.on_fail,
        "minimum_n": meaning.minimum_n,
        "method": meaning.method,
        "best_bound": meaning.best,
        "right_needed": meaning.right_needed,
        "attainable": meaning.attainable,
        "size_caps": meaning.size_caps,
    }
