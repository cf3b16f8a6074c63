"""``mlb-offline report``: build a signed report from a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_offline.cli.keys import unlock
from mlb_offline.cli.kit import JsonFlag, KeyOption, PassphraseOption, StateOption, emit
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.report.data import ReportData
    from mlb_offline.run.results import RunResults

app = typer.Typer(no_args_is_help=True)


@app.callback()
def group() -> None:
    """Reports of runs."""


@app.command("build", help=tr("由一次运行生成签名报告", "build the signed report of a run"))
def build(
    directory: Annotated[Path, typer.Argument(metavar="DIR", readable=False, help=tr("运行目录", "folder of the run"))],
    *,
    key: KeyOption,
    sign_key: Annotated[
        Path,
        typer.Option(
            "--sign-key",
            metavar="PATH",
            readable=False,
            help=tr("签署报告的私钥文件", "private key file that signs the report"),
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="F.html", readable=False, help=tr("报告文件", "the report file"))
    ],
    force: Annotated[bool, typer.Option("--force", help=tr("覆盖已有文件", "write over existing files"))] = False,
    passphrase_file: PassphraseOption = None,
    state: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Verify and decrypt the run, evaluate its policy, and write the report with the files beside it; what --state, or
    the folder of models, knows of the run's judges goes into it."""
    from datetime import UTC, datetime

    from mlb_offline.judge.panels import calibration_here
    from mlb_offline.policy.model import parse_policy
    from mlb_offline.report.build import build_report
    from mlb_offline.report.page import wording
    from mlb_offline.run.invocation import stored_start
    from mlb_offline.run.results import read_results
    from mlb_offline.trust.keys import KeyKind, load_recipient_key, load_signing_key

    signing_key = load_signing_key(sign_key, unlock(sign_key, passphrase_file), KeyKind.REPORT)
    recipient = load_recipient_key(key, unlock(key, passphrase_file))
    results = read_results(directory, recipient)
    policy = parse_policy(stored_start(directory).invocation.policy.encode(), file=directory)
    known = calibration_here(results.identity["judges"], state)
    now = datetime.now(UTC)
    built = build_report(results, signing_key, out, policy=policy, now=now, calibration=known, force=force)
    findings = built.data.findings
    words = wording(built.data.template)["verdict"][findings.verdict]
    result = {
        "report": str(built.path),
        "files": [str(path) for path in built.files],
        "verdict": findings.verdict,
        "indicative": [reason.model_dump() for reason in findings.indicative],
        "signer": built.data.signers[0].model_dump(),
    }
    lines = [
        tr(f"报告：{built.path}", f"report: {built.path}"),
        tr(f"结论：{words['zh']}", f"verdict: {words['en'].lower()}"),
        *_missing(results),
        *reason_lines(built.data),
        tr(
            f"签署密钥指纹：{built.data.signers[0].fingerprint}",
            f"signing key fingerprint: {built.data.signers[0].fingerprint}",
        ),
        *(f"  {path}" for path in built.files[1:]),
    ]
    emit(result, as_json=as_json, lines=lines)


def _missing(results: RunResults) -> list[str]:
    missing = sum(outcome.outcome == "missing" for outcome in results.outcomes)
    if results.complete and results.finished:
        return []
    n = len(results.outcomes)
    return [tr(f"未完成：{n} 题中缺 {missing} 题", f"UNFINISHED: {missing} of {n} answers are missing")]


def reason_lines(data: ReportData) -> list[str]:
    """Why a report is indicative, and what else stands behind its verdict, one line each."""
    from mlb_offline.report.page import say

    sections = [("indicative", reason) for reason in data.findings.indicative]
    sections += [("reason", reason) for reason in data.findings.reasons]
    lines = []
    for section, reason in sections:
        texts = say(data.template, section, reason)
        mark = tr("仅供参考：", "indicative: ") if section == "indicative" else ""
        lines.append(f"  {mark}{tr(texts['zh'], texts['en'])}")
    return lines
