"""Evidence of the egress guard, made up."""

from __future__ import annotations

from typing import Any

from mlb_offline.airgap.filters import Profile, digest, program
from mlb_offline.airgap.modes import Mode
from mlb_offline.airgap.probes import expected

IMAGE = "7c" * 32


def egress_of(mode: str = "unix-only", **changes: Any) -> dict[str, Any]:
    """Evidence as a session under this guard takes it on a machine with one network card."""
    guarded = mode != "none"
    profile = Profile.UNIX if mode == "unix-only" else Profile.TCP
    card = {"rx_bytes": 91_234, "rx_packets": 412, "tx_bytes": 4_321, "tx_packets": 57}
    still = {"rx_bytes": 0, "rx_packets": 0, "tx_bytes": 0, "tx_packets": 0}
    sockets = {"tcp": 3, "tcp6": 1, "udp": 2, "udp6": 0, "raw": 0, "raw6": 0, "packet": 0, "netlink": 4, "unix": 31}
    port = 0 if mode == "unix-only" else 8000
    process = {
        "seccomp": 2 if guarded else 0,
        "filters": 1 if guarded else 0,
        "no_new_privs": guarded,
        "filter_sha256": digest(program(profile, "x86_64")) if guarded else None,
        "landlock": {"abi": 6, "scoped": True, "port": port, "threads": 1} if guarded else None,
        "unix_sockets": 9,
        "network_sockets": 0,
        "core_dumps": not guarded,
        "memory_locked": guarded,
    }
    return {
        "mode": mode,
        "probes": dict(expected(Mode(mode))),
        "process": process,
        "network": {
            "empty": False,
            "interfaces": [{"name": "eth0", "up": True, **card}, {"name": "lo", "up": True, **still}],
            "interfaces_in_all": 2,
            "routes": 3,
            "default_route": True,
            "sockets": sockets,
        },
        "swap": False,
        "peer": {"path": "/run/model.sock", "pid": 0, "uid": 1000, "gid": 1000},
        "image": {"manifest_sha256": IMAGE, "files": 5678},
        **changes,
    }
