"""One session of a run: from a prepared run to the last commit, through interruptions and faults.

Whatever ends a session, what was answered is committed, the log says how it ended if it still can, and the error
that leaves here tells how to go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from mlb_offline.airgap import evidence
from mlb_offline.airgap.guard import current
from mlb_offline.airgap.modes import Mode
from mlb_offline.bundle.opening import remember_bundle
from mlb_offline.errors import EgressError, InputError, InterruptedRunError, JudgeError, MlbError, TargetError
from mlb_offline.installation import command_words
from mlb_offline.judge.opening import Panel
from mlb_offline.language import tr
from mlb_offline.run.changes import Noted
from mlb_offline.run.clock import CLOCK_STEP
from mlb_offline.run.engine import Engine
from mlb_offline.run.events import EventType
from mlb_offline.run.identity import make_identity, require_same, require_same_models, target_fingerprint
from mlb_offline.run.judging import Judging
from mlb_offline.run.pace import Limits
from mlb_offline.run.prepare import Prepared, RunRequest, prepare
from mlb_offline.run.progress import Display, keep_showing, open_display
from mlb_offline.run.storable import storable
from mlb_offline.run.store import RunStore, recordable
from mlb_offline.run.tally import Tally
from mlb_offline.run.writer import Writer


@dataclass(frozen=True)
class Summary:
    """What stands in the store when a session has ended well.

    Attributes:
        counts: (dataset, outcome or None) → slots.
        judged: answers that the panel has judged.
        totals: dataset → slots, in the order of the report.
        retries: requests repeated in this session.
        rate: slots a second in this session.
    """

    directory: Path
    run_id: str
    totals: Mapping[str, int]
    counts: Mapping[tuple[str, str | None], int]
    judged: int
    retries: int
    rate: float


def run_request(request: RunRequest, stream: TextIO) -> Summary:
    """The whole of ``mlb-offline run``.

    Args:
        request: its options.
        stream: where progress goes.

    Raises:
        MlbError: as ``prepare`` and ``run_session``.
    """
    prepared = prepare(request)
    limits = Limits() if request.concurrency is None else Limits(concurrency=request.concurrency)
    return asyncio.run(run_session(prepared, open_display(stream), limits))


async def run_session(prepared: Prepared, display: Display, limits: Limits) -> Summary:
    """Start or resume the run, and work until it is complete.

    Raises:
        UsageError: the resume is not the same run, or the folder is not free.
        TargetError: the target is gone or refuses us; resumable. Or its name cannot be recorded; nothing is made.
        JudgeError: a judge failed at an answer; resumable.
        InterruptedRunError: stopped by a signal; resumable.
        InputError: a judge cannot be loaded, or the store cannot be written.
        TrustError: the store was altered.
    """
    target = prepared.target
    try:
        panel = prepared.seats.open()
        try:
            probe = storable(await target.probe())
            store = _open_store(prepared, probe)
            try:
                return await _work(prepared, store, panel, probe, display=display, limits=limits)
            finally:
                store.close()
        finally:
            panel.close()
    finally:
        await target.close()


def _open_store(prepared: Prepared, probe: Mapping[str, Any]) -> RunStore:
    request, plan = prepared.request, prepared.plan
    identity = make_identity(
        bundle=prepared.bundle,
        plan=plan,
        target=prepared.target.description,
        judges=prepared.seats.to_json(),
        answers_file=prepared.target.indicative,
        policy_sha256=prepared.policy.digest,
        declaration=prepared.declaration,
        demonstration_key=prepared.key.demonstration,
    )
    if request.resume is None:
        assert request.out is not None
        return RunStore.create(
            request.out,
            run_id=str(uuid.uuid4()),
            identity=identity,
            invocation=prepared.invocation.to_json(),
            items=plan.slots(),
            recipient=prepared.key.public,
        )
    recordable(identity)
    store = RunStore.open(request.resume, prepared.key)
    try:
        require_time_goes_on(store)
        require_same(store.identity, identity)
        if store.first_session is not None:
            require_same_models(store.first_session["probe"], probe)
    except BaseException:
        store.close()
        raise
    return store


def require_time_goes_on(store: RunStore) -> None:
    """Refuse to go on under a clock that stands before the run's last event: no report could be made of it.

    Raises:
        InputError: it does, by more than ``CLOCK_STEP``.
    """
    last = datetime.fromisoformat(store.last_time)
    if datetime.now(UTC) < last - CLOCK_STEP:
        raise InputError(
            tr(
                f"本机时钟早于该运行的最后一个事件（{store.last_time}）",
                f"the clock is before the run's last event ({store.last_time})",
            ),
            file=store.file,
            remedy=tr("校正本机时钟后再继续；回答没有丢失", "set the clock right, then resume; no answer is lost"),
        )


async def _work(
    prepared: Prepared, store: RunStore, panel: Panel, probe: Mapping[str, Any], *, display: Display, limits: Limits
) -> Summary:
    tally = Tally.of(prepared.plan.counts(), store.outcome_counts(), store.judged_count())
    pending = store.pending()
    if not store.finished:
        writer = Writer(store)
        try:
            judging = None
            if prepared.seats.seats:
                judging = Judging(panel, prepared.plan, writer, store.unjudged(), tally=tally)
            engine = Engine(
                prepared.target, prepared.plan, writer, pending, limits=limits, tally=tally, judging=judging
            )
            await writer.commit([_beginning(prepared, store, probe, engine.workers)])
            session = Work(engine, judging)
            await _drive(session, tally, display, writer, prepared=prepared, directory=store.directory)
        finally:
            await writer.close()
    return Summary(
        store.directory,
        store.header.id,
        tally.totals,
        store.outcome_counts(),
        tally.judged,
        tally.retries,
        tally.rate(),
    )


@dataclass(frozen=True)
class Work:
    """Asking and judging at once; ``judging`` is None where there is nothing to judge."""

    engine: Engine
    judging: Judging | None

    def stop(self) -> None:
        """Begin nothing more, and wait for what is under way; asked a second time, do not wait."""
        self.engine.stop()
        if self.judging is not None:
            self.judging.stop()

    async def run(self) -> None:
        """Work until everything is asked and judged, or until stopped.

        Raises:
            TargetError, InputError: as ``Engine.run``.
            JudgeError: a judge failed.
        """
        if self.judging is None:
            await self.engine.run()
            return
        judging = asyncio.ensure_future(self.judging.run())
        judging.add_done_callback(lambda done: self.engine.stop() if _failed(done) else None)
        try:
            await self.engine.run()
        except BaseException:
            # The judge that is at work finishes its answer; the others wait for the next session.
            self.judging.stop()
            await asyncio.gather(judging, return_exceptions=True)
            raise
        self.judging.no_more()
        await judging


def _failed(done: asyncio.Future[None]) -> bool:
    return not done.cancelled() and done.exception() is not None


def _beginning(prepared: Prepared, store: RunStore, probe: Mapping[str, Any], workers: int) -> Noted:
    seen = evidence.take(prepared.target.description.get("endpoint"))
    evidence.require_whole(seen)
    state, bundle = prepared.state, prepared.bundle
    core = bundle.manifest.core
    fingerprint = target_fingerprint(prepared.target.description)
    attempt = state.next_attempt(fingerprint, core.bundle, store.header.id)
    since = state.since()
    body = {
        "attempt": attempt.of_target,
        "attempts_on_bundle": attempt.on_bundle,
        "concurrency": workers,
        "egress": seen.model_dump(),
        "probe": dict(probe),
        "rollback_override": bundle.rollback is not None,
        # Whether the folder was made by this very command says little: an estimate makes one too. What counts is
        # whether attempts on this bundle can have gone by unrecorded. Times of one fixed form compare as text.
        "state_created": attempt.of_target == 1 and since >= core.issued,
        "state_note": remember_bundle(bundle, state, datetime.now(UTC)),
        "state_since": since,
    }
    # A run can have been made and killed before its first session began.
    begun = store.first_session is not None
    return Noted(EventType.RESUMED if begun else EventType.STARTED, body)


async def _drive(
    work: Work, tally: Tally, display: Display, writer: Writer, *, prepared: Prepared, directory: Path
) -> None:
    """Work under signals and a display, and log how it ended and what the evidence was then."""
    endpoint = prepared.target.description.get("endpoint")
    seen: evidence.Snapshot | None = None
    showing = asyncio.create_task(keep_showing(display, tally))
    try:
        with _stopped_by_signals(work):
            await work.run()
        if tally.finished < tally.total or (work.judging is not None and tally.judged < tally.to_judge):
            raise InterruptedRunError(tr("运行已中断", "the run was interrupted"))
        seen = evidence.take(endpoint, again=True)
        evidence.require_whole(seen)
    except BaseException as error:
        # Where the disk is full this event cannot be written either; the error that counts is the first.
        with contextlib.suppress(MlbError):
            last = seen or _take_if_possible(endpoint)
            counts = {"done": tally.finished, "judged": tally.judged}
            body = {**counts, "egress": last and last.model_dump(), "reason": _reason(error)}
            await writer.commit([Noted(EventType.INTERRUPTED, body)])
        if isinstance(error, MlbError):
            _tell_how_to_resume(error, tally, resume_command(prepared, directory))
        raise
    else:
        # Not in the block above: a run that has said that it is finished must not say that it was interrupted.
        body = {
            "egress": seen.model_dump(),
            "items": tally.total,
            "judged": tally.judged,
            "outcomes": dict(tally.outcomes),
        }
        await writer.commit([Noted(EventType.FINISHED, body)])
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


def _take_if_possible(endpoint: str | None) -> evidence.Snapshot | None:
    try:
        return evidence.take(endpoint, again=True)
    except MlbError:
        return None


def _reason(error: BaseException) -> str:
    match error:
        case TargetError():
            return "target"
        case JudgeError():
            return "judge"
        case InputError():
            return "storage"
        case EgressError():
            return "egress"
        case InterruptedRunError() | asyncio.CancelledError() | KeyboardInterrupt():
            return "operator"
    return "error"


def _tell_how_to_resume(error: MlbError, tally: Tally, command: str) -> None:
    done = tr(
        f"已完成 {tally.finished}/{tally.total}，均已保存。继续：{command}",
        f"{tally.finished} of {tally.total} are done and kept. To go on: {command}",
    )
    if tally.judged < tally.to_judge:
        waiting = tally.to_judge - tally.judged
        done = tr(f"其中 {waiting} 个回答待裁判。", f"{waiting} of the answers wait to be judged. ") + done
    error.remedy = f"{error.remedy}\n{done}" if error.remedy else done


@contextmanager
def _stopped_by_signals(work: Work) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop the work: once, it waits for what is under way; twice, it does not."""
    loop = asyncio.get_running_loop()
    taken: list[signal.Signals] = []

    def stop() -> None:
        work.stop()
        sys.stderr.write(
            tr(
                "正在停止：等待进行中的请求与评判；再按一次立即停止\n",
                "stopping: waiting for what is being asked and judged; once more to stop at once\n",
            )
        )
        sys.stderr.flush()

    for number in (signal.SIGINT, signal.SIGTERM):
        # Only the main thread can take signals; elsewhere the caller cancels the task instead.
        with contextlib.suppress(RuntimeError, ValueError):
            loop.add_signal_handler(number, stop)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


def resume_command(prepared: Prepared, directory: Path) -> str:
    """The command line that continues this run, ready to be pasted into a shell."""
    request = prepared.request
    words = [*command_words(), "run", "--resume", str(directory), "--bundle", str(request.bundle)]
    # The run knows its target; whoever starts the container must know it to mount it, and the guard its port.
    words += ["--target", prepared.invocation.target]
    for path in request.trust:
        words += ["--trust", str(path)]
    words += ["--key", str(request.key)]
    for judge in prepared.invocation.judges:
        words += ["--judge", judge]
    words += ["--accept-unlisted"] if prepared.invocation.accept_unlisted else []
    optional = {
        "--passphrase-file": request.passphrase_file,
        "--state": request.state,
        "--concurrency": request.concurrency,
    }
    for option, value in optional.items():
        words += [] if value is None else [option, str(value)]
    words += ["--allow-rollback"] if request.allow_rollback else []
    mode = current().mode
    words += [] if mode is Mode.UNIX_ONLY else ["--guard", mode.value]
    return shlex.join(words)
