"""Everything a session needs, opened and checked before the first request; the order is that of cost.

A resume takes what it is not told from the run's own record; what it is told differently becomes a difference of
identity and is refused there by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlb_offline.airgap.guard import confine_to_port, current, lock_memory
from mlb_offline.airgap.modes import require_reachable
from mlb_offline.bundle.opening import OpenedBundle, open_bundle
from mlb_offline.bundle.state import State, open_state
from mlb_offline.errors import InputError, UsageError
from mlb_offline.judge.opening import Seats, seats_of
from mlb_offline.language import tr
from mlb_offline.policy.model import Policy, load_policy, parse_policy
from mlb_offline.run.database import require_empty
from mlb_offline.run.declaration import Declaration, load_declaration
from mlb_offline.run.invocation import Invocation, Start, absolute_path, absolute_spec, stored_start
from mlb_offline.run.plan import Plan
from mlb_offline.target.answers import AnswersTarget
from mlb_offline.target.config import load_target_config
from mlb_offline.target.opening import open_target
from mlb_offline.target.types import Target
from mlb_offline.trust.keys import RecipientKey, load_recipient_key
from mlb_offline.trust.store import load_trust

MAX_CONCURRENCY = 1024


@dataclass(frozen=True)
class RunRequest:
    """The options of ``mlb-offline run``; None where one was not given. ``passphrase`` opens ``key``."""

    bundle: Path
    trust: tuple[Path, ...]
    key: Path
    target: str | None = None
    out: Path | None = None
    resume: Path | None = None
    target_config: Path | None = None
    policy: Path | None = None
    declaration: Path | None = None
    judges: tuple[Path, ...] = ()
    accept_unlisted: bool = False
    datasets: tuple[str, ...] = ()
    limit: int | None = None
    repeats: int | None = None
    concurrency: int | None = None
    state: Path | None = None
    allow_rollback: bool = False
    passphrase: str | None = None
    passphrase_file: Path | None = None


@dataclass(frozen=True)
class Prepared:
    """What a session works with."""

    request: RunRequest
    invocation: Invocation
    key: RecipientKey
    state: State
    bundle: OpenedBundle
    plan: Plan
    policy: Policy
    declaration: Declaration
    target: Target
    seats: Seats


def prepare(request: RunRequest, *, estimate: bool = False) -> Prepared:
    """Open and check all inputs of a run; for an estimate, which writes no run, ``out`` may be missing.

    Raises:
        UsageError: options that do not go together or name what does not exist.
        InputError: a file cannot be read, or the state folder cannot be written.
        TrustError: bundle or key are not what they must be.
        EgressError: the guard cannot be narrowed to the target's port.
    """
    _check_options(request, estimate)
    if request.out is not None and request.out.exists():
        require_empty(request.out)
    start = None if request.resume is None else stored_start(request.resume)
    invocation = _invocation(request, start)
    port = require_reachable(current().mode, invocation.target)
    if port is not None:
        confine_to_port(port)
    declaration = Declaration.model_validate(invocation.declaration)
    policy = parse_policy(invocation.policy.encode(), file=request.policy)
    config = load_target_config(None if invocation.target_config is None else Path(invocation.target_config))
    trust = load_trust(request.trust)
    key = load_recipient_key(request.key, request.passphrase)
    state = open_state(request.state)
    bundle = open_bundle(
        request.bundle,
        trust,
        key,
        state=state,
        now=datetime.now(UTC),
        allow_rollback=request.allow_rollback,
        in_use=None if start is None else start.core,
    )
    lock_memory()
    plan = Plan(bundle.datasets, names=invocation.datasets, limit=invocation.limit, repeats=invocation.repeats)
    plan.require_criteria()
    seats = seats_of(
        map(Path, invocation.judges),
        accept_unlisted=invocation.accept_unlisted,
        needed=plan.judged,
        state=state.folder,
        prompts=plan.judge_prompts(),
    )
    target = open_target(invocation.target, config)
    _require_answers_fit(target, plan, invocation)
    _require_not_its_own_judge(seats, target, declaration)
    return Prepared(request, invocation, key, state, bundle, plan, policy, declaration, target, seats)


def _require_not_its_own_judge(seats: Seats, target: Target, declaration: Declaration) -> None:
    """A model that judges its own answers is no judge; known by its weights, as loaded here or as declared."""
    tested = (target.description.get("sha256"), declaration.weights_sha256)
    for seat in seats.seats:
        if seat.record.sha256 in tested:
            raise UsageError(
                tr("裁判就是被测模型", "a judge is the model under test itself"),
                file=seat.path,
                field="--judge",
                remedy=tr("换用另一个裁判模型", "use another model as the judge"),
            )


def _require_answers_fit(target: Target, plan: Plan, invocation: Invocation) -> None:
    """Answers under names that are not asked are another bundle's, or misspelt: say so before all items fail."""
    if not isinstance(target, AnswersTarget) or invocation.limit is not None or invocation.datasets:
        return
    strangers = target.strangers({(p.slot.dataset, p.slot.item, p.slot.repeat) for p in plan.slots()})
    if strangers:
        dataset, item, repeat = strangers[0]
        raise InputError(
            tr(
                f"{len(strangers)} 条回答不对应任何要问的题，第一条为 {dataset}/{item}（第 {repeat} 次）",
                f"{len(strangers)} answers belong to no item that is asked, the first to {dataset}/{item}, "
                f"repeat {repeat}",
            ),
            file=invocation.target,
            field="id",
            remedy=tr(
                "核对数据集名称、题目编号与重复次数（从 0 起）",
                "check names of datasets, item ids and repeats (from 0)",
            ),
        )


def _check_options(request: RunRequest, estimate: bool) -> None:
    neither = request.out is None and request.resume is None
    if (request.out is not None and request.resume is not None) or (neither and not estimate):
        raise UsageError(
            tr("--out 与 --resume 须恰好给出一个", "exactly one of --out and --resume is needed"),
            remedy=tr("新的运行用 --out DIR，继续用 --resume DIR", "--out DIR for a new run, --resume DIR to go on"),
        )
    if request.resume is None and request.target is None:
        raise UsageError(
            tr("缺少 --target", "--target is missing"),
            remedy=tr("例如 --target unix:/run/model.sock", "for example --target unix:/run/model.sock"),
        )
    if request.concurrency is not None and not 1 <= request.concurrency <= MAX_CONCURRENCY:
        raise UsageError(
            tr(f"--concurrency 应为 1–{MAX_CONCURRENCY}", f"--concurrency must be 1 to {MAX_CONCURRENCY}"),
            remedy=tr("通常 8 即可", "8 is usually right"),
        )


def _kept(judge: Path) -> str:
    """A judge as a resume finds it again: an absolute path, or the name of an installed one."""
    return str(judge.absolute() if judge.exists() else judge)


def _invocation(request: RunRequest, start: Start | None) -> Invocation:
    given = {
        "target": None if request.target is None else absolute_spec(request.target),
        "target_config": absolute_path(request.target_config),
        "policy": load_policy(request.policy).text if request.policy or not request.resume else None,
        "declaration": load_declaration(request.declaration).to_json() if request.declaration else None,
        "datasets": request.datasets or None,
        "limit": request.limit,
        "repeats": request.repeats,
        "judges": tuple(_kept(path) for path in request.judges) or None,
        "accept_unlisted": request.accept_unlisted or None,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    if start is not None:
        return start.invocation.model_copy(update=chosen)
    return Invocation.model_validate(chosen)
