"""The guard and its evidence, in words."""

from __future__ import annotations

from collections.abc import Callable

from mlb_offline.airgap.evidence import ProcessSeen, Snapshot, gaps, take
from mlb_offline.airgap.modes import Mode
from mlb_offline.doctor.finding import Area, Checks, Finding, failed, failure, ok, warning
from mlb_offline.doctor.trial import refusal
from mlb_offline.errors import EgressError, Exit
from mlb_offline.language import tr

_SHOWN = 5  # interfaces that are named


def check_egress(target: str | None, why: Callable[[], EgressError | None] = refusal) -> Checks[Snapshot]:
    """Take the evidence and judge it.

    Args:
        target: as ``--target`` names it; who answers at its socket is part of the evidence.
        why: finds out what the kernel says to the guard, where there is none.

    Returns:
        the evidence.

    Raises:
        EgressError: /proc cannot be read.
        TrustError: files of the image were changed.
    """
    seen = take(target)
    if Mode(seen.mode) is Mode.NONE:
        yield _unguarded(why())
    else:
        yield from check_snapshot(seen)
    yield from describe(seen)
    return seen


def _unguarded(refused: EgressError | None) -> Finding:
    if refused is not None:
        return failed(Area.EGRESS, "guard", refused)
    return failure(
        Area.EGRESS,
        "guard",
        tr("出网防护已关闭（--guard none）", "the egress guard is off (--guard none)"),
        tr(
            "去掉 --guard none，内核可以启用防护；若保留它，运行仍可进行，但报告会写明“未强制断网”",
            "leave out --guard none, for the kernel can put the guard up; a run with it goes on, but its report says "
            "that egress was not enforced",
        ),
        Exit.EGRESS,
    )


def check_snapshot(seen: Snapshot) -> Checks[None]:
    """Judge the evidence of a guarded process against what its mode promises."""
    missing = gaps(seen)
    if missing:
        told = tr("；", "; ").join(_gap(code) for code in missing)
        yield failure(
            Area.EGRESS,
            "evidence",
            tr(f"防护模式 {seen.mode}，但{told}", f"the guard mode is {seen.mode}, but {told}"),
            tr(
                "从不受其他沙箱约束的进程启动；若仍如此，不要用此机器评测，把 doctor --support-file 的输出交给支持人员",
                "start it from a process that is in no other sandbox; if that does not help, do not evaluate on this "
                "machine, and give the output of doctor --support-file to support",
            ),
            Exit.EGRESS,
        )
        return
    if not Mode(seen.mode).over_tcp:
        yield ok(
            Area.EGRESS,
            "guard",
            tr(
                "防护模式 unix-only：只能打开 Unix 套接字",
                "guard mode unix-only: nothing but Unix sockets can be opened",
            ),
        )
    else:
        yield _weaker(seen)
    yield ok(
        Area.EGRESS,
        "probes",
        tr(
            f"自检 {len(seen.probes)} 项，结果均与模式相符",
            f"all {len(seen.probes)} attempts ended as the mode promises",
        ),
    )


def _weaker(seen: Snapshot) -> Finding:
    landlock = seen.process.landlock
    port = None if landlock is None else landlock.port
    bound = tr("端口未限定", "to any port") if port is None else tr(f"限于端口 {port}", f"to port {port} only")
    return warning(
        Area.EGRESS,
        "guard",
        tr(
            f"防护模式 {seen.mode}：可以打开 TCP 连接（{bound}），内核不限定地址；报告会写明",
            f"guard mode {seen.mode}: TCP streams can be opened, {bound}, and the kernel does not bind their address; "
            "the report says so",
        ),
        tr(
            "更强：经 mlb-offline bridge 与 --target unix:PATH，用默认模式 unix-only",
            "stronger: `mlb-offline bridge` and --target unix:PATH, under the default mode unix-only",
        ),
    )


def _gap(code: str) -> str:
    words = {
        "seccomp": tr("seccomp 过滤器没有生效", "no seccomp filter is in force"),
        "no-new-privs": tr("no_new_privs 没有设置", "no_new_privs is not set"),
        "filter": tr("过滤器不是已发布的那一个", "the filter is none of those published"),
        "probes": tr("自检的结果与模式不符", "attempts did not end as it promises"),
        "network-socket": tr("本进程持有网络套接字", "this process holds a network socket"),
        "core-dumps": tr("崩溃时会写出内存转储", "a crash would write memory to a file"),
    }
    return words.get(code, code)


def describe(seen: Snapshot) -> Checks[None]:
    """The rest of the evidence, none of which is good or bad by itself."""
    process, network = seen.process, seen.network
    yield ok(Area.EGRESS, "process", _process(process))
    up = [one.name for one in network.interfaces if one.up and one.name != "lo"]
    named = ", ".join(up[:_SHOWN]) + ("…" if len(up) > _SHOWN else "") or tr("无", "none")
    if network.empty:
        message = tr(
            "网络命名空间为空：除回环外无接口、无路由", "the network namespace is empty: loopback, and no route"
        )
    else:
        message = tr(
            f"网络命名空间不为空：接口 {named}，路由 {network.routes} 条；容器加 --network none 即为空",
            f"the network namespace is not empty: interfaces {named}, routes {network.routes}; a container started "
            "with --network none has an empty one",
        )
    yield ok(Area.EGRESS, "namespace", message)
    counts = ", ".join(f"{name} {count}" for name, count in network.sockets.model_dump().items() if count)
    yield ok(
        Area.EGRESS,
        "sockets",
        tr(
            f"本进程：网络套接字 {process.network_sockets} 个，Unix 套接字 {process.unix_sockets} 个；"
            f"命名空间内（含其他进程）：{counts or '无'}",
            f"this process: network sockets {process.network_sockets}, Unix sockets {process.unix_sockets}; in the "
            f"namespace, other processes included: {counts or 'none'}",
        ),
    )
    if seen.peer is not None:
        yield ok(
            Area.EGRESS,
            "peer",
            tr(
                f"目标套接字的对方：进程 {seen.peer.pid}（0：在另一容器中），用户 {seen.peer.uid}",
                f"at the target's socket: process {seen.peer.pid} (0: in another container) of user {seen.peer.uid}",
            ),
        )


def _process(process: ProcessSeen) -> str:
    digest = (process.filter_sha256 or "")[:16]
    filtered = (
        tr(f"seccomp 过滤器 {digest}…", f"seccomp filter {digest}…")
        if digest
        else tr("无 seccomp 过滤器", "no seccomp filter")
    )
    landlock = process.landlock
    if landlock is None:
        confined = tr("无 Landlock", "no Landlock")
    else:
        scoped = tr("其他进程的抽象套接字不可达", "abstract sockets of others out of reach")
        ports = {None: tr("TCP 端口不受限", "TCP ports free"), 0: tr("TCP 端口全部封闭", "all TCP ports shut")}
        port = ports.get(landlock.port, tr(f"TCP 仅端口 {landlock.port}", f"TCP port {landlock.port} only"))
        confined = tr("，", ", ").join([f"Landlock ABI {landlock.abi}", port, *([scoped] if landlock.scoped else [])])
    dumps = tr("内存转储开启", "core dumps on") if process.core_dumps else tr("内存转储关闭", "core dumps off")
    return tr("；", "; ").join([filtered, confined, dumps])
