"""A whole demonstration, every system call of all its processes watched: no network socket is ever had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from guarded_child import MLB, Call, calls_of, only_probes, sockets_by_thread, traced
from run_world import make_world

WATCHED = "socket,socketpair,connect,bind,sendto,sendmsg,sendmmsg,io_uring_setup"


def by_network(calls: list[Call]) -> list[Call]:
    """Calls that name an address of a network."""
    return [
        call for call in calls if call.name not in {"socket", "socketpair"} and "sa_family=AF_INET" in call.arguments
    ]


def test_a_demonstration_has_no_network_socket(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    done = traced(WATCHED, trace, *MLB, "demo", "--out", tmp_path / "demo", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["reports"]) == 2
    calls = calls_of(trace)
    # The demonstration itself, its nine commands and two looks at a report; and each of the two runs looks twice.
    assert only_probes(calls) == 1 + 9 + 2 + 4
    assert by_network(calls) == []
    assert any(call.name == "connect" and "AF_UNIX" in call.arguments for call in calls), "nothing was watched"


@pytest.mark.parametrize("guard", ["none", "loopback"])
def test_the_same_watch_sees_the_sockets_of_a_tcp_target(guard: str, tmp_path: Path) -> None:
    """The control: whoever lowers the guard and names a TCP target leaves traces; here there is nobody to reach."""
    world, trace = make_world(tmp_path / "world", 2), tmp_path / "trace"
    opening = ("--bundle", world.bundle, "--trust", world.trust, "--key", world.key_file, "--state", tmp_path / "state")
    words = ("run", *opening, "--target", "http://127.0.0.1:9/v1", "--out", tmp_path / "run", "--guard", guard)
    done = traced(WATCHED, trace, *MLB, *words)
    assert done.returncode == 5, done.stderr
    calls = calls_of(trace)
    assert [call for call in by_network(calls) if call.name == "connect"]
    with pytest.raises(AssertionError):
        only_probes(calls)
    had = [call for asked in sockets_by_thread(calls).values() for call in asked if call.result.isdecimal()]
    assert had
    assert all(call.arguments.startswith("AF_INET") for call in had)
