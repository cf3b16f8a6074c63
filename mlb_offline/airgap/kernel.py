"""The few system calls of the guard, through ctypes: prctl(2), seccomp(2), landlock(7), mlockall(2).

Numbers are those of x86_64 and AArch64, which agree for everything newer than 2018 and are listed where they differ.
Every function raises ``OSError`` with the kernel's errno.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Sequence
from functools import cache

PR_SET_DUMPABLE, PR_GET_DUMPABLE = 4, 3
PR_SET_NO_NEW_PRIVS = 38

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_NET_BIND_TCP, _NET_CONNECT_TCP = 1, 2  # since ABI 4
_MAKE_BLOCK, _REFER = 1 << 11, 1 << 13  # since ABI 1, since ABI 2
_RULE_PATH_BENEATH, _RULE_NET_PORT = 1, 2
_SCOPE_ABSTRACT_UNIX = 1  # since ABI 6
_MCL_CURRENT, _MCL_ONFAULT = 1, 4


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def machine() -> str:
    """The machine as uname names it, ``x86_64`` or ``aarch64`` where the guard knows it; ``""`` off Linux."""
    return platform.machine() if sys.platform == "linux" else ""


def call(number: int, *arguments: int | bytes | None) -> int:
    """Make one system call and return its result; bytes are passed by address.

    Raises:
        OSError: it failed.
    """
    words = [ctypes.c_long(word) if isinstance(word, int) else ctypes.c_char_p(word) for word in arguments]
    return _checked(int(_libc().syscall(ctypes.c_long(number), *words)))


def prctl(option: int, value: int) -> int:
    """prctl(2) with one argument; the others are 0, as the kernel wants them.

    Raises:
        OSError: the kernel refuses.
    """
    zero = ctypes.c_ulong(0)
    return _checked(int(_libc().prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero)))


def _checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def install_filter(code: bytes) -> None:
    """Install a seccomp filter in every thread of the process; it can never be taken away again.

    Args:
        code: ``filters.program``.

    Raises:
        OSError: the kernel has no seccomp, ``no_new_privs`` is not set, or a thread could not follow (EBUSY).
    """
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog {unsigned short len; struct sock_filter *filter;}
    fprog = struct.pack("=H6xQ", len(code) // 8, ctypes.addressof(buffer))
    thread = call(_SECCOMP[machine()], _SET_MODE_FILTER, _FLAG_TSYNC, fprog)
    if thread:
        raise OSError(16, f"thread {thread} could not take the filter")


def landlock_abi() -> int:
    """Version of Landlock's interface (1, 2, …); 0 where the kernel has none or it is off."""
    try:
        return call(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    except OSError:
        return 0


def landlock_domain(abi: int, *, shut_tcp: bool) -> None:
    """Put this thread, and those it starts, into a domain of its own, as far as the kernel's Landlock goes.

    Since ABI 1: no look into the memory of processes outside, and no mounting. Since ABI 4, if asked for: no TCP port
    can be bound or connected to. Since ABI 6: no abstract Unix socket of others.

    Args:
        abi: ``landlock_abi()``, at least 1.
        shut_tcp: also restrict TCP ports.

    Raises:
        OSError: the kernel refuses.
    """
    # A domain must restrict something of the file system: making block devices is what nobody here does. Moving files
    # between folders is denied to every domain unless it is allowed expressly, which ABI 2 can.
    files = _MAKE_BLOCK | (_REFER if abi >= 2 else 0)
    words = [files]
    if abi >= 4:
        words.append(_NET_BIND_TCP | _NET_CONNECT_TCP if shut_tcp else 0)
    if abi >= 6:
        words.append(_SCOPE_ABSTRACT_UNIX)
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        rules = [(_RULE_PATH_BENEATH, struct.pack("=Qi", _REFER, root))] if abi >= 2 else []
        _restrict(struct.pack(f"={len(words)}Q", *words), rules)
    finally:
        os.close(root)


def landlock_port(port: int) -> None:
    """Keep this thread, and those it starts, from binding TCP ports and from connecting to any but one (ABI 4).

    Raises:
        OSError: the kernel refuses.
    """
    rule = (_RULE_NET_PORT, struct.pack("=QQ", _NET_CONNECT_TCP, port))
    _restrict(struct.pack("=QQ", 0, _NET_BIND_TCP | _NET_CONNECT_TCP), [rule])


def _restrict(attributes: bytes, rules: Sequence[tuple[int, bytes]]) -> None:
    ruleset = call(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    try:
        for kind, rule in rules:
            call(_LANDLOCK_ADD, ruleset, kind, rule, 0)
        call(_LANDLOCK_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def lock_memory() -> bool:
    """Keep what is in memory now out of swap, if the limits of this process allow it; whether they did."""
    try:
        _checked(int(_libc().mlockall(ctypes.c_int(_MCL_CURRENT | _MCL_ONFAULT))))
    except OSError:
        return False
    return True
