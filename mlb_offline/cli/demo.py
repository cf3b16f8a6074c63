"""``mlb-offline demo``: the whole job on the embedded default."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlb_offline.cli.kit import JsonFlag, TargetConfigOption, emit
from mlb_offline.language import tr


def demo_command(
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="PATH", readable=False, help=tr("输出文件夹", "folder for the reports and all else")
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="TARGET",
            help=tr(
                "用自己的目标代替演示模型，试走全程（结果仅供参考）",
                "try the whole way with a target of your own instead of the demonstration's (indicative)",
            ),
        ),
    ] = None,
    target_config: TargetConfigOption = None,
    starter: Annotated[
        bool,
        typer.Option(
            "--starter",
            help=tr(
                "改用入门数据包（22 个数据集、每个 40 条以上；耗时更长，结果仅供参考）",
                "on the starter bundle instead: 22 datasets, 40 items and more each (longer; indicative)",
            ),
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Seal a bundle, run it on two targets or on one of your own, report and verify, showing every command."""
    from mlb_offline.demo.job import Demonstration

    def say(line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    reports = Demonstration(out, say, starter=starter).run(target, target_config)
    lines = [tr("演示完成。报告：", "the demonstration is done; its reports:")]
    for report in reports:
        lines.append(f"  {report.file}  ({report.target}: {report.verdict})")
    lines.append(tr("公钥：", "public keys: ") + str(out / "trust"))
    lines.append(
        tr(
            "以上结果仅供参考（演示密钥、演示数据包），不构成合规结论。",
            "indicative, demonstration keys: these reports certify nothing.",
        )
    )
    result = {
        "indicative": True,
        "reports": [
            {
                "target": report.target,
                "file": str(report.file),
                "verdict": report.verdict,
                "scores_as_scripted": report.scores_as_scripted,
            }
            for report in reports
        ],
        "trust": str(out / "trust"),
    }
    emit(result, as_json=as_json, lines=lines)
