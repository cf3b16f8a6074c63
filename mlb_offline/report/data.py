"""The data of a report, as it stands in the page: counts and facts first, then what follows from them.

``ReportData`` is a canonical-JSON document with fixed keys. Its *inputs* (facts of the run, tallies, histograms,
policy) are what the signer vouches for; ``findings`` (figures, gates, verdict) follow from them, and a verifier
computes them again. Item texts, prompts and answers never stand in it.
"""

from __future__ import annotations

import base64
import textwrap
import zlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from mlb_offline.airgap.evidence import ModeName, Snapshot
from mlb_offline.configuration import explain
from mlb_offline.judge.panels import PanelCalibration
from mlb_offline.language import tr
from mlb_offline.report import canonical
from mlb_offline.report.canonical import refuse
from mlb_offline.report.scalars import MAX_ANSWERS, MAX_ITEMS, Count, Instant, Row, Sha256, Share, Strict
from mlb_offline.run.clock import CLOCK_STEP
from mlb_offline.scoring.judged import Question
from mlb_offline.stats.powered import allowed_share

FORMAT: Final = "mlb-offline/report/v1"
TEMPLATE: Final = "v1"
OPEN = b'<template id="mlb-report-data">\n'
CLOSE = b"\n</template>"
LIMIT = 8 * 2**20
"""Largest decompressed document that is read, in bytes: a compressed page must not fill the memory or the hour."""

LAST_YEAR = 9900
"""Times from this year on are refused, so that adding a period of validity cannot leave the calendar."""

Verdict = Literal["pass", "conditional", "fail", "not evaluable"]
GateOutcome = Literal["pass", "fail", "not evaluable"]
TALLY = ("right", "wrong", "scored", "judged", "unreadable", "failed", "missing", "unjudged")
MARKS = ("y", "n", "d", "a")
"""What judges make of a criterion (``scoring.judged``)."""


class Reason(Strict):
    """A stable code with its parameters; the page says it in both languages."""

    code: str
    params: dict[str, str | int | float]


class Figure(Strict):
    """A share with its 95 % interval; ``n`` counts items.

    ``most`` is the share if every verdict that is open were decided in the model's favour; null where none is open.
    """

    value: Share
    low: Share
    high: Share
    n: Count
    method: str
    most: Share | None


class Tool(Strict):
    """The program that wrote the report; ``files_sha256`` measures its installed files (``measured.py``)."""

    name: str
    version: str
    files: Count
    files_sha256: Sha256


class Signer(Strict):
    """A signing key, named."""

    keyid: Sha256
    fingerprint: str


class BundleIdentity(Strict):
    """The sealed bundle that was evaluated."""

    uuid: str
    series: str
    version: Count
    title: str
    issued: Instant
    expires: Instant
    demonstration: bool
    publisher: Signer
    file_sha256: Sha256
    core_sha256: Sha256


class Demonstration(Strict):
    """Whether bundle or keys of the run are for demonstration."""

    bundle: bool
    keys: bool


class Asked(Strict):
    """Items of one dataset: asked in the run, and held by the bundle."""

    asked: Count
    bundled: Count


class Selection(Strict):
    """What was asked: items by dataset, the limit, the datasets named on the command line."""

    datasets: dict[str, Asked]
    limit: Annotated[int, Field(ge=1)] | None
    named: list[str] | None

    @property
    def items(self) -> int:
        """Items of all datasets."""
        return sum(here.asked for here in self.datasets.values())


class PlattScale(Strict):
    """Correction of log-odds: p = sigmoid(scale × logit + shift)."""

    scale: Annotated[float, Field(gt=0)]
    shift: float


class JudgeIdentity(Strict):
    """A judge of the run; ``asked`` names what it was shown, with its SHA-256, ``calibration`` goes by family.

    ``listed``: a trusted publisher vouches for it; ``installed``: the hospital has installed it; neither: the operator
    accepted it for this run.
    """

    asked: Annotated[dict[str, Sha256], Field(min_length=1, max_length=100)]
    calibration: dict[Literal["points", "safety", "ethics"], PlattScale]
    file: str
    installed: bool
    listed: bool
    name: str
    sha256: Sha256
    size: Count


