"""The guard and its evidence: what is promised and not held is a failure, exit 6."""

from __future__ import annotations

from typing import Any

import pytest
from doctor_setup import doctor, found_by
from egress_cases import egress_of

from mlb_offline.airgap import evidence
from mlb_offline.airgap.evidence import Snapshot
from mlb_offline.airgap.guard import Guard
from mlb_offline.airgap.modes import Mode
from mlb_offline.doctor import egress
from mlb_offline.doctor.egress import check_egress, check_snapshot, describe
from mlb_offline.errors import EgressError, Exit
from mlb_offline.language import set_language


def seen(mode: str = "unix-only", **process: Any) -> Snapshot:
    raw = egress_of(mode)
    raw["process"] |= process
    return Snapshot.model_validate(raw)


def test_a_guarded_process_is_well() -> None:
    found = found_by(check_snapshot(seen()))
    assert {name: one.level for name, one in found.items()} == {"egress.guard": "ok", "egress.probes": "ok"}


@pytest.mark.parametrize(
    ("process", "said"),
    [
        ({"seccomp": 0}, "no seccomp filter"),
        ({"no_new_privs": False}, "no_new_privs"),
        ({"filter_sha256": "00" * 32}, "none of those published"),
        ({"network_sockets": 1}, "network socket"),
        ({"core_dumps": True}, "crash"),
    ],
)
def test_every_gap_is_a_failure_of_its_own_words(process: dict[str, Any], said: str) -> None:
    found = found_by(check_snapshot(seen(**process)))
    assert set(found) == {"egress.evidence"}
    assert found["egress.evidence"].exit_code is Exit.EGRESS
    assert said in found["egress.evidence"].message


def test_a_probe_that_got_through_is_a_failure() -> None:
    raw = egress_of()
    raw["probes"]["udp"] = "open"
    assert found_by(check_snapshot(Snapshot.model_validate(raw)))["egress.evidence"].level == "failure"


@pytest.mark.parametrize("mode", ["loopback", "internal"])
def test_a_tcp_mode_is_named_for_the_weaker_thing_it_is(mode: str) -> None:
    found = found_by(check_snapshot(seen(mode)))["egress.guard"]
    assert found.level == "warning"
    assert "to port 8000 only" in found.message
    assert "bridge" in found.remedy


def test_the_namespace_is_told_but_not_judged() -> None:
    full, raw = seen(), egress_of()
    raw["network"] |= {"empty": True, "routes": 0, "default_route": False, "interfaces": []}
    raw["peer"] = None
    empty = Snapshot.model_validate(raw)
    told = {name: one.message for name, one in found_by(describe(full)).items()}
    assert "is not empty: interfaces eth0" in told["egress.namespace"]
    assert "user 1000" in told["egress.peer"]
    again = found_by(describe(empty))
    assert "is empty" in again["egress.namespace"].message
    assert "egress.peer" not in again
    assert {one.level for one in again.values()} == {"ok"}


def test_where_the_kernel_refuses_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "current", lambda: Guard(Mode.NONE))
    found = found_by(check_egress(None, lambda: EgressError("no seccomp here", remedy="another kernel")))
    assert (found["egress.guard"].message, found["egress.guard"].exit_code) == ("no seccomp here", Exit.EGRESS)
    monkeypatch.setattr(egress, "take", lambda _target: seen())
    assert found_by(check_egress(None, lambda: None))["egress.guard"].level == "ok"


def test_the_real_guard_holds_here() -> None:
    told = doctor("--egress", "--json")
    assert told.code == 0
    assert told.result["ok"] is True
    assert told.result["egress"]["mode"] == "unix-only"
    assert set(told.result["egress"]["probes"].values()) == {"denied"}
    assert {one["area"] for one in told.result["findings"]} == {"egress"}


def test_in_words_it_is_what_an_operator_can_read() -> None:
    told = doctor("--egress", "--lang", "zh")
    assert told.code == 0
    assert "防护模式 unix-only" in told.out
    assert "没有发现会使运行无法进行的问题" in told.out.splitlines()[-1]


def test_without_a_guard_it_is_exit_6_and_says_that_there_could_be_one() -> None:
    for words in (["--egress"], []):
        told = doctor(*words, "--json", guard="none")
        assert told.code == 6
        assert "--guard none" in told.find("egress.guard")["message"]
        assert told.result["egress"]["mode"] == "none"
        assert told.result["ok"] is False


def test_a_process_that_cannot_try_is_told_in_the_language_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlb_offline.doctor.trial import _try, refusal

    assert refusal() is None

    def refuse(_mode: Mode) -> None:
        raise EgressError("refused", remedy="r")

    monkeypatch.setattr("mlb_offline.airgap.guard.install", refuse)
    try:
        assert _try("zh") == {"message": "refused", "remedy": "r"}
    finally:
        set_language("en")
