"""Guard modes, and which targets each of them lets a run reach."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

from mlb_offline.errors import UsageError
from mlb_offline.language import tr


class Mode(StrEnum):
    """What the guard lets a process open.

    ``unix-only``: Unix sockets. ``loopback``, ``internal``: also TCP streams, to a port that Landlock fixes; that the
    address is this machine's, or inside the house, is checked before the first request but not enforced by the kernel.
    ``none``: nothing is enforced.
    """

    UNIX_ONLY = "unix-only"
    LOOPBACK = "loopback"
    INTERNAL = "internal"
    NONE = "none"

    @property
    def over_tcp(self) -> bool:
        """TCP streams are let through."""
        return self in {Mode.LOOPBACK, Mode.INTERNAL}


Address = IPv4Address | IPv6Address

IN_HOUSE = tuple(
    ip_network(network)
    for network in (
        *("127.0.0.0/8", "::1/128"),  # this machine
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
        "fc00::/7",  # RFC 4193
        *("169.254.0.0/16", "fe80::/10"),  # the same link: RFC 3927, RFC 4291
        "100.64.0.0/10",  # RFC 6598
    )
)
"""Where a server of the house can stand.

Not ``is_private`` of the library, which also holds addresses of no host (0.0.0.0/8, 240.0.0.0/4) and networks for
documentation and measurements. Carrier-grade NAT (RFC 6598) is in: the Internet does not route it, and clusters and
overlay networks inside houses are numbered by it. It may be a provider's, as 10.0.0.0/8 may be at the end of a tunnel:
where the wire leads no number says.
"""

HOSTS = Path("/etc/hosts")


def require_reachable(mode: Mode, spec: str) -> int | None:
    """Check that a target may be reached under a mode.

    Args:
        mode: the guard of this process.
        spec: target spec, as ``--target`` takes it.

    Returns:
        the TCP port that the target needs; None where it needs none, or nothing is enforced.

    Raises:
        UsageError: it is a TCP target and the mode is too strict for its address, or the hosts file does not name it.
    """
    from urllib.parse import urlsplit

    kind = spec.partition(":")[0]
    if mode is Mode.NONE or kind not in {"http", "https"}:
        return None
    try:
        url = urlsplit(spec)
        host, port = url.hostname, url.port or {"http": 80, "https": 443}[kind]
    except ValueError:
        return None  # opening the target says what is wrong with the address
    if host is None:
        return None
    if mode is Mode.UNIX_ONLY:
        raise _too_strict(host)
    for address in addresses(host):
        if not _allowed(mode, address):
            raise _elsewhere(mode, host, address)
    return port


def _allowed(mode: Mode, address: Address) -> bool:
    return unmapped(address).is_loopback if mode is Mode.LOOPBACK else in_house(address)


def in_house(address: Address) -> bool:
    """The address is one of ``IN_HOUSE``; an IPv4 address that IPv6 maps counts as what it is."""
    plain = unmapped(address)
    return any(plain in network for network in IN_HOUSE)


def unmapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for (RFC 4291, 2.5.5.2), or the address itself."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def addresses(host: str) -> list[Address]:
    """All addresses of a host, by the hosts file alone.

    The C library is not asked: it would go on to a daemon of the machine (nscd, systemd-resolved) over a Unix socket,
    which no mode denies, and the daemon to the network.

    Raises:
        UsageError: the hosts file does not name it.
    """
    try:
        return [ip_address(host)]
    except ValueError:
        pass
    found = [address for address, names in _hosts() if host.lower() in names]
    if not found and host.lower() == "localhost":
        found = [ip_address("127.0.0.1")]
    if found:
        return found
    raise UsageError(
        tr(
            f"hosts 文件中没有主机 {host}：出网防护下不查询网络",
            f"the hosts file does not name {host}, and nothing else is asked under the guard",
        ),
        field="--target",
        remedy=tr(f"在 --target 中写 IP 地址，或写入 {HOSTS}", f"give its IP address, or name it in {HOSTS}"),
    )


def _hosts() -> list[tuple[Address, set[str]]]:
    """The lines of the hosts file (hosts(5)) as address and names; lines that are none are passed over."""
    try:
        text = HOSTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    entries = []
    for line in text.splitlines():
        words = line.partition("#")[0].lower().split()
        try:
            entries.append((ip_address(words[0]), set(words[1:])))
        except (IndexError, ValueError):
            continue
    return entries


def _too_strict(host: str) -> UsageError:
    return UsageError(
        tr(
            f"防护模式 unix-only 下不能连接 TCP 目标（{host}）",
            f"a TCP target ({host}) cannot be reached under the guard mode unix-only",
        ),
        field="--guard",
        remedy=tr(
            "在另一个容器中用 mlb-offline bridge 把该端口接到 Unix 套接字，再用 --target unix:PATH；"
            "或明确选用较弱的模式 --guard loopback（本机）或 --guard internal（院内地址），报告会写明",
            "carry the port to a Unix socket with `mlb-offline bridge` in a second container and use --target "
            "unix:PATH; or choose a weaker mode explicitly, --guard loopback (this machine) or --guard internal "
            "(an address inside the house), and the report says so",
        ),
    )


def _elsewhere(mode: Mode, host: str, address: Address) -> UsageError:
    shown = host if host == str(address) else f"{host} ({address})"
    wider = {
        Mode.LOOPBACK: tr("；院内其他机器用 --guard internal", "; --guard internal for another machine in the house")
    }
    return UsageError(
        tr(
            f"防护模式 {mode} 不允许目标地址 {shown}",
            f"the guard mode {mode} does not allow the target's address {shown}",
        ),
        field="--target",
        remedy=tr("经 mlb-offline bridge 连接", "reach it through `mlb-offline bridge`") + wider.get(mode, ""),
    )