class Identity(Strict):
    """The run's identity (``run.identity``), fixed before the first request; key for key as the run has it."""

    format: Literal["mlb-offline/run/v1"]
    answers_file: bool
    bundle: BundleIdentity
    declaration: dict[str, str]
    declaration_sha256: Sha256
    demonstration: Demonstration
    guard_mode: ModeName
    image: Sha256 | None
    items_sha256: Sha256
    judges: Annotated[list[JudgeIdentity], Field(max_length=2)]
    policy_sha256: Sha256
    prompts_sha256: Sha256
    repeats: Annotated[int, Field(ge=1, le=10_000)]
    seeds: list[int]
    selection: Selection
    target: dict[str, Any]
    tool_version: str

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        items, answers = self.selection.items, self.selection.items * self.repeats
        if items > MAX_ITEMS or answers > MAX_ANSWERS:
            raise ValueError(
                tr(
                    f"有 {items} 题、{answers} 个回答；一份报告最多 {MAX_ITEMS} 题、{MAX_ANSWERS} 个回答："
                    "用 --limit、--dataset 或较少的 --repeats 运行",
                    f"{items} items and {answers} answers; a report holds at most {MAX_ITEMS} and {MAX_ANSWERS}: "
                    "run with --limit, with --dataset, or with fewer --repeats",
                )
            )
        return self


class Session(Strict):
    """One stretch of work, how it ended, and the evidence of the egress guard (``run.results.Session``)."""

    started: Instant
    ended: Instant | None
    ending: str
    egress: Snapshot
    egress_at_end: Snapshot | None


class Run(Strict):
    """The run; ``identity_sha256`` is over the canonical bytes of its identity.

    ``models`` are the names under which the server answered, with the number of answers; ``notes`` are codes of
    what a reader should know.
    """

    id: str
    identity: Identity
    identity_sha256: Sha256
    started: Instant
    finished: Instant | None
    complete: bool
    sessions: list[Session]
    retries: Count
    models: dict[str, Count]
    notes: list[Reason]
    event_head: Sha256
    events: Annotated[int, Field(ge=1)]


def misplaced_time(created: str, run: Run) -> str | None:
    """The first of a report's times that is not of this era, or lies before one that it must follow; None if in order.

    In order: ``run.started``, ``run.finished``, ``created``; a clock may be set back by ``CLOCK_STEP`` between them.
    """
    latest = None
    for field, value in (("run.started", run.started), ("run.finished", run.finished), ("created", created)):
        if value is None:
            continue
        moment = datetime.fromisoformat(value)
        if moment.year >= LAST_YEAR or (latest is not None and moment < latest - CLOCK_STEP):
            return field
        latest = moment
    return None


class Evidence(Strict):
    """What is known of how the run was made; all of it is the signer's own word (self-attested)."""

    self_attested: Literal[True]
    attempt: Count | None
    attempts_on_bundle: Count | None
    state_since: Instant | None
    state_created: bool | None
    rollback_override: bool
    demonstration_report_key: bool


class Audit(Strict):
    """A physician's labels of a random sample of a judged dataset's items (``stats.sample.Audit``, without the share).

    ``drawn``: rows (judges' score, least and most by the physician, items), in millionths; ``others``: rows (judges'
    score, items); ``judges``: rows of what the judges are worth on those drawn.
    """

    drawn: Annotated[list[Row], Field(max_length=MAX_ITEMS)]
    others: Annotated[list[Row], Field(max_length=MAX_ITEMS)]
    judges: Annotated[list[Row], Field(max_length=MAX_ANSWERS)]


