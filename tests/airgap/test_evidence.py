"""What the evidence says is what the kernel says, and what it lacks is named."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from egress_cases import egress_of
from pydantic import ValidationError
from run_world import World

from mlb_offline.airgap import evidence, filters, guard, network, probes
from mlb_offline.airgap.evidence import Snapshot, gaps, require_whole
from mlb_offline.airgap.modes import Mode
from mlb_offline.demo.scripted import Reply, ScriptedServer
from mlb_offline.errors import EgressError
from mlb_offline.language import current, set_language
from mlb_offline.run.results import read_results

GUARDED = ("unix-only", "loopback", "internal")


@pytest.fixture(autouse=True)
def english() -> Any:
    before = current()
    set_language("en")
    yield
    set_language(before)


def test_more_interfaces_than_are_listed_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    many = tuple(network.Interface(f"veth{place:03}", True, 1, 1, 1, 1) for place in range(200))
    real = network.namespace()
    monkeypatch.setattr(
        evidence, "namespace", lambda: network.Namespace(many, real.routes, real.default_route, real.sockets)
    )
    seen = evidence.take().network
    assert (len(seen.interfaces), seen.interfaces_in_all) == (evidence.MOST_INTERFACES, 200)


def test_without_proc_there_is_no_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> network.Namespace:
        raise FileNotFoundError(2, "No such file", "/proc/self/net/dev")

    monkeypatch.setattr(evidence, "namespace", refuse)
    with pytest.raises(EgressError) as caught:
        evidence.take()
    assert str(caught.value.file) == "/proc/self/net/dev"
    assert caught.value.remedy


def changed(egress: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    *folders, last = path.split(".")
    place = egress
    for folder in folders:
        place = place[folder]
    place[last] = value
    return egress


LACKS: dict[str, tuple[str, object]] = {
    "seccomp": ("process.seccomp", 0),
    "no-new-privs": ("process.no_new_privs", False),
    "filter": ("process.filter_sha256", "00" * 32),
    "core-dumps": ("process.core_dumps", True),
}


@pytest.mark.parametrize("mode", GUARDED)
def test_evidence_that_is_whole_lacks_nothing(mode: str) -> None:
    whole = Snapshot.model_validate(egress_of(mode))
    assert gaps(whole) == []
    require_whole(whole)


@pytest.mark.parametrize("mode", GUARDED)
@pytest.mark.parametrize("name", LACKS)
def test_each_lack_is_named_and_no_other(mode: str, name: str) -> None:
    seen = Snapshot.model_validate(changed(egress_of(mode), *LACKS[name]))
    assert gaps(seen) == [name]
    with pytest.raises(EgressError, match=name):
        require_whole(seen)


@pytest.mark.parametrize("mode", GUARDED)
@pytest.mark.parametrize("seccomp", [0, 1])
def test_only_filter_mode_is_the_guard(mode: str, seccomp: int) -> None:
    assert gaps(Snapshot.model_validate(changed(egress_of(mode), "process.seccomp", seccomp))) == ["seccomp"]


@pytest.mark.parametrize("mode", GUARDED)
@pytest.mark.parametrize("sha256", [None, "profile of the other mode"])
def test_the_filter_is_one_of_this_modes_published_ones(mode: str, sha256: str | None) -> None:
    other = filters.Profile.TCP if mode == "unix-only" else filters.Profile.UNIX
    wrong = sha256 and filters.digest(filters.program(other, "x86_64"))
    assert gaps(Snapshot.model_validate(changed(egress_of(mode), "process.filter_sha256", wrong))) == ["filter"]


@pytest.mark.parametrize("mode", GUARDED)
def test_each_probe_counts(mode: str) -> None:
    names = sorted(probes.FIRST)
    assert len(names) >= 16
    for name in names:
        for result in ("denied", "open", None):
            egress = egress_of(mode)
            if egress["probes"][name] == result:
                continue
            egress["probes"][name] = result
            if result is None:
                del egress["probes"][name]
            assert gaps(Snapshot.model_validate(egress)) == ["probes"]
    extra = egress_of(mode)  # as a later release may have
    extra["probes"]["carrier-pigeon"] = "denied"
    assert gaps(Snapshot.model_validate(extra)) == []
    extra["probes"]["carrier-pigeon"] = "open"
    assert gaps(Snapshot.model_validate(extra)) == ["probes"]


@pytest.mark.parametrize(("mode", "lacks"), [("unix-only", ["network-socket"]), ("loopback", []), ("internal", [])])
def test_a_network_socket_is_a_lack_only_where_none_may_be(mode: str, lacks: list[str]) -> None:
    assert gaps(Snapshot.model_validate(changed(egress_of(mode), "process.network_sockets", 1))) == lacks


def test_where_nothing_is_promised_nothing_lacks() -> None:
    for path, value in LACKS.values():
        assert gaps(Snapshot.model_validate(changed(egress_of("none"), path, value))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("mode", "off"),
        ("probes", {"tcp": "maybe"}),
        ("probes", {"<script>": "denied"}),
        ("process.seccomp", 3),
        ("process.filter_sha256", "AB" * 32),
        ("process.unix_sockets", -1),
        ("network.interfaces", [{"name": "x" * 65, "up": True}]),
        ("network.sockets", {"tcp": 1}),
        ("swap", 1),
        ("peer", {"path": "/s", "pid": 1}),
        ("peer", {"path": "/" * 401, "pid": 1, "uid": 1, "gid": 1}),
        ("further", True),
    ],
)
def test_evidence_of_another_form_is_refused(path: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Snapshot.model_validate(changed(egress_of(), path, value))


def test_unguarded_the_probes_find_everything_open() -> None:
    """In this very process: no probe sends, with or without a guard."""
    names = {name for mode in Mode for name in probes.expected(mode)}
    opened = {name for name in names if probes._attempt(name) == "open"}
    # Each call gives an error that tells the kernel's refusal from the filter's, even without any privilege.
    assert opened >= names - {"raw", "packet"}
    assert guard.current().mode is Mode.NONE


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"tcp": "open"}, "tcp"), ({"recvmsg": "open", "udp": "open"}, "recvmsg, udp")],
)
def test_a_guard_that_does_not_hold_is_an_error(
    wrong: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "probe", lambda mode: {**probes.expected(mode), **wrong})
    with pytest.raises(EgressError, match=message) as caught:
        guard.require_probes(Mode.UNIX_ONLY)
    assert "doctor" in str(caught.value.remedy)


def test_on_an_unknown_processor_there_is_no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "hide_memory", lambda: None)
    monkeypatch.setattr(guard, "close_inherited_sockets", lambda keep: None)
    monkeypatch.setattr(guard.kernel, "machine", lambda: "riscv64")
    monkeypatch.setattr(guard.os, "environ", dict(os.environ))
    with pytest.raises(EgressError, match="processor") as caught:
        guard.install(Mode.UNIX_ONLY)
    assert "--guard none" in str(caught.value.remedy)
    assert guard.current().mode is Mode.NONE


def test_counters_and_paths_that_no_report_can_hold_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    card = network.Interface("eth0", True, 2**64 - 1, 1, 2**64 - 1, 2**63)
    monkeypatch.setattr(evidence, "namespace", lambda: replace(network.namespace(), interfaces=(card,)))
    monkeypatch.setattr(evidence, "peer_of", lambda _path: network.Peer("/run/\udcff.sock", 1, 2**32 - 2, 0))
    seen = evidence.take("unix:/run/x")
    assert seen.network.interfaces[0].tx_bytes == 2**53 - 1
    assert seen.network.interfaces[0].rx_packets == 1
    assert seen.peer is not None
    assert (seen.peer.uid, seen.peer.path) == (2**32 - 2, "/run/\\xff.sock")
    assert rfc8785.dumps(seen.model_dump())


def test_evidence_of_no_known_form_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "probe", lambda _mode: {"Odd Name": "denied"})
    with pytest.raises(EgressError):
        evidence.take()


def test_a_unix_socket_of_another_namespace_is_no_network_socket() -> None:
    one, other = socket.socketpair()
    with one, other:
        code = "import json, sys; sys.path.insert(0, '.'); from mlb_offline.airgap.network import own_sockets\n"
        code += "print(json.dumps(own_sockets().__dict__))"
        command = ["unshare", "-n", sys.executable, "-c", code]
        done = subprocess.run(command, stdin=one, capture_output=True, text=True, check=True, timeout=30)
    assert json.loads(done.stdout) == {"unix": 1, "network": 0}


def test_the_port_is_fixed_before_any_library_starts_a_thread(world: World, tmp_path: Path) -> None:
    async def story() -> int:
        async with ScriptedServer({"": Reply("B")}) as server:
            words = ["--guard", "loopback", "run", "--bundle", world.bundle, "--trust", world.trust]
            words += ["--key", world.key_file, "--state", tmp_path / "state", "--target", server.target]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "mlb_offline", *map(str, words), "--out", str(tmp_path / "run")),
                stdout=asyncio.subprocess.DEVNULL,
            )
            return await process.wait()

    assert asyncio.run(story()) == 0
    results = read_results(tmp_path / "run", world.key)
    landlock = results.sessions[0].details["egress"]["process"]["landlock"]
    if landlock is None or landlock["abi"] < 4:
        pytest.skip("this kernel's Landlock knows no ports")
    assert landlock["port"] > 1024
    assert landlock["threads"] == 1
