"""The time as it is written into a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

CLOCK_STEP = timedelta(minutes=5)
"""How far a clock may be set back within an honest run, as time servers do."""


def timestamp() -> str:
    """Now, RFC 3339, UTC, milliseconds, such as ``2026-01-31T08:00:00.000Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
