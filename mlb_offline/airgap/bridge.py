"""Carries a vendor's TCP port to a Unix socket, so that the evaluator itself needs no network.

It runs in a process, and in the image in a container, of its own, which holds no key and no bundle. It dials one
address. A name is looked up once, at the start and before the guard, by the C library, which may ask name servers: this
is the one command that is meant to have the network, and it knows nothing but the name. Then the guard lets it make TCP
streams only, to that port only where the kernel has Landlock, and listen on nothing more. It carries bytes as they are,
and neither reads nor keeps them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import select
import signal
import socket
import struct
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mlb_offline.airgap import guard
from mlb_offline.airgap.bridge_ends import Destination, listen
from mlb_offline.airgap.modes import Mode, unmapped
from mlb_offline.errors import InputError
from mlb_offline.language import tr

BLOCK = 65_536
"""Bytes that are carried at a time: a connection never holds more of them than one in each direction."""

_CONNECT = 10.0  # seconds; a server in the house that takes longer to accept is not up
_MOST = 8192  # connections at a time, however many descriptors there are
_RESERVE = 32  # descriptors beside those of connections: what the process began with, its loop, its own trial
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_RESET = struct.pack("ii", 1, 0)  # struct linger: close(2) then breaks the connection, whatever was not sent


@dataclass
class Carried:
    """What went through: connections, those of them that were not made or failed here, bytes to and from the server."""

    connections: int = 0
    failed: int = 0
    sent: int = 0
    received: int = 0


class Bridge:
    """One bridge at work.

    Args:
        bound: where it listens.
        destination: where it leads.
        say: receives a line whenever the server behind it becomes reachable or stops being so, or room runs out.
        room: connections at a time; further clients wait in the socket's backlog.
    """

    def __init__(
        self, bound: socket.socket, destination: Destination, say: Callable[[str], None], *, room: int = _MOST
    ) -> None:
        self._bound = bound
        self._destination = destination
        self._say = say
        self._most = room
        self._room = asyncio.Semaphore(room)
        self._was_full = False
        self._state = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self.carried = Carried()

    async def run(self) -> None:
        """Carry until SIGTERM (ends well) or SIGINT (``KeyboardInterrupt``).

        Raises:
            InputError: no connection can be accepted any more.
        """
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        shown = f"unix:{self._bound.getsockname()} → {self._destination.shown}"
        self._say(tr(f"监听 {shown}", f"listening: {shown}"))
        ended, accepting = asyncio.create_task(told.wait()), asyncio.create_task(self._accept())
        self._start(self._try_out())
        try:
            await asyncio.wait((ended, accepting), return_when=asyncio.FIRST_COMPLETED)
            if accepting.done():
                accepting.result()
        finally:
            left = (ended, accepting, *self._tasks)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self) -> NoReturn:
        while True:
            self._say_if_full()
            await self._room.acquire()
            client = await self._next_client()
            self._start(self._carry(client)).add_done_callback(lambda _task: self._room.release())

    async def _next_client(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._bound)
            except OSError as error:
                if error.errno not in _SHORTAGES:
                    raise self._deaf(error) from None
                self._note(error)
                await asyncio.sleep(0.1)  # connections that end give something back
            else:
                return client

    async def _try_out(self) -> None:
        """Say at once whether the server is there."""
        with contextlib.suppress(OSError):
            (await self._reach()).close()

    async def _carry(self, near: socket.socket) -> None:
        """Carry one connection from its beginning to its end; whatever becomes of it, the others go on."""
        self.carried.connections += 1
        try:
            with near, await self._reach() as far:
                await self._both_ways(near, far)
        except OSError:  # not reached, which was said
            self.carried.failed += 1
        except Exception as error:  # noqa: BLE001 - a fault of ours
            self.carried.failed += 1
            fault = repr(error)
            self._tell(fault, tr(f"程序出错，一个连接中断：{fault}", f"a fault of ours broke a connection: {fault}"))

    async def _reach(self) -> socket.socket:
        """A connection to the server.

        Raises:
            OSError: it cannot be had.
        """
        try:
            far = await self._dial()
        except OSError as error:
            self._note(error)
            raise
        self._note(None)
        return far

    async def _dial(self) -> socket.socket:
        family = socket.AF_INET if self._destination.address.version == 4 else socket.AF_INET6
        with contextlib.ExitStack() as undo:
            far = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            far.setblocking(False)
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(_CONNECT):  # not wait_for, which can swallow being told to end
                await asyncio.get_running_loop().sock_connect(far, self._destination.socket_address)
            undo.pop_all()
        return far

    async def _both_ways(self, near: socket.socket, far: socket.socket) -> None:
        """Carry both directions; a connection that breaks on one side is broken on the other too."""
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._pump(near, far, "sent"))
                directions.create_task(self._pump(far, near, "received"))
        except* _OverError:
            pass
        except* OSError:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    async def _pump(self, source: socket.socket, sink: socket.socket, counter: str) -> None:
        """Carry one direction to its end, which leaves the other open.

        Raises:
            OSError: the connection broke.
            _OverError: the source has not only ended, but is closed.
        """
        loop = asyncio.get_running_loop()
        while block := await loop.sock_recv(source, BLOCK):
            await loop.sock_sendall(sink, block)
            setattr(self.carried, counter, getattr(self.carried, counter) + len(block))
            await asyncio.sleep(0)  # where both sides are quick nothing above waits, and others must have their turn
        if _is_closed(source):
            raise _OverError
        sink.shutdown(socket.SHUT_WR)

    def _say_if_full(self) -> None:
        if self._room.locked() and not self._was_full:
            self._was_full = True
            most = self._most
            zh = f"已有 {most} 个连接，达到上限，其余的排队等待（上限取决于 ulimit -n）"
            self._say(tr(zh, f"{most} connections are open, as many as fit; others wait (ulimit -n sets how many)"))

    def _note(self, error: OSError | None) -> None:
        """Say how it stands with the server, where that has changed."""
        shown = self._destination.shown
        if error is None:
            self._tell("reached", tr(f"可以连接 {shown}", f"{shown} can be reached"))
            return
        code = errno.errorcode.get(error.errno or 0, type(error).__name__)
        if error.errno in _SHORTAGES:
            what = tr(f"本机资源不足（{code}）", f"this machine is short of files or memory ({code})")
        else:
            what = tr(f"无法连接 {shown}（{code}）", f"{shown} cannot be reached ({code})")
        self._tell("short" if error.errno in _SHORTAGES else "not reached", what + tr("，继续等待", "; waiting on"))

    def _tell(self, state: str, line: str) -> None:
        if state != self._state:
            self._state = state
            self._say(line)

    def _deaf(self, error: OSError) -> InputError:
        return InputError(
            tr(f"无法再接受连接：{error.strerror}", f"no connection can be accepted any more: {error.strerror}"),
            file=str(self._bound.getsockname()),
            remedy=tr("重新启动 bridge", "start the bridge again"),
        )


class _OverError(Exception):
    """One side has closed the connection altogether: nothing that is still to come can be delivered to it."""


def _is_closed(ended: socket.socket) -> bool:
    """Whether a socket whose peer has ended can be written to no more either.

    A peer that only shut down its own direction, as a client may that awaits its answer, gives no POLLHUP.
    """
    looked = select.poll()
    looked.register(ended, 0)
    return any(event & select.POLLHUP for _descriptor, event in looked.poll(0))


def make_room() -> int:
    """Raise the limit of open files as far as this process may; the connections that fit under it, two files each."""
    wanted = 2 * _MOST + _RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    limit = wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)
    return max(1, (limit - _RESERVE) // 2)


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
        InputError: the socket cannot be made, or accepts no connection any more.
        EgressError: the kernel refuses the guard.
        KeyboardInterrupt: the operator stopped it.
    """
    bound = listen(path, socket_mode)
    mine = path.lstat()
    try:
        room = make_room()
        # A new process has no sockets but those it was started with, and this one.
        mode = Mode.LOOPBACK if unmapped(destination.address).is_loopback else Mode.INTERNAL
        guard.install(mode, keep={bound.fileno()})
        guard.confine_to_port(destination.port)
        bridge = Bridge(bound, destination, say, room=room)
        asyncio.run(bridge.run())
        return bridge.carried
    finally:
        with contextlib.suppress(OSError):
            # While the socket is open no other file can have its inode's number.
            if os.path.samestat(path.lstat(), mine):
                path.unlink()
        bound.close()
