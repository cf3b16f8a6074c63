"""The bridge: bytes arrive as they are, one address is dialled, and its process can do nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlb_offline.airgap.bridge import find, listen, parse_listen
from mlb_offline.demo.scripted import Reply, ScriptedServer
from mlb_offline.errors import InputError, TargetError, UsageError

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Running:
    """A bridge at work: its process, its socket, and what it said when it ended."""

    process: subprocess.Popen[str]
    path: Path
    said: str = ""

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, dict[str, int]]:
        self.process.send_signal(number)
        out, self.said = self.process.communicate(timeout=30)
        return self.process.returncode, json.loads(out) if out else {}


@contextmanager
def bridge(path: Path, to: str, *words: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "mlb_offline", "--lang", "en", "bridge", "--listen", f"unix:{path}", "--to", to]
    process = subprocess.Popen([*command, "--json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert "listening" in process.stderr.readline()
        yield Running(process, path)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("b")


async def served(handler: Handler) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(65_536):
        writer.write(block)
        await writer.drain()
    writer.close()


def test_bytes_arrive_as_they_are_in_both_directions_over_many_connections(folder: Path) -> None:
    async def story() -> tuple[int, dict[str, int]]:
        server, port = await served(echo)
        async with server:
            with bridge(folder / "s", f"127.0.0.1:{port}") as running:

                async def once(number: int) -> None:
                    content = os.urandom(300_000 + number)
                    reader, writer = await asyncio.open_unix_connection(str(folder / "s"))

                    async def send() -> None:
                        writer.write(content)
                        await writer.drain()
                        writer.write_eof()

                    _, received = await asyncio.gather(send(), reader.read(-1))
                    assert received == content
                    writer.close()

                await asyncio.gather(*(once(number) for number in range(20)))
                return await asyncio.to_thread(running.end)

    code, carried = asyncio.run(story())
    whole = sum(300_000 + number for number in range(20))
    assert (code, carried) == (0, {"connections": 20, "failed": 0, "sent": whole, "received": whole})


def test_a_run_through_the_bridge_reaches_the_server_and_nothing_is_left_behind(folder: Path) -> None:
    async def story() -> Counter[str]:
        async with ScriptedServer({"": Reply("答案：B")}) as server:
            to = server.target.removeprefix("http://").removesuffix("/v1")
            with bridge(folder / "s", to) as running:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "mlb_offline", "demo", "--target", f"unix:{folder}/s"),
                    *("--out", str(folder / "demo")),
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                )
                _out, err = await process.communicate()
                assert process.returncode == 0, err.decode()
                code, carried = await asyncio.to_thread(running.end)
                assert (code, carried["failed"]) == (0, 0)
            return server.asked

    asked = asyncio.run(story())
    assert len(asked) == 122
    assert not (folder / "s").exists()


def test_a_server_that_is_down_ends_the_connection_and_is_found_again(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with bridge(folder / "s", f"127.0.0.1:{port}") as running:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(folder / "s"))
            assert client.recv(1) == b""

        async def story() -> None:
            server = await asyncio.start_server(echo, "127.0.0.1", port)
            async with server:
                reader, writer = await asyncio.open_unix_connection(str(folder / "s"))
                writer.write(b"again")
                writer.write_eof()
                assert await reader.read(-1) == b"again"
                writer.close()

        asyncio.run(story())
        code, carried = running.end()
    assert (code, carried["connections"], carried["failed"]) == (0, 2, 1)
    assert "cannot be reached (ECONNREFUSED)" in running.said
    assert "can be reached" in running.said.partition("ECONNREFUSED")[2]


def test_a_connection_that_the_server_breaks_is_broken_for_the_client(folder: Path) -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"ha")
        await writer.drain()
        writer.transport.abort()

    async def story() -> bytes:
        server, port = await served(drop)
        async with server:
            with bridge(folder / "s", f"127.0.0.1:{port}"):
                reader, writer = await asyncio.open_unix_connection(str(folder / "s"))
                writer.write(b"x")
                try:
                    return await asyncio.wait_for(reader.read(-1), 10)
                except ConnectionError:
                    return b""
                finally:
                    writer.close()

    assert asyncio.run(story()) in {b"", b"ha"}


def test_its_process_is_under_a_guard_and_dials_one_port_only(folder: Path) -> None:
    with bridge(folder / "s", "127.0.0.1:9") as running:
        status = Path(f"/proc/{running.process.pid}/status").read_text()
        assert "Seccomp:\t2\n" in status
        assert "NoNewPrivs:\t1\n" in status
        # It holds its listening socket and the pair that wakes its loop; no key, no bundle, no file of ours.
        held = [str(link.readlink()) for link in Path(f"/proc/{running.process.pid}/fd").iterdir()]
        assert not [name for name in held if name.endswith((".json", ".mlbb", ".sqlite", ".pem"))]
        running.end()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_ends_when_told_to_and_takes_its_socket_away(folder: Path, number: signal.Signals, code: int) -> None:
    with bridge(folder / "s", "127.0.0.1:9") as running:
        assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o660
        assert running.end(number)[0] == code
        assert not (folder / "s").exists()


def test_who_may_connect_is_settable(folder: Path) -> None:
    with bridge(folder / "s", "127.0.0.1:9", "--socket-mode", "600"):
        assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o600


def test_what_stands_in_the_way_is_left_alone_and_a_dead_socket_is_replaced(folder: Path) -> None:
    (folder / "file").write_text("mine")
    with pytest.raises(InputError):
        listen(folder / "file", 0o600)
    assert (folder / "file").read_text() == "mine"
    with listen(folder / "alive", 0o600), pytest.raises(InputError, match=r"listens there already|已有程序"):
        listen(folder / "alive", 0o600)
    with listen(folder / "alive", 0o600) as again:  # the socket above is closed: its file is dead
        assert again.getsockname() == str(folder / "alive")
    with pytest.raises(InputError):
        listen(folder / "nowhere" / "s", 0o600)


@pytest.mark.parametrize("spec", ["", "unix:", "/run/s", "tcp:1", "unix:/" + "x" * 200])
def test_a_place_to_listen_that_makes_no_sense_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError):
        parse_listen(spec)


@pytest.mark.parametrize("spec", ["", ":80", "h:", "h:x", "h:0", "h:65536", "8.8.8.8:443", "[2001:4860::8888]:443"])
def test_a_destination_that_makes_no_sense_or_is_public_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError):
        find(spec)


def test_destinations_are_looked_up_once_and_shown_with_their_address() -> None:
    assert find("127.0.0.1:80").shown == "127.0.0.1:80"
    assert find("[::1]:80").shown == "::1:80"
    assert "127.0.0.1" in find("localhost:80").shown or "::1" in find("localhost:80").shown
    assert find("192.168.1.7:8000").port == 8000
    assert str(find("8.8.8.8:443", public=True).address) == "8.8.8.8"


def test_a_host_that_nobody_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TargetError, match="model-host"):
        find("model-host:80")


def test_a_faulty_mode_is_a_usage_error() -> None:
    words = ["bridge", "--listen", "unix:/nowhere/s", "--to", "127.0.0.1:9", "--socket-mode", "9"]
    done = subprocess.run([sys.executable, "-m", "mlb_offline", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
