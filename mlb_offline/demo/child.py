"""A server as a child process: where it listens, when it is ready, how it ends.

The child binds first and announces where, then loads what it serves. It holds the read end of a pipe as its standard
input and ends when that closes, so that no server outlives a parent that was killed.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mlb_offline.errors import TargetError
from mlb_offline.language import tr

_ANNOUNCED = "listening: "
_PATIENCE = 10.0  # seconds between asking a server to end and ending it
_TAIL = 20  # lines of a log that are shown
_KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")
_KEPT_PREFIXES = ("COVERAGE_", "OMP_")


@dataclass(frozen=True)
class Child:
    """A running server: its target spec for ``--target``, its process id and its log file."""

    target: str
    pid: int
    log: Path


@contextmanager
def serving(
    module: str, arguments: Sequence[str], *, unix: Path | None, log: Path, deadline_s: float = 60.0
) -> Iterator[Child]:
    """Run ``python -m module`` as a server for as long as the block lasts.

    Args:
        module: has the arguments of ``add_arguments`` and announces itself with ``listen``.
        arguments: its further arguments.
        unix: path for its Unix socket; None for a free loopback port.
        log: file that receives its output.
        deadline_s: seconds until it must answer ``GET /v1/models``.

    Raises:
        TargetError: it ended or did not answer in time; the message ends with the tail of its log.
    """
    place = ["--unix", str(unix)] if unix is not None else ["--port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", module, *place, "--end-with-stdin", *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
        )
    try:
        yield Child(_await_ready(process, module, log, time.monotonic() + deadline_s), process.pid, log)
    finally:
        _end(process)
        if unix is not None:
            unix.unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    """Without what a server might take for its settings (MODEL, HOST, API_KEY, CONFIG_FILE, proxies)."""
    kept = {
        name: value for name, value in os.environ.items() if name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES)
    }
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


def _await_ready(process: subprocess.Popen[bytes], module: str, log: Path, deadline: float) -> str:
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _not_started(module, log, tr(f"退出码 {process.returncode}", f"it ended with {process.returncode}"))
        target = _announced(log)
        if target is not None and _answers(target):
            return target
        time.sleep(0.05)
    raise _not_started(module, log, tr("超时", "it did not answer in time"))


def _announced(log: Path) -> str | None:
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        if line.startswith(_ANNOUNCED) and line.endswith("\n"):
            return line.removeprefix(_ANNOUNCED).strip()
    return None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _answers(target: str) -> bool:
    connection: http.client.HTTPConnection
    if target.startswith("unix:"):
        connection = _UnixConnection(target.removeprefix("unix:"), timeout=1.0)
    else:
        connection = http.client.HTTPConnection(target.split("/")[2], timeout=1.0)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/v1/models")
        return connection.getresponse().status < 500
    return False


def _not_started(module: str, log: Path, why: str) -> TargetError:
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:])
    return TargetError(
        tr(f"演示服务器 {module} 未能启动（{why}）：\n{tail}", f"the server {module} did not start ({why}):\n{tail}"),
        file=log,
        remedy=tr("查看上面的日志", "see the log above"),
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def add_arguments(parser: ArgumentParser) -> None:
    """Where a server listens: ``--unix PATH`` or ``--port N`` (loopback, 0 for a free one)."""
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--unix", type=Path, help="path of the Unix socket to listen on")
    place.add_argument("--port", type=int, help="loopback port to listen on, 0 for a free one")
    parser.add_argument("--end-with-stdin", action="store_true", help="end when standard input closes")


def listen(options: Namespace) -> socket.socket:
    """In the child: bind as the arguments say, announce it on stdout, and end with the parent if told to.

    Raises:
        OSError: the address is taken or the path cannot be made.
    """
    if options.unix is not None:
        options.unix.unlink(missing_ok=True)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bound.bind(str(options.unix))
        target = f"unix:{options.unix.absolute()}"
    else:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", options.port))
        target = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
    if options.end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    sys.stdout.write(f"{_ANNOUNCED}{target}\n")
    sys.stdout.flush()
    return bound


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
