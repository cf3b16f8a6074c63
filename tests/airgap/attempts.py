"""Run in an empty network namespace: try everything by which something could leave, and print how each try ended.

``python attempts.py off|unix-only|loopback [UID]``: without a guard, or under one; as another user without privileges
if a number is given. A second process, forked before the guard, is the world outside: it listens, it offers
descriptors, and it counts what reached it. Loopback is the only interface, so nothing can reach anybody else.

Prints ``{"attempts": {name: "done" | errno | signal | words}, "arrived": {listener: count}, "status": …}``.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlb_offline.airgap import evidence, filters, guard, kernel
from mlb_offline.airgap.modes import Mode

LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = filters.NUMBERS[platform.machine()]
HOST = "127.0.0.1"
MPTCP, SOL_TCP = 262, 6
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SECRET = ctypes.create_string_buffer(b"memory of the world outside")
Act = Callable[[], str | None]


def prepare() -> None:
    """Raise loopback, and let everybody ping and every crash leave its memory: the guard must make the difference."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH22x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    with contextlib.suppress(OSError):
        Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 0")
    for limit in (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_CORE)[1]):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
            break


class Outside:
    """A process that no guard ever holds."""

    def __init__(self, folder: Path) -> None:
        self.path, self.abstract = str(folder / "outside.sock"), f"\0mlb-outside-{os.getpid()}"
        tcp, other, udp = (_bound(kind) for kind in (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM))
        unix, abstract = _unix(self.path), _unix(self.abstract)
        Path(self.path).chmod(0o777)
        self.port, self.other_port, self.udp_port = (one.getsockname()[1] for one in (tcp, other, udp))
        self.control, theirs = socket.socketpair()
        self.offers, giving = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connected = socket.create_connection((HOST, self.port))
        self.number = self.connected.fileno()
        self.pid = os.fork()
        if not self.pid:
            for _ in range(3):
                socket.send_fds(giving, [b"a socket for you"], [self.number])
            listeners = {"tcp": tcp, "other": other, "udp": udp, "unix": unix, "abstract": abstract}
            os._exit(_serve(listeners, theirs, self.control))
        for mine in (tcp, other, udp, unix, abstract, theirs, giving, self.connected):
            mine.close()

    def arrived(self) -> dict[str, int]:
        self.control.sendall(b"count")
        return dict(json.loads(self.control.recv(10_000)))


