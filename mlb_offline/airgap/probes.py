"""What a guarded process tries, to find out whether the guard holds.

No probe sends anything, with or without a guard: each asks for a socket and closes it again, or makes a call with
arguments that could never work, whose error tells whether the filter or the kernel proper refused it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Literal

from mlb_offline.airgap import filters, kernel
from mlb_offline.airgap.modes import Mode

Result = Literal["denied", "open"]
"""``denied`` by the filter, or ``open``: nothing denied it, though the machine may lack it."""

_NONE = -1
_CLOEXEC = 0x80000
_SOCKETS = {
    "tcp": (2, 1, 0),
    "tcp6": (10, 1, 0),
    "udp": (2, 2, 0),
    "udp6": (10, 2, 0),
    "mptcp": (2, 1, 262),
    "sctp": (2, 1, 132),
    "raw": (2, 3, 1),
    "netlink": (16, 3, 0),
    "packet": (17, 3, 0),
    "vsock": (40, 1, 0),
}
"""Name → domain, type, protocol."""

_CALLS: Mapping[str, tuple[int | None, ...]] = {
    "recvmsg": (_NONE, None, 0),
    "recvmmsg": (_NONE, None, 0, 0, None),
    "io_uring_setup": (0, None),
    "pidfd_getfd": (_NONE, 0, 0),
    "ptrace": (17, 0, 0, 0),  # PTRACE_DETACH of no process
    "process_vm_readv": (0, None, 0, None, 0, 1),  # flags that do not exist
    "request_key": (None, None, None, 0),
    "tiocsti": (_NONE, filters.IOCTLS["TIOCSTI"], None),
    "setns": (_NONE, 0),
}
_SYSTEM_CALLS = {"tiocsti": "ioctl"}
"""Probe → system call, where it has another name."""

_TCP_CALLS: Mapping[str, tuple[str, tuple[int | None, ...]]] = {
    "listen": ("listen", (_NONE, 0)),
    "fastopen-send": ("sendto", (_NONE, None, 0, filters.MSG_FASTOPEN, None, 0)),
    "fastopen-option": ("setsockopt", (_NONE, filters.IPPROTO_TCP, filters.TCP_FASTOPEN_CONNECT, None, 0)),
}
_LET_THROUGH = frozenset({"tcp", "tcp6"})


def expected(mode: Mode) -> Mapping[str, Result]:
    """What each probe must find under a mode; empty where nothing is enforced."""
    if mode is Mode.NONE:
        return {}
    names = [*_SOCKETS, *_CALLS, *(_TCP_CALLS if mode.over_tcp else ())]
    return {name: "open" if mode.over_tcp and name in _LET_THROUGH else "denied" for name in names}


FIRST = frozenset({*_SOCKETS, *_CALLS})
"""Probes of the first release: a report of any release has made these, and may have made others since."""


def fit(mode: Mode, found: Mapping[str, str]) -> bool:
    """Whether what the probes of some release found is what the mode promises."""
    if mode is Mode.NONE:
        return not found
    open_ones = _LET_THROUGH if mode.over_tcp else frozenset()
    return found.keys() >= FIRST and all((result == "open") == (name in open_ones) for name, result in found.items())


def probe(mode: Mode) -> Mapping[str, Result]:
    """Try all that has an expected result under the mode.

    Returns:
        name of the probe → result.
    """
    return {name: _attempt(name) for name in expected(mode)}


def _attempt(name: str) -> Result:
    numbers = filters.NUMBERS[kernel.machine()]
    if name in _SOCKETS:
        domain, kind, protocol = _SOCKETS[name]
        return _result(errno.EACCES, numbers["socket"], domain, kind | _CLOEXEC, protocol, opens=True)
    call, arguments = _TCP_CALLS.get(name, (_SYSTEM_CALLS.get(name, name), _CALLS.get(name, ())))
    return _result(errno.EPERM, numbers[call], *arguments)


def _result(denial: int, number: int, *arguments: int | None, opens: bool = False) -> Result:
    try:
        descriptor = kernel.call(number, *arguments)
    except OSError as error:
        return "denied" if error.errno == denial else "open"
    if opens:
        os.close(descriptor)
    return "open"
