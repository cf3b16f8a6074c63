"""The seccomp filter: which system calls a guarded process may not make.

A classic BPF program over ``struct seccomp_data`` (seccomp(2); Documentation/userspace-api/seccomp_filter.rst), written
out here without a library, so that its every byte can be reviewed and its hash stands in reports. What it does:

- a system call of another architecture (32-bit ``int 0x80``, AArch32) or of x32 kills the process;
- ``socket`` and ``socketpair`` make Unix sockets only; the ``tcp`` profile also lets ``socket`` make TCP streams
  (no MPTCP, no UDP, no raw), but neither listen on them nor send with TCP Fast Open, which Landlock does not see;
- no descriptor can be received or taken from another process: ``recvmsg``, ``recvmmsg``, ``pidfd_getfd``,
  ``ptrace``, ``process_vm_readv`` and ``process_vm_writev`` are denied, and ``io_uring``, which would do all of this
  past the filter;
- nobody else can be made to send: ``request_key`` and its like (the kernel would ask a name server through a helper of
  root's), ``ioctl`` TIOCSTI and TIOCLINUX (typing into the operator's terminal) and TUNSETIFF (a network interface of
  one's own) are denied, and so is what only root may do, for a process that is root: mounting, entering namespaces,
  loading code into the kernel.

A socket that is denied gives ``EACCES``, any other call ``EPERM``: a probe can tell the filter from a lack of
privileges.
"""

from __future__ import annotations

import errno
import hashlib
import struct
from collections.abc import Mapping
from enum import StrEnum

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
SOCK_STREAM, SOCK_TYPE_MASK = 1, 0xF
IPPROTO_TCP = 6
MSG_FASTOPEN = 0x20000000
TCP_FASTOPEN, TCP_FASTOPEN_CONNECT = 23, 30

ALLOW = 0x7FFF0000
KILL = 0x80000000
"""SECCOMP_RET_KILL_PROCESS."""
DENY = 0x00050000 | errno.EPERM
DENY_SOCKET = 0x00050000 | errno.EACCES

X32_BIT = 0x40000000
IOCTLS = {"TIOCSTI": 0x5412, "TIOCLINUX": 0x541C, "TUNSETIFF": 0x400454CA}

NUMBERS: Mapping[str, Mapping[str, int]] = {
    "x86_64": {
        "socket": 41,
        "sendto": 44,
        "sendmsg": 46,
        "recvmsg": 47,
        "listen": 50,
        "socketpair": 53,
        "setsockopt": 54,
        "ptrace": 101,
        "recvmmsg": 299,
        "sendmmsg": 307,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "io_uring_setup": 425,
        "io_uring_enter": 426,
        "io_uring_register": 427,
        "pidfd_getfd": 438,
        "ioctl": 16,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "mount": 165,
        "move_mount": 429,
        "fsopen": 430,
        "fsconfig": 431,
        "setns": 308,
        "unshare": 272,
        "bpf": 321,
        "init_module": 175,
        "finit_module": 313,
    },
    "aarch64": {
        "socket": 198,
        "sendto": 206,
        "sendmsg": 211,
        "recvmsg": 212,
        "listen": 201,
        "socketpair": 199,
        "setsockopt": 208,
        "ptrace": 117,
        "recvmmsg": 243,
        "sendmmsg": 269,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "io_uring_setup": 425,
        "io_uring_enter": 426,
        "io_uring_register": 427,
        "pidfd_getfd": 438,
        "ioctl": 29,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "mount": 40,
        "move_mount": 429,
        "fsopen": 430,
        "fsconfig": 431,
        "setns": 268,
        "unshare": 97,
        "bpf": 280,
        "init_module": 105,
        "finit_module": 273,
    },
}
"""Machine (as uname names it) → system call → number (arch/x86/entry/syscalls, include/uapi/asm-generic/unistd.h)."""

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_DENIED = (
    "recvmsg",
    "recvmmsg",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "pidfd_getfd",
    "add_key",
    "request_key",
    "keyctl",
    "mount",
    "move_mount",
    "fsopen",
    "fsconfig",
    "setns",
    "unshare",
    "bpf",
    "init_module",
    "finit_module",
)

_LOAD, _AND = 0x20, 0x54  # BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_AND|BPF_K
_EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x15, 0x35, 0x45, 0x06  # BPF_JMP|BPF_JEQ, |BPF_JGE, |BPF_JSET; BPF_RET
_NR, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; the low word comes first on both machines


class Profile(StrEnum):
    """Which sockets a process may make."""

    UNIX = "unix"
    TCP = "tcp"


