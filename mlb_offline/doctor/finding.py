"""One thing that was looked at, and how a check becomes findings whatever happens in it."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, TypeVar

from mlb_offline.errors import Exit, InputError, InternalError, MlbError
from mlb_offline.language import tr

Level = Literal["ok", "warning", "failure"]
T = TypeVar("T")
Checks = Generator["Finding", None, T]
"""A check: yields what it finds, returns what later checks need of it."""

SEVERITY = (Exit.EGRESS, Exit.TRUST, Exit.BAD_INPUT, Exit.INCOMPLETE, Exit.USAGE)
"""Exit codes of failures, the most severe first; any other comes after them."""


class Area(StrEnum):
    """What findings are grouped by, in the order in which they are shown."""

    EGRESS = "egress"
    KERNEL = "kernel"
    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"
    CLOCK = "clock"
    KEY = "key"
    BUNDLE = "bundle"
    STATE = "state"
    STORE = "store"
    TARGET = "target"
    JUDGE = "judge"
    SUPPORT = "support"


@dataclass(frozen=True)
class Finding:
    """What one look showed.

    Attributes:
        id: stable name, ``area.subject``.
        level: ``failure`` would stop a run, ``warning`` would not.
        message: what is so, in the language in use.
        remedy: what to do about it; empty only where it is ok.
        exit_code: with which a run would end; ``DONE`` unless it is a failure.

    Raises:
        ValueError: level, remedy and exit code do not fit together.
    """

    id: str
    area: Area
    level: Level
    message: str
    remedy: str = ""
    exit_code: Exit = Exit.DONE

    def __post_init__(self) -> None:
        if self.level != "ok" and not self.remedy:
            raise ValueError(f"{self.id}: a {self.level} without a remedy")
        if (self.level == "failure") != (self.exit_code is not Exit.DONE):
            raise ValueError(f"{self.id}: a {self.level} with exit code {self.exit_code}")

    def to_json(self) -> dict[str, Any]:
        """``{id, area, level, message, remedy, exit_code}``."""
        return {
            "id": self.id,
            "area": self.area.value,
            "level": self.level,
            "message": self.message,
            "remedy": self.remedy,
            "exit_code": int(self.exit_code),
        }


@dataclass(frozen=True)
class Unchecked:
    """What was not looked at, and why."""

    area: Area
    message: str

    def to_json(self) -> dict[str, str]:
        """``{area, message}``."""
        return {"area": self.area.value, "message": self.message}


def ok(area: Area, subject: str, message: str) -> Finding:
    """All is well."""
    return Finding(f"{area}.{subject}", area, "ok", message)


def warning(area: Area, subject: str, message: str, remedy: str) -> Finding:
    """It would not stop a run, but somebody should know."""
    return Finding(f"{area}.{subject}", area, "warning", message, remedy)


def failure(area: Area, subject: str, message: str, remedy: str, exit_code: Exit) -> Finding:
    """It would stop a run."""
    return Finding(f"{area}.{subject}", area, "failure", message, remedy, exit_code)


def failed(area: Area, subject: str, error: MlbError) -> Finding:
    """The failure that an error stands for: its message with its place, its remedy, its exit code."""
    place = error.place()
    message = f"{place}: {error.message}" if place else error.message
    remedy = error.remedy or tr(
        "把 doctor --support-file 的输出交给支持人员", "give the output of --support-file to support"
    )
    return failure(area, subject, message, remedy, error.exit_code)


def collect(findings: list[Finding], area: Area, subject: str, check: Checks[T]) -> T | None:
    """Run a check to its end, or to the first error, which becomes a finding like any other.

    Args:
        findings: what it finds is added here; what it found before an error stays.
        area, subject: of the finding that an error becomes.
        check: not yet begun.

    Returns:
        what the check returns; None where it ended with an error.
    """
    while True:
        try:
            findings.append(next(check))
        except StopIteration as end:
            result: T = end.value
            return result
        except Exception as error:  # noqa: BLE001 - one check that breaks must not hide what the others find
            findings.append(failed(area, subject, _as_mlb_error(error)))
            return None


def _as_mlb_error(error: Exception) -> MlbError:
    if isinstance(error, MlbError):
        return error
    if isinstance(error, OSError):
        said = error.strerror or type(error).__name__
        return InputError(
            tr(f"无法检查：{said}", f"cannot be looked at: {said}"),
            file=error.filename if isinstance(error.filename, str) else None,
            remedy=tr(
                "核对路径与权限；容器内须挂载 /proc 与 /sys",
                "check path and permissions; a container needs /proc and /sys",
            ),
        )
    what = f"{type(error).__name__}: {error}"
    return InternalError(tr(f"此项检查自身出错（{what}）", f"a fault of this check itself ({what})"))


def worst(findings: Iterable[Finding]) -> Exit:
    """The exit code of the most severe failure; ``DONE`` where there is none."""
    codes = {finding.exit_code for finding in findings if finding.level == "failure"}
    known = next((code for code in SEVERITY if code in codes), None)
    return known or min(codes, default=Exit.DONE)
