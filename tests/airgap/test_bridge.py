"""The bridge: bytes arrive as they are, one address is dialled, and its process can do nothing else."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attempts import Attempts, how_it_ends, prepare
from guarded_child import told

from mlb_offline.airgap import bridge as under_test
from mlb_offline.airgap import kernel
from mlb_offline.airgap.bridge import Bridge, run_bridge
from mlb_offline.airgap.bridge_ends import find, listen, parse_listen
from mlb_offline.demo.scripted import Reply, ScriptedServer
from mlb_offline.errors import InputError, TargetError, UsageError
from mlb_offline.language import current, set_language

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SOON = 20  # seconds; a deadline, not a wait: nothing here takes one second on an idle machine


@dataclass
class Running:
    """A bridge at work: its process, its socket, and what it said when it ended."""

    process: subprocess.Popen[str]
    path: Path
    said: str = ""

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, dict[str, int]]:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.send_signal(number)
        self.process.wait(timeout=30)
        # Not communicate(), which passes over what was read together with the first line.
        out, self.said = self.process.stdout.read(), self.process.stderr.read()
        return self.process.returncode, json.loads(out) if out else {}


@contextmanager
def bridge(path: Path, to: str, *words: str, files: tuple[int, int] | None = None) -> Iterator[Running]:
    """The command at work.

    Args:
        path: its socket.
        to: where it leads.
        words: further options.
        files: soft and hard limit of open files that it begins with.
    """

    def before() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background of a shell inherits that it is ignored
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, files)

    command = [sys.executable, "-m", "mlb_offline", "--lang", "en", "bridge", "--listen", f"unix:{path}", "--to", to]
    process = subprocess.Popen(
        [*command, "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,  # noqa: PLW1509 - no other thread runs when a bridge is started
    )
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


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    before = current()
    set_language("en")
    yield
    set_language(before)


@dataclass
class AtWork:
    """A bridge in this process, without a guard."""

    bridge: Bridge
    bound: socket.socket
    running: asyncio.Task[None]
    said: list[str]


@asynccontextmanager
async def at_work(path: Path, port: int, **options: Any) -> AsyncIterator[AtWork]:
    said: list[str] = []
    with listen(path, 0o600) as bound:
        one = Bridge(bound, find(f"127.0.0.1:{port}"), said.append, **options)
        running = asyncio.create_task(one.run())
        try:
            yield AtWork(one, bound, running, said)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def asked(path: Path, content: bytes = b"again") -> bytes:
    """What comes back, to its end."""
    async with asyncio.timeout(SOON):
        reader, writer = await asyncio.open_unix_connection(str(path))
        with suppress(ConnectionError):
            writer.write(content)
            writer.write_eof()
            return await reader.read(-1)
        return b""


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not holds():
            await asyncio.sleep(0.01)


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


def test_a_connection_that_the_server_breaks_ends_at_once_with_at_most_what_was_sent(folder: Path) -> None:
    """A Unix socket cannot tell a break from an end; that an answer is whole, HTTP says."""

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"ha")
        await writer.drain()
        writer.transport.abort()

    async def story() -> tuple[bytes, float]:
        server, port = await served(drop)
        async with server:
            with bridge(folder / "s", f"127.0.0.1:{port}"):
                reader, writer = await asyncio.open_unix_connection(str(folder / "s"))
                began = time.monotonic()
                writer.write(b"x")
                content = b""
                with suppress(ConnectionError):
                    while block := await asyncio.wait_for(reader.read(1), 10):
                        content += block
                writer.close()
                return content, time.monotonic() - began

    content, took = asyncio.run(story())
    assert b"ha".startswith(content)
    assert took < 2


def test_a_client_that_goes_away_in_mid_answer_ends_the_connection_to_the_server(folder: Path) -> None:
    async def story() -> None:
        broken = asyncio.Event()

        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if await reader.read(1):
                with suppress(ConnectionError):
                    while True:
                        writer.write(b"word ")
                        await writer.drain()
                        await asyncio.sleep(0)
                broken.set()

        server, port = await served(endless)
        async with server:
            with bridge(folder / "s", f"127.0.0.1:{port}") as running:
                reader, writer = await asyncio.open_unix_connection(str(folder / "s"))
                writer.write(b"x")
                assert await reader.read(1) == b"w"
                writer.close()
                await asyncio.wait_for(broken.wait(), SOON)
                assert (await asyncio.to_thread(running.end))[1]["failed"] == 0

    asyncio.run(story())


def test_a_client_that_goes_away_before_the_answer_gives_its_place_to_the_next(folder: Path) -> None:
    async def story() -> None:
        waiting, gone = asyncio.Event(), asyncio.Event()

        async def thinking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if (content := await reader.read(100)) == b"hard":
                waiting.set()
                assert await reader.read(1) == b""
                gone.set()
                await asyncio.Event().wait()
            writer.write(content)
            writer.close()

        server, port = await served(thinking)
        async with server, at_work(folder / "s", port, room=1) as work:
            _reader, writer = await asyncio.open_unix_connection(str(folder / "s"))
            writer.write(b"hard")
            await asyncio.wait_for(waiting.wait(), SOON)
            writer.close()
            await asyncio.wait_for(gone.wait(), SOON)
            assert await asked(folder / "s", b"easy") == b"easy"
            assert work.bridge.carried.failed == 0
            for task in asyncio.all_tasks() - {asyncio.current_task(), work.running}:
                if "thinking" in repr(task):
                    task.cancel()

    asyncio.run(story())


def test_an_answer_that_nobody_reads_waits_at_the_server_and_not_in_memory(folder: Path) -> None:
    whole = 50_000_000

    def memory(process: int, field: str) -> int:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])

    async def story() -> None:
        handed_over = 0

        async def long(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal handed_over
            if await reader.read(1):
                while handed_over < whole:
                    writer.write(bytes(100_000))
                    await writer.drain()
                    handed_over += 100_000
            writer.close()

        async def stalled() -> None:
            before = -1
            while before != handed_over:
                before = handed_over
                await asyncio.sleep(0.3)

        server, port = await served(long)
        async with server:
            with bridge(folder / "s", f"127.0.0.1:{port}") as running, socket.socket(socket.AF_UNIX) as client:
                idle = memory(running.process.pid, "VmRSS")
                client.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(client, str(folder / "s"))
                await loop.sock_sendall(client, b"x")
                await until(lambda: handed_over > 0)
                await asyncio.wait_for(stalled(), SOON)
                received = 0
                while block := await asyncio.wait_for(loop.sock_recv(client, 1_000_000), SOON):
                    received += len(block)
                assert received == whole
                assert memory(running.process.pid, "VmHWM") - idle < 10_000_000

    asyncio.run(story())


def test_two_hundred_quick_connections_one_after_the_other_all_go_through(folder: Path) -> None:
    async def story() -> tuple[int, dict[str, int]]:
        server, port = await served(echo)
        async with server:
            with bridge(folder / "s", f"127.0.0.1:{port}", files=(64, 64)) as running:
                for number in range(200):
                    assert await asked(folder / "s", b"%d" % number) == b"%d" % number
                return await asyncio.to_thread(running.end)

    code, carried = asyncio.run(story())
    assert (code, carried["connections"], carried["failed"]) == (0, 200, 0)


async def many_at_once(path: Path, number: int, waiting: int) -> None:
    """Open so many connections before any of them ends, then have all of them answered.

    Args:
        path: of the bridge's socket.
        number: of connections.
        waiting: so many of them get an answer only when others have ended.
    """
    pairs = [await asyncio.open_unix_connection(str(path)) for _ in range(number)]
    for _reader, writer in pairs:
        writer.write(b"x")
    async with asyncio.timeout(SOON):
        for reader, _writer in pairs[: number - waiting]:
            assert await reader.readexactly(1) == b"x"
        for reader, writer in pairs:
            writer.write_eof()
            assert await reader.read(-1) in {b"x", b""}
            writer.close()


@pytest.mark.parametrize(("files", "waiting"), [((64, 64), 84), ((64, 512), 0)], ids=["few", "few-at-first"])
def test_clients_for_whom_there_are_no_files_wait_their_turn(
    folder: Path, files: tuple[int, int], waiting: int
) -> None:
    async def story() -> tuple[int, dict[str, int], str]:
        server, port = await served(echo)
        async with server:
            with bridge(folder / "s", f"127.0.0.1:{port}", files=files) as running:
                await many_at_once(folder / "s", 100, waiting)
                code, carried = await asyncio.to_thread(running.end)
                return code, carried, running.said

    code, carried, said = asyncio.run(story())
    assert (code, carried) == (0, {"connections": 100, "failed": 0, "sent": 100, "received": 100})
    assert ("16 connections are open" in said) == bool(waiting)
    assert "cannot be reached" not in said


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_shortage_of_this_machine_is_not_laid_at_the_servers_door(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async def short(_bridge: Bridge) -> socket.socket:
        raise OSError(number, os.strerror(number))

    async def story() -> None:
        monkeypatch.setattr(Bridge, "_dial", short)
        async with at_work(folder / "s", 9) as work:
            assert await asked(folder / "s") == b""
            assert work.bridge.carried.failed == 1
            (line,) = [line for line in work.said if "listening" not in line]
        assert line.startswith("this machine is short of")
        assert errno.errorcode[number] in line

    asyncio.run(story())


def test_a_shortage_while_clients_come_in_is_waited_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        server, port = await served(echo)
        loop = asyncio.get_running_loop()
        accept, left = loop.sock_accept, [errno.EMFILE, errno.ENFILE]

        async def sometimes(bound: socket.socket) -> Any:
            if left:
                raise OSError(left.pop(), "short")
            return await accept(bound)

        monkeypatch.setattr(loop, "sock_accept", sometimes)
        async with server, at_work(folder / "s", port) as work:
            assert await asked(folder / "s") == b"again"
            assert work.bridge.carried.failed == 0
            assert any("short" in line for line in work.said)

    asyncio.run(story())


def test_a_bridge_that_can_accept_no_more_ends_with_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_bound: socket.socket) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    async def story() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_accept", never)
        async with at_work(folder / "s", 9) as work:
            with pytest.raises(InputError, match="accepted") as ended:
                await asyncio.wait_for(work.running, SOON)
        assert ended.value.file == str(folder / "s")

    asyncio.run(story())


def test_a_fault_in_one_connection_ends_that_one_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, faults = Bridge._pump, [RuntimeError("a bug")]

    async def pump(bridge: Bridge, *arguments: Any) -> None:
        if faults:
            raise faults.pop()
        await whole(bridge, *arguments)

    async def story() -> None:
        server, port = await served(echo)
        async with server, at_work(folder / "s", port) as work:
            reader, writer = await asyncio.open_unix_connection(str(folder / "s"))
            writer.write(b"x")
            writer.write_eof()
            await until(lambda: bool(work.bridge.carried.connections))
            monkeypatch.setattr(Bridge, "_pump", pump)
            assert await asked(folder / "s") == b""
            assert await asyncio.wait_for(reader.read(-1), SOON) == b"x"
            assert await asked(folder / "s") == b"again"
            assert (work.bridge.carried.connections, work.bridge.carried.failed) == (3, 1)
            assert any("a bug" in line for line in work.said)

    asyncio.run(story())


def test_clients_need_not_wait_for_the_first_trial(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, first = Bridge._dial, [True]

    async def dial(bridge: Bridge) -> socket.socket:
        if first:
            first.clear()
            await asyncio.Event().wait()
        return await whole(bridge)

    async def story() -> None:
        monkeypatch.setattr(Bridge, "_dial", dial)
        server, port = await served(echo)
        async with server, at_work(folder / "s", port):
            await until(lambda: not first)
            assert await asked(folder / "s") == b"again"

    asyncio.run(story())


def confined(folder: Path) -> None:
    """In an empty network: try from within a bridge what it must not be able to do; print how each try ended."""
    prepare()
    kinds = {"port": socket.SOCK_STREAM, "other_port": socket.SOCK_STREAM, "udp_port": socket.SOCK_DGRAM}
    outside = {name: socket.socket(socket.AF_INET, kind) for name, kind in kinds.items()}
    for name, one in outside.items():
        one.bind(("127.0.0.1", 0))
        if name != "udp_port":
            one.listen()
    ports = SimpleNamespace(**{name: one.getsockname()[1] for name, one in outside.items()})
    pid = os.fork()
    if not pid:
        _try_from_within(folder, ports)
        os._exit(0)
    os.waitpid(pid, 0)
    reached, _, _ = select.select(list(outside.values()), [], [], 0)
    found = json.loads((folder / "found").read_text())
    print(json.dumps(found | {"reached": [name for name, one in outside.items() if one in reached]}))


def _try_from_within(folder: Path, ports: SimpleNamespace) -> None:
    def links() -> list[str]:
        return [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]

    async def instead(_bridge: Bridge) -> None:
        attempts = Attempts(ports)
        names = ["python_socket", "other_port", "bind_tcp", "listen", "udp", "udp_ipv6", "child_to_other_port"]
        ended = {name: how_it_ends(getattr(attempts, name)) for name in names}
        status = Path("/proc/self/status").read_text()
        found = {"ended": ended, "held": links(), "status": status, "abi": kernel.landlock_abi()}
        (folder / "found").write_text(json.dumps(found))

    under_test.Bridge.run = instead
    run_bridge(folder / "s", find(f"127.0.0.1:{ports.port}"), say=lambda _line: None)


def test_its_process_is_under_a_guard_and_dials_one_port_only(folder: Path) -> None:
    found = told(__file__, folder)
    assert "Seccomp:\t2\n" in found["status"]
    assert "NoNewPrivs:\t1\n" in found["status"]
    elsewhere = "EACCES" if found["abi"] >= 4 else "done"  # ports are Landlock's to tell
    assert found["ended"] == {
        "python_socket": "done",
        "other_port": elsewhere,
        "child_to_other_port": elsewhere,
        "bind_tcp": elsewhere,
        "listen": "EPERM",
        "udp": "EACCES",
        "udp_ipv6": "EACCES",
    }
    assert found["reached"] == ["port"] + ["other_port"] * (found["abi"] < 4)
    # Its listening socket and the pair that wakes its loop; no key, no bundle, no file of ours.
    assert len([name for name in found["held"] if name.startswith("socket:")]) == 3
    assert not [name for name in found["held"] if name.endswith((".json", ".mlbb", ".sqlite", ".pem"))]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_ends_when_told_to_and_takes_its_socket_away(folder: Path, number: signal.Signals, code: int) -> None:
    with bridge(folder / "s", "127.0.0.1:9") as running:
        assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o660
        assert running.end(number)[0] == code
        assert not (folder / "s").exists()


def test_what_was_put_in_the_place_of_its_socket_is_left_there(folder: Path) -> None:
    with bridge(folder / "s", "127.0.0.1:9") as running:
        (folder / "s").unlink()
        with socket.socket(socket.AF_UNIX) as another:
            another.bind(str(folder / "s"))
            assert running.end()[0] == 0
            assert (folder / "s").is_socket()


def test_it_carries_on_when_nobody_reads_what_it_says(folder: Path) -> None:
    async def story() -> None:
        server, port = await served(echo)
        server.close()
        await server.wait_closed()
        with bridge(folder / "s", f"127.0.0.1:{port}") as running:
            assert running.process.stderr is not None
            assert "ECONNREFUSED" in running.process.stderr.readline()
            running.process.stderr.close()
            server = await asyncio.start_server(echo, "127.0.0.1", port)
            async with server:
                assert await asked(folder / "s") == b"again"

    asyncio.run(story())


def test_who_may_connect_is_settable(folder: Path) -> None:
    with bridge(folder / "s", "127.0.0.1:9", "--socket-mode", "600"):
        assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o600


def test_what_stands_in_the_way_is_left_alone_and_a_dead_socket_is_replaced(folder: Path) -> None:
    (folder / "file").write_text("mine")
    with pytest.raises(InputError):
        listen(folder / "file", 0o600)
    assert (folder / "file").read_text() == "mine"
    with listen(folder / "alive", 0o600), pytest.raises(InputError, match="listens there already"):
        listen(folder / "alive", 0o600)
    with listen(folder / "busy", 0o600) as busy:
        busy.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(folder / "busy"))  # the backlog is full: another connection would have to wait
            with pytest.raises(InputError, match="listens there already"):
                listen(folder / "busy", 0o600)
    with listen(folder / "alive", 0o600) as again:  # the socket above is closed: its file is dead
        assert again.getsockname() == str(folder / "alive")
    with pytest.raises(InputError):
        listen(folder / "nowhere" / "s", 0o600)


@pytest.mark.parametrize("spec", ["", "unix:", "/run/s", "tcp:1", "unix:/" + "x" * 200])
def test_a_place_to_listen_that_makes_no_sense_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError):
        parse_listen(spec)


@pytest.mark.parametrize("spec", ["", ":80", "h:", "h:x", "h:0", "h:65536"])
def test_a_destination_that_makes_no_sense_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        find(spec)


@pytest.mark.parametrize("host", ["8.8.8.8", "[2001:4860::8888]", "[::ffff:8.8.8.8]", "0.0.0.0", "[::]", "240.0.0.1"])
def test_a_destination_outside_the_house_must_be_meant(host: str) -> None:
    with pytest.raises(UsageError, match="no address inside the house") as refused:
        find(f"{host}:443")
    assert "--public-address" in refused.value.remedy
    assert find(f"{host}:443", public=True).port == 443


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[Any, ...]) -> None:
    """Let the C library find these addresses for every name."""
    kinds = {2: socket.AF_INET, 4: socket.AF_INET6}
    found = [(kinds[len(one)], socket.SOCK_STREAM, 6, "", one) for one in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: found)


def test_a_name_of_both_families_leads_where_servers_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, ("::1", 80, 0, 0), ("127.0.0.1", 80))
    assert find("localhost:80").socket_address == ("127.0.0.1", 80)
    answers(monkeypatch, ("::1", 80, 0, 0))
    assert find("localhost:80").socket_address == ("::1", 80, 0, 0)


def test_a_link_local_address_keeps_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, ("fe80::7", 80, 0, 3))
    assert find("[fe80::7%eth0]:80").socket_address == ("fe80::7", 80, 0, 3)


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


if __name__ == "__main__":
    confined(Path(sys.argv[1]))
