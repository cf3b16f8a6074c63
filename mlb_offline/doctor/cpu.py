"""The processor: will the program run on it at all, and which build of llama.cpp's CPU backend will."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlb_offline.doctor.finding import Area, Checks, failure, ok, warning
from mlb_offline.errors import Exit
from mlb_offline.language import tr

MACHINES = ("x86_64", "aarch64")

_AVX2 = frozenset({"sse4_2", "avx", "f16c", "fma", "avx2", "bmi2"})
_AVX512 = _AVX2 | {"avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"}
X86_VARIANTS: Mapping[str, frozenset[str]] = {
    "icelake": _AVX512 | {"avx512vbmi", "avx512_vnni"},
    "skylakex": _AVX512,
    "haswell": _AVX2,
    "x64": frozenset(),
}
"""Variants that are compiled (requirements/llama.cmake), best first, and the flags (/proc/cpuinfo) that each needs."""

TOLD = frozenset({"hypervisor", "sse4_2", "f16c", "fma", "bmi2", "avx", "avx2", "asimd", "asimddp", "i8mm", "sve"})
_TOLD_PREFIXES = ("avx512", "avx_vnni", "amx", "sve")


@dataclass(frozen=True)
class Cpu:
    """The processor.

    Attributes:
        machine: as uname names it.
        flags: features, as /proc/cpuinfo names them.
        cores: that this process may use.
    """

    machine: str
    flags: frozenset[str]
    cores: int

    def told(self) -> list[str]:
        """The features that decide how fast a model runs: all that a support file says of them."""
        return sorted(flag for flag in self.flags if flag in TOLD or flag.startswith(_TOLD_PREFIXES))


def read_cpu() -> Cpu:
    """The processor of this machine.

    Raises:
        OSError: /proc cannot be read.
    """
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    return Cpu(platform.machine(), parse_flags(text), len(os.sched_getaffinity(0)))


def parse_flags(cpuinfo: str) -> frozenset[str]:
    """The features of the first processor in /proc/cpuinfo: ``flags`` on x86, ``Features`` on Arm."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"flags", "Features"}:
            return frozenset(value.split())
    return frozenset()


def best_variant(flags: frozenset[str]) -> str:
    """The best variant of llama.cpp's x86 backend that such a processor can run."""
    return next(name for name, needed in X86_VARIANTS.items() if needed <= flags)


def check_cpu(cpu: Cpu, *, in_process: bool) -> Checks[None]:
    """Judge the processor.

    Args:
        cpu: what was read.
        in_process: a model or judge would be computed here, so speed matters.
    """
    if cpu.machine not in MACHINES:
        yield failure(
            Area.CPU,
            "machine",
            tr(f"不支持的处理器架构 {cpu.machine}", f"the processor architecture {cpu.machine} is not supported"),
            tr("换用 x86_64 或 aarch64 的机器", "use a machine with x86_64 or aarch64"),
            Exit.EGRESS,  # what a run meets first: there is no seccomp filter for it
        )
        return
    cores = tr(f"{cpu.machine}，可用核心 {cpu.cores} 个", f"{cpu.machine}, {cpu.cores} cores to use")
    yield ok(Area.CPU, "machine", cores)
    if cpu.machine != "x86_64":
        features = ", ".join(cpu.told()) or tr("（未知）", "(unknown)")
        yield ok(
            Area.CPU,
            "variant",
            tr(
                f"指令集：{features}；llama.cpp 载入时自选后端", f"{features}; llama.cpp chooses its backend on loading"
            ),
        )
        return
    yield from _x86(cpu, in_process)


def _x86(cpu: Cpu, in_process: bool) -> Checks[None]:
    variant = best_variant(cpu.flags)
    named = {"AVX2": "avx2", "AVX-512": "avx512f", "VNNI": "avx512_vnni"}
    has = ", ".join(name for name, flag in named.items() if flag in cpu.flags) or tr("无 AVX2", "no AVX2")
    message = tr(f"{has}；适用的 llama.cpp 后端：{variant}", f"{has}; the llama.cpp backend that fits: {variant}")
    if variant != "x64" or not in_process:
        yield ok(Area.CPU, "variant", message)
        return
    yield warning(
        Area.CPU,
        "variant",
        message + tr("；在此机器上计算模型会慢数倍", "; a model computed here is several times slower"),
        tr(
            "虚拟机：透传宿主机的 CPU 特性（host-passthrough）；"
            "否则换用有 AVX2 的机器，或让模型在别处运行，经 unix: 连接",
            "in a virtual machine, pass the host's CPU features through (host-passthrough); else use a machine with "
            "AVX2, or run the model elsewhere and reach it over unix:",
        ),
    )
