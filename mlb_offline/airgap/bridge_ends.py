"""The two ends of a bridge: the address that it dials, and the Unix socket on which it listens."""

from __future__ import annotations

import errno
import socket
import stat
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from mlb_offline.airgap.modes import Address, in_house
from mlb_offline.airgap.network import require_short
from mlb_offline.errors import InputError, TargetError, UsageError
from mlb_offline.language import tr

_BACKLOG = 1024


@dataclass(frozen=True)
class Destination:
    """Where a bridge leads: as it was named, the address found for it, the port, a link-local address's interface."""

    host: str
    address: Address
    port: int
    scope: int = 0

    @property
    def socket_address(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """As connect(2) takes it."""
        address = str(self.address)
        return (address, self.port) if self.address.version == 4 else (address, self.port, 0, self.scope)

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
    require_short(path, field="--listen")
    return Path(path)


def find(spec: str, *, public: bool = False) -> Destination:
    """The destination of ``HOST:PORT``; a name is looked up here, once and for all.

    Args:
        spec: host (name, IPv4, or IPv6 in brackets) and port. Of a name's addresses the first of IPv4 is taken, which
            is what servers listen on unless told otherwise, else the first.
        public: an address that is not one of ``modes.IN_HOUSE`` is meant.

    Raises:
        UsageError: it is no such spec, or the address is not in the house and that was not meant.
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
    _family, _type, _protocol, _name, there = min(found, key=lambda one: one[0] != socket.AF_INET)
    address = ip_address(there[0])
    if not (in_house(address) or public):
        raise UsageError(
            tr(f"{host} 不是院内地址（{address}）", f"{host} has no address inside the house ({address})"),
            field="--to",
            remedy=tr(
                "题目与作答会离开本院；若该地址确为院内所用，加 --public-address",
                "questions and answers would leave the house; if the address is one in the house, add --public-address",
            ),
        )
    return Destination(host, address, int(port), int(there[3]) if len(there) == 4 else 0)


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
            trial.setblocking(False)
            answer = trial.connect_ex(str(path))
        if answer in {0, errno.EAGAIN}:  # EAGAIN: somebody listens, and lets many wait
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
