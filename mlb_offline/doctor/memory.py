"""Memory: what this process may use (machine and control group), against the models that it would load; swap."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlb_offline.doctor.finding import Area, Checks, Finding, failure, ok, warning
from mlb_offline.errors import Exit
from mlb_offline.language import tr

GIB = 2**30
COMFORTABLE, LEAST = 2 * GIB, GIB // 2
"""Without a model: below the first a large bundle may not fit, below the second no bundle is opened reliably."""

WEIGHTS = 1.1
"""Memory for a GGUF file, by its size: the weights, and llama.cpp's buffers beside them."""

_CACHE_A_GB, _CACHE_MOST = 32 * 1024, 320 * 1024
"""Bytes of KV cache a token: for each GB (10⁹ bytes) of file, and at most. 16-bit cache of models with grouped-query
attention: a 5 GB file (8 B parameters at 4 bits) needs 147,456, a 42 GB file (70 B) 327,680; older models need more."""

_UNLIMITED = 2**60  # cgroup v1 writes "no limit" as the largest multiple of a page


@dataclass(frozen=True)
class Memory:
    """In bytes.

    Attributes:
        total, available: of the machine (MemTotal, MemAvailable).
        limit: of the control group; None: none.
        room: what this process can still take: the smaller of what is left of both.
        swap: what it holds may be written to swap space.
    """

    total: int
    available: int
    limit: int | None
    room: int
    swap: bool


@dataclass(frozen=True)
class Model:
    """A GGUF file that would be loaded: what it is for, its size in bytes, tokens of context."""

    name: str
    size: int
    context: int

    @property
    def weights(self) -> int:
        """Bytes for the weights and buffers."""
        return int(self.size * WEIGHTS)

    @property
    def cache(self) -> int:
        """Bytes allowed for the KV cache."""
        return int(min(_CACHE_A_GB * self.size / 1e9, _CACHE_MOST) * self.context)


def read_memory(root: Path = Path("/")) -> Memory:
    """Memory of this process; ``root`` holds ``proc`` and ``sys``.

    Raises:
        OSError: /proc cannot be read.
        ValueError: it is not as proc(5) says.
    """
    meminfo = (root / "proc/meminfo").read_text(encoding="ascii")
    total, available = _field(meminfo, "MemTotal"), _field(meminfo, "MemAvailable")
    groups = [_group(folder) for folder in _folders(root)]
    limits = [group for group in groups if group.limit is not None]
    room = min([available, *(group.left for group in limits)])
    swaps = (root / "proc/swaps").read_text(encoding="ascii", errors="replace").splitlines()
    swap = len(swaps) > 1 and not any(group.swapless for group in groups)
    return Memory(total, available, min((group.limit or 0 for group in limits), default=None), max(0, room), swap)


def _field(meminfo: str, name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+) kB$", meminfo, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {name} in /proc/meminfo")
    return int(found[1]) * 1024


@dataclass(frozen=True)
class _Group:
    limit: int | None
    left: int
    swapless: bool


def _folders(root: Path) -> list[Path]:
    """The control groups that hold this process, from its own up to the root; of either version (cgroups(7))."""
    found: list[Path] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            base = root / "sys/fs/cgroup"
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
        else:
            continue
        own = base / path.lstrip("/")
        # In a container the path may be the host's, which is not mounted there: then the root is the container's own.
        found += [folder for folder in (own, *own.parents) if folder.is_relative_to(base)]
    return found


def _group(folder: Path) -> _Group:
    limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
    usage = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes") or 0
    statistics = _text(folder / "memory.stat")
    cached = re.search(r"^(?:total_)?inactive_file (\d+)$", statistics, re.MULTILINE)
    left = 0 if limit is None else limit - usage + (int(cached[1]) if cached else 0)
    both = _number(folder / "memory.memsw.limit_in_bytes")  # version 1: memory and swap together
    swapless = _text(folder / "memory.swap.max").strip() == "0" or (both is not None and both == limit)
    return _Group(limit, left, swapless)


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() and int(text) < _UNLIMITED else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""  # no such controller here


def gib(size: int) -> str:
    """For a person: ``1.5 GiB``."""
    return f"{size / GIB:.1f} GiB"


def check_memory(memory: Memory, models: Sequence[Model]) -> Checks[bool]:
    """Judge the memory; returns whether the models fit, as far as their sizes tell."""
    found = _for_models(memory, models) if models else _without_models(memory)
    yield found
    if memory.swap:
        yield warning(
            Area.MEMORY,
            "swap",
            tr(
                "交换空间已启用：内存中的题目与密钥可能被写到磁盘",
                "swap is on: items and keys that are in memory may reach the disk",
            ),
            tr(
                "在宿主机上执行 swapoff -a，或启动容器时令 --memory-swap 等于 --memory",
                "swapoff -a on the host, or start the container with --memory-swap equal to --memory",
            ),
        )
    return found.level != "failure"


def _has(memory: Memory) -> str:
    if memory.limit is None:
        return tr(f"可用内存 {gib(memory.room)}", f"{gib(memory.room)} of memory available")
    return tr(
        f"可用内存 {gib(memory.room)}（容器上限 {gib(memory.limit)}）",
        f"{gib(memory.room)} of memory available (the container's limit is {gib(memory.limit)})",
    )


def _more() -> str:
    return tr("增加内存或提高容器的 --memory 上限", "add memory, or raise the container's --memory")


def _without_models(memory: Memory) -> Finding:
    if memory.room >= COMFORTABLE:
        return ok(Area.MEMORY, "room", _has(memory))
    message = _has(memory) + tr(f"，少于 {gib(COMFORTABLE)}", f", less than {gib(COMFORTABLE)}")
    if memory.room >= LEAST:
        return warning(Area.MEMORY, "room", message, _more())
    return failure(Area.MEMORY, "room", message, _more(), Exit.BAD_INPUT)


def _for_models(memory: Memory, models: Sequence[Model]) -> Finding:
    weights, cache = sum(model.weights for model in models), sum(model.cache for model in models)
    names = ", ".join(model.name for model in models)
    needs = tr(
        f"{_has(memory)}；{names} 约需 {gib(weights)}（文件大小 × {WEIGHTS}），另加 KV 缓存约 {gib(cache)}",
        f"{_has(memory)}; {names}: about {gib(weights)} (file size × {WEIGHTS}) and about {gib(cache)} of KV cache",
    )
    smaller = _more() + tr("；或换用更小的量化、调低 context", "; or use a smaller quantisation or a lower context")
    if memory.room < weights:
        return failure(Area.MEMORY, "room", needs + tr("：不够", ": not enough"), smaller, Exit.BAD_INPUT)
    if memory.room < weights + cache:
        return warning(Area.MEMORY, "room", needs + tr("：可能不够", ": may not be enough"), smaller)
    return ok(Area.MEMORY, "room", needs)
