"""Disks: free space where a run writes, and whether a folder is on another machine after all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlb_offline.doctor.finding import Area, Checks, failure, ok, warning
from mlb_offline.errors import Exit
from mlb_offline.language import tr

FULL, SHORT = 200 * 10**6, 2 * 10**9
"""Bytes: with less than the first a run is not begun, with less than the second a long one may not end."""

Place = Literal["out", "state", "temporary"]

_KINDS = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "afs", "beegfs", "ceph", "coda", "davfs", "ftpfs", "gfs2"}
    | {"glusterfs", "gpfs", "lustre", "ncpfs", "ocfs2", "orangefs", "pvfs2", "sshfs"}
)
_FUSE = re.compile(
    r"fuse\.(ceph|cephfs|curlftpfs|davfs2?|gcsfuse|glusterfs|goofys|jindofs|juicefs|mfs|moosefs|ossfs|rclone|s3fs|seaweedfs|smbnetfs|sshfs)"
)


@dataclass(frozen=True)
class Mount:
    """Where a file system is mounted, and of which kind it is."""

    point: str
    kind: str

    @property
    def remote(self) -> bool:
        """What is written there goes to another machine."""
        return self.kind in _KINDS or _FUSE.match(self.kind) is not None


def read_mounts() -> tuple[Mount, ...]:
    """The mounts that this process sees.

    Raises:
        OSError: /proc cannot be read.
    """
    return parse_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))


def parse_mounts(mountinfo: str) -> tuple[Mount, ...]:
    """The lines of /proc/self/mountinfo (proc(5)), in their order; white space and backslash are octal there."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split(" ")[4])
        found.append(Mount(point, after.split(" ")[0]))
    return tuple(found)


def mount_of(path: Path, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that holds an absolute path without symbolic links: the deepest, and of those the latest."""
    holding = [mount for mount in mounts if path.is_relative_to(mount.point)]
    return max(reversed(holding), key=lambda mount: len(mount.point), default=None)


def nearest(path: Path) -> Path:
    """The path itself, without symbolic links, or the nearest of the folders above it that is there.

    Raises:
        OSError: a folder on the way cannot be entered.
    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps "..", which then hides what is above
    there = next(one for one in (whole, *whole.parents) if os.path.lexists(one))
    return there.resolve()


def free_space(path: Path) -> int:
    """Bytes that an ordinary user can still write where the path is, or would be.

    Raises:
        OSError: it cannot be asked.
    """
    return shutil.disk_usage(nearest(path)).free


def size(count: int) -> str:
    """For a person: ``1.4 GB``, ``120 MB``."""
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.0f} MB"


def check_space(place: Place, path: Path, free: int) -> Checks[None]:
    """Judge the free space of one place.

    Args:
        place: ``out`` is where a run writes its store; at the others little is written, and little space is only a
            warning.
        path: where that is.
        free: bytes.
    """
    decides = place == "out"
    message = tr(f"{path}：可用空间 {size(free)}", f"{path}: {size(free)} free")
    remedy = tr("腾出空间，或换到另一个磁盘", "free some space, or choose another disk")
    if decides and free < FULL:
        yield failure(
            Area.DISK, place, message + tr("，不足以开始运行", ": too little to begin a run"), remedy, Exit.BAD_INPUT
        )
    elif free < (SHORT if decides else FULL):
        yield warning(Area.DISK, place, message + tr("，偏少", ": little"), remedy)
    else:
        yield ok(Area.DISK, place, message)


def check_local(places: Mapping[str, Path], mounts: Sequence[Mount]) -> Checks[None]:
    """Find folders and files that stand on another machine.

    Args:
        places: option → path, absolute and without symbolic links.
        mounts: what was read.
    """
    remote = []
    for option, path in places.items():
        mount = mount_of(path, mounts)
        if mount is not None and mount.remote:
            remote.append(f"{option} ({mount.kind})")
    if remote:
        yield warning(
            Area.DISK,
            "network",
            tr(
                f"位于网络文件系统：{', '.join(remote)}；写到那里的内容会离开本机",
                f"on a network file system: {', '.join(remote)}; what is written there leaves this machine",
            ),
            tr("改用本机磁盘上的目录", "use folders on a disk of this machine"),
        )
    elif places:
        listed = ", ".join(places)
        yield ok(Area.DISK, "network", tr(f"不在网络文件系统上：{listed}", f"not on a network file system: {listed}"))
