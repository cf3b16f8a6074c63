"""Child processes in an empty network namespace, and what strace saw of them.

Whatever tries to send in these tests runs in such a namespace: nothing but a loopback interface, which is down until
a child raises it, and no route. What goes wrong there goes nowhere.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
MLB = [sys.executable, "-m", "mlb_offline", "--lang", "en"]

_UNSHARE = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]


@cache
def _why_not() -> str | None:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return "there is no unshare(1) here"
    tried = subprocess.run([*_UNSHARE, "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() or "unshare failed" if tried.returncode else None


def need_empty_network() -> None:
    reason = _why_not()
    if reason is not None:
        pytest.skip(f"no empty network namespace can be made on this machine: {reason}")


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def in_empty_network(
    *command: object, timeout: float = 120, **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Run a command in an empty network namespace; None takes a variable out of its environment."""
    need_empty_network()
    variables = {**os.environ, "PYTHONIOENCODING": "utf-8", **environment}
    return subprocess.run(
        [*_UNSHARE, *(str(word) for word in command)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env={name: value for name, value in variables.items() if value is not None},
        timeout=timeout,
        check=False,
    )


def told(*command: object, **options: Any) -> Any:
    """The JSON that a script of this folder, or code after ``-c``, printed in an empty network namespace."""
    done = in_empty_network(sys.executable, *command, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def mlb(*words: object, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """The command line in an empty network namespace."""
    return in_empty_network(*MLB, *words, **environment)


@dataclass(frozen=True)
class Call:
    """One system call that strace saw; ``result`` as strace writes it, errno name included."""

    pid: int
    name: str
    arguments: str
    result: str


def traced(calls: str, trace: Path, *command: object, more: Sequence[str] = (), **options: Any) -> Any:
    """Run a command under strace in an empty network namespace; the trace goes to a file.

    Never with --seccomp-bpf: a call that the guard's filter denies would then not be shown.
    """
    need("strace")
    return in_empty_network("strace", "-f", "-qq", *more, "-e", f"trace={calls}", "-o", trace, *command, **options)


_LINE = re.compile(r"(\d+)\s+(\w+)\((.*)\)\s+= (.*)")
_BEGUN = re.compile(r"(\d+)\s+(\w+)\((.*?)\s*<unfinished \.\.\.>")
_RESUMED = re.compile(r"(\d+)\s+<\.\.\. (\w+) resumed>(.*)")


def calls_of(trace: Path) -> list[Call]:
    """Every call of a trace, those that another thread interrupted put together again."""
    return list(_calls(trace.read_text(encoding="utf-8", errors="replace").splitlines()))


def _calls(lines: Sequence[str]) -> Iterator[Call]:
    begun: dict[tuple[str, str], str] = {}
    for row in lines:
        line = row
        if started := _BEGUN.fullmatch(line):
            begun[started[1], started[2]] = started[3]
            continue
        if resumed := _RESUMED.fullmatch(line):
            line = f"{resumed[1]} {resumed[2]}({begun.pop((resumed[1], resumed[2]), '')}{resumed[3]}"
        if found := _LINE.fullmatch(line):
            yield Call(int(found[1]), found[2], found[3], found[4])
    for (pid, name), arguments in begun.items():  # the process ended in it
        yield Call(int(pid), name, arguments, "?")


def sockets_by_thread(calls: Sequence[Call]) -> Mapping[int, list[Call]]:
    """Thread → calls that asked for a socket other than a Unix one, in order."""
    asked: dict[int, list[Call]] = {}
    for call in calls:
        if call.name in {"socket", "socketpair"} and not call.arguments.startswith("AF_UNIX"):
            asked.setdefault(call.pid, []).append(call)
    return asked


PROBE_ROUND = [
    "AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP",
    "AF_INET6, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP",
    "AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_IP",
    "AF_INET6, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_IP",
    "AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_MPTCP",
    "AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_SCTP",
    "AF_INET, SOCK_RAW|SOCK_CLOEXEC, IPPROTO_ICMP",
    "AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE",
    "AF_PACKET, SOCK_RAW|SOCK_CLOEXEC, htons(0",
    "AF_VSOCK, SOCK_STREAM|SOCK_CLOEXEC, 0",
]
"""What one round of the guard's own probes asks for, as strace writes it."""


def only_probes(calls: Sequence[Call]) -> int:
    """Rounds of the guard's own probes in a trace; fails where anything but they asked for a network socket."""
    rounds = 0
    for asked in sockets_by_thread(calls).values():
        assert not len(asked) % len(PROBE_ROUND), asked
        for place, call in enumerate(asked):
            assert call.name == "socket"
            assert call.arguments.startswith(PROBE_ROUND[place % len(PROBE_ROUND)]), call
            assert call.result.startswith("-1 EACCES"), call
        rounds += len(asked) // len(PROBE_ROUND)
    # Each round also asks once for an io_uring, with arguments that could never work.
    uring = [call for call in calls if call.name == "io_uring_setup"]
    assert all(call.result.startswith("-1 EPERM") for call in uring)
    assert len(uring) == rounds
    return rounds