class Sample(Strict):
    """What was counted in one dataset.

    Attributes:
        official_n: its official number of items.
        n: items of it in this run.
        tally: answers (items times repeats) by outcome; all keys of ``TALLY``.
        histogram: accuracy: rows (right answers, answers, items); micro-F1: rows (TP, FP, FN, items), each
            summed over an item's repeats; judged datasets: rows (least, most, items), scores of an item in
            millionths. Sorted, no row twice.
        criteria: of a judged dataset, criteria by what the judges make of them; all keys of ``MARKS``. Else none.
        said: of a judged dataset, for each question that its criteria ask, rows (criteria to which both judges said
            是, criteria judged, items), each summed over an item's repeats. Sorted, no row twice. Else none.
        aside: of a judged dataset, answers that were put to no judge: ``any``, and by reason all keys of
            ``judge.panel.ASIDE``; an answer may have several. Else none.
        audit: of a judged dataset of which a sample was drawn for a physician.
    """

    dataset: str
    metric: str
    official_n: Count
    n: Count
    tally: dict[str, Count]
    histogram: Annotated[list[Row], Field(max_length=MAX_ITEMS)]
    criteria: dict[str, Count]
    said: dict[Question, Annotated[list[Row], Field(max_length=MAX_ITEMS)]]
    aside: dict[str, Count]
    audit: Audit | None


class Partial(Strict):
    """The mean of those datasets of an unscored dimension that have a figure; never the dimension's score."""

    figure: Figure
    datasets: list[str]


class Score(Strict):
    """A figure, or the reason why there is none.

    ``id`` is a dataset, a dimension or ``overall``; ``n`` counts the items of this run behind it.
    """

    id: str
    n: Count
    figure: Figure | None
    reason: Reason | None
    partial: Partial | None


class Gate(Strict):
    """One threshold of the policy and what became of it; ``bound`` is a one-sided 95 % lower bound.

    ``size_caps``: most errors and largest size of one item that count, by micro-F1 dataset concerned.
    """

    scope: str
    id: str
    min: Share
    value: Share | None
    bound: Share | None
    n: Count
    minimum_n: Count
    outcome: GateOutcome
    method: str
    reason: Reason | None
    on_fail: Literal["fail", "conditional"]
    size_caps: dict[str, Count]


class Critical(Strict):
    """What became of one rule on critical failures."""

    dataset: str
    count: Count | None
    max_count: Count
    outcome: GateOutcome
    reason: Reason | None


class Rate(Strict):
    """A figure in [-1, 1] with its 95 % interval."""

    value: Annotated[float, Field(ge=-1, le=1)]
    low: Annotated[float, Field(ge=-1, le=1)]
    high: Annotated[float, Field(ge=-1, le=1)]


class Worth(Strict):
    """How far two agree, in criteria: the judges with the physician on the random sample of a dataset (``id``), or two
    physicians with each other (``physicians``). ``n`` criteria, of which ``answered`` bear a verdict of both."""

    id: str
    n: Count
    answered: Count
    agreed: Rate | None
    kappa: Rate | None


class Corrected(Strict):
    """The rate of 是 over criteria, corrected for the judges' errors (``stats.corrected``); indicative.

    Attributes:
        id: the dataset.
        question: which of its criteria.
        figure: ``n`` counts items; null where there is a reason.
        reason: why there is no corrected rate.
        apparent: rate of 是 as both judges said it; null where there is a reason, as the next two.
        sensitivity: of the panel, on the labelled set.
        specificity: likewise.
        criteria: judged in this run.
        labelled: criteria of the labelled set.
    """

    id: str
    question: Question
    figure: Figure | None
    reason: Reason | None
    apparent: Share | None
    sensitivity: Share | None
    specificity: Share | None
    criteria: Count
    labelled: Count


class Findings(Strict):
    """All that follows from the inputs; ``reasons`` are those beside the indicative ones."""

    datasets: list[Score]
    dimensions: list[Score]
    overall: Score
    gates: list[Gate]
    critical: list[Critical]
    worth: list[Worth]
    corrected: list[Corrected]
    indicative: list[Reason]
    reasons: list[Reason]
    verdict: Verdict


class Reviewer(Strict):
    """A physician's key, and how many criteria were labelled under it."""

    keyid: Sha256
    fingerprint: str
    criteria: Annotated[int, Field(ge=1)]


