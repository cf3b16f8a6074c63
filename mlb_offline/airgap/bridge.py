"""Carries a vendor's TCP port to a Unix socket, so that the evaluator itself needs no network.

It runs in a process, and in the image in a container, of its own, which holds no key and no bundle. It dials one
address, looked up once at the start; then the guard lets it make TCP streams only, to that port only where the kernel
has Landlock, and listen on nothing more. Bytes are carried as they are: it neither reads nor keeps them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from mlb_offline.airgap import guard
from mlb_offline.airgap.modes import Address, Mode
from mlb_offline.errors import InputError, TargetError, UsageError
from mlb_offline.language import tr

BLOCK = 65_536
"""Bytes that are carried at a time; with drained writers no connection holds more than a few of them."""

_CONNECT = 10.0  # seconds; a server in the house that takes longer to accept is not up
_BACKLOG = 1024
_SUN_PATH = 107  # bytes of a Unix socket's path, unix(7)


@dataclass
class Carried:
    """What went through: connections, those that could not be made, bytes to and from the server."""

    connections: int = 0
    failed: int = 0
    sent: int = 0
    received: int = 0


@dataclass(frozen=True)
class Destination:
    """Where a bridge leads: as it was named, the address found for it, and the port."""

    host: str
    address: Address
    port: int

    @property
    def shown(self) -> str:
        """``HOST:PORT``, with the address where that says more."""
        named = f"{self.host}:{self.port}"
        return named if self.host == str(self.address) else f"{named} ({self.address})"


def parse_listen(spec: str) -> Path:
    """The path of ``unix:PATH``.

    Raises:
        UsageError: it is no such spec, or the path is too long for a socket.
    """
    kind, _, path = spec.partition(":")
    if kind != "unix" or not path:
        raise UsageError(
            tr(f"--listen 应为 unix:PATH，不是“{spec}”", f"--listen must be unix:PATH, not {spec!r}"),
            field="--listen",
            remedy=tr("例如 --listen unix:/run/mlb/model.sock", "for example --listen unix:/run/mlb/model.sock"),
        )
    if len(str(Path(path).absolute()).encode()) > _SUN_PATH:
        raise UsageError(
            tr(f"套接字路径超过 {_SUN_PATH} 字节", f"the socket's path is over {_SUN_PATH} bytes"),
            field="--listen",
            remedy=tr("换用较短的路径", "use a shorter path"),
        )
    return Path(path)


def find(spec: str, *, public: bool = False) -> Destination:
    """The destination of ``HOST:PORT``; a name is looked up here, once and for all.

    Args:
        spec: host (name, IPv4, or IPv6 in brackets) and port.
        public: an address outside private networks is meant.

    Raises:
        UsageError: it is no such spec, or the address is public and that was not meant.
        TargetError: the name is not known.
    """
    host, _, port = spec.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise UsageError(
            tr(f"--to 应为 HOST:PORT，不是“{spec}”", f"--to must be HOST:PORT, not {spec!r}"),
            field="--to",
            remedy=tr("例如 --to 127.0.0.1:8000", "for example --to 127.0.0.1:8000"),
        )
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TargetError(
            tr(f"主机名无法解析：{host}", f"the host name cannot be resolved: {host}"),
            field="--to",
            remedy=tr("改用 IP 地址，或检查 hosts 文件", "give the IP address, or check the hosts file"),
        ) from None
    address = ip_address(found[0][4][0])
    if not (address.is_private or address.is_loopback or public):
        raise UsageError(
            tr(f"{host} 是公网地址（{address}）", f"{host} has a public address ({address})"),
            field="--to",
            remedy=tr(
                "题目与作答会离开本院；若该地址确为院内所用，加 --public-address",
                "questions and answers would leave the house; if the address is one in the house, add --public-address",
            ),
        )
    return Destination(host, address, int(port))


def listen(path: Path, mode: int) -> socket.socket:
    """A listening Unix socket; a dead one at its place is replaced.

    Args:
        path: where.
        mode: permissions of the socket: who may write to it may connect.

    Raises:
        InputError: something else is there, somebody listens there, or the place cannot be written.
    """
    _make_way(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        path.chmod(mode)
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise _unusable(path, error.strerror or str(error)) from None
    bound.setblocking(False)
    return bound


def _make_way(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise _unusable(path, tr("该路径已有其他文件", "another file stands there"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
            answer = trial.connect_ex(str(path))
        if answer == 0:
            raise _unusable(path, tr("已有程序在此监听", "another process listens there already"))
        if answer == errno.ECONNREFUSED:
            path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None


def _unusable(path: Path, why: str) -> InputError:
    return InputError(
        tr(f"无法在此监听：{why}", f"no socket can be put here: {why}"),
        file=path,
        remedy=tr("换一个路径，或检查文件夹的权限", "choose another path, or check the folder's permissions"),
    )


class Bridge:
    """One bridge at work.

    Args:
        bound: where it listens.
        destination: where it leads.
        say: receives a line whenever the server behind it becomes reachable or stops being so.
    """

    def __init__(self, bound: socket.socket, destination: Destination, say: Callable[[str], None]) -> None:
        self._bound = bound
        self._destination = destination
        self._say = say
        self._reachable: bool | None = None
        self.carried = Carried()

    async def run(self) -> None:
        """Carry until SIGTERM (ends well) or SIGINT (``KeyboardInterrupt``)."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        shown = f"unix:{self._bound.getsockname()} → {self._destination.shown}"
        self._say(tr(f"监听 {shown}", f"listening: {shown}"))
        accepting = asyncio.create_task(self._accept())
        try:
            await ended.wait()
        finally:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        await self._try_out()
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    client, _ = await loop.sock_accept(self._bound)
                except OSError:  # out of descriptors for now: connections that end give some back
                    await asyncio.sleep(0.1)
                    continue
                tasks.create_task(self._carry(client))

    async def _try_out(self) -> None:
        """Say at once whether the server is there."""
        with contextlib.suppress(OSError, TimeoutError):
            _reader, writer = await self._dial()
            writer.close()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = str(self._destination.address)
        try:
            async with asyncio.timeout(_CONNECT):  # not wait_for, which can swallow being told to end
                pair = await asyncio.open_connection(address, self._destination.port)
        except (OSError, TimeoutError) as error:
            self._note(False, error)
            raise
        self._note(True)
        return pair

    def _note(self, reachable: bool, error: Exception | None = None) -> None:
        if reachable == self._reachable:
            return
        self._reachable = reachable
        shown = self._destination.shown
        if reachable:
            self._say(tr(f"可以连接 {shown}", f"{shown} can be reached"))
        else:
            code = errno.errorcode.get(getattr(error, "errno", None) or 0, type(error).__name__)
            self._say(tr(f"无法连接 {shown}（{code}），继续等待", f"{shown} cannot be reached ({code}); waiting on"))

    async def _carry(self, client: socket.socket) -> None:
        self.carried.connections += 1
        near_reader, near = await asyncio.open_connection(sock=client)
        try:
            far_reader, far = await self._dial()
        except (OSError, TimeoutError):
            self.carried.failed += 1
            near.transport.abort()
            return
        try:
            await asyncio.gather(self._pump(near_reader, far, "sent"), self._pump(far_reader, near, "received"))
        finally:
            for writer in (near, far):
                writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counter: str) -> None:
        """Carry one direction to its end; a connection that breaks is broken on the other side too."""
        try:
            while block := await reader.read(BLOCK):
                writer.write(block)
                setattr(self.carried, counter, getattr(self.carried, counter) + len(block))
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.transport.abort()


def run_bridge(
    path: Path, destination: Destination, *, socket_mode: int = 0o660, say: Callable[[str], None]
) -> Carried:
    """The whole of ``mlb-offline bridge``: listen, put up the guard, carry.

    Args:
        path: of the Unix socket.
        destination: where it leads.
        socket_mode: permissions of the socket.
        say: receives lines on what happens.

    Raises:
        InputError: the socket cannot be made.
        EgressError: the kernel refuses the guard.
        KeyboardInterrupt: the operator stopped it.
    """
    bound = listen(path, socket_mode)
    try:
        # A new process has no sockets but those it was started with, and this one.
        mode = Mode.LOOPBACK if destination.address.is_loopback else Mode.INTERNAL
        guard.install(mode, keep={bound.fileno()})
        guard.confine_to_port(destination.port)
        bridge = Bridge(bound, destination, say)
        asyncio.run(bridge.run())
        return bridge.carried
    finally:
        bound.close()
        with contextlib.suppress(OSError):
            path.unlink()
