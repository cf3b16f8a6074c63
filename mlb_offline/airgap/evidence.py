"""Evidence of the guard: what the kernel says about this process and its network, at one moment.

A snapshot is taken when a session of a run begins and when it ends; it stands in the run's log and in the report.
All of it is measured by the evaluator about itself: it shows accidents and gaps, not a dishonest machine.
"""

from __future__ import annotations

import re
import resource
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mlb_offline.airgap import filters
from mlb_offline.airgap.guard import Guard, current
from mlb_offline.airgap.modes import Mode
from mlb_offline.airgap.network import Interface, Namespace, OwnSockets, Peer, namespace, own_sockets, peer_of
from mlb_offline.airgap.probes import fit, probe
from mlb_offline.configuration import explain
from mlb_offline.errors import EgressError
from mlb_offline.installation import Image, check_image, measure_image
from mlb_offline.language import tr

ModeName = Literal["unix-only", "loopback", "internal", "none"]
MOST_INTERFACES = 64
"""Interfaces that are listed; a host of many containers has hundreds."""

_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_MOST = 2**53 - 1
_Count = Annotated[int, Field(ge=0, le=_MOST)]
_Name = Annotated[str, StringConstraints(max_length=64)]
_Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class InterfaceSeen(_Strict):
    """``network.Interface``."""

    name: _Name
    up: bool
    rx_bytes: _Count
    rx_packets: _Count
    tx_bytes: _Count
    tx_packets: _Count


class SocketsSeen(_Strict):
    """Sockets in the namespace, by protocol, of whatever process; not the kernel's own."""

    tcp: _Count
    tcp6: _Count
    udp: _Count
    udp6: _Count
    raw: _Count
    raw6: _Count
    packet: _Count
    netlink: _Count
    unix: _Count


class NetworkSeen(_Strict):
    """``network.Namespace``; ``empty``: nothing but loopback is up and no route leads anywhere."""

    empty: bool
    interfaces: Annotated[list[InterfaceSeen], Field(max_length=MOST_INTERFACES)]
    interfaces_in_all: _Count
    routes: _Count
    default_route: bool
    sockets: SocketsSeen


class LandlockSeen(_Strict):
    """``guard.Landlock``."""

    abi: _Count
    scoped: bool
    port: Annotated[int, Field(ge=0, le=65535)] | None
    threads: _Count


class ProcessSeen(_Strict):
    """The evaluator's process.

    Attributes:
        seccomp, filters, no_new_privs: /proc/self/status; 2 is filter mode.
        filter_sha256: of the filter's program.
        unix_sockets, network_sockets: that it holds.
        core_dumps: memory could be written to a file when it crashes.
        memory_locked: what it held when the bundle had been opened could be locked, and cannot go to swap.
    """

    seccomp: Literal[0, 1, 2]
    filters: _Count
    no_new_privs: bool
    filter_sha256: _Sha256 | None
    landlock: LandlockSeen | None
    unix_sockets: _Count
    network_sockets: _Count
    core_dumps: bool
    memory_locked: bool


class PeerSeen(_Strict):
    """``network.Peer``."""

    path: Annotated[str, StringConstraints(max_length=400)]
    pid: _Count
    uid: _Count
    gid: _Count


class ImageSeen(_Strict):
    """``installation.Image``."""

    manifest_sha256: _Sha256
    files: _Count


class Snapshot(_Strict):
    """All of it; ``probes`` by name, ``swap``: the machine has swap space, ``image`` None outside the image."""

    mode: ModeName
    probes: Annotated[dict[_Code, Literal["denied", "open"]], Field(max_length=64)]
    process: ProcessSeen
    network: NetworkSeen
    swap: bool
    peer: PeerSeen | None
    image: ImageSeen | None


def take(target: str | None = None, *, again: bool = False) -> Snapshot:
    """Look at everything now.

    Args:
        target: how the target is reached; for ``unix:PATH`` the kernel is asked who listens there.
        again: measure the files of the image anew, though this process has done so before.

    Raises:
        EgressError: /proc cannot be read, or says what cannot be recorded.
        TrustError: files of the image are not those that were built into it.
    """
    guard = current()
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        network, own = namespace(), own_sockets()
        swap = len(Path("/proc/swaps").read_text(encoding="ascii", errors="replace").splitlines()) > 1
    except OSError as error:
        raise EgressError(
            tr(f"无法读取 /proc：{error.strerror}", f"/proc cannot be read: {error.strerror}"),
            file=error.filename,
            remedy=tr("容器内须挂载 /proc（默认如此）", "mount /proc in the container, as it is by default"),
        ) from None
    peer = peer_of(target.removeprefix("unix:")) if target is not None and target.startswith("unix:") else None
    image = measure_image() if again else check_image()
    try:
        return _snapshot(guard, status, network, own, swap=swap, peer=peer, image=image)
    except ValidationError as error:
        field, message = explain(error)
        raise EgressError(
            tr(f"证据无法记录：{message}", f"the evidence cannot be recorded: {message}"),
            field=field,
            remedy=tr(
                "把 doctor --support-file 的输出交给支持人员", "give the output of doctor --support-file to support"
            ),
        ) from None


