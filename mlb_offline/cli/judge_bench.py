"""``mlb-offline judge bench``: what judging costs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_offline.cli.judge_options import (
    ModelsOption,
    PublisherOption,
    ThreadsOption,
    known_here,
    opened_list,
)
from mlb_offline.cli.kit import JsonFlag, StateOption, UnlistedFlag, emit
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.judge.speed import Speed


def bench_command(
    *,
    judge: Annotated[
        list[Path] | None,
        typer.Option(
            "--judge",
            metavar="FILE",
            readable=False,
            help=tr(
                "裁判模型文件（可给出两个）；默认为内置的一对",
                "judge model file (two may be given); default: the built-in pair",
            ),
        ),
    ] = None,
    models: ModelsOption = None,
    trust: PublisherOption = None,
    accept_unlisted: UnlistedFlag = False,
    threads: ThreadsOption = 2,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", min=0.1, help=tr("每个裁判至少测量多少秒", "measure each judge for at least so many seconds")
        ),
    ] = 20.0,
    state: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Print criteria a second, time to load, peak memory, and hours for the judged part of the whole benchmark."""
    from mlb_offline.judge.opening import checked
    from mlb_offline.judge.speed import judged_criteria, measure, synthetic

    folder, manifest = opened_list(models, trust)
    installed = known_here(folder, state)
    files = checked(folder, manifest, judge or (), accept_unlisted=accept_unlisted, installed=installed)
    found = {
        record.name: measure(path, record, synthetic(), threads=threads, seconds=seconds) for path, record in files
    }
    benchmark = judged_criteria()
    total = sum(benchmark.values())
    hours = {name: total / speed.criteria_per_second / 3600 for name, speed in found.items()}
    result = {
        "threads": threads,
        "judges": {name: speed.to_json() | {"benchmark_hours": hours[name]} for name, speed in found.items()},
        "benchmark_criteria": benchmark,
        "benchmark_hours": sum(hours.values()),
    }
    lines = [line for name, speed in found.items() for line in _about(name, speed)]
    told = f"{sum(hours.values()):.2f}"
    lines.append(
        tr(
            f"整个基准的裁判评分（{total:,} 条判据，按每条目 6 个要点估计）：约 {told} 小时",
            f"judged part of the whole benchmark ({total:,} criteria, six points an item assumed): about {told} hours",
        )
    )
    emit(result, as_json=as_json, lines=lines)


def _about(name: str, speed: Speed) -> list[str]:
    rate, load, peak = f"{speed.criteria_per_second:.1f}", f"{speed.load_seconds:.1f}", f"{speed.peak_mib:.0f}"
    by_length = ", ".join(f"{length}: {one:.1f}" for length, one in speed.by_length.items())
    return [
        tr(
            f"{name}：每秒 {rate} 条判据（n = {speed.n}），载入 {load} 秒，峰值内存 {peak} MiB",
            f"{name}: {rate} criteria/s (n = {speed.n}), loaded in {load} s, peak memory {peak} MiB",
        ),
        tr(f"    按回答字数：{by_length}", f"    by characters of the answer: {by_length}"),
    ]
