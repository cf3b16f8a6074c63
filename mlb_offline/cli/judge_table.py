"""What ``judge info`` finds and shows: the signed list, its files, and the installed judges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlb_offline.errors import MlbError
from mlb_offline.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlb_offline.judge.installed import InstalledJudge
    from mlb_offline.judge.manifest import Judge, JudgeRecord, Manifest, OtherFile


@dataclass(frozen=True)
class Checked:
    """A file, its entry in the list (None: the operator gave it), and what is known of it or is wrong with it."""

    path: Path
    listed: Judge | OtherFile | None
    record: JudgeRecord | None = None
    fault: MlbError | None = None


@dataclass(frozen=True)
class Found:
    """The list in its folder; what its files and those given are; the installed judges, and what is wrong with each."""

    folder: Path
    manifest: Manifest
    checks: list[Checked]
    installed: list[tuple[InstalledJudge, MlbError | None]]

    @property
    def faults(self) -> list[MlbError]:
        """All that is wrong."""
        faults = [one.fault for one in self.checks] + [fault for _, fault in self.installed]
        return [fault for fault in faults if fault is not None]


def check(
    folder: Path,
    manifest: Manifest,
    given: Sequence[Path],
    *,
    accept_unlisted: bool,
    known: Mapping[str, InstalledJudge],
) -> Found:
    """Check every listed file, those given and those installed; a fault in one hides none in the others."""
    from mlb_offline.judge.installed import check_installed
    from mlb_offline.judge.manifest import OtherFile, check_file, check_judge

    files: list[tuple[Path, Judge | OtherFile | None]] = [(folder / judge.file, judge) for judge in manifest.judges]
    files += [(folder / other.name, other) for other in manifest.files]
    files += [(path, None) for path in given]
    found = []
    for path, entry in files:
        record = fault = None
        try:
            if isinstance(entry, OtherFile):
                check_file(path, entry)
            else:
                record = check_judge(path, manifest, accept_unlisted=accept_unlisted, installed=known)
        except MlbError as error:
            fault = error
        found.append(Checked(path, entry, record, fault))
    installed: list[tuple[InstalledJudge, MlbError | None]] = []
    for judge in sorted(known.values(), key=lambda one: one.name):
        try:
            check_installed(judge)
            installed.append((judge, None))
        except MlbError as error:
            installed.append((judge, error))
    return Found(folder, manifest, found, installed)


def as_json(found: Found) -> dict[str, Any]:
    """The answer of ``judge info --json``."""
    return {
        "folder": str(found.folder),
        "verified": not found.faults,
        "sha256": found.manifest.sha256,
        "publishers": [{"keyid": key.keyid, "fingerprint": key.fingerprint} for key in found.manifest.publishers],
        "manifest": found.manifest.model_dump(mode="json"),
        "checks": [
            _verified(one.path, one.fault) | ({} if one.record is None else {"record": one.record.to_json()})
            for one in found.checks
        ],
        "installed": [_verified(one.path, fault) | {"judge": one.to_json()} for one, fault in found.installed],
    }


def _verified(path: Path, fault: MlbError | None) -> dict[str, Any]:
    return {"path": str(path), "verified": fault is None} | ({} if fault is None else fault.to_json())


def lines(found: Found) -> list[str]:
    """The same for a person."""
    from mlb_offline.judge.manifest import NAME, Judge

    folder, manifest = found.folder, found.manifest
    head = [
        tr(f"{folder / NAME}：{manifest.created}，签名有效", f"{folder / NAME}: {manifest.created}, validly signed"),
        *(tr("发布者公钥指纹：", "fingerprint of the publisher: ") + key.fingerprint for key in manifest.publishers),
    ]
    titles = [
        tr("名称", "name"),
        tr("角色", "role"),
        tr("文件", "file"),
        tr("字节", "bytes"),
        tr("SHA-256 核验", "SHA-256 check"),
    ]
    title, *rows = _aligned([titles, *(_row(one) for one in found.checks)])
    told = [*head, "", title]
    for one, row in zip(found.checks, rows, strict=True):
        told.append(row)
        if isinstance(one.listed, Judge):
            told += _about(one.listed)
    return told + _installed_lines(found.installed)


def _row(one: Checked) -> list[str]:
    from mlb_offline.judge.manifest import Judge

    if one.fault is not None:
        state = tr("✗ 未通过", "✗ failed")
    elif one.record is not None and one.record.installed is not None:
        state = tr("✓ 已安装：", "✓ installed as ") + one.record.name
    elif one.record is not None and one.record.accepted:
        state = tr("! 不在清单中，已接受 ", "! not listed, accepted: ") + one.record.sha256
    else:
        state = tr("✓ 相符", "✓ verified")
    known = one.listed if one.record is None else one.record.judge
    name, role = (known.name, known.role) if isinstance(known, Judge) else ("–", "–")
    size = one.record or one.listed
    return [name, role, one.path.name, "–" if size is None else f"{size.size:,}", state]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows with their columns padded; a Chinese character is two wide."""
    from rich.cells import cell_len, set_cell_size

    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(map(set_cell_size, row, widths)).rstrip() for row in rows]


def _about(judge: Judge) -> list[str]:
    lines = [f"    {judge.architecture}, {judge.quantisation}, {judge.parameters:,} " + tr("个参数", "parameters")]
    for name, found in judge.figures.items():
        rates = {"accuracy": found.accuracy, "F1": found.f1, "kappa": found.kappa, "AUC": found.auc}
        told = ", ".join(f"{what} {'–' if rate is None else format(rate, '.3f')}" for what, rate in rates.items())
        lines.append(f"    {name}: n {found.n}, {told}")
    return lines + [tr("    局限：", "    limit: ") + limit for limit in judge.limits]


def _installed_lines(installed: Sequence[tuple[InstalledJudge, MlbError | None]]) -> list[str]:
    told = ["", tr("本机构安装的裁判（无发布者担保）：", "judges installed here (no publisher vouches for them):")]
    for judge, fault in installed:
        state = tr("✓ 相符", "✓ verified") if fault is None else tr("✗ 未通过", "✗ failed")
        told += [f"{judge.name}  {judge.path}  {state}", *about_installed(judge)]
    return told if installed else []


def about_installed(judge: InstalledJudge) -> list[str]:
    """What a person wants to know of an installed judge."""
    return [
        f"    SHA-256 {judge.sha256}",
        f"    {judge.architecture}, {judge.quantisation}, {judge.parameters:,} "
        + tr(f"个参数，上下文 {judge.context:,}，", f"parameters, context {judge.context:,}, ")
        + judge.licence
        + (tr("，先推理后判定", ", reasons before its verdict") if judge.reasons else ""),
        f"    {_worth(judge)}",
    ]


def _worth(judge: InstalledJudge) -> str:
    calibration = judge.calibration
    if calibration is None:
        return tr("尚未校准", "not calibrated")
    overall = calibration.overall
    rates = [(name, overall.rates.get(rate)) for name, rate in (("accuracy", "accuracy"), ("kappa", "kappa"))]
    told = ", ".join(f"{name} {'–' if rate is None else format(rate.value, '.3f')}" for name, rate in rates)
    figures = tr(
        f"n {overall.n}，弃权 {overall.abstained}，{told}", f"n {overall.n}, abstained {overall.abstained}, {told}"
    )
    if judge.calibrated:
        return tr(f"已校准（{calibration.measured}）：{figures}", f"calibrated ({calibration.measured}): {figures}")
    return tr(
        f"需重新校准（提示词已更换，{calibration.measured} 时：{figures}）",
        f"to be calibrated again (its prompt has changed since {calibration.measured}: {figures})",
    )
