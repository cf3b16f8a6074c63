"""The kernel, this process's privileges, and whether the image is as it was built."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mlb_offline.airgap.evidence import status_number
from mlb_offline.airgap.guard import current
from mlb_offline.airgap.kernel import landlock_abi
from mlb_offline.airgap.modes import Mode
from mlb_offline.doctor.finding import Area, Checks, failure, ok, warning
from mlb_offline.errors import Exit
from mlb_offline.installation import Image
from mlb_offline.language import tr

OLDEST = (5, 0)
"""The oldest kernel for which the guard is made."""

_PORTS_ABI = 4  # since when Landlock tells TCP ports


@dataclass(frozen=True)
class System:
    """What the kernel says.

    Attributes:
        release: of the kernel, such as ``6.8.0-45-generic``.
        status: text of /proc/self/status.
        landlock: version of its interface; 0: none.
        mode: guard of this process.
    """

    release: str
    status: str
    landlock: int
    mode: Mode

    def number(self, field: str, base: int = 10) -> int | None:
        """A number of /proc/self/status; None where the kernel has no such field."""
        return status_number(self.status, field, base)


def read_system() -> System:
    """The kernel and this process.

    Raises:
        OSError: /proc cannot be read.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return System(os.uname().release, status, landlock_abi(), current().mode)


def check_system(system: System) -> Checks[None]:
    """Judge kernel and privileges."""
    yield from _release(system)
    yield from _seccomp(system)
    yield from _landlock(system)
    yield from _privileges(system)


def _release(system: System) -> Checks[None]:
    found = re.match(r"(\d+)\.(\d+)", system.release)
    message = tr(f"内核 {system.release}", f"kernel {system.release}")
    if found and (int(found[1]), int(found[2])) >= OLDEST:
        yield ok(Area.KERNEL, "release", message)
        return
    yield warning(
        Area.KERNEL,
        "release",
        message + tr("，早于 5.0，出网防护未为其制作", ", older than 5.0, for which the guard is not made"),
        tr("在内核 5.0 或更新的机器上运行", "use a machine with kernel 5.0 or later"),
    )


def _seccomp(system: System) -> Checks[None]:
    mode = system.number("Seccomp")
    if mode is None:
        yield failure(
            Area.KERNEL,
            "seccomp",
            tr("内核没有 seccomp，无法强制断网", "the kernel has no seccomp: egress cannot be stopped by it"),
            tr("换用启用 CONFIG_SECCOMP_FILTER 的内核", "use a kernel with CONFIG_SECCOMP_FILTER"),
            Exit.EGRESS,
        )
        return
    filters = system.number("Seccomp_filters") or 0
    locked = tr("已设", "set") if system.number("NoNewPrivs") else tr("未设", "not set")
    message = tr(
        f"内核有 seccomp；本进程过滤器 {filters} 个，no_new_privs {locked}",
        f"the kernel has seccomp; filters on this process: {filters}; no_new_privs: {locked}",
    )
    # Whether that is enough is judged with the evidence; here only what the kernel can do.
    yield ok(Area.KERNEL, "seccomp", message)


def _landlock(system: System) -> Checks[None]:
    if system.mode.over_tcp and system.landlock < _PORTS_ABI:
        yield warning(
            Area.KERNEL,
            "landlock",
            tr(
                f"Landlock ABI {system.landlock} 不能限定 TCP 端口（需 {_PORTS_ABI}）",
                f"Landlock ABI {system.landlock} cannot tell TCP ports ({_PORTS_ABI} can)",
            ),
            tr(
                "使用内核 6.7 或更新的机器，或改经 mlb-offline bridge 与 unix: 目标",
                "use kernel 6.7 or later, or `mlb-offline bridge` and a unix: target",
            ),
        )
        return
    said = f"Landlock ABI {system.landlock}"
    none = tr("内核没有 Landlock（非必需）", "the kernel has no Landlock, which is not required")
    yield ok(Area.KERNEL, "landlock", said if system.landlock else none)


def _privileges(system: System) -> Checks[None]:
    if not system.number("CapEff", 16):
        yield ok(Area.KERNEL, "privileges", tr("没有特权", "no privileges"))
        return
    yield warning(
        Area.KERNEL,
        "privileges",
        tr(
            "本进程拥有不需要的特权（capabilities）", "this process has privileges (capabilities) that it does not need"
        ),
        tr(
            "以普通用户启动；容器加 --user 1000:1000 --cap-drop ALL",
            "start it as an ordinary user; a container with --user 1000:1000 --cap-drop ALL",
        ),
    )


def check_measured(image: Image | None) -> Checks[None]:
    """Say whether the program is an image whose files were measured; those that were changed raise before."""
    if image is None:
        yield ok(
            Area.KERNEL,
            "image",
            tr(
                "不在映像中运行：程序文件没有可核对的清单",
                "not run from an image: there is no list to check its files against",
            ),
        )
        return
    yield ok(
        Area.KERNEL,
        "image",
        tr(
            f"映像的 {image.files} 个文件均与制作时相同（清单 {image.manifest_sha256[:16]}…）",
            f"all {image.files} files of the image are as they were built (manifest {image.manifest_sha256[:16]}…)",
        ),
    )
