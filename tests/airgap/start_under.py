"""Start a command under something that it inherits: ``python start_under.py no-seccomp|MODE COMMAND…``.

``no-seccomp``: seccomp(2) is denied, as by a container's profile that lets nobody install a filter.
MODE: the guard of that mode.
"""

from __future__ import annotations

import errno
import os
import platform
import struct
import sys

from mlb_offline.airgap import kernel
from mlb_offline.airgap.guard import install
from mlb_offline.airgap.modes import Mode


def deny_seccomp() -> None:
    number = {"x86_64": 317, "aarch64": 277}[platform.machine()]
    program = struct.pack("=HBBI", 0x20, 0, 0, 0)  # load the number of the system call
    program += struct.pack("=HBBI", 0x15, 0, 1, number)
    program += struct.pack("=HBBI", 0x06, 0, 0, 0x00050000 | errno.EPERM)
    program += struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.install_filter(program)


if __name__ == "__main__":
    if sys.argv[1] == "no-seccomp":
        deny_seccomp()
    else:
        install(Mode(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
