"""The model under test, reached as a run would reach it; and the judges, loaded as a run would load them."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlb_offline.airgap.guard import confine_to_port, current
from mlb_offline.airgap.modes import require_reachable
from mlb_offline.airgap.network import peer_of
from mlb_offline.doctor.finding import Area, Checks, ok
from mlb_offline.doctor.memory import Model
from mlb_offline.doctor.options import Options
from mlb_offline.errors import TargetError, UsageError
from mlb_offline.language import tr
from mlb_offline.target.config import TargetConfig, load_target_config
from mlb_offline.target.opening import open_target
from mlb_offline.target.types import Target

PATIENCE = 30.0
"""Seconds for the first contact; a run waits longer for an answer, but a list of models needs no time."""

JUDGE_CONTEXT = 4096
"""Tokens of context that are allowed for a judge."""


def models_to_load(options: Options, config: TargetConfig | None) -> list[Model]:
    """The GGUF files that would be loaded here; those that are not there are told of where they are opened."""
    files = [(path, JUDGE_CONTEXT) for path in options.judges]
    own = options.target_file("gguf")
    if own is not None:
        files.insert(0, (own, (config or TargetConfig()).context))
    found = []
    for path, context in files:
        with suppress(OSError):
            found.append(Model(path.name, path.stat().st_size, context))
    return found


def check_config(options: Options) -> Checks[TargetConfig]:
    """Read the target config, and return it; without one, the defaults.

    Raises:
        InputError: as ``load_target_config``.
    """
    config = load_target_config(options.target_config)
    if options.target_config is not None:
        name = options.target_config
        yield ok(Area.TARGET, "config", tr(f"目标配置可用：{name}", f"the target config can be used: {name}"))
    return config


def check_way(spec: str) -> Checks[bool]:
    """Check that the guard lets the target be reached, and narrow it as a run does; returns True.

    Raises:
        UsageError: the guard's mode is too strict for it.
        EgressError: the guard cannot be narrowed.
    """
    port = require_reachable(current().mode, spec)
    if port is not None:
        confine_to_port(port)
        yield ok(Area.TARGET, "way", tr(f"防护模式允许 TCP 端口 {port}", f"the guard mode allows TCP port {port}"))
    return True


def check_target(spec: str, config: TargetConfig) -> Checks[None]:
    """Open the target and make the first contact; no question is asked.

    Raises:
        UsageError, InputError: as ``open_target``.
        TargetError: it does not answer as a model server does.
    """
    kind, _, rest = spec.partition(":")
    if kind == "unix":
        yield from _socket(Path(rest))
    target = open_target(spec, config)
    found = asyncio.run(_first_contact(target))
    if kind == "gguf":
        yield from _engine()
    yield ok(Area.TARGET, "answers", _answered(kind, found))


async def _first_contact(target: Target) -> Mapping[str, Any]:
    try:
        return await asyncio.wait_for(target.probe(), PATIENCE)
    except TimeoutError:
        raise TargetError(
            tr(f"目标在 {PATIENCE:g} 秒内没有应答", f"the target did not answer within {PATIENCE:g} s"),
            remedy=tr(
                "查看模型服务器是否仍在载入模型或已停止响应", "see whether the model server is still loading, or stuck"
            ),
        ) from None
    finally:
        await target.close()


def _socket(path: Path) -> Checks[None]:
    """What is known of the socket before it is asked; what is wrong with it is told by the first contact."""
    with suppress(OSError):
        seen = path.stat()
        peer = peer_of(str(path)) if stat.S_ISSOCK(seen.st_mode) else None
        if peer is not None:
            mode = f"{stat.S_IMODE(seen.st_mode):04o}"
            yield ok(
                Area.TARGET,
                "socket",
                tr(
                    f"{path}：权限 {mode}，由进程 {peer.pid}（0：在另一容器中）、用户 {peer.uid} 监听",
                    f"{path}: mode {mode}; process {peer.pid} (0: in another container) of user {peer.uid} listens",
                ),
            )


def _answered(kind: str, found: Mapping[str, Any]) -> str:
    if kind == "answers":
        count = sum(found["answers"].values())
        return tr(
            f"回答文件可用，共 {count} 条；结果只作参考", f"the answers can be read: {count}; their run is indicative"
        )
    if kind == "gguf":
        return tr(f"模型可载入：{found['name']}", f"the model can be loaded: {found['name']}")
    if found["models"] is None:
        return tr("服务器应答，但不提供模型列表", "the server answers, but has no list of models")
    return tr(f"服务器应答，将使用模型 {found['model']}", f"the server answers; the model to be used: {found['model']}")


def _engine() -> Checks[None]:
    from mlb_offline.target.llama import cpu_variant

    yield ok(
        Area.CPU,
        "engine",
        tr(f"llama.cpp 实际使用的后端：{cpu_variant()}", f"llama.cpp uses the backend {cpu_variant()}"),
    )


def check_judges(options: Options) -> Checks[None]:
    """Load the judges that a run would use, let them judge one sentence, and free them again.

    Raises:
        NotEvaluableError: the embedded judges are not there.
        UsageError: one is the model under test, or they are not different models.
        InputError, TrustError: one cannot be loaded, or is not the one that its publisher signed.
        JudgeError: one cannot judge.
    """
    from mlb_offline.benchmark.catalogue import DATASETS
    from mlb_offline.benchmark.items import Item
    from mlb_offline.judge.opening import seats_of
    from mlb_offline.judge.protocol import criteria_of

    tested = options.target_file("gguf")
    for path in options.judges:
        if tested is not None and path.exists() and tested.exists() and path.samefile(tested):
            raise UsageError(
                tr("裁判模型不能是被测模型", "a judge cannot be the model under test"),
                file=path,
                field="--judge",
                remedy=tr("换用另一个模型文件", "name another model file"),
            )
    seats = seats_of(options.judges, accept_unlisted=True, needed=True, state=options.state_folder)
    item = Item(id="x", specialty="x", question="可以吗？", source="x", licence="x", reviewed_by="none")
    panel = seats.open()
    try:
        panel.ask(criteria_of(DATASETS["GeneralSafety"], item, "请及时就医。"))
    finally:
        panel.close()
    yield from _engine()
    for seat in seats.seats:
        record = seat.record
        if record.accepted:
            said = "不在签名清单中，也未安装：运行时须加 --accept-unlisted"
            yield ok(
                Area.JUDGE,
                "loads",
                tr(
                    f"裁判 {record.name} 可用；{said}",
                    f"the judge {record.name} works; not listed, nor installed: run needs --accept-unlisted",
                ),
            )
        else:
            yield ok(Area.JUDGE, "loads", tr(f"裁判 {record.name} 可用", f"the judge {record.name} works"))
