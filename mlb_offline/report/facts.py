"""Do the facts of a report fit each other? Claims about its inputs that need nothing but the data itself.

Whoever holds a trusted key can write any number into a report. What is checked here is what such a signer must
get right to be believed: facts that follow from others in an honest run. Each claim raises ``TrustError``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from mlb_offline.airgap.evidence import gaps
from mlb_offline.benchmark.catalogue import Metric
from mlb_offline.configuration import explain
from mlb_offline.errors import TrustError
from mlb_offline.language import tr
from mlb_offline.report import physicians
from mlb_offline.report.canonical import refuse
from mlb_offline.report.data import MARKS, ReportData, Sample
from mlb_offline.report.judged_facts import CRITERIA, judged_facts_agree
from mlb_offline.run.clock import CLOCK_STEP
from mlb_offline.run.declaration import Declaration
from mlb_offline.trust.fingerprint import fingerprint

CLOCK_TOLERANCE = timedelta(days=1)
"""Between the clocks of two machines, as when a bundle is opened (``bundle.validity``)."""

_WITHOUT_END = frozenset({"killed", "open"})
_NEVER_ANSWERED = ("failed", "missing")


def facts_agree(data: ReportData, now: datetime, file: str | Path) -> None:
    """All claims of this module; the digests and the structure of ``data`` hold already.

    Raises:
        TrustError: a claim does not hold.
    """
    bundle_was_in_force(data, file)
    sessions_are_in_order(data, file)
    made_before_now(data, now, file)
    selection_is_whole(data, file)
    indicative_facts_agree(data, file)
    declaration_is_known(data, file)
    publisher_is_named_rightly(data, file)
    seeds_fit_the_repeats(data, file)
    sessions_end_as_the_run(data, file)
    evidence_fits_the_guard(data, file)
    models_gave_the_answers(data, file)
    notes_say_what_was(data, file)
    counts_fit_tally(data, file)
    judges_saw_the_answers(data, file)
    judged_facts_agree(data, file)
    physicians_saw_the_sample(data, file)
    critical_items_fit(data, file)
    attempts_fit(data, file)


def attempts_fit(data: ReportData, file: str | Path) -> None:
    """What the state folder recorded was recorded by the first session, and counts this run among all."""
    evidence, run = data.evidence, data.run
    recorded = (evidence.attempt, evidence.attempts_on_bundle, evidence.state_since, evidence.state_created)
    if all(value is None for value in recorded):
        good = not run.sessions
    else:
        attempt, total, since, _created = recorded
        good = (
            attempt is not None
            and total is not None
            and since is not None
            and 1 <= attempt <= total
            and _time(since) <= _time(run.started) + CLOCK_TOLERANCE
        )
    if not good:
        _contradiction("评测次数的记录自相矛盾", "what is recorded of attempts does not fit", file, "evidence.attempt")


def bundle_was_in_force(data: ReportData, file: str | Path) -> None:
    """The run started when its bundle was issued and had not expired."""
    started, bundle = _time(data.run.started), data.run.identity.bundle
    if not _time(bundle.issued) - CLOCK_TOLERANCE <= started < _time(bundle.expires) + CLOCK_TOLERANCE:
        _contradiction(
            "运行开始时数据包不在有效期内", "the bundle was not in force when the run started", file, "run.started"
        )


def sessions_are_in_order(data: ReportData, file: str | Path) -> None:
    """Every session lies within the run, and none before the one before it."""
    run = data.run
    times = [run.started, *(time for session in run.sessions for time in (session.started, session.ended))]
    moments = [_time(time) for time in (*times, run.finished, data.created) if time is not None]
    latest = accumulate(moments, max)
    if any(moment < before - CLOCK_STEP for before, moment in zip(latest, moments[1:], strict=False)):
        _contradiction("会话时间先后颠倒", "the times of its sessions are not in order", file, "run.sessions")


def made_before_now(data: ReportData, now: datetime, file: str | Path) -> None:
    """The report is not of tomorrow; only clocks that differ can make an honest one look so."""
    if _time(data.created) > now + CLOCK_TOLERANCE:
        zh, en = "报告的生成时间在未来", "the report's time lies in the future"
        remedy = tr("核对本机时钟", "check this machine's clock")
        raise TrustError(tr(zh, en), file=file, field="data.created", remedy=remedy)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def selection_is_whole(data: ReportData, file: str | Path) -> None:
    """Of every dataset as many items were asked as bundle and limit give, and those named are those asked."""
    selection = data.run.identity.selection
    for name, here in selection.datasets.items():
        if here.asked != (here.bundled if selection.limit is None else min(selection.limit, here.bundled)):
            _contradiction(
                f"数据集 {name} 的提问数与数据包及 --limit 不符",
                f"{name}: the items asked are not those that bundle and limit give",
                file,
                "run.identity.selection",
            )
    if selection.named is not None and selection.named != sorted(selection.datasets):
        _contradiction(
            "指名的数据集不是所问的数据集",
            "the datasets named are not those asked",
            file,
            "run.identity.selection.named",
        )


def indicative_facts_agree(data: ReportData, file: str | Path) -> None:
    """What makes a run indicative is told alike wherever it is told."""
    identity = data.run.identity
    if identity.answers_file != (identity.target.get("kind") == "answers"):
        _contradiction(
            "作答来源与目标不符", "answers file and target contradict each other", file, "run.identity.answers_file"
        )
    if identity.demonstration.bundle != identity.bundle.demonstration:
        _contradiction(
            "数据包是否为演示用前后不一",
            "whether the bundle is for demonstration is told in two ways",
            file,
            "run.identity.demonstration",
        )


def declaration_is_known(data: ReportData, file: str | Path) -> None:
    """The declaration is one that a hospital can make: known keys, each of its kind."""
    declared = data.run.identity.declaration
    try:
        same = Declaration.model_validate(declared).to_json() == declared
        field, message = None, tr("不是程序所写的形式", "not in the form that the program writes")
    except ValidationError as error:
        same, (field, message) = False, explain(error)
    if not same:
        place = "run.identity.declaration" + (f".{field}" if field else "")
        _contradiction(f"声明无效：{message}", f"the declaration is not valid: {message}", file, place)


def publisher_is_named_rightly(data: ReportData, file: str | Path) -> None:
    """The publisher's fingerprint is that of its key id; those of the signers are compared with their keys."""
    publisher = data.run.identity.bundle.publisher
    if publisher.fingerprint != fingerprint(bytes.fromhex(publisher.keyid)):
        _contradiction(
            "发布者指纹与其密钥编号不符",
            "the publisher's fingerprint is not that of its key id",
            file,
            "run.identity.bundle.publisher",
        )


