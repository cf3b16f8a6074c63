"""What the evidence says is what the kernel says, and what it lacks is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from egress_cases import egress_of
from pydantic import ValidationError

from mlb_offline.airgap import evidence, filters, guard, network, probes
from mlb_offline.airgap.evidence import Snapshot, gaps, require_whole
from mlb_offline.airgap.modes import Mode
from mlb_offline.errors import EgressError
from mlb_offline.language import current, set_language

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
    names = list(probes.expected(Mode(mode)))
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
    extra = egress_of(mode)
    extra["probes"]["carrier-pigeon"] = "denied"
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