def _snapshot(
    guard: Guard,
    status: str,
    network: Namespace,
    own: OwnSockets,
    *,
    swap: bool,
    peer: Peer | None,
    image: Image | None,
) -> Snapshot:
    return Snapshot(
        mode=guard.mode.value,
        probes=dict(probe(guard.mode)),
        process=ProcessSeen(
            seccomp=_status(status, "Seccomp"),
            filters=_status(status, "Seccomp_filters"),
            no_new_privs=bool(_status(status, "NoNewPrivs")),
            filter_sha256=guard.filter_sha256,
            landlock=None if guard.landlock is None else LandlockSeen(**asdict(guard.landlock)),
            unix_sockets=own.unix,
            network_sockets=own.network,
            core_dumps=resource.getrlimit(resource.RLIMIT_CORE)[0] != 0,
            memory_locked=guard.memory_locked,
        ),
        network=NetworkSeen(
            empty=network.empty,
            interfaces=[_interface(one) for one in network.interfaces[:MOST_INTERFACES]],
            interfaces_in_all=len(network.interfaces),
            routes=network.routes,
            default_route=network.default_route,
            sockets=SocketsSeen(**network.sockets),
        ),
        swap=swap,
        peer=None if peer is None else _peer(peer),
        image=None if image is None else _image(image),
    )


def status_number(status: str, field: str, base: int = 10) -> int | None:
    """A number in the text of /proc/self/status; None where the kernel has no such field."""
    found = re.search(rf"^{field}:\s*([0-9a-f]+)", status, re.MULTILINE)
    return int(found[1], base) if found else None


def _status(status: str, field: str) -> Any:
    return status_number(status, field) or 0


def _interface(one: Interface) -> InterfaceSeen:
    # Counters of some drivers wrap at 64 bits, beyond what canonical JSON can hold.
    counters = {name: min(value, _MOST) for name, value in asdict(one).items() if name not in {"name", "up"}}
    return InterfaceSeen(name=one.name[:64], up=one.up, **counters)


def _peer(peer: Peer) -> PeerSeen:
    path = peer.path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return PeerSeen(path=path[:400], pid=peer.pid, uid=peer.uid, gid=peer.gid)


def _image(image: Image) -> ImageSeen:
    return ImageSeen(manifest_sha256=image.manifest_sha256, files=image.files)


def gaps(seen: Snapshot) -> list[str]:
    """What a snapshot lacks of what its mode promises, as codes; empty where all holds, or nothing is promised."""
    mode, process = Mode(seen.mode), seen.process
    if mode is Mode.NONE:
        return []
    profile = filters.Profile.TCP if mode.over_tcp else filters.Profile.UNIX
    holds = {
        "seccomp": process.seccomp == 2,
        "no-new-privs": process.no_new_privs,
        "filter": filters.PUBLISHED.get(process.filter_sha256 or "") is profile,
        "probes": fit(mode, seen.probes),
        "network-socket": mode.over_tcp or process.network_sockets == 0,
        "core-dumps": not process.core_dumps,
    }
    return [name for name, held in holds.items() if not held]


def failed(ending: str, seen: Iterable[Snapshot | None]) -> bool:
    """Whether a session was stopped for its evidence, or what there is of it lacks what its mode promises.

    Args:
        ending: how the session ended (``run.results.Session``).
        seen: its snapshots; None for one that was not taken.
    """
    return ending == "egress" or any(gaps(one) for one in seen if one is not None)


def require_whole(seen: Snapshot) -> None:
    """Refuse to go on where evidence and mode disagree.

    Raises:
        EgressError: the snapshot lacks something; the message names it.
    """
    missing = gaps(seen)
    if missing:
        raise EgressError(
            tr(
                f"出网证据与防护模式 {seen.mode} 不符：{', '.join(missing)}",
                f"the evidence does not fit the guard mode {seen.mode}: {', '.join(missing)}",
            ),
            remedy=tr(
                "不要信任此次运行；把 doctor --support-file 的输出交给支持人员",
                "do not rely on this run; give the output of doctor --support-file to support",
            ),
        )