def seeds_fit_the_repeats(data: ReportData, file: str | Path) -> None:
    """Each repeat has the seed that the target's parameters give it (``run.identity``)."""
    identity = data.run.identity
    parameters = identity.target.get("parameters")
    seed = parameters.get("seed") if isinstance(parameters, Mapping) else None
    expected = [seed + repeat for repeat in range(identity.repeats)] if type(seed) is int else []
    if identity.seeds != expected:
        _contradiction("随机种子与重复次数不符", "the seeds do not fit the repeats", file, "run.identity.seeds")


def sessions_end_as_the_run(data: ReportData, file: str | Path) -> None:
    """A finished run was finished by its last session; a session without an end is the last, or was killed."""
    run = data.run
    for place, session in enumerate(run.sessions, start=1):
        impossible = {"killed"} if place == len(run.sessions) else {"finished", "open"}
        if session.ending in impossible or (session.ended is None) != (session.ending in _WITHOUT_END):
            _contradiction(
                f"第 {place} 次会话的结束方式不可能",
                f"session {place} cannot have ended so",
                file,
                "run.sessions",
            )
    finished = [session.ended for session in run.sessions if session.ending == "finished"]
    if finished != ([] if run.finished is None else [run.finished]) or (finished and not run.complete):
        _contradiction(
            "运行是否结束与最后一次会话不符",
            "whether the run finished is not what its last session says",
            file,
            "run.finished",
        )


