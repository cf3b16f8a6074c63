"""Which targets a guard mode lets a run reach, and that no name server is ever asked about it."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from run_world import World

from mlb_offline.airgap import modes
from mlb_offline.airgap.modes import Mode, require_reachable
from mlb_offline.demo.scripted import Reply, ScriptedServer
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
    "http://[::ffff:169.254.1.1]:8000/v1": INSIDE,
    "http://100.64.0.1:8000/v1": INSIDE,
    "http://100.127.255.254:8000/v1": INSIDE,
    "http://8.8.8.8:8000/v1": ANY,
    "https://1.1.1.1/v1": ANY,
    "http://172.32.0.1:8000/v1": ANY,
    "http://[2001:4860:4860::8888]:8000/v1": ANY,
    "http://[::ffff:8.8.8.8]:8000/v1": ANY,
    "http://0.0.0.0:8000/v1": ANY,
    "http://[::]:8000/v1": ANY,
    "http://[::ffff:0.0.0.0]:8000/v1": ANY,
    "http://[::ffff:192.0.2.1]:8000/v1": ANY,
    "http://0.1.2.3:8000/v1": ANY,
    "http://100.63.255.255:8000/v1": ANY,
    "http://100.128.0.1:8000/v1": ANY,
    "http://192.0.2.1:8000/v1": ANY,
    "http://198.18.0.1:8000/v1": ANY,
    "http://224.0.0.1:8000/v1": ANY,
    "http://240.0.0.1:8000/v1": ANY,
    "http://255.255.255.255:8000/v1": ANY,
    "http://[64:ff9b::10.0.0.1]:8000/v1": ANY,
    "http://[2001:db8::1]:8000/v1": ANY,
    "http://[ff02::1]:8000/v1": ANY,
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


HOSTS = """\
# names of this house
127.0.0.1   localhost Localhost.localdomain
192.168.7.9 model.hospital.internal model   # the vendor's server
10.0.0.1    two-faced
8.8.8.8     two-faced
not-an-address nonsense
"""


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A hosts file of our own; the C library must not be asked, for it asks daemons, and they the network."""
    file = tmp_path / "hosts"
    file.write_text(HOSTS)
    monkeypatch.setattr(modes, "HOSTS", file)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    return file


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("mode", [Mode.LOOPBACK, Mode.INTERNAL])
def test_a_name_that_the_hosts_file_does_not_hold_is_refused_without_asking_anybody(mode: Mode) -> None:
    for name in ("model.hospital.invalid", "nonsense", "mod"):
        with pytest.raises(UsageError, match="hosts") as refused:
            require_reachable(mode, f"http://{name}:8000/v1")
        assert str(modes.HOSTS) in refused.value.remedy
    assert require_reachable(mode, "http://LOCALHOST:8000/v1") == 8000


@pytest.mark.usefixtures("hosts")
def test_a_name_of_the_hosts_file_has_its_address(hosts: Path) -> None:
    assert require_reachable(Mode.INTERNAL, "http://model:8000/v1") == 8000
    with pytest.raises(UsageError, match=r"192\.168\.7\.9"):
        require_reachable(Mode.LOOPBACK, "http://model:8000/v1")
    hosts.unlink()
    assert require_reachable(Mode.LOOPBACK, "http://localhost:8000/v1") == 8000
    with pytest.raises(UsageError):
        require_reachable(Mode.INTERNAL, "http://model:8000/v1")


@pytest.mark.usefixtures("hosts")
def test_without_a_guard_no_name_is_looked_up() -> None:
    assert require_reachable(Mode.NONE, "http://model.hospital.invalid:8000/v1") is None
    with pytest.raises(UsageError):
        require_reachable(Mode.UNIX_ONLY, "http://model.hospital.invalid:8000/v1")


@pytest.mark.usefixtures("hosts")
def test_a_name_with_one_address_elsewhere_is_refused() -> None:
    """All its addresses count: which of them the connection will use is not known."""
    assert require_reachable(Mode.INTERNAL, "http://10.0.0.1/v1") == 80
    with pytest.raises(UsageError, match=r"8\.8\.8\.8"):
        require_reachable(Mode.INTERNAL, "http://two-faced/v1")


def test_a_run_under_loopback_reaches_a_server_by_its_name_in_the_hosts_file(world: World, tmp_path: Path) -> None:
    async def story() -> tuple[int, bytes]:
        async with ScriptedServer({"": Reply("答案：B")}) as server:
            target = server.target.replace("127.0.0.1", "localhost")
            words = ["--guard", "loopback", "run", "--bundle", world.bundle, "--trust", world.trust]
            words += ["--key", world.key_file, "--state", tmp_path / "state", "--target", target]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "mlb_offline", *map(str, words), "--out", str(tmp_path / "run")),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            _out, err = await process.communicate()
            return process.returncode or 0, err

    code, err = asyncio.run(story())
    assert code == 0, err.decode()
