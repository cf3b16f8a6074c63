"""The support file: what somebody elsewhere needs to help, and nothing that must stay in the house."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
from pathlib import Path
from typing import Any

from mlb_offline import __version__
from mlb_offline.doctor.cpu import best_variant, read_cpu
from mlb_offline.doctor.examine import Diagnosis
from mlb_offline.doctor.finding import Area, Checks, ok
from mlb_offline.doctor.memory import read_memory
from mlb_offline.doctor.options import Options
from mlb_offline.doctor.scrub import scrubber
from mlb_offline.language import tr
from mlb_offline.trust.files import create

FORMAT = "mlb-offline/support/v1"


def check_support(path: Path, diagnosis: Diagnosis, options: Options) -> Checks[None]:
    """Write the file, mode 0600, never over an existing one, and say what is in it.

    Raises:
        InputError: it exists, or cannot be written.
    """
    content = scrubber(options).value(_content(diagnosis))
    create(path, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode(), mode=0o600)
    yield ok(
        Area.SUPPORT,
        "written",
        tr(
            f"已写出 {path}。其中有：以上结果、出网证据、程序与各软件包的版本、内核版本、处理器特性、内存大小。"
            "其中没有：题目与回答、密钥与口令、环境变量、主机名、用户名、网络地址、文件所在目录。交出前请自行查看",
            f"written: {path}. In it: these findings, the egress evidence, versions of this program and of packages, "
            "kernel release, processor features, sizes of memory. Not in it: items or answers, keys or passphrases, "
            "environment variables, names of host or user, addresses, folders. Look at it before you pass it on",
        ),
    )


def _content(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "tool": __version__,
        "python": platform.python_version(),
        "kernel": os.uname().release,
        "machine": platform.machine(),
        "cpu": _cpu(),
        "memory": _memory(),
        "packages": _packages(),
        **diagnosis.to_json(),
    }


def _cpu() -> dict[str, Any] | None:
    try:
        cpu = read_cpu()
    except OSError:
        return None  # the findings say so
    return {"features": cpu.told(), "cores": cpu.cores, "variant": best_variant(cpu.flags)}


def _memory() -> dict[str, Any] | None:
    try:
        memory = read_memory()
    except (OSError, ValueError):
        return None
    return {"total": memory.total, "available": memory.available, "limit": memory.limit, "swap": memory.swap}


def _packages() -> dict[str, str | None]:
    """Name → version of everything that the program requires; None: not installed."""
    try:
        required = importlib.metadata.requires("mlb-offline") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    names = [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in required if "extra ==" not in line]
    return {name: _version(name) for name in sorted(names)}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