def evidence_fits_the_guard(data: ReportData, file: str | Path) -> None:
    """Every session was under the guard, and in the image, that the run names, and says so at its end too.

    What the evidence lacks makes the report indicative (``evidence.failed``); it cannot be left out.
    """
    identity = data.run.identity
    for place, session in enumerate(data.run.sessions, start=1):
        start, end = session.egress, session.egress_at_end
        seen = [start] if end is None else [start, end]
        images = [one.image and one.image.manifest_sha256 for one in seen]
        fits = {
            "mode": all(one.mode == identity.guard_mode for one in seen),
            "image": all(image == identity.image for image in images),
            "start": not gaps(start),
            # A run that finished could take its evidence; one that was stopped, perhaps for that very reason, may not.
            "end": end is None if session.ended is None else end is not None or session.ending != "finished",
            "finished": session.ending != "finished" or end is None or not gaps(end),
        }
        for name, holds in fits.items():
            if not holds:
                _contradiction(
                    f"第 {place} 次会话的出网证据与运行所记不符（{name}）",
                    f"the egress evidence of session {place} does not fit the run ({name})",
                    file,
                    "run.sessions",
                )


def models_gave_the_answers(data: ReportData, file: str | Path) -> None:
    """As many answers stand under models' names as were received, in a session."""
    received = _received(data)
    if sum(data.run.models.values()) != received or not all(data.run.models.values()):
        _contradiction(
            f"各模型名下的回答数之和不是收到的 {received} 个",
            f"the answers under models' names do not add up to the {received} received",
            file,
            "run.models",
        )
    if received and not data.run.sessions:
        _contradiction("有回答而没有会话", "there are answers and no session", file, "run.sessions")


def _received(data: ReportData) -> int:
    """Answers that came, whatever they were worth."""
    return sum(
        count for sample in data.samples for outcome, count in sample.tally.items() if outcome not in _NEVER_ANSWERED
    )


def notes_say_what_was(data: ReportData, file: str | Path) -> None:
    """Notes that follow from other facts stand where they must, nowhere else, and with the right numbers."""
    run = data.run
    notes = {note.code: note.params for note in run.notes}
    killed = sum(session.ending == "killed" for session in run.sessions)
    cut = notes.get("answers-cut-off")
    fits = {
        "twice": len(notes) == len(run.notes),
        "model-name-changed": ("model-name-changed" in notes) == (len(run.models) > 1),
        "sessions-killed": notes.get("sessions-killed") == ({"sessions": killed} if killed else None),
        "answers-cut-off": cut is None
        or (cut.get("answers") == _received(data) and cut.get("cut") in range(1, _received(data) + 1)),
    }
    for code, holds in fits.items():
        if not holds:
            _contradiction(f"说明与运行不符：{code}", f"a note contradicts the run: {code}", file, "run.notes")


def counts_fit_tally(data: ReportData, file: str | Path) -> None:
    """The units found in micro-F1 sets need no more scored answers than there were.

    An answer that was not scored finds nothing and misses the whole reference, which is as large in every repeat.
    """
    for sample in data.samples:
        if sample.metric != Metric.MICRO_F1.value:
            continue
        repeats = data.run.identity.repeats
        if any((tp + fn) % repeats for tp, _fp, fn, _items in sample.histogram):
            _contradiction(
                f"{sample.dataset}：同一题各次的参考要素数不同",
                f"{sample.dataset}: the reference of an item differs between repeats",
                file,
                "samples",
            )
        needed = sum(_scored_answers(tp, fp, fn, repeats) * items for tp, fp, fn, items in sample.histogram)
        if needed > sample.tally["scored"]:
            _contradiction(
                f"{sample.dataset}：所得要素至少需要 {needed} 个可评分的回答，只有 {sample.tally['scored']} 个",
                f"{sample.dataset}: what was found needs {needed} scored answers, there are {sample.tally['scored']}",
                file,
                "samples",
            )


