"""The findings for a person: by area, a line each, the remedy below it."""

from __future__ import annotations

from mlb_offline.doctor.examine import Diagnosis
from mlb_offline.doctor.finding import Area, Finding
from mlb_offline.errors import Exit
from mlb_offline.language import tr

_SIGNS = {"ok": "✓", "warning": "!", "failure": "✗"}


def heading(area: Area) -> str:
    """The name of an area."""
    names = {
        Area.EGRESS: tr("出网防护", "no egress"),
        Area.KERNEL: tr("内核与映像", "kernel and image"),
        Area.CPU: tr("处理器", "processor"),
        Area.MEMORY: tr("内存", "memory"),
        Area.DISK: tr("磁盘", "disks"),
        Area.CLOCK: tr("时钟", "clock"),
        Area.KEY: tr("密钥", "key"),
        Area.BUNDLE: tr("数据包", "bundle"),
        Area.STATE: tr("状态目录", "state folder"),
        Area.STORE: tr("运行目录", "folder of the run"),
        Area.TARGET: tr("被测模型", "model under test"),
        Area.JUDGE: tr("裁判模型", "judges"),
        Area.SUPPORT: tr("支持文件", "support file"),
    }
    return names[area]


def lines(diagnosis: Diagnosis) -> list[str]:
    """All of it; the last line is the answer."""
    shown: list[str] = []
    for area in Area:
        found = [line for finding in diagnosis.findings if finding.area is area for line in _finding(finding)]
        found += [
            tr("  – 未检查：", "  – not checked: ") + one.message for one in diagnosis.unchecked if one.area is area
        ]
        if found:
            shown += [heading(area), *found]
    return [*shown, _answer(diagnosis)]


def _finding(finding: Finding) -> list[str]:
    line = f"  {_SIGNS[finding.level]} {finding.message}"
    return [line, f"      {tr('处理办法：', 'What to do: ')}{finding.remedy}"] if finding.remedy else [line]


def _answer(diagnosis: Diagnosis) -> str:
    failures = sum(finding.level == "failure" for finding in diagnosis.findings)
    warnings = sum(finding.level == "warning" for finding in diagnosis.findings)
    if diagnosis.exit_code is Exit.DONE:
        told = tr(f"；警告 {warnings} 项", f"; warnings: {warnings}") if warnings else ""
        return tr("没有发现会使运行无法进行的问题", "Nothing was found that would stop a run") + told
    return tr(
        f"有 {failures} 项会使运行无法进行（退出码 {int(diagnosis.exit_code)}）；警告 {warnings} 项",
        f"Would stop a run: {failures} (exit code {int(diagnosis.exit_code)}); warnings: {warnings}",
    )
