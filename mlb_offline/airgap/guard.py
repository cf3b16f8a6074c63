"""Installs the guard: what is done, in this order, before anything heavy is imported.

1. libraries are told not to phone home, and which files they may not load (environment);
2. inherited sockets are closed; one that is standard input, output or error and not a Unix socket is refused;
3. core dumps are off, and the process cannot be inspected by others of its user;
4. ``no_new_privs``; 5. Landlock, where the kernel has it; 6. the seccomp filter, in all threads;
7. probes: the process tries what it must not be able to do.

Nothing of 4 to 6 can be undone, and all of it is inherited by every child. What a process starts with is ``none``;
``current`` says what really holds.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import socket
import stat
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from mlb_offline.airgap import filters, kernel
from mlb_offline.airgap.modes import Mode
from mlb_offline.airgap.network import descriptors, family_of
from mlb_offline.airgap.probes import expected, probe
from mlb_offline.errors import EgressError
from mlb_offline.language import tr

ENVIRONMENT = {
    # onnxruntime ≥ 1.29 on Linux asks name servers some seconds after its import, unless told so before it.
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}
_UNWANTED = ("GGML_BACKEND_PATH", "LLAMA_CPP_LIB_PATH", "LD_PRELOAD", "LD_AUDIT", "OPENSSL_CONF", "OPENSSL_MODULES")
"""Variables by which code from elsewhere would be loaded, here or in a child. What the loader and Python itself read
before this runs is trusted: whoever sets it starts the program, and could start another one."""

_TERMINAL_OR_NOTHING = re.compile(r"/dev/(null|zero|full|random|urandom|tty\w*|console|ptmx|pts/\d+)")


class GuardRefusedError(EgressError):
    """The kernel does not put up the guard, or it does not hold."""


@dataclass(frozen=True)
class Landlock:
    """What Landlock adds.

    Attributes:
        abi: version of the kernel's interface; from 1 on the memory of other processes is out of reach.
        scoped: abstract Unix sockets of others are out of reach.
        port: the only TCP port that can be connected to; 0: none can; None: not restricted.
        threads: threads of the process when it was installed; it binds the one that installed it, and later ones.
    """

    abi: int
    scoped: bool
    port: int | None
    threads: int


@dataclass(frozen=True)
class Guard:
    """What holds for this process.

    Attributes:
        mode: as enforced.
        filter_sha256: of the seccomp program; None where there is none.
        landlock: None where the kernel has none, or nothing is enforced.
        refused: a guard was asked for, and the kernel did not put it up.
        memory_locked: what was in memory when ``lock_memory`` was called cannot be swapped out.
    """

    mode: Mode
    filter_sha256: str | None = None
    landlock: Landlock | None = None
    refused: bool = False
    memory_locked: bool = False


_current = Guard(Mode.NONE)


def current() -> Guard:
    """The guard of this process."""
    return _current


def install(mode: Mode, *, keep: Collection[int] = ()) -> Guard:
    """Put this process, and all that it will start, under the guard.

    Args:
        mode: what stays possible; ``none`` does steps 1 to 3 only.
        keep: descriptors of sockets that are not closed.

    Raises:
        GuardRefusedError: the kernel refuses, a stricter guard was inherited, or a probe succeeds that must fail.
        EgressError: standard input, output or error is a network connection.
    """
    global _current  # noqa: PLW0603 - the guard is the process's, and cannot be taken off
    os.environ.update(ENVIRONMENT)
    for name in _UNWANTED:
        os.environ.pop(name, None)
    close_inherited_sockets(keep)
    hide_memory()
    if mode is Mode.NONE:
        return _current
    _current = replace(_current, refused=True)  # until it stands
    if kernel.machine() not in filters.NUMBERS:
        raise _refused(tr("此系统或处理器架构没有过滤器", "there is no filter for this system or processor"))
    code = filters.program(filters.Profile.TCP if mode.over_tcp else filters.Profile.UNIX, kernel.machine())
    try:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        landlock = _landlock(mode)
        kernel.install_filter(code)
    except OSError as error:
        raise _refused(error.strerror or str(error)) from None
    require_probes(mode)
    _current = Guard(mode, filters.digest(code), landlock)
    return _current


def _landlock(mode: Mode) -> Landlock | None:
    abi = kernel.landlock_abi()
    if not abi:
        return None
    kernel.landlock_domain(abi, shut_tcp=not mode.over_tcp)
    return Landlock(abi, abi >= 6, 0 if abi >= 4 and not mode.over_tcp else None, _threads())


def _threads() -> int:
    """Threads of this process, those that libraries started included."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def confine_to_port(port: int) -> None:
    """Let TCP streams go to this port only, where the kernel's Landlock can tell ports (ABI 4).

    Raises:
        GuardRefusedError: it can, but refuses.
    """
    global _current  # noqa: PLW0603 - as in ``install``
    landlock = _current.landlock
    if landlock is None or landlock.abi < 4 or not _current.mode.over_tcp or landlock.port == port:
        return
    try:
        kernel.landlock_port(port)
    except OSError as error:
        raise _refused(error.strerror or str(error)) from None
    _current = replace(_current, landlock=replace(landlock, port=port, threads=_threads()))


