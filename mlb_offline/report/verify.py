"""Is a report authentic? The answer as a list of small claims, each of which raises ``TrustError``.

The order only moves forward: file → trailer → signature by a trusted key → page digest → embedded data → statement
→ signers → run and policy digests → times → counts → figures, gates and verdict computed again → facts that must fit
each other → page rendered again → items file. Nothing of a later step is looked at before the earlier one holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.errors import InputError, MlbError
from mlb_offline.language import tr
from mlb_offline.policy.model import Policy
from mlb_offline.regular_file import read_at_most
from mlb_offline.report import canonical, measured, physicians, trailer
from mlb_offline.report import items as items_file
from mlb_offline.report.build import companion
from mlb_offline.report.canonical import refuse
from mlb_offline.report.data import TALLY, ReportData, extract, misplaced_time
from mlb_offline.report.facts import facts_agree
from mlb_offline.report.findings import find, indicative_reasons
from mlb_offline.report.gather import count
from mlb_offline.report.page import render
from mlb_offline.report.statement import PAYLOAD_TYPE, build_statement
from mlb_offline.trust.dsse import open_envelope
from mlb_offline.trust.signing import VerifyKey
from mlb_offline.trust.store import TrustSet

TOLERANCE = 1e-6
"""Largest difference between a figure in the report and the same figure computed again."""

_ABSURD = (MlbError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What data of the right form and absurd content can raise in whatever computes with it."""


@dataclass(frozen=True)
class VerifiedReport:
    """A report of which every claim holds.

    Attributes:
        data: its data.
        signers: the trusted keys that signed.
        items: the items file that was checked; None where it is absent.
        same_program: this program's files are those that made the report.
    """

    path: Path
    data: ReportData
    signers: tuple[VerifyKey, ...]
    items: Path | None
    same_program: bool

    @property
    def verdict(self) -> str:
        """Verdict under the policy."""
        return self.data.findings.verdict

    @property
    def valid_until(self) -> datetime | None:
        """Until when a pass stands: the policy's validity from the end of the run; None where there is no pass."""
        if self.verdict != "pass" or self.data.run.finished is None:
            return None
        finished = datetime.fromisoformat(self.data.run.finished)
        try:
            return finished + timedelta(days=self.data.policy.policy["validity_days"])
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)


def verify_report(
    path: Path, trust: TrustSet, *, items: Path | None = None, now: datetime | None = None
) -> VerifiedReport:
    """Check every claim of a report.

    Args:
        path: the report file.
        trust: whose signatures count; keys found in files never do.
        items: its items file; by default the one beside the report, if there is one.
        now: by default what the clock says; any time zone.

    Raises:
        InputError: a file named cannot be read.
        TrustError: a claim does not hold.
    """
    raw = read_limited(path, trailer.LIMIT)
    data, signers = verify_bytes(raw, trust, file=path, now=now)
    beside = companion(path, "items.zst")
    found = items if items is not None else beside if beside.exists() else None
    if found is not None:
        items_match(read_limited(found, trailer.LIMIT), data, file=found)
    same = measured.installed().sha256 == data.tool.files_sha256
    return VerifiedReport(path, data, signers, found, same)


def verify_bytes(
    raw: bytes, trust: TrustSet, *, file: str | Path, now: datetime | None = None
) -> tuple[ReportData, tuple[VerifyKey, ...]]:
    """All claims about the report file itself.

    Args:
        raw: its bytes.
        trust: whose signatures count.
        file: its name, for messages.
        now: by default what the clock says.

    Raises:
        TrustError: a claim does not hold.
    """
    split = trailer.split(raw, file=file)
    body, signers = open_envelope(split.envelope, PAYLOAD_TYPE, trust.of("report"), file=file)
    digest = hashlib.sha256(split.page).hexdigest()
    page_is_signed(body, digest, file)
    data, embedded = extract(split.page, file=file)
    statement_follows(body, data, digest, file)
    signers_are_those_required(data, signers, file)
    digests_agree(data, file)
    times_in_order(data, file)
    counts_fit_the_run(data, file)
    findings_follow(data, file)
    facts_agree(data, datetime.now(UTC) if now is None else now, file)
    indicative_never_passes(data, file)
    page_follows(split.page, data, embedded, file)
    return data, signers


