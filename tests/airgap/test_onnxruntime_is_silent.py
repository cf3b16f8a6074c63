"""onnxruntime looks up names and writes files some seconds after its import; under the guard it does neither.

Measured with onnxruntime 1.32.0: files under ``~/.cache/Microsoft`` at the import, name servers asked 9 s after it
and again every 5 s. Most of the time these tests sleep: they can run beside each other.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from guarded_child import MLB, REPOSITORY, Call, calls_of, only_probes, sockets_by_thread, traced

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


def watched(*command: object, tmp_path: Path, setting: str | None = None) -> tuple[list[Call], Path, str]:
    """Calls of a command in a home folder that is empty at its start, that folder, and what it printed."""
    home, trace = tmp_path / "home", tmp_path / "trace"
    home.mkdir()
    fresh = {"HOME": str(home), "ORT_DISABLE_TELEMETRY": setting, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None}
    done = traced(WATCHED, trace, *command, **fresh)
    assert done.returncode == 0, done.stderr
    assert "onnxruntime" not in sys.modules
    return calls_of(trace), home, done.stdout.strip()


def name_look_ups(calls: list[Call]) -> list[Call]:
    server = re.compile(r"htons\(53\)|nscd/socket|/resolve/|resolv\.conf")
    return [call for call in calls if server.search(call.arguments)]


def test_under_the_guard_it_asks_nobody_and_writes_nothing(tmp_path: Path) -> None:
    calls, home, version = watched(sys.executable, "-c", IMPORT, "unix-only", tmp_path=tmp_path)
    assert version
    assert_silent(calls, home)


@pytest.mark.parametrize("setting", [None, "0"])
def test_the_command_that_judges_asks_nobody_and_writes_nothing(tmp_path: Path, setting: str | None) -> None:
    words = ("judge", "calibrate", "--set", REPOSITORY / "tests" / "data" / "judge" / "natural.jsonl", "--json")
    calls, home, said = watched(*MLB, *words, tmp_path=tmp_path, setting=setting)
    assert [one["file"] for one in json.loads(said)["records"]] == ["mlb-judge-a.gguf", "mlb-judge-b.onnx"]
    assert [call for call in calls if "onnxruntime_pybind11_state" in call.arguments], "judge B was not asked"
    assert_silent(calls, home)


def assert_silent(calls: list[Call], home: Path) -> None:
    assert only_probes(calls) == 1
    assert name_look_ups(calls) == []
    assert list(home.rglob("*")) == []
    assert not [call for call in calls if str(home) in call.arguments and "O_CREAT" in call.arguments]


def test_without_the_guard_it_asks_name_servers_and_writes_under_home(tmp_path: Path) -> None:
    """The control; a later onnxruntime that no longer does it is told apart, not taken for a guarded one."""
    calls, home, version = watched(sys.executable, "-c", IMPORT, "off", tmp_path=tmp_path)
    had = [call for asked in sockets_by_thread(calls).values() for call in asked if call.result.isdecimal()]
    if not had and not name_look_ups(calls) and not list(home.rglob("*")):
        pytest.skip(f"onnxruntime {version} did nothing in {SECONDS} s: nothing to compare with")
    if tuple(int(part) for part in version.split(".")[:2]) == (1, 32):
        assert had
        assert name_look_ups(calls)
        assert list(home.rglob("*"))
