"""onnxruntime looks up names and writes files some seconds after its import; under the guard it does neither.

Measured with onnxruntime 1.32.0: files under ``~/.cache/Microsoft`` at the import, name servers asked 9 s after it
and again every 5 s. Two tests of one process each, which mostly sleep: they can run beside each other.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from guarded_child import Call, calls_of, only_probes, sockets_by_thread, traced

SECONDS = 15
WATCHED = "socket,socketpair,connect,bind,sendto,sendmsg,sendmmsg,io_uring_setup,openat,open,creat,mkdir,mkdirat"
IMPORT = f"""
import sys, time
if sys.argv[1] != "off":
    from mlb_offline.airgap.guard import install
    from mlb_offline.airgap.modes import Mode
    install(Mode(sys.argv[1]))
import onnxruntime
time.sleep({SECONDS})
print(onnxruntime.__version__)
"""


def watched(mode: str, tmp_path: Path) -> tuple[list[Call], Path, str]:
    home, trace = tmp_path / "home", tmp_path / "trace"
    home.mkdir()
    fresh = {"HOME": str(home), "ORT_DISABLE_TELEMETRY": None, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None}
    done = traced(WATCHED, trace, sys.executable, "-c", IMPORT, mode, **fresh)
    assert done.returncode == 0, done.stderr
    assert "onnxruntime" not in sys.modules
    return calls_of(trace), home, done.stdout.strip()


def name_look_ups(calls: list[Call]) -> list[Call]:
    server = re.compile(r"htons\(53\)|nscd/socket|/resolve/|resolv\.conf")
    return [call for call in calls if server.search(call.arguments)]


def test_under_the_guard_it_asks_nobody_and_writes_nothing(tmp_path: Path) -> None:
    calls, home, version = watched("unix-only", tmp_path)
    assert version
    assert only_probes(calls) == 1
    assert name_look_ups(calls) == []
    assert list(home.rglob("*")) == []
    assert not [call for call in calls if str(home) in call.arguments and "O_CREAT" in call.arguments]


def test_without_the_guard_it_asks_name_servers_and_writes_under_home(tmp_path: Path) -> None:
    """The control; a later onnxruntime that no longer does it is told apart, not taken for a guarded one."""
    calls, home, version = watched("off", tmp_path)
    had = [call for asked in sockets_by_thread(calls).values() for call in asked if call.result.isdecimal()]
    if not had and not name_look_ups(calls) and not list(home.rglob("*")):
        pytest.skip(f"onnxruntime {version} did nothing in {SECONDS} s: nothing to compare with")
    if tuple(int(part) for part in version.split(".")[:2]) == (1, 32):
        assert had
        assert name_look_ups(calls)
        assert list(home.rglob("*"))