class _Code:
    """Instructions of one block, in which jumps name labels further down."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, int, str | None, str | None]] = []
        self._labels: dict[str, int] = {}

    def load(self, offset: int) -> None:
        self._lines.append((_LOAD, offset, None, None))

    def argument(self, index: int) -> None:
        """The low 32 bits: all that the kernel looks at, for these are arguments of type int."""
        self.load(_ARGUMENTS + 8 * index)

    def mask(self, value: int) -> None:
        self._lines.append((_AND, value, None, None))

    def jump(self, test: int, value: int, *, then: str | None = None, otherwise: str | None = None) -> None:
        self._lines.append((test, value, then, otherwise))

    def end(self, action: int) -> None:
        self._lines.append((_RETURN, action, None, None))

    def label(self, name: str) -> None:
        self._labels[name] = len(self._lines)

    def packed(self) -> bytes:
        """``struct sock_filter`` {u16 code, u8 jt, u8 jf, u32 k}, one after the other."""
        return b"".join(
            struct.pack("=HBBI", code, self._distance(at, then), self._distance(at, otherwise), value)
            for at, (code, value, then, otherwise) in enumerate(self._lines)
        )

    def _distance(self, at: int, label: str | None) -> int:
        return 0 if label is None else self._labels[label] - at - 1


def program(profile: Profile, machine: str) -> bytes:
    """The filter, as an array of ``struct sock_filter``.

    Args:
        profile: which sockets it lets through.
        machine: ``x86_64`` or ``aarch64``.

    Raises:
        KeyError: another machine.
    """
    numbers = NUMBERS[machine]
    blocks = [_foreign(machine), *(_denied(numbers[name]) for name in _DENIED), _no_ioctl(numbers["ioctl"])]
    if profile is Profile.UNIX:
        blocks += [_unix_only(numbers["socket"]), _unix_only(numbers["socketpair"])]
    else:
        blocks += [_streams(numbers["socket"]), _unix_only(numbers["socketpair"]), _denied(numbers["listen"])]
        blocks += [_no_flag(numbers[name], index) for name, index in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3))]
        blocks.append(_no_fast_open(numbers["setsockopt"]))
    blocks.append(struct.pack("=HBBI", _RETURN, 0, 0, ALLOW))
    return b"".join(blocks)


def digest(code: bytes) -> str:
    """SHA-256 (hex) of a filter: by this a report names it."""
    return hashlib.sha256(code).hexdigest()


PUBLISHED: Mapping[str, Profile] = {
    "7e39affd35231adbfbac3af643e29ab911b51da2e875ae6206340b8a54ae04c1": Profile.UNIX,  # x86_64
    "3641be4829b889e6605f84f833dec9a56508692e166b39a94fac302b0a2825c0": Profile.TCP,  # x86_64
    "cc7a6dbbafe594aeec614d10e05e93da2307541020ddd11f26a48a08566490bc": Profile.UNIX,  # aarch64
    "0374ba0a24e191c5a0735614d09b108b5749d09c6e98cd80cf3f7edd357b8eda": Profile.TCP,  # aarch64
}
"""Digest → profile of every filter that a release has had: old reports name theirs, and are verified for years."""


def _foreign(machine: str) -> bytes:
    code = _Code()
    code.load(_ARCH)
    code.jump(_EQUAL, _AUDIT_ARCH[machine], then="native")
    code.end(KILL)
    code.label("native")
    if machine == "x86_64":
        code.load(_NR)
        code.jump(_AT_LEAST, X32_BIT, otherwise="done")
        code.end(KILL)
        code.label("done")
    return code.packed()


def _call(number: int) -> _Code:
    """A block about one system call; for any other it goes on to ``done``, the label at its end."""
    code = _Code()
    code.load(_NR)
    code.jump(_EQUAL, number, otherwise="done")
    return code


def _denied(number: int) -> bytes:
    code = _call(number)
    code.end(DENY)
    code.label("done")
    return code.packed()


def _unix_only(number: int) -> bytes:
    code = _call(number)
    code.argument(0)
    code.jump(_EQUAL, AF_UNIX, then="done")
    code.end(DENY_SOCKET)
    code.label("done")
    return code.packed()


def _streams(number: int) -> bytes:
    code = _call(number)
    code.argument(0)
    code.jump(_EQUAL, AF_UNIX, then="done")
    code.jump(_EQUAL, AF_INET, then="type")
    code.jump(_EQUAL, AF_INET6, then="type")
    code.end(DENY_SOCKET)
    code.label("type")
    code.argument(1)
    code.mask(SOCK_TYPE_MASK)
    code.jump(_EQUAL, SOCK_STREAM, then="protocol")
    code.end(DENY_SOCKET)
    code.label("protocol")
    code.argument(2)
    code.jump(_EQUAL, 0, then="done")
    code.jump(_EQUAL, IPPROTO_TCP, then="done")
    code.end(DENY_SOCKET)
    code.label("done")
    return code.packed()


def _no_flag(number: int, index: int) -> bytes:
    code = _call(number)
    code.argument(index)
    code.jump(_ANY_BIT, MSG_FASTOPEN, otherwise="done")
    code.end(DENY)
    code.label("done")
    return code.packed()


def _no_ioctl(number: int) -> bytes:
    code = _call(number)
    code.argument(1)
    return _denied_values(code, *IOCTLS.values())


def _no_fast_open(number: int) -> bytes:
    code = _call(number)
    code.argument(1)
    code.jump(_EQUAL, IPPROTO_TCP, otherwise="done")
    code.argument(2)
    return _denied_values(code, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT)


def _denied_values(code: _Code, *values: int) -> bytes:
    """The end of a block that denies some values of what it has loaded."""
    *others, last = values
    for value in others:
        code.jump(_EQUAL, value, then="deny")
    code.jump(_EQUAL, last, otherwise="done")
    code.label("deny")
    code.end(DENY)
    code.label("done")
    return code.packed()
