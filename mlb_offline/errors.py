"""Every way in which a command can end other than well, and its exit code.

An error says what is wrong, where (file, line, field) and what to do about it; ``cli`` prints
``diagnostics()`` and exits with ``exit_code``. No other exception is meant to reach a user.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar

from mlb_offline.language import tr


class Exit(IntEnum):
    """Exit codes of the command line (DESIGN, section 9)."""

    DONE = 0
    GATES_FAILED = 1
    USAGE = 2
    BAD_INPUT = 3
    TRUST = 4
    INCOMPLETE = 5
    EGRESS = 6
    NOT_EVALUABLE = 7
    INTERNAL = 70  # EX_SOFTWARE of sysexits.h; DESIGN gives no code for a fault of the program itself
    INTERRUPTED = 130


class MlbError(Exception):
    """Base of all errors shown to a user.

    Args:
        message: what is wrong, one sentence in the language in use.
        remedy: what the operator should do next.
        file: the file at fault.
        line: its line, row or record, counted from 1.
        field: the field or column at fault.
    """

    exit_code: ClassVar[Exit]

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.file = None if file is None else str(file)
        self.line = line
        self.field = field

    def place(self) -> str:
        """Where the fault lies, as ``file:line: field``; empty where nothing is known."""
        parts = []
        if self.file is not None:
            parts.append(self.file if self.line is None else f"{self.file}:{self.line}")
        if self.field is not None:
            parts.append(tr(f"字段 {self.field}", f"field {self.field}"))
        return ": ".join(parts)

    def diagnostics(self) -> str:
        """The message for a person: place, what is wrong, what to do."""
        place = self.place()
        text = f"{place}: {self.message}" if place else self.message
        return f"{text}\n{tr('处理办法：', 'What to do: ')}{self.remedy}" if self.remedy else text

    def to_json(self) -> dict[str, Any]:
        """The same for a program: ``{"error": {kind, exit_code, message, remedy, file, line, field}}``."""
        return {
            "error": {
                "kind": type(self).__name__,
                "exit_code": int(self.exit_code),
                "message": self.message,
                "remedy": self.remedy,
                "file": self.file,
                "line": self.line,
                "field": self.field,
            }
        }


class UsageError(MlbError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = Exit.USAGE


class InputError(MlbError):
    """A file, row or field cannot be read, or a path cannot be written."""

    exit_code = Exit.BAD_INPUT


class TrustError(MlbError):
    """A signature, key, expiry, version or digest is not what it must be."""

    exit_code = Exit.TRUST


class TargetError(MlbError):
    """The model under test cannot be reached, or the run is incomplete; it can be resumed."""

    exit_code = Exit.INCOMPLETE


class JudgeError(MlbError):
    """A judge failed while the run was under way; it can be resumed."""

    exit_code = Exit.INCOMPLETE


class EgressError(MlbError):
    """The egress guard or its evidence failed."""

    exit_code = Exit.EGRESS


class NotEvaluableError(MlbError):
    """The question asked cannot be answered from this evidence."""

    exit_code = Exit.NOT_EVALUABLE


class InterruptedRunError(MlbError):
    """The operator stopped the run; it can be resumed."""

    exit_code = Exit.INTERRUPTED


class InternalError(MlbError):
    """The program itself is at fault."""

    exit_code = Exit.INTERNAL