def _scored_answers(tp: int, fp: int, fn: int, repeats: int) -> int:
    """Fewest scored answers to one item that can add up to these sums."""
    reference = (tp + fn) // repeats
    return -(-tp // reference) if tp else int(fp > 0)


def judges_saw_the_answers(data: ReportData, file: str | Path) -> None:
    """Every answer to a judged dataset was judged by the judges of the run, none of which is the model under test."""
    identity = data.run.identity
    hashes = [judge.sha256 for judge in identity.judges]
    tested = {identity.target.get("sha256"), identity.declaration.get("weights_sha256")}
    if len(set(hashes)) < len(hashes) or tested & set(hashes):
        _contradiction("裁判不是独立的模型", "the judges are not models of their own", file, "run.identity.judges")
    for sample in data.samples:
        judged, unjudged = sample.tally["judged"], sample.tally["unjudged"]
        criteria = sum(sample.criteria.values())
        if sample.metric not in CRITERIA:
            fits = not sample.criteria
        else:
            least, most = CRITERIA[sample.metric]
            fits = (
                sample.criteria.keys() == set(MARKS)
                and judged * least <= criteria <= judged * most
                and not (judged and not hashes)
                and not (unjudged and hashes and data.run.finished is not None)
                and (_open(sample) or all(low == high for low, high, _items in sample.histogram))
            )
        if not fits:
            _contradiction(
                f"{sample.dataset} 的裁判结果与运行不符",
                f"{sample.dataset}: what was judged is not what the run's judges can have judged",
                file,
                "samples",
            )


def _open(sample: Sample) -> bool:
    return bool(sample.tally["unjudged"] or sample.criteria["d"] or sample.criteria["a"])


def physicians_saw_the_sample(data: ReportData, file: str | Path) -> None:
    """A sample was drawn where a share was fixed, of a run that had finished, and labels were given by somebody."""
    if not physicians.sample_was_seen(data):
        _contradiction("医生评定的记录自相矛盾", "what is told of physicians does not fit", file, "adjudication")


def critical_items_fit(data: ReportData, file: str | Path) -> None:
    """Critical items are of datasets asked, named by the policy, and no more of them right, or wrong, than of all."""
    samples = {sample.dataset: sample for sample in data.samples}
    named = _named(data.policy.policy["critical"])
    for dataset, items in data.critical_items.items():
        sample = samples.get(dataset)
        if sample is None or not items or not items.keys() <= named.get(dataset, set()):
            _contradiction(
                f"关键条目不属于所问或策略所列：{dataset}",
                f"critical items that were not asked, or that the policy does not name: {dataset}",
                file,
                "critical_items",
            )
        right = sum(items.values())
        most_right, most_wrong = _perfect(sample)
        if right > most_right or len(items) - right > most_wrong:
            _contradiction(
                f"{dataset} 的关键条目与计数不符",
                f"{dataset}: the critical items contradict the counts",
                file,
                "critical_items",
            )


def _named(rules: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    named: dict[str, set[str]] = {}
    for rule in rules:
        named.setdefault(rule["dataset"], set()).update(rule["items"])
    return named


def _perfect(sample: Sample) -> tuple[int, int]:
    """Most items that can have been wholly right, and most that can not."""
    rows = sample.histogram
    if sample.metric == Metric.ACCURACY.value:
        right = sum(items for right, answers, items in rows if right == answers)
        return right, sample.n - right
    # Without errors an item can still have failed, where there was nothing to find.
    return sum(row[-1] for row in rows if row[1] == row[2] == 0), sample.n


def _contradiction(zh: str, en: str, file: str | Path, field: str) -> NoReturn:
    refuse(f"报告自相矛盾：{zh}", f"the report contradicts itself: {en}", file, f"data.{field}")
