"""Which targets a guard mode lets a run reach, and that no name server is ever asked about it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from guarded_child import told

from mlb_offline.airgap.modes import Mode, require_reachable
from mlb_offline.errors import UsageError
from mlb_offline.language import current, set_language


@pytest.fixture(autouse=True)
def english() -> Any:
    before = current()
    set_language("en")
    yield
    set_language(before)


ANY, LOCAL, INSIDE = "none", "loopback", "internal"
#                                                                    the strictest mode that allows it
TARGETS: dict[str, str] = {
    "http://127.0.0.1:8000/v1": LOCAL,
    "http://127.8.9.10:8000/v1": LOCAL,
    "http://[::1]:8000/v1": LOCAL,
    "http://[::ffff:127.0.0.1]:8000/v1": LOCAL,
    "http://localhost:8000/v1": LOCAL,
    "https://localhost/v1": LOCAL,
    "http://10.0.0.1:8000/v1": INSIDE,
    "http://10.255.0.7:8000/v1": INSIDE,
    "http://172.16.3.4:8000/v1": INSIDE,
    "http://192.168.1.2:8000/v1": INSIDE,
    "http://169.254.1.1:8000/v1": INSIDE,
    "http://[fd00::1]:8000/v1": INSIDE,
    "http://[fe80::1]:8000/v1": INSIDE,
    "http://[::ffff:10.0.0.1]:8000/v1": INSIDE,
    "http://8.8.8.8:8000/v1": ANY,
    "https://1.1.1.1/v1": ANY,
    "http://172.32.0.1:8000/v1": ANY,
    "http://[2001:4860:4860::8888]:8000/v1": ANY,
    "http://[::ffff:8.8.8.8]:8000/v1": ANY,
    "http://0.0.0.0:8000/v1": ANY,
    "http://[::]:8000/v1": ANY,
    "http://[::ffff:0.0.0.0]:8000/v1": ANY,
    "http://224.0.0.1:8000/v1": ANY,
}
ORDER = ("unix-only", LOCAL, INSIDE, ANY)


@pytest.mark.parametrize("mode", ORDER)
@pytest.mark.parametrize("spec", TARGETS)
def test_a_tcp_target_is_reachable_from_its_mode_on(spec: str, mode: str) -> None:
    if ORDER.index(mode) < ORDER.index(TARGETS[spec]):
        with pytest.raises(UsageError) as caught:
            require_reachable(Mode(mode), spec)
        assert "bridge" in str(caught.value.remedy)
        assert caught.value.field == ("--guard" if mode == "unix-only" else "--target")
    else:
        default = 443 if spec.startswith("https") else 8000
        assert require_reachable(Mode(mode), spec) == (None if mode == ANY else default)


@pytest.mark.parametrize("mode", ORDER)
@pytest.mark.parametrize("spec", ["unix:/run/model.sock", "gguf:m.gguf", "answers:a.jsonl", "nonsense", "http:///v1"])
def test_a_target_without_a_network_is_reachable_under_every_mode(spec: str, mode: str) -> None:
    assert require_reachable(Mode(mode), spec) is None


@pytest.mark.parametrize("spec", ["http://127.0.0.1:99999/v1", "http://[::1/v1", "http://127.0.0.1:x/v1"])
def test_an_address_that_is_none_is_left_to_whoever_opens_it(spec: str) -> None:
    assert require_reachable(Mode.LOOPBACK, spec) is None


NAMED = """
import json, sys
from mlb_offline.airgap import guard
from mlb_offline.airgap.modes import Mode, require_reachable
from mlb_offline.errors import UsageError
from mlb_offline.language import set_language
set_language("en")
guard.install(Mode(sys.argv[1]))
try:
    print(json.dumps({"port": require_reachable(Mode(sys.argv[1]), sys.argv[2])}))
except UsageError as error:
    print(json.dumps({"message": error.message, "remedy": error.remedy}))
"""


@pytest.mark.parametrize("mode", ["loopback", "internal"])
def test_a_name_that_only_a_name_server_knows_is_refused_without_asking_one(mode: str) -> None:
    said = told("-c", NAMED, mode, "http://model.hospital.invalid:8000/v1")
    assert "cannot be found without asking the network" in said["message"]
    assert "hosts file" in said["remedy"]
    assert told("-c", NAMED, mode, "http://localhost:8000/v1") == {"port": 8000}


def test_without_a_guard_no_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    assert require_reachable(Mode.NONE, "http://model.hospital.invalid:8000/v1") is None
    with pytest.raises(UsageError):
        require_reachable(Mode.UNIX_ONLY, "http://model.hospital.invalid:8000/v1")


def test_a_name_with_one_address_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """All its addresses count: which of them the connection will use is not known."""
    answers = [(2, 1, 6, "", ("127.0.0.1", 80)), (2, 1, 6, "", ("8.8.8.8", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(UsageError, match=r"8\.8\.8\.8"):
        require_reachable(Mode.LOOPBACK, "http://two-faced/v1")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers[:1])
    assert require_reachable(Mode.LOOPBACK, "http://two-faced/v1") == 80
