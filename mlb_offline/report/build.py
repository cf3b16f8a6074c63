"""Makes a report: the signed page and the files beside it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from mlb_offline.errors import InputError, UsageError
from mlb_offline.language import tr
from mlb_offline.policy.model import Policy
from mlb_offline.report import items as items_file
from mlb_offline.report import trailer
from mlb_offline.report.data import ReportData, embed
from mlb_offline.report.gather import gather
from mlb_offline.report.page import render
from mlb_offline.report.statement import PAYLOAD_TYPE, build_statement
from mlb_offline.run.results import RunResults
from mlb_offline.trust.dsse import pae, sign_envelope
from mlb_offline.trust.signing import SigningKey
from mlb_offline.trust.store import TrustSet

if TYPE_CHECKING:
    from mlb_offline.judge.panels import PanelCalibration

SUFFIX = ".html"


@dataclass(frozen=True)
class BuiltReport:
    """What was made; ``files`` are all files written, the report first."""

    path: Path
    data: ReportData
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Signed:
    """A signed report in memory.

    Attributes:
        report: the whole file.
        message: the bytes that were signed (DSSE pre-authentication encoding).
        signature: 64 bytes of Ed25519.
    """

    report: bytes
    message: bytes
    signature: bytes


def build_report(
    results: RunResults,
    signing_key: SigningKey,
    out: Path,
    *,
    policy: Policy,
    now: datetime,
    calibration: PanelCalibration | None = None,
    force: bool = False,
) -> BuiltReport:
    """Make a report and write it with its companions, the report itself last.

    Args:
        results: of the run, complete or not.
        signing_key: of kind ``report``.
        out: a path that ends in ``.html``; the companions take its stem.
        policy: the one that was fixed with the run.
        now: time of the report.
        calibration: of the run's judges (``judge.panels``); None where nothing is known of them.
        force: write over existing files.

    Raises:
        UsageError: ``out`` has another ending, the key another kind, or the policy is not the run's.
        InputError: a file exists already or cannot be written.
        TrustError: the run contradicts itself, such as by a clock set back between its sessions.
    """
    from mlb_offline.report.verify import verify_bytes  # it knows this module's names of the companions

    if out.suffix != SUFFIX:
        raise UsageError(
            tr(f"报告文件名应以 {SUFFIX} 结尾：{out}", f"the report's name must end in {SUFFIX}: {out}"),
            remedy=tr("例如 --out report.html", "for example --out report.html"),
        )
    if signing_key.kind != "report":
        raise UsageError(
            tr("签署报告须用 report 类密钥", "a report is signed with a key of kind report"),
            remedy=tr("用 mlb-offline keys new --kind report 生成", "make one: mlb-offline keys new --kind report"),
        )
    packed, _records = items_file.pack(results)
    data = gather(results, policy, signing_key, items=packed, now=now, calibration=calibration)
    signed = sign(data, signing_key)
    # What a verifier would refuse must never leave: better a message now than one months later.
    verify_bytes(signed.report, TrustSet((signing_key.verify_key,)), file=out, now=now)
    contents = {
        companion(out, "items.zst"): packed,
        companion(out, "payload.bin"): signed.message,
        companion(out, "sig"): signed.signature,
        companion(out, "pub.pem"): signing_key.verify_key.to_pem(),
        out.parent / "verify.html": verify_page(),
        out: signed.report,
    }
    _write(contents, force)
    return BuiltReport(out, data, (out, *(path for path in contents if path != out)))


def sign(data: ReportData, signing_key: SigningKey) -> Signed:
    """Render and sign a report in memory."""
    page = render(data, embed(data))
    body = build_statement(data, hashlib.sha256(page).hexdigest())
    message = pae(PAYLOAD_TYPE, body)
    envelope = sign_envelope(PAYLOAD_TYPE, body, [signing_key])
    return Signed(trailer.join(page, envelope), message, signing_key.sign(message))


def companion(report: Path, ending: str) -> Path:
    """The path of a file beside a report: ``report.html`` → ``report.<ending>``."""
    return report.with_name(f"{report.stem}.{ending}")


def verify_page() -> bytes:
    """The page by which a browser checks a report; the same for all reports of a version."""
    return resources.files(__package__).joinpath("templates", "verify.html").read_bytes()


def _write(contents: Mapping[Path, bytes], force: bool) -> None:
    """Write all files, each by a rename within its folder, so that none is ever seen half written."""
    wanted = {path: data for path, data in contents.items() if not _holds(path, data)}
    if not force:
        for path in wanted:
            if path.exists():
                raise InputError(
                    tr("文件已存在，不会覆盖", "the file exists and is not written over"),
                    file=path,
                    remedy=tr("换一个 --out，或用 --force 覆盖", "choose another --out, or write over it with --force"),
                )
    for path, data in wanted.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, data)
        except OSError as error:
            raise InputError(
                tr(f"无法写入：{error.strerror}", f"cannot be written: {error.strerror}"),
                file=path,
                remedy=tr("检查路径、权限与磁盘空间", "check the path, its permissions and the disk space"),
            ) from None


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
