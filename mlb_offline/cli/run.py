"""``mlb-offline run``: evaluate a target on a bundle, or go on with a run."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_offline.cli.keys import unlock
from mlb_offline.cli.kit import (
    JsonFlag,
    KeyOption,
    PassphraseOption,
    StateOption,
    TargetConfigOption,
    TrustOption,
    UnlistedFlag,
    emit,
)
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.run.estimate import DatasetEstimate, Estimate
    from mlb_offline.run.prepare import RunRequest
    from mlb_offline.run.session import Summary

OUTCOMES = ("right", "wrong", "scored", "unreadable", "failed", "unjudged")


def run_command(
    *,
    bundle: Annotated[
        Path,
        typer.Option(
            "--bundle", metavar="PATH", readable=False, help=tr("密封的数据包（.mlbb）", "sealed bundle (.mlbb)")
        ),
    ],
    trust: TrustOption,
    key: KeyOption,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="TARGET",
            help=tr(
                "被测模型：unix:PATH、http://HOST:PORT/v1、gguf:FILE 或 answers:FILE.jsonl",
                "model under test: unix:PATH, http://HOST:PORT/v1, gguf:FILE or answers:FILE.jsonl",
            ),
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PATH",
            readable=False,
            help=tr("新运行的目录（须为空）", "folder of the new run (must be empty)"),
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume", metavar="DIR", readable=False, help=tr("继续该目录中的运行", "go on with the run in DIR")
        ),
    ] = None,
    target_config: TargetConfigOption = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="PATH",
            readable=False,
            help=tr("判定策略（TOML），随运行固定", "policy (TOML), fixed with the run"),
        ),
    ] = None,
    declaration: Annotated[
        Path | None,
        typer.Option(
            "--declaration",
            metavar="PATH",
            readable=False,
            help=tr("医院声明（TOML），随运行固定", "declaration (TOML), fixed with the run"),
        ),
    ] = None,
    judge: Annotated[
        list[Path] | None,
        typer.Option(
            "--judge",
            metavar="FILE",
            readable=False,
            help=tr(
                "裁判模型：给出一个则替换内置裁判 A，给出两个则替换两者",
                "judge model: one replaces the embedded judge A, two replace both",
            ),
        ),
    ] = None,
    accept_unlisted: UnlistedFlag = False,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            metavar="NAME",
            help=tr(
                "只测这些数据集（可多次给出；结果仅供参考）",
                "these datasets only (repeatable; makes the run indicative)",
            ),
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            help=tr(
                "每个数据集只测前 N 题（结果仅供参考）", "the first N items of each dataset (makes the run indicative)"
            ),
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency", metavar="N", help=tr("同时进行的请求数，默认 8", "requests at a time, default 8")
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", metavar="N", help=tr("每题询问次数，默认 1", "times each item is asked, default 1")),
    ] = None,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate", help=tr("只估算题量与提示词长度，不提问", "only count items and prompt sizes; ask nothing")
        ),
    ] = False,
    allow_rollback: Annotated[
        bool,
        typer.Option(
            "--allow-rollback",
            help=tr(
                "允许使用比见过的更旧的数据包（报告会注明）", "allow a bundle older than one seen (the report says so)"
            ),
        ),
    ] = False,
    passphrase_file: PassphraseOption = None,
    state: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate a target, or resume a run."""
    from mlb_offline.run.prepare import RunRequest

    request = RunRequest(
        bundle=bundle,
        trust=tuple(trust),
        key=key,
        target=target,
        out=out,
        resume=resume,
        target_config=target_config,
        policy=policy,
        declaration=declaration,
        judges=tuple(judge or ()),
        accept_unlisted=accept_unlisted,
        datasets=tuple(dataset or ()),
        limit=limit,
        repeats=repeats,
        concurrency=concurrency,
        state=state,
        allow_rollback=allow_rollback,
        passphrase=unlock(key, passphrase_file),
        passphrase_file=passphrase_file,
    )
    if estimate:
        _estimate(request, as_json=as_json)
    else:
        _run(request, as_json=as_json)


def _run(request: RunRequest, *, as_json: bool) -> None:
    from mlb_offline.installation import command_words
    from mlb_offline.run.session import run_request

    summary = run_request(request, sys.stderr)
    # Keys stand together as `keys new` makes them; a hospital that keeps them apart sees which one is meant.
    sign_key = request.key.with_name("report.key.json")
    words = [*command_words(), "report", "build", summary.directory, "--key", request.key, "--sign-key", sign_key]
    next_command = shlex.join(str(word) for word in [*words, "--out", "report.html"])
    emit(
        {
            "run": summary.run_id,
            "directory": str(summary.directory),
            "datasets": _tallies(summary),
            "judged": summary.judged,
            "retries": summary.retries,
            "next": next_command,
        },
        as_json=as_json,
        lines=[
            *_table(summary),
            tr(f"运行记录：{summary.directory}", f"run store: {summary.directory}"),
            tr(f"下一步：{next_command}", f"next: {next_command}"),
        ],
    )


def _estimate(request: RunRequest, *, as_json: bool) -> None:
    from mlb_offline.run.estimate import estimate_request

    estimate = estimate_request(request)
    parts = {
        name: {"requests": part.requests, "characters": part.characters, "tokens": part.tokens}
        for name, part in estimate.datasets.items()
    }
    emit(
        {
            "requests": estimate.requests,
            "characters": estimate.characters,
            "tokens": estimate.tokens,
            "datasets": parts,
            "probe": dict(estimate.probe),
        },
        as_json=as_json,
        lines=_estimate_lines(estimate),
    )


SECONDS_AN_ANSWER = (1, 10, 60)


def _estimate_lines(estimate: Estimate) -> list[str]:
    heads = (tr("请求", "requests"), tr("字符", "characters"), tr("约 token", "about tokens"))
    lines = [f"{'':<16}" + "".join(f"{head:>14}" for head in heads)]
    parts: list[tuple[str, DatasetEstimate | Estimate]] = [*estimate.datasets.items(), (tr("合计", "all"), estimate)]
    for name, part in parts:
        lines.append(f"{name:<16}{part.requests:>14}{part.characters:>14}{part.tokens:>14}")
    for seconds in SECONDS_AN_ANSWER:
        hours = estimate.requests * seconds / 3600
        lines.append(
            tr(
                f"若每个回答 {seconds} 秒、一次一个：{hours:.1f} 小时",
                f"at {seconds} s an answer, one at a time: {hours:.1f} h",
            )
        )
    return [*lines, tr("未提出任何问题。", "Nothing was asked.")]


def _tallies(summary: Summary) -> dict[str, dict[str, Any]]:
    return {
        name: {"n": n, **{outcome: summary.counts.get((name, outcome), 0) for outcome in OUTCOMES}}
        for name, n in summary.totals.items()
    }


def _table(summary: Summary) -> list[str]:
    names = {
        "n": "n",
        "right": tr("正确", "right"),
        "wrong": tr("错误", "wrong"),
        "scored": tr("已评分", "scored"),
        "unreadable": tr("无法解读", "unreadable"),
        "failed": tr("失败", "failed"),
        "unjudged": tr("交裁判", "to judges"),
    }
    lines = [f"{'':<16}" + "".join(f"{name:>12}" for name in names.values())]
    for dataset, tally in _tallies(summary).items():
        lines.append(f"{dataset:<16}" + "".join(f"{tally[column]:>12}" for column in names))
    return lines
