"""``mlb-offline verify``: is a report authentic, and, if asked, is it a pass?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_offline.cli.kit import JsonFlag, StateOption, TrustOption, emit, finish
from mlb_offline.errors import Exit, TrustError
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.report.data import ReportData
    from mlb_offline.report.verify import VerifiedReport


class Require(StrEnum):
    """What ``--require`` can ask for."""

    PASS = "pass"  # noqa: S105 - a verdict


def verify_command(
    report: Annotated[Path, typer.Argument(metavar="F.html", readable=False, help=tr("报告文件", "the report file"))],
    *,
    trust: TrustOption,
    items: Annotated[
        Path | None,
        typer.Option(
            "--items",
            metavar="PATH",
            readable=False,
            help=tr("逐题结果文件；默认为报告旁的那一份", "items file; default: the one beside the report"),
        ),
    ] = None,
    require: Annotated[
        Require | None,
        typer.Option(
            "--require",
            help=tr("pass：不通过时退出码 1，无法评定时 7", "pass: exit 1 unless it is a pass, 7 if not evaluable"),
        ),
    ] = None,
    state: StateOption = None,  # noqa: ARG001 - goes with every command (DESIGN, section 10); nothing is needed of it
    as_json: JsonFlag = False,
) -> None:
    """Check signature, every byte, and every figure; exit 0 if authentic, 4 if not."""
    from mlb_offline.report.verify import verify_report
    from mlb_offline.trust.store import load_trust

    verified = verify_report(report, load_trust(trust), items=items)
    findings = verified.data.findings
    result = {
        "authentic": True,
        "report": str(report),
        "verdict": verified.verdict,
        "valid_until": None if verified.valid_until is None else verified.valid_until.isoformat(),
        "indicative": [reason.model_dump() for reason in findings.indicative],
        "reasons": [reason.model_dump() for reason in findings.reasons],
        "signers": [{"keyid": key.keyid, "fingerprint": key.fingerprint} for key in verified.signers],
        "items_checked": verified.items is not None,
        "items": None if verified.items is None else str(verified.items),
        "created": verified.data.created,
        "run": verified.data.run.id,
        "tool": verified.data.tool.model_dump(),
        "same_program": verified.same_program,
        "data": verified.data.model_dump(mode="json"),
    }
    emit(result, as_json=as_json, lines=_lines(verified))
    if require is Require.PASS:
        _require_pass(verified)


def _require_pass(verified: VerifiedReport) -> None:
    from datetime import UTC, datetime

    if verified.verdict != "pass":
        finish(Exit.NOT_EVALUABLE if verified.verdict == "not evaluable" else Exit.GATES_FAILED)
    if verified.valid_until is None or verified.valid_until < datetime.now(UTC):
        raise TrustError(
            tr("报告真实，但其有效期已过", "the report is authentic, but the time for which it is valid is over"),
            file=verified.path,
            field="validity_days",
            remedy=tr("重新评测以再次认证", "evaluate again for re-certification"),
        )


def _lines(verified: VerifiedReport) -> list[str]:
    from mlb_offline.cli.report import reason_lines
    from mlb_offline.report.page import wording

    data = verified.data
    verdict = wording(data.template)["verdict"][verified.verdict]
    lines = [
        tr("真实：签名有效，每一个字节与每一个数值均已核对", "authentic: signature, every byte and every figure hold")
    ]
    lines += [
        tr(f"签署者指纹：{key.fingerprint}", f"signer's fingerprint: {key.fingerprint}") for key in verified.signers
    ]
    if verified.items is None:
        lines.append(
            tr(
                "未核对逐题结果文件（报告旁没有，也未用 --items 给出）",
                "items file not checked (there is none beside the report)",
            )
        )
    else:
        lines.append(tr(f"逐题结果文件相符：{verified.items}", f"items file agrees: {verified.items}"))
    if not verified.same_program:
        version = data.tool.version
        lines.append(
            tr(
                f"说明：报告由程序 {version} 生成，其文件与本程序不同",
                f"note: made by program {version}, whose files are not those of this one",
            )
        )
    lines.append(tr(f"结论：{verdict['zh']}", f"verdict: {verdict['en'].lower()}"))
    lines += _subject(data)
    if verified.valid_until is not None:
        day = verified.valid_until.date()
        lines.append(tr(f"有效期至 {day}（UTC）", f"valid until {day} (UTC)"))
    lines += reason_lines(data)
    return lines


def _subject(data: ReportData) -> list[str]:
    """What was evaluated, on what, and by whose rules: without it a verdict says nothing."""
    identity, policy = data.run.identity, data.policy.policy
    declared = identity.declaration
    model = declared.get("model_version") or identity.target.get("model") or identity.target.get("kind", "")
    who = ", ".join(f"{person['name']} ({person['role']}, {person['date']})" for person in policy["approvers"])
    bundle = identity.bundle
    return [
        tr(f"医院：{declared.get('hospital', '—')}", f"hospital: {declared.get('hospital', '—')}"),
        tr(f"被测模型：{model}", f"model under test: {model}"),
        tr(f"数据包：{bundle.title}，第 {bundle.version} 版", f"bundle: {bundle.title}, version {bundle.version}"),
        tr(f"题数：{sum(sample.n for sample in data.samples)}", f"items: {sum(sample.n for sample in data.samples)}"),
        tr(f"策略：{policy['name']}，批准人：{who or '—'}", f"policy: {policy['name']}, approved by: {who or '—'}"),
    ]
