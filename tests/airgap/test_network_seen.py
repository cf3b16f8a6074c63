"""Interfaces, routes and sockets are read as the kernel writes them, and whoever answers is named by its user."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from guarded_child import told

from mlb_offline.airgap import evidence, network

DEV = """\
Inter-|   Receive                                        |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:    1200  12    0    0    0     0          0         0     1200  12    0    0    0     0       0          0
  eth0:987654321 4321  0    0    0     0          0         0    12345  99    0    0    0     0       0          0
"""
HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
NEAR = "eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
ZEROS = "0" * 32
SIX_LO = f"{ZEROS[:-1]}1 80 {ZEROS} 00 {ZEROS} 00000000 00000002 00000000 80200001       lo\n"
SIX_NONE = f"{ZEROS} 00 {ZEROS} 00 {ZEROS} ffffffff 00000001 00000000 00200200       lo\n"
SIX_NEAR = f"fe80{ZEROS[4:]} 40 {ZEROS} 00 {ZEROS} 00000100 00000001 00000000 00000001     eth0\n"
SIX_DEFAULT = f"{ZEROS} 00 {ZEROS} 00 fe80{ZEROS[4:]} 00000400 00000001 00000000 00000003     eth0\n"
NETLINK = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
Files = dict[str, str]


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., network.Namespace]:
    """A made-up /proc/self/net, in which eth0 is up or down."""

    def look(*up: str, **files: str) -> network.Namespace:
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="ascii")
        monkeypatch.setattr(network, "_NET", tmp_path)
        monkeypatch.setattr(network, "_is_up", lambda name: name in up)
        return network.namespace()

    return look


def test_interfaces_are_read_with_their_counters(proc: Callable[..., network.Namespace]) -> None:
    seen = proc("lo", "eth0", dev=DEV)
    assert seen.interfaces == (
        network.Interface("eth0", True, 987654321, 4321, 12345, 99),
        network.Interface("lo", True, 1200, 12, 1200, 12),
    )
    assert not seen.empty


@pytest.mark.parametrize(
    ("route", "ipv6_route", "routes", "default"),
    [
        (HEAD, "", 0, False),
        (HEAD, SIX_LO + SIX_NONE, 0, False),
        (HEAD + NEAR, SIX_LO, 1, False),
        (HEAD + DEFAULT + NEAR, "", 2, True),
        (HEAD, SIX_NEAR, 1, False),
        (HEAD, SIX_LO + SIX_DEFAULT + SIX_NEAR, 2, True),
        (HEAD.replace("Iface", "lo   "), "", 0, False),
    ],
)
def test_routes_beyond_loopback_are_counted(
    proc: Callable[..., network.Namespace], route: str, ipv6_route: str, routes: int, default: bool
) -> None:
    seen = proc("lo", dev=DEV, route=route, ipv6_route=ipv6_route)
    assert (seen.routes, seen.default_route) == (routes, default)
    assert seen.empty is (routes == 0)


def test_a_namespace_with_an_interface_up_is_not_empty_even_without_a_route(
    proc: Callable[..., network.Namespace],
) -> None:
    assert proc("lo", dev=DEV).empty
    assert not proc("lo", "eth0", dev=DEV).empty


def test_sockets_are_counted_by_protocol_and_the_kernels_own_are_not(proc: Callable[..., network.Namespace]) -> None:
    kernel = "0000000000000000 0   0          00000000 0        0        0     2        0        101\n"
    process = "0000000000000000 0   4242       00000000 0        0        0     2        0        102\n"
    seen = proc(dev=DEV, tcp="head\na\nb\n", udp6="head\na\n", unix="head\n", netlink=NETLINK + kernel + process)
    counted = {name: count for name, count in seen.sockets.items() if count}
    assert counted == {"tcp": 2, "udp6": 1, "netlink": 1}
    assert seen.sockets.keys() == {"tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet", "netlink", "unix"}


def test_what_cannot_be_asked_counts_as_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert network._is_up("no-such-card") is True


def test_own_sockets_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network socket that never sends: it is opened and closed."""
    before = network.own_sockets()
    with socket.socket(socket.AF_UNIX), socket.socket(socket.AF_INET):
        held = network.own_sockets()
    assert (held.unix, held.network) == (before.unix + 1, before.network + 1)
    assert network.own_sockets() == before


LOOK = """
import json, subprocess, sys
from mlb_offline.airgap import network
def look():
    seen = network.namespace()
    return {"empty": seen.empty, "up": [one.name for one in seen.interfaces if one.up], "routes": seen.routes}
told = [look()]
for words in json.loads(sys.argv[1]):
    subprocess.run(["ip", *words.split()], check=True)
    told.append(look())
print(json.dumps(told))
"""


def looks(*steps: str) -> list[dict[str, Any]]:
    if steps and shutil.which("ip") is None:
        pytest.skip("ip(8) is not installed")
    return list(told("-c", LOOK, json.dumps(steps)))


def test_a_new_namespace_is_empty() -> None:
    assert looks() == [{"empty": True, "up": [], "routes": 0}]


def test_an_interface_that_is_raised_ends_that() -> None:
    card = ("link add card0 type veth peer name card1", "link set card0 up", "addr add 10.9.9.1/24 dev card0")
    new, loopback, added, raised, addressed = looks("link set lo up", *card)
    assert [look["empty"] for look in (new, loopback, added, raised, addressed)] == [True, True, True, False, False]
    assert loopback["up"] == added["up"] == ["lo"]
    assert raised["up"] == ["card0", "lo"]


def test_a_route_ends_that() -> None:
    steps = ("link add card0 type veth peer name card1", "link set card0 up", "addr add 10.9.9.1/24 dev card0")
    routes = [look["routes"] for look in looks(*steps)]
    assert routes[0] == 0
    assert routes[-1] > 0


def test_this_machines_own_namespace_is_told_as_it_is() -> None:
    """The control: where there is a card that is up, nothing is called empty."""
    up = [path.parent.name for path in Path("/sys/class/net").glob("*/operstate") if path.read_text().strip() == "up"]
    seen = network.namespace()
    assert {one.name for one in seen.interfaces if one.up} >= set(up)
    assert not (seen.empty and set(up) - {"lo"})


def test_a_peer_is_named_by_its_user(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(1)
        peer = network.peer_of(str(tmp_path / "s"))
        taken = evidence.take(f"unix:{tmp_path / 's'}").peer
    assert peer == network.Peer(str(tmp_path / "s"), os.getpid(), os.getuid(), os.getgid())
    assert taken is not None
    assert (taken.pid, taken.uid) == (os.getpid(), os.getuid())


def test_where_nobody_answers_there_is_no_peer(tmp_path: Path) -> None:
    assert network.peer_of(str(tmp_path / "nothing")) is None
    assert evidence.take(f"unix:{tmp_path / 'nothing'}").peer is None
    assert evidence.take("http://127.0.0.1:9").peer is None


def test_nothing_is_sent_to_find_out_who_answers(tmp_path: Path) -> None:
    received = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(1)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                received.append(connection.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        network.peer_of(str(tmp_path / "s"))
        thread.join(10)
    assert received == [b""]
