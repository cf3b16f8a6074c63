"""Evidence of the egress guard that does not fit what the report says of the run is refused, whoever signed it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from egress_cases import egress_of
from test_report_facts import HONEST, TRUST, accepted, around, identity, lie, why_refused

from mlb_offline.errors import TrustError
from mlb_offline.report.data import ReportData, embed
from mlb_offline.report.page import render
from mlb_offline.report.verify import verify_bytes

Change = Callable[[dict[str, Any]], object]


def every(value: dict[str, Any]) -> list[dict[str, Any]]:
    """All evidence of a report: of each session's start, and of its end where it had one."""
    found = [session[place] for session in value["run"]["sessions"] for place in ("egress", "egress_at_end")]
    return [egress for egress in found if egress is not None]


def first(value: dict[str, Any]) -> dict[str, Any]:
    egress: dict[str, Any] = value["run"]["sessions"][0]["egress"]
    return egress


def ended(value: dict[str, Any]) -> dict[str, Any]:
    session: dict[str, Any] = value["run"]["sessions"][-1]
    assert session["egress_at_end"] is not None
    return session


def under(mode: str) -> Change:
    """The whole run under another guard, evidence and all."""

    def change(value: dict[str, Any]) -> None:
        identity(value)["guard_mode"] = mode
        for session in value["run"]["sessions"]:
            session["egress"] = egress_of(mode)
            session["egress_at_end"] = session["egress_at_end"] and egress_of(mode)

    return change


LIES: dict[str, Change] = {
    "evidence of another guard": lambda v: first(v).update(egress_of("loopback")),
    "evidence of no guard": lambda v: first(v).update(egress_of("none")),
    "another guard at the end": lambda v: ended(v)["egress_at_end"].update(egress_of("internal")),
    "a run without a guard, told as guarded": lambda v: (under("none")(v), identity(v).update(guard_mode="unix-only")),
    "a weaker guard, told as the strict one": lambda v: (
        under("loopback")(v),
        identity(v).update(guard_mode="unix-only"),
        [egress.update(mode="unix-only") for egress in every(v)],
    ),
    "a probe found open": lambda v: first(v)["probes"].update(udp="open"),
    "a probe left out": lambda v: first(v)["probes"].pop("io_uring_setup"),
    "no probes": lambda v: first(v).update(probes={}),
    "no seccomp": lambda v: first(v)["process"].update(seccomp=0),
    "new privileges": lambda v: first(v)["process"].update(no_new_privs=False),
    "a network socket held": lambda v: first(v)["process"].update(network_sockets=1),
    "core dumps": lambda v: first(v)["process"].update(core_dumps=True),
    "no filter": lambda v: first(v)["process"].update(filter_sha256=None),
    "a filter nobody published": lambda v: first(v)["process"].update(filter_sha256="ab" * 32),
    "no seccomp at the end": lambda v: ended(v)["egress_at_end"]["process"].update(seccomp=0),
    "a network socket held at the end": lambda v: ended(v)["egress_at_end"]["process"].update(network_sockets=2),
    "nothing about the end": lambda v: ended(v).update(egress_at_end=None),
    "another image at the end": lambda v: ended(v)["egress_at_end"].update(
        image={"manifest_sha256": "11" * 32, "files": 5678}
    ),
    "no image at the end": lambda v: ended(v)["egress_at_end"].update(image=None),
}


@pytest.mark.parametrize("name", LIES)
def test_evidence_that_does_not_fit_is_refused(name: str) -> None:
    error = why_refused(lie(LIES[name]))
    assert error.field == "data.run.sessions"
    assert "evidence" in error.message or "证据" in error.message


@pytest.mark.parametrize("mode", ["loopback", "internal"])
def test_a_run_under_a_weaker_guard_stands_when_it_is_told_as_such(mode: str) -> None:
    accepted(lie(under(mode)))


def test_a_session_that_was_killed_has_no_evidence_of_its_end() -> None:
    value = json.loads(HONEST.to_bytes())
    assert value["run"]["sessions"][0]["ending"] == "killed"
    value["run"]["sessions"][0]["egress_at_end"] = egress_of()
    with pytest.raises(TrustError) as caught:
        verify_bytes(around(value), TRUST, file="report.html")
    assert caught.value.field == "data.run.sessions"


def page(data: ReportData) -> str:
    return render(data, embed(data)).decode()


def test_a_run_without_a_guard_stands_and_its_page_says_so() -> None:
    data = lie(under("none"))
    accepted(data)
    words = ("未强制断网", "not enforced")
    assert all(word in page(data) for word in words)
    assert not any(word in page(HONEST) for word in words)


def indicative(data: ReportData) -> set[str]:
    return {reason.code for reason in data.findings.indicative}


def stopped(value: dict[str, Any]) -> dict[str, Any]:
    """An earlier session that was stopped because its evidence no longer held."""
    early = {**value["run"]["sessions"][0], "ending": "egress"}
    early["ended"] = early["started"]
    early["egress_at_end"] = egress_of()
    early["egress_at_end"]["process"]["network_sockets"] = 1
    value["run"]["sessions"].insert(0, early)
    return early


def test_a_session_stopped_for_its_evidence_makes_the_report_indicative() -> None:
    data = lie(stopped)
    accepted(data)
    assert indicative(data) == {"egress-failed"}
    assert indicative(HONEST) == set()
    assert data.findings.verdict == "not evaluable"


@pytest.mark.parametrize("at_end", [None, egress_of()])
def test_it_does_so_whether_or_not_evidence_could_be_taken_then(at_end: dict[str, Any] | None) -> None:
    def change(value: dict[str, Any]) -> None:
        stopped(value)["egress_at_end"] = at_end

    data = lie(change)
    accepted(data)
    assert indicative(data) == {"egress-failed"}
    assert ("未能取得证据" in page(data)) == (at_end is None)


def test_evidence_that_failed_counts_under_whatever_ending() -> None:
    def change(value: dict[str, Any]) -> None:
        stopped(value)["ending"] = "operator"

    data = lie(change)
    accepted(data)
    assert indicative(data) == {"egress-failed"}


def test_what_differs_between_sessions_is_listed() -> None:
    def change(value: dict[str, Any]) -> None:
        session = value["run"]["sessions"][-1]
        for name in ("egress", "egress_at_end"):
            session[name] = {**session[name], "peer": {"path": "/run/other.sock", "pid": 7, "uid": 8, "gid": 9}}

    shown = page(lie(change))
    assert "uid 1000" in shown
    assert "/run/other.sock" in shown
    assert "/run/other.sock" not in page(HONEST)


def test_a_session_outside_the_image_of_the_run_is_refused() -> None:
    def change(value: dict[str, Any]) -> None:
        value["run"]["sessions"][-1]["egress"]["image"] = None

    assert why_refused(lie(change)).field == "data.run.sessions"
    assert why_refused(lie(lambda v: v["run"]["identity"].update(image="00" * 32))).field == "data.run.sessions"