def read_limited(path: Path, limit: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        InputError: it cannot be read, or is a pipe or a device.
        TrustError: it is longer than any file of its kind.
    """
    try:
        raw = read_at_most(path, limit)
    except OSError as error:
        raise InputError(
            tr(f"文件无法读取：{error.strerror}", f"the file cannot be read: {error.strerror}"),
            file=path,
            remedy=tr("核对路径与权限", "check the path and its permissions"),
        ) from None
    if len(raw) > limit:
        refuse("文件过大，不可能是报告", "the file is too large for what it should be", path)
    return raw


def page_is_signed(body: bytes, digest: str, file: str | Path) -> None:
    """The signed statement names the digest of this page."""
    statement = canonical.load(body, file=file, field="statement")
    try:
        signed = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}["report-page"]
    except (KeyError, TypeError):
        refuse("签名内容未指明页面", "the signed statement names no page", file, "statement.subject")
    if signed != digest:
        refuse("页面在签署之后被改动", "the page was changed after it was signed", file, "report-page")


def statement_follows(body: bytes, data: ReportData, digest: str, file: str | Path) -> None:
    """The signed statement is the one that follows from the embedded data."""
    if build_statement(data, digest) != body:
        refuse("签名声明与内嵌数据不一致", "the signed statement and the embedded data disagree", file, "statement")


def signers_are_those_required(data: ReportData, signers: Sequence[VerifyKey], file: str | Path) -> None:
    """Every required signer has signed, nobody else has, and the page names them rightly."""
    required = [(signer.keyid, signer.fingerprint) for signer in data.signers]
    if required != [(key.keyid, key.fingerprint) for key in signers]:
        refuse("签署者与报告要求的签署者不一致", "those who signed are not those required to sign", file, "signers")


def digests_agree(data: ReportData, file: str | Path) -> None:
    """The digests of identity, declaration and policy are those of what stands in the data."""
    run = data.run
    identity = run.identity
    pairs = {
        "run.identity_sha256": (run.identity_sha256, _sha256(identity.model_dump(mode="json"))),
        "declaration_sha256": (identity.declaration_sha256, _sha256(identity.declaration)),
        "policy_sha256": (identity.policy_sha256, data.policy.sha256),
    }
    for field, (said, is_so) in pairs.items():
        if said != is_so:
            refuse("摘要与内容不一致", "a digest does not match its content", file, f"data.{field}")


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical.dump(value)).hexdigest()


def times_in_order(data: ReportData, file: str | Path) -> None:
    """The run ended after it began, and the report was made after both."""
    place = misplaced_time(data.created, data.run)
    if place is not None:
        refuse(
            "运行开始、结束与报告生成的时间次序颠倒",
            "the times of the run's start, its end and the report are out of order",
            file,
            f"data.{place}",
        )


def counts_fit_the_run(data: ReportData, file: str | Path) -> None:
    """The datasets counted are those asked, with as many items and answers as asked, in the benchmark's terms."""
    identity = data.run.identity
    asked = identity.selection.datasets
    names = [sample.dataset for sample in data.samples]
    if names != [name for name in DATASETS if name in asked] or len(names) != len(asked):
        refuse("计数的数据集与运行不一致", "the datasets counted are not those of the run", file, "data.samples")
    for sample in data.samples:
        official = DATASETS[sample.dataset]
        here = asked[sample.dataset]
        answers = sample.n * identity.repeats
        fits = (
            (sample.metric, sample.official_n) == (official.metric.value, official.n)
            and sample.n == here.asked <= here.bundled
            and sample.tally.keys() == set(TALLY)
            and sum(sample.tally.values()) == answers
        )
        if not fits:
            refuse(
                f"数据集 {sample.dataset} 的题数、作答数或指标与运行不一致",
                f"{sample.dataset}: items, answers or metric are not those of the run",
                file,
                "data.samples",
            )
    if data.items.records != sum(sum(sample.tally.values()) for sample in data.samples):
        refuse("逐题结果数与作答数不一致", "the number of item records is not that of answers", file, "data.items")
    missing = sum(sample.tally["missing"] for sample in data.samples)
    if data.run.complete != (missing == 0):
        refuse(
            "运行是否完成与缺失数不符", "whether the run is complete contradicts the answers missing", file, "data.run"
        )


def findings_follow(data: ReportData, file: str | Path) -> None:
    """Figures, gates, reasons and verdict are those that the counts and the policy give."""
    try:
        policy = Policy.from_json(data.policy.model_dump(mode="json"), file=file)
        inputs = (data.samples, data.run, data.evidence, policy, data.critical_items)
        again = find(*inputs, adjudication=data.adjudication, calibration=data.calibration)
    except _ABSURD as error:
        message = error.message if isinstance(error, MlbError) else str(error)
        refuse(f"内嵌计数或策略有误：{message}", f"embedded counts or policy are wrong: {message}", file, "data")
    place = difference(data.findings.model_dump(mode="json"), again.model_dump(mode="json"), "findings")
    if place is not None:
        refuse(
            "报告中的数值或结论与由计数重新计算的不一致",
            "a figure, gate or verdict is not what the counts give when computed again",
            file,
            f"data.{place}",
        )


def difference(said: Any, found: Any, place: str) -> str | None:
    """The first place at which two JSON values differ, numbers by more than ``TOLERANCE``; None where none does."""
    if isinstance(said, dict) and isinstance(found, dict) and said.keys() == found.keys():
        parts = ((f"{place}.{key}", said[key], found[key]) for key in said)
    elif isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        parts = ((f"{place}.{n}", one, other) for n, (one, other) in enumerate(zip(said, found, strict=True)))
    elif _number(said) and _number(found):
        return None if abs(said - found) <= TOLERANCE else place
    else:
        return None if type(said) is type(found) and said == found else place
    return next((inner for path, one, other in parts if (inner := difference(one, other, path)) is not None), None)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def indicative_never_passes(data: ReportData, file: str | Path) -> None:
    """Whatever a policy says: demonstration keys, a partial run or answers from a file are no pass."""
    if indicative_reasons(data.run, data.evidence) and data.findings.verdict in {"pass", "conditional"}:
        refuse("仅供参考的报告不能是通过", "an indicative report cannot be a pass", file, "data.findings.verdict")


def page_follows(page: bytes, data: ReportData, embedded: str, file: str | Path) -> None:
    """The page is, byte for byte, the rendering of its data by the template of its version."""
    try:
        again = render(data, embedded)
    except _ABSURD as error:
        message = error.message if isinstance(error, MlbError) else str(error)
        refuse(f"内嵌数据无法排成页面：{message}", f"the embedded data makes no page: {message}", file, "data")
    if again != page:
        refuse("页面与内嵌数据不一致", "the page and the embedded data disagree", file, "report-page")


def items_match(raw: bytes, data: ReportData, *, file: str | Path) -> None:
    """The items file is the signed one, and counting it gives the counts of the report.

    Raises:
        TrustError: it is another file, or its outcomes add up to something else.
    """
    if hashlib.sha256(raw).hexdigest() != data.items.sha256:
        refuse("逐题结果文件不是所签署的那一份", "this items file is not the one that was signed", file)
    header, records = items_file.unpack(raw, file=file)
    if (header.run, header.identity_sha256) != (data.run.id, data.run.identity_sha256):
        refuse("逐题结果文件属于另一次运行", "the items file is of another run", file)
    policy = Policy.from_json(data.policy.model_dump(mode="json"), file=file)
    try:
        same = (
            count(records, policy.ethics.values, data.adjudication) == data.samples
            and items_file.critical_items(policy, records) == data.critical_items
            and physicians.items_were_seen(data, records)
        )
    except _ABSURD:
        same = False
    if not same or len(records) != data.items.records:
        refuse("逐题结果与报告的计数不一致", "the items file and the counts of the report disagree", file)
