"""``mlb-offline log``: the log of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_offline.cli.kit import JsonFlag, emit
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.run.log import LogReport

app = typer.Typer(no_args_is_help=True)


@app.callback()
def log() -> None:
    """Commands on the log of a run."""


@app.command(
    "verify",
    help=tr(
        "核验一次运行的事件链及其与各表的一致性（无需密钥）",
        "verify the chain of events of a run and that its tables agree with it (needs no key)",
    ),
)
def verify(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", readable=False, help=tr("run --out 所写的目录", "what run --out wrote"))
    ],
    as_json: JsonFlag = False,
) -> None:
    """Verify the log of the run in DIR."""
    from mlb_offline.run.log import verify_log

    report = verify_log(directory)
    outcomes = ", ".join(f"{name} {count}" for name, count in sorted(report.outcomes.items()))
    settled = sum(report.outcomes.values())
    emit(
        {
            "run": report.run_id,
            "events": report.events,
            "head": report.head,
            "items": report.items,
            "outcomes": dict(report.outcomes),
            "records": report.records,
            "finished": report.finished,
            "judged": {"answers": report.judged, "criteria": report.criteria, "open": report.open},
            "adjudication": None
            if report.shares is None
            else {
                "shares": dict(report.shares),
                "packets": report.packets,
                "plaintext": report.plaintext,
                "labels": dict(report.labels),
            },
            "self_attested": True,
        },
        as_json=as_json,
        lines=[
            tr(
                f"日志完整：{report.events} 个事件，{report.records} 条记录",
                f"the log holds: {report.events} events, {report.records} records",
            ),
            tr(
                f"题目：{settled}/{report.items} 已有结果（{outcomes}）",
                f"items: {settled} of {report.items} have an outcome ({outcomes})",
            ),
            *_judged_lines(report),
            tr(f"完成时间：{report.finished or '未完成'}", f"finished: {report.finished or 'not yet'}"),
            *_adjudication_lines(report),
            tr(f"末尾事件的哈希：{report.head}", f"head: {report.head}"),
            tr(
                "这能发现意外损坏与事后改动；不能防范不诚实的操作者（自我声明）。",
                "This detects accidents and later edits, not a dishonest operator (self-attested).",
            ),
        ],
    )


def _judged_lines(report: LogReport) -> list[str]:
    if not report.judged:
        return []
    return [
        tr(
            f"裁判：{report.judged} 个回答的 {report.criteria} 条判据，其中未决 {report.open} 条",
            f"judged: {report.criteria} criteria of {report.judged} answers, {report.open} of them open",
        )
    ]


def _adjudication_lines(report: LogReport) -> list[str]:
    if report.shares is None:
        return []
    shares = ", ".join(f"{name} {share:g}" for name, share in report.shares.items()) or "–"
    results = sum(report.labels.values())
    return [
        tr(f"医生抽样比例：{shares}", f"shares of the physicians' sample: {shares}"),
        tr(
            f"任务包：发出 {report.packets} 个（明文 {report.plaintext} 个），收回结果 {results} 份，"
            f"评定者 {len(report.labels)} 位",
            f"packets: {report.packets} given out ({report.plaintext} in plaintext), "
            f"{results} results taken in, of {len(report.labels)} reviewers",
        ),
    ]