def _bound(kind: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.bind((HOST, 0))
    if kind == socket.SOCK_STREAM:
        made.setsockopt(SOL_TCP, filters.TCP_FASTOPEN, 16)
        made.listen(64)
    return made


def _unix(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(path)
    made.listen(16)
    return made


def _serve(listeners: dict[str, socket.socket], control: socket.socket, not_mine: socket.socket) -> int:
    not_mine.close()
    counts = dict.fromkeys(listeners, 0)
    counts["tcp"] -= 1  # the connection that is offered
    held = []
    while True:
        ready = select.select([*listeners.values(), control], [], [])[0]
        for name, one in listeners.items():
            if one in ready:
                counts[name] += 1
                held.append(one.recv(100) if name == "udp" else one.accept())
        if control in ready and len(ready) == 1:
            if not control.recv(100):
                return 0
            control.sendall(json.dumps(counts).encode())


def how_it_ends(act: Act) -> str:
    try:
        return act() or "done"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


def fate(act: Act) -> str:
    """How it ends in a process of its own: some calls kill."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, how_it_ends(act).encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    with os.fdopen(reading) as said:
        return said.read()


def checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def ask(domain: int, kind: int, protocol: int = 0) -> None:
    socket.socket(domain, kind, protocol).close()


def stream(to: int | None = None) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if to is not None:
        made.connect((HOST, to))
    return made


class Attempts:
    """Each public method is one attempt; the docstrings of the tests say what must become of it."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.there = (HOST, outside.port)

    def python_socket(self) -> None:
        stream(self.outside.port).close()

    def python_socket_ipv6(self) -> None:
        ask(socket.AF_INET6, socket.SOCK_STREAM)

    def other_port(self) -> None:
        stream(self.outside.other_port).close()

    def bind_tcp(self) -> None:
        stream().bind((HOST, 0))

    def ctypes_socket(self) -> None:
        checked(LIBC.socket(socket.AF_INET, socket.SOCK_STREAM, 0))

    def raw_system_call(self) -> None:
        checked(LIBC.syscall(ctypes.c_long(NUMBERS["socket"]), ctypes.c_long(2), ctypes.c_long(1), ctypes.c_long(0)))

    def high_bits_of_inet(self) -> None:
        high = ctypes.c_long((1 << 32) | socket.AF_INET)
        checked(LIBC.syscall(ctypes.c_long(NUMBERS["socket"]), high, ctypes.c_long(1), ctypes.c_long(0)))

    def high_bits_of_unix(self) -> None:
        high = ctypes.c_long((1 << 32) | socket.AF_UNIX)
        checked(LIBC.syscall(ctypes.c_long(NUMBERS["socket"]), high, ctypes.c_long(1), ctypes.c_long(0)))

    def pair(self) -> None:
        socket.socketpair(socket.AF_INET, socket.SOCK_STREAM)

    def mptcp(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP) as made:
            made.connect(self.there)

    def udp(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.sendto(b"x", (HOST, self.outside.udp_port))

    def udp_ipv6(self) -> None:
        ask(socket.AF_INET6, socket.SOCK_DGRAM)

    def ping(self) -> None:
        ask(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)

    def raw(self) -> None:
        ask(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

    def netlink(self) -> None:
        ask(socket.AF_NETLINK, socket.SOCK_RAW)

    def packet(self) -> None:
        ask(socket.AF_PACKET, socket.SOCK_RAW)

    def vsock(self) -> None:
        ask(40, socket.SOCK_STREAM)

    def fast_open_sendto(self) -> None:
        with stream() as made:
            made.sendto(b"x", filters.MSG_FASTOPEN, self.there)

    def fast_open_sendmsg(self) -> None:
        with stream() as made:
            made.sendmsg([b"x"], [], filters.MSG_FASTOPEN, self.there)

    def fast_open_sendmmsg(self) -> None:
        name = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", self.outside.port, socket.inet_aton(HOST))
        address, data = ctypes.create_string_buffer(name, 16), ctypes.create_string_buffer(b"x")
        vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(data), 1))
        header = struct.pack("=QI4xQQQQi4xI4x", ctypes.addressof(address), 16, ctypes.addressof(vector), 1, 0, 0, 0, 0)
        with stream() as made:
            kernel.call(NUMBERS["sendmmsg"], made.fileno(), header, 1, filters.MSG_FASTOPEN)

    def fast_open_option(self) -> None:
        with stream() as made:
            made.setsockopt(SOL_TCP, filters.TCP_FASTOPEN, 5)

    def fast_open_connect_option(self) -> None:
        with stream() as made:
            made.setsockopt(SOL_TCP, filters.TCP_FASTOPEN_CONNECT, 1)

    def listen(self) -> None:
        with stream() as made:
            made.listen(1)

    def child_in_python(self) -> str:
        if not os.access(sys.executable, os.X_OK):
            return "unreadable"
        code = f"import socket; socket.create_connection(({HOST!r}, {self.outside.port}))"
        return _child([sys.executable, "-I", "-c", code])

    def child_in_bash(self) -> str:
        return _child(["bash", "-c", f"exec 3<>/dev/tcp/{HOST}/{self.outside.port}"])

    def child_to_other_port(self) -> str:
        return _child(["bash", "-c", f"exec 3<>/dev/tcp/{HOST}/{self.outside.other_port}"])

    def new_namespace(self) -> str:
        def act() -> None:
            checked(LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNET))
            ask(socket.AF_INET, socket.SOCK_DGRAM)

        return fate(act)

    def ask_for_a_key(self) -> None:
        """The kernel would run a helper of root's to find it; for a key of the kind dns_resolver, ask a name server."""
        kernel.call(NUMBERS["request_key"], b"user", b"mlb-offline-no-such-key", None, 0)

    def type_into_a_terminal(self) -> None:
        master, slave = os.openpty()
        try:
            fcntl.ioctl(slave, 0x5412, b"x")  # TIOCSTI
        finally:
            os.close(master)
            os.close(slave)

    def tunnel(self) -> None:
        """A request without a name, at what is no tunnel: the error tells whether it came that far."""
        with open("/dev/null", "rb") as nothing:  # noqa: PTH123 - a device
            fcntl.ioctl(nothing, 0x400454CA, bytes(40))  # TUNSETIFF

    def receive_descriptor(self) -> str:
        self.outside.offers.settimeout(5)
        _, received, _, _ = socket.recv_fds(self.outside.offers, 100, 1)
        return f"{len(received)} received"

    def receive_descriptor_of_many(self) -> str:
        data, ancillary = ctypes.create_string_buffer(100), ctypes.create_string_buffer(64)
        vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(data), 100))
        header = ctypes.create_string_buffer(
            struct.pack("=QI4xQQQQi4xI4x", 0, 0, ctypes.addressof(vector), 1, ctypes.addressof(ancillary), 64, 0, 0)
        )
        pointer = ctypes.addressof(header)
        kernel.call(NUMBERS["recvmmsg"], self.outside.offers.fileno(), pointer, 1, 0x40, None)  # MSG_DONTWAIT
        return f"{(struct.unpack_from('=Q', ancillary)[0] - 16) // 4} received"

    def receive_without_descriptor(self) -> str:
        before = _network_sockets()
        said = self.outside.offers.recv(100).decode()
        return f"{said}: {_network_sockets() - before} received"

    def take_descriptor(self) -> None:
        process = kernel.call(434, self.outside.pid, 0)  # pidfd_open
        os.close(kernel.call(NUMBERS["pidfd_getfd"], process, self.outside.number, 0))

    def trace(self) -> None:
        kernel.call(NUMBERS["ptrace"], 16, self.outside.pid, None, None)  # PTRACE_ATTACH
        os.waitpid(self.outside.pid, 0)
        kernel.call(NUMBERS["ptrace"], 17, self.outside.pid, None, None)  # PTRACE_DETACH

    def _remote(self, number: int) -> None:
        mine = ctypes.create_string_buffer(SECRET.raw)
        local = struct.pack("=QQ", ctypes.addressof(mine), len(mine))
        remote = struct.pack("=QQ", ctypes.addressof(SECRET), len(SECRET))
        kernel.call(number, self.outside.pid, local, 1, remote, 1, 0)

    def read_memory(self) -> None:
        self._remote(NUMBERS["process_vm_readv"])

    def write_memory(self) -> None:
        self._remote(NUMBERS["process_vm_writev"])

    def memory_file(self) -> None:
        os.close(os.open(f"/proc/{self.outside.pid}/mem", os.O_RDWR))

    def io_uring(self) -> None:
        os.close(kernel.call(NUMBERS["io_uring_setup"], 4, bytes(120)))

    def x32_number(self) -> str:
        return fate(lambda: checked(LIBC.syscall(ctypes.c_long(0x40000000 | 39))))

    def call_of_32_bits(self) -> str:
        return fate(lambda: str(int_80(359, 2, 1, 0)))

    def unix_socket(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
            made.connect(self.outside.path)
            made.sendall(b"x")

    def unix_listen(self) -> None:
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
            made.bind(f"{folder}/own.sock")
            made.listen(1)

    def abstract_socket(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
            made.connect(self.outside.abstract)


def int_80(number: int, first: int, second: int, third: int) -> int:
    """A system call of 32-bit Linux, by machine code: the number is another one there, and so is the way in."""
    code = b"\x53"  # push rbx
    for register, value in ((b"\xb8", number), (b"\xbb", first), (b"\xb9", second), (b"\xba", third)):
        code += register + struct.pack("<I", value)  # mov eax, ebx, ecx, edx
    code += b"\xcd\x80\x5b\xc3"  # int 0x80; pop rbx; ret
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())


def _child(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Permission denied" in done.stderr:
        return "EACCES"
    return "done" if not done.returncode else done.stderr.strip()[-200:]


def _network_sockets() -> int:
    own: int = evidence.own_sockets().network
    return own


class EarlierThread:
    """A thread that runs before the guard is installed, and makes its attempt after."""

    def __init__(self, act: Act) -> None:
        self._go, self._act, self.ended = threading.Event(), act, ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._go.wait()
        self.ended = how_it_ends(self._act)

    def finish(self) -> str:
        self._go.set()
        self._thread.join()
        return self.ended


def status() -> dict[str, Any]:
    """What the kernel says of every thread, and of a child."""
    tasks = [(task / "status").read_text() for task in Path("/proc/self/task").iterdir()]
    command = "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status; ulimit -c"
    child = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    return {
        "threads": [{name: _field(text, name) for name in ("NoNewPrivs", "Seccomp")} for text in tasks],
        "child": child.stdout.split(),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "dumpable": kernel.prctl(kernel.PR_GET_DUMPABLE, 0),
        "uid": os.getuid(),
        "environment": {name: os.environ.get(name) for name in ("ORT_DISABLE_TELEMETRY", "GGML_BACKEND_PATH")},
    }


def _field(text: str, name: str) -> int:
    return int(next(line for line in text.splitlines() if line.startswith(f"{name}:")).split()[1])


def main(mode: str, user: str | None = None) -> None:
    prepare()
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    outside = Outside(folder)
    attempts = Attempts(outside)
    earlier = EarlierThread(attempts.python_socket), EarlierThread(attempts.other_port)
    if user is not None:
        evidence.take()  # imports what it needs while the files of this Python can still be read
        os.setgroups([])
        os.setresgid(int(user), int(user), int(user))
        os.setresuid(int(user), int(user), int(user))
    if mode != "off":
        guard.install(Mode(mode), keep=[outside.control.fileno(), outside.offers.fileno()])
        if mode == "loopback":
            guard.confine_to_port(outside.port)
    found = status()
    seen = evidence.take()
    names = [name for name in vars(Attempts) if not name.startswith("_")]
    ended = {name: how_it_ends(getattr(attempts, name)) for name in names}
    ended["earlier_thread"], ended["earlier_thread_to_other_port"] = (thread.finish() for thread in earlier)
    told = {
        "attempts": ended,
        "arrived": outside.arrived(),
        "status": found,
        "gaps": evidence.gaps(seen),
        "evidence": seen.model_dump(),
    }
    sys.stdout.write(json.dumps(told))
    outside.control.close()
    os.waitpid(outside.pid, 0)
    if user is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
