"""The clock: expiry, rollback and the dates of reports depend on it."""

from __future__ import annotations

from datetime import UTC, datetime

from mlb_offline.bundle.manifest import format_time, parse_time
from mlb_offline.bundle.validity import CLOCK_TOLERANCE
from mlb_offline.doctor.finding import Area, Checks, failure, ok
from mlb_offline.errors import Exit
from mlb_offline.language import tr

BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""This version did not exist before: a clock that says so is wrong."""


def check_clock(now: datetime, *, since: str | None, signed: str | None) -> Checks[None]:
    """Judge the clock by what must lie before now; a bundle's own dates are judged with the bundle.

    Args:
        now: what the clock says, with its zone.
        since: when the state folder was made.
        signed: the latest time of signing remembered there. All RFC 3339, UTC, seconds; None: nothing is known.
    """
    told = format_time(now)
    earlier = [
        (BUILT, tr("本程序的制作时间", "this program was made")),
        *((parse_time(text), what) for text, what in _remembered(since, signed) if text is not None),
    ]
    latest, what = max(earlier, key=lambda entry: entry[0])
    if now + CLOCK_TOLERANCE >= latest:
        yield ok(Area.CLOCK, "sane", tr(f"时钟：{told}", f"the clock says {told}"))
        return
    yield failure(
        Area.CLOCK,
        "sane",
        tr(
            f"本机时钟 {told} 早于 {format_time(latest)}（{what}）",
            f"the clock says {told}, which is before {format_time(latest)} ({what})",
        ),
        tr("校正本机时钟（UTC）后重试", "set this machine's clock right (UTC), then try again"),
        Exit.TRUST,
    )


def _remembered(since: str | None, signed: str | None) -> list[tuple[str | None, str]]:
    return [
        (since, tr("状态目录的建立时间", "the state folder was made")),
        (signed, tr("见过的最晚签发时间", "the latest signature seen here")),
    ]