class Adjudication(Strict):
    """What physicians had to do with the run.

    Attributes:
        seed: hash of the event that made the run; the items drawn follow from it (``stats.draw``).
        shares: chance of an item to be drawn, by dataset.
        packets: given out to be labelled; of these ``plaintext`` unencrypted, and ``unreturned`` never taken back.
        reviewers: in the order of their key ids.
        physicians: of criteria that two have decided: rows (both 是, the first alone, the second alone, both 否,
            answers). Sorted, no row twice.
    """

    seed: Sha256
    shares: dict[str, Annotated[float | int, AfterValidator(allowed_share)]]
    packets: Count
    plaintext: Count
    unreturned: Count
    reviewers: list[Reviewer]
    physicians: Annotated[list[Row], Field(max_length=MAX_ANSWERS)]


class Items(Strict):
    """The items file: its digest and its number of records."""

    sha256: Sha256
    records: Count


class PolicyText(Strict):
    """The whole policy (``Policy.to_json``): its data, its text and the text's digest."""

    policy: dict[str, Any]
    sha256: Sha256
    toml: str


class ReportData(Strict):
    """The whole document.

    ``critical_items`` holds, for the items that the policy's critical rules name, whether every answer was right;
    ``calibration`` what is known of the run's judges, null where nothing is.
    """

    format: Literal["mlb-offline/report/v1"]
    template: Literal["v1"]
    created: Instant
    tool: Tool
    signers: Annotated[list[Signer], Field(min_length=1)]
    run: Run
    evidence: Evidence
    policy: PolicyText
    samples: list[Sample]
    adjudication: Adjudication | None
    calibration: PanelCalibration | None
    critical_items: dict[str, dict[str, bool]]
    items: Items
    findings: Findings

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical.dump(self.model_dump(mode="json"))


def embed(data: ReportData) -> str:
    """The text between the tags of the page: base64 of zlib of canonical JSON, 100 characters a line."""
    return "\n".join(textwrap.wrap(base64.b64encode(zlib.compress(data.to_bytes(), 9)).decode("ascii"), 100))


def extract(page: bytes, *, file: str | Path) -> tuple[ReportData, str]:
    """The data embedded in a page, and the exact text that stood there.

    Raises:
        TrustError: the element is missing or double, or its content is not exactly what ``embed`` writes
            (apart from the choices that zlib leaves to the compressor).
    """
    if page.count(OPEN) != 1:
        refuse("页面中应恰有一处内嵌数据", "the page must hold its data exactly once", file, "data")
    text = page.split(OPEN, 1)[1].split(CLOSE, 1)[0]
    joined = text.replace(b"\n", b"")
    packed = canonical.unbase64(joined, file=file, field="data")
    if "\n".join(textwrap.wrap(joined.decode("ascii"), 100)).encode("ascii") != text:
        refuse("内嵌数据的换行不规范", "the line breaks of the embedded data are not canonical", file, "data")
    return parse(_inflate(packed, file), file=file), text.decode("ascii")


def _inflate(packed: bytes, file: str | Path) -> bytes:
    engine = zlib.decompressobj()
    try:
        raw = engine.decompress(packed, LIMIT)
    except zlib.error:
        refuse("内嵌数据无法解压", "the embedded data cannot be decompressed", file, "data")
    if not engine.eof or engine.unused_data or engine.unconsumed_tail:
        refuse("内嵌数据长度有误", "the embedded data is too long, cut short, or followed by more", file, "data")
    return raw


def parse(raw: bytes, *, file: str | Path) -> ReportData:
    """The document of canonical bytes.

    Raises:
        TrustError: not canonical, a key missing or unknown, a value of the wrong type or out of range.
    """
    value = canonical.load(raw, file=file, field="data")
    try:
        return ReportData.model_validate(value)
    except ValidationError as error:
        field, message = explain(error)
        refuse(
            f"内嵌数据不符合格式：{message}",
            f"the embedded data is not of its format: {message}",
            file,
            f"data.{field}" if field else "data",
        )
