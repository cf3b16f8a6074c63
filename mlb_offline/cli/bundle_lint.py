"""``mlb-offline bundle lint``: what a source folder ought not to have, before it is sealed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlb_offline.cli.kit import JsonFlag, counting, emit, finish
from mlb_offline.errors import Exit, UsageError
from mlb_offline.language import tr


def lint_command(
    *,
    source: Annotated[Path, typer.Argument(metavar="SRC", readable=False, help=tr("源文件夹", "the source folder"))],
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against",
            metavar="PATH",
            readable=False,
            help=tr(
                "条目不得抄自的其他数据（JSON、JSONL、CSV、TXT、XLSX 文件或文件夹；可多次给出）",
                "other data that items must not be copied from: JSON, JSONL, CSV, TXT, XLSX, or folders (repeatable)",
            ),
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="RULE", help=tr("不用的规则（可多次给出）", "a rule to leave out (repeatable)")),
    ] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help=tr("改为打印条目统计表（Markdown）", "print tables of counts instead"))
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Find the faults of a source folder; exit 3 where there are any."""
    from mlb_offline.bundle.lint import counts as module
    from mlb_offline.bundle.lint.check import lint
    from mlb_offline.bundle.lint.fault import RULES
    from mlb_offline.bundle.source import read_source

    if counts:
        if against or skip:
            raise UsageError(
                tr("--counts 不做检查", "--counts checks nothing"),
                field="--counts",
                remedy=tr("去掉 --against 与 --skip", "leave out --against and --skip"),
            )
        read = read_source(source)
        emit(module.counts(read), as_json=as_json, lines=[module.markdown(read).rstrip("\n")])
        return
    for rule in skip or ():
        if rule not in RULES[1:]:  # without the schema no other rule has been tried
            raise UsageError(
                tr(f"没有可略过的规则“{rule}”", f"there is no rule {rule!r} that could be left out"),
                field="--skip",
                remedy=tr("可用：", "known: ") + ", ".join(RULES[1:]),
            )
    with counting() as progress:
        what = tr("比对", "comparing")
        found = lint(source, against or (), progress=lambda done, every: progress(what, done, every))
    kept = [fault for fault in found if fault.rule not in (skip or ())]
    clean = tr("未发现问题", "clean")
    lines = [fault.told() for fault in kept] or [f"{source}{tr('：', ': ')}{clean}"]
    if kept:
        lines.append(tr(f"共 {len(kept)} 处问题；规则见 docs/format.md", f"{len(kept)} faults; rules: docs/format.md"))
    result = {
        "source": str(source),
        "clean": not kept,
        "skipped": skip or [],
        "faults": [one.to_json() for one in kept],
    }
    emit(result, as_json=as_json, lines=lines)
    if kept:
        finish(Exit.BAD_INPUT)