def lock_memory() -> None:
    """Keep what is in memory now out of swap, if the limits of this process allow it."""
    global _current  # noqa: PLW0603 - as in ``install``
    _current = replace(_current, memory_locked=kernel.lock_memory())


def require_probes(mode: Mode) -> None:
    """Try everything that the mode forbids.

    Raises:
        GuardRefusedError: something was not as the mode promises.
    """
    found = probe(mode)
    wrong = sorted(name for name, result in expected(mode).items() if found[name] != result)
    if wrong and all(found[name] == "denied" for name in wrong):
        raise GuardRefusedError(
            tr(
                f"已继承更严格的防护，无法启用模式 {mode}",
                f"a stricter guard was inherited from the process that started this one: no mode {mode} under it",
            ),
            remedy=tr("从不受防护的进程启动", "start it from a process that is not guarded"),
        )
    if wrong:
        raise GuardRefusedError(
            tr(
                f"出网防护没有起作用，自检未通过：{', '.join(wrong)}",
                f"the guard does not hold; these probes failed: {', '.join(wrong)}",
            ),
            remedy=tr(
                "不要用此机器运行评测；把 doctor --support-file 的输出交给支持人员",
                "do not evaluate on this machine; give the output of doctor --support-file to support",
            ),
        )


def close_inherited_sockets(keep: Collection[int] = ()) -> None:
    """Close every socket that this process was started with, and what could do the work of one.

    That is what has no name in a folder (io_uring, pidfd, epoll) and devices other than terminals, /dev/null and the
    like, such as a network tunnel.

    Raises:
        EgressError: standard input, output or error is a network connection.
    """
    for descriptor in descriptors() if Path("/proc/self/fd").is_dir() else ():
        if descriptor in keep:
            continue
        family = family_of(descriptor)
        if descriptor > 2 and (family is not None or _does_more_than_files(descriptor)):
            os.close(descriptor)
        elif descriptor <= 2 and family not in {None, socket.AF_UNIX}:
            raise EgressError(
                tr("标准输入、输出或错误是网络连接", "standard input, output or error is a network connection"),
                remedy=tr("从终端、文件或管道启动", "start it from a terminal, a file or a pipe"),
            )


def _does_more_than_files(descriptor: int) -> bool:
    try:
        kind = os.fstat(descriptor).st_mode
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return False  # closed meanwhile: it was the listing's own
    device = stat.S_ISCHR(kind) or stat.S_ISBLK(kind)
    return name.startswith("anon_inode:") or (device and _TERMINAL_OR_NOTHING.fullmatch(name) is None)


def hide_memory() -> None:
    """No core dumps, of this process or its children, and no look into it for others of the same user."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def _refused(why: str) -> GuardRefusedError:
    return GuardRefusedError(
        tr(f"内核没有启用出网防护：{why}", f"the kernel does not put up the guard: {why}"),
        remedy=tr(
            "需要 Linux 5.0 以上、x86_64 或 aarch64、启用 seccomp（容器用默认的 seccomp 配置即可）；"
            "若仍要继续而不强制断网，加 --guard none，报告会写明“未强制断网”",
            "needed: Linux 5.0 or later on x86_64 or aarch64 with seccomp (a container's default profile will do); "
            "to go on without enforcement, add --guard none: the report then says that egress was not enforced",
        ),
    )
