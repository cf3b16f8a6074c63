"""What the kernel says about this process's network namespace: interfaces, routes, sockets (proc(5), /proc/net).

Counts only, never addresses: the evidence goes into reports that leave the house.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from mlb_offline.errors import UsageError
from mlb_offline.language import tr

_NET = Path("/proc/self/net")
_TABLES = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet", "unix")
_LOOPBACK = "lo"
_SUN_PATH = 107  # bytes
_SIOCGIFFLAGS, _IFF_UP = 0x8913, 1


@dataclass(frozen=True)
class Interface:
    """One network interface, whether it is up, and what went through it since it was made, in bytes and packets."""

    name: str
    up: bool
    rx_bytes: int
    rx_packets: int
    tx_bytes: int
    tx_packets: int


@dataclass(frozen=True)
class Namespace:
    """A network namespace.

    Attributes:
        interfaces: by name.
        routes: entries of the routing tables that lead over another interface than loopback.
        default_route: one of them leads anywhere.
        sockets: protocol → sockets in the namespace, of whatever process; not the kernel's own.
    """

    interfaces: tuple[Interface, ...]
    routes: int
    default_route: bool
    sockets: dict[str, int]

    @property
    def empty(self) -> bool:
        """Nothing but loopback is up, and there is no route: nothing can leave, whatever a process does."""
        return not self.routes and not any(one.up for one in self.interfaces if one.name != _LOOPBACK)


@dataclass(frozen=True)
class OwnSockets:
    """Sockets that this process holds, by family; ``network`` are all but Unix sockets."""

    unix: int
    network: int


@dataclass(frozen=True)
class Peer:
    """Who listens at a Unix socket (SO_PEERCRED, unix(7)); ``pid`` is 0 where the process is in another container."""

    path: str
    pid: int
    uid: int
    gid: int


def namespace() -> Namespace:
    """The network namespace of this process; without /proc, nothing is known and nothing is claimed to be empty.

    Raises:
        OSError: /proc cannot be read.
    """
    routes, default = _routes()
    sockets = {name: len(_rows(name)) for name in _TABLES}
    sockets["netlink"] = sum(line.split()[2] != "0" for line in _rows("netlink"))  # not the kernel's own
    return Namespace(interfaces(), routes, default, sockets)


def interfaces() -> tuple[Interface, ...]:
    """All interfaces, by name (/proc/net/dev)."""
    found = []
    for line in _rows("dev")[1:]:
        name, _, counters = line.strip().partition(":")
        numbers = [int(word) for word in counters.split()]
        found.append(Interface(name, _is_up(name), numbers[0], numbers[1], numbers[8], numbers[9]))
    return tuple(sorted(found, key=lambda interface: interface.name))


def _is_up(name: str) -> bool:
    # The kernel answers this at any socket (netdevice(7)), so it needs no network socket, which the guard denies.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16s24x", name.encode()))
        except OSError:
            return True  # what cannot be asked is not taken for down
    flags: int = struct.unpack_from("=H", answer, 16)[0]
    return bool(flags & _IFF_UP)


def _routes() -> tuple[int, bool]:
    four = [line.split() for line in _rows("route")]
    six = [line.split() for line in _text("ipv6_route").splitlines()]
    # Columns: interface and destination first in the one, last and first in the other; a prefix of 0 is the default.
    leading = [(row[0], row[1] == "00000000" and row[7] == "00000000") for row in four]
    leading += [(row[-1], row[1] == "00") for row in six]
    beyond = [default for interface, default in leading if interface != _LOOPBACK]
    return len(beyond), any(beyond)


def _rows(table: str) -> list[str]:
    return _text(table).splitlines()[1:]


def _text(table: str) -> str:
    try:
        return (_NET / table).read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return ""  # a kernel without IPv6, for instance


def own_sockets() -> OwnSockets:
    """The sockets among this process's descriptors, by the family that the kernel says they are of.

    Raises:
        OSError: /proc cannot be read.
    """
    families = [family_of(held) for held in descriptors()]
    return OwnSockets(families.count(socket.AF_UNIX), sum(one not in {None, socket.AF_UNIX} for one in families))


def descriptors() -> list[int]:
    """The descriptors of this process, that of the listing itself among them, which is closed by now.

    Raises:
        OSError: /proc cannot be read.
    """
    return [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]


def family_of(descriptor: int) -> int | None:
    """Address family of a descriptor's socket, of whatever network namespace; None where it is no socket."""
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return None
        # Python asks the kernel (SO_DOMAIN); the copy is closed, the descriptor stays.
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            return int(copy.family)
    except OSError:
        return None  # closed meanwhile


def require_short(path: str | Path, *, field: str) -> None:
    """Refuse a path that no Unix socket can have (unix(7)).

    Args:
        path: as given; its absolute spelling counts.
        field: the option it was given with.

    Raises:
        UsageError: it is too long.
    """
    if len(os.fsencode(Path(path).absolute())) > _SUN_PATH:
        raise UsageError(
            tr(f"套接字路径超过 {_SUN_PATH} 字节", f"the socket's path is over {_SUN_PATH} bytes"),
            field=field,
            remedy=tr("换用较短的路径或符号链接", "use a shorter path or a symbolic link"),
        )


def peer_of(path: str) -> Peer | None:
    """Who listens at a Unix socket; None where nobody does. Nothing is sent.

    Args:
        path: of the socket.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        try:
            connection.connect(path)
        except OSError:
            return None
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, gid = struct.unpack("=iII", raw)
    return Peer(path, pid, uid, gid)
