"""The claims about a signed manifest that need no key: dates, versions, what this tool knows, rollback.

One function a claim, each raising ``TrustError`` when it does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mlb_offline import __version__
from mlb_offline.benchmark.catalogue import DATASETS, Dataset
from mlb_offline.bundle.manifest import Core, format_time, parse_time, parse_version
from mlb_offline.bundle.state import State
from mlb_offline.errors import TrustError
from mlb_offline.language import tr

CLOCK_TOLERANCE = timedelta(days=1)
"""A date written in one time zone must be good in every other."""


def check_tool(core: Core, *, file: Path, tool: str = __version__) -> None:
    """This tool is as new as the bundle needs."""
    if parse_version(tool) < parse_version(core.minimum_tool):
        raise TrustError(
            tr(
                f"数据包要求 mlb-offline ≥ {core.minimum_tool}，当前为 {tool}",
                f"the bundle needs mlb-offline {core.minimum_tool} or newer, this is {tool}",
            ),
            file=file,
            field="core.minimum_tool",
            remedy=tr("升级 mlb-offline", "upgrade mlb-offline"),
        )


def check_dates(core: Core, now: datetime, *, file: Path) -> None:
    """The bundle is in force: issued (give or take a day) and not expired."""
    if now + CLOCK_TOLERANCE < core.issued_at:
        raise TrustError(
            tr(
                f"数据包尚未生效（签发于 {core.issued}，本机时间 {format_time(now)}）",
                f"the bundle is not in force yet (issued {core.issued}, this clock says {format_time(now)})",
            ),
            file=file,
            field="core.issued",
            remedy=tr("核对本机时钟", "check this machine's clock"),
        )
    if now >= core.expires_at:
        raise TrustError(
            tr(
                f"数据包已过期（有效期至 {core.expires}，本机时间 {format_time(now)}）",
                f"the bundle has expired (good until {core.expires}, this clock says {format_time(now)})",
            ),
            file=file,
            field="core.expires",
            remedy=tr(
                "向发布者索取新版数据包；核对本机时钟", "ask the publisher for a new one; check this machine's clock"
            ),
        )


def check_catalogue(core: Core, *, file: Path) -> Mapping[str, Dataset]:
    """Every dataset is one this tool knows, with the metric it knows; gives their catalogue entries by id."""
    for index, entry in enumerate(core.datasets):
        known = DATASETS.get(entry.id)
        if known is None:
            raise TrustError(
                tr(f"数据包含未知数据集“{entry.id}”", f"the bundle holds an unknown dataset, {entry.id!r}"),
                file=file,
                field=f"core.datasets.{index}.id",
                remedy=tr("升级 mlb-offline，或请发布者核对", "upgrade mlb-offline, or ask the publisher"),
            )
        if known.metric.value != entry.metric:
            raise TrustError(
                tr(
                    f"数据集 {entry.id} 的指标为 {entry.metric}，应为 {known.metric.value}",
                    f"dataset {entry.id} is to be scored by {entry.metric}, it must be {known.metric.value}",
                ),
                file=file,
                field=f"core.datasets.{index}.metric",
                remedy=tr("升级 mlb-offline，或请发布者核对", "upgrade mlb-offline, or ask the publisher"),
            )
    return {entry.id: DATASETS[entry.id] for entry in core.datasets}


def check_clock(publisher: str, state: State, now: datetime, *, file: Path) -> None:
    """The clock is not far before the latest signature of this publisher that was ever seen here."""
    latest = state.latest_signed(publisher)
    if latest is not None and now + CLOCK_TOLERANCE < parse_time(latest):
        raise TrustError(
            tr(
                f"本机时间 {format_time(now)} 早于已见过的签发时间 {latest}：时钟被调回",
                f"this clock says {format_time(now)}, before a signature already seen ({latest}): it was set back",
            ),
            file=file,
            field="core.issued",
            remedy=tr("校正本机时钟", "set this machine's clock right"),
        )


@dataclass(frozen=True)
class Rollback:
    """A dataset of which something newer was seen before."""

    dataset: str
    version: int
    signed: str


def find_rollback(core: Core, publisher: str, state: State) -> Rollback | None:
    """The first dataset of which a higher version or a later signature was seen, if any."""
    for entry in core.datasets:
        seen = state.rollback(publisher, core.series, entry.id)
        if seen is not None and (seen.version > core.version or seen.signed > core.issued):
            return Rollback(entry.id, seen.version, seen.signed)
    return None


def refuse_rollback(core: Core, found: Rollback, *, file: Path) -> TrustError:
    """The error for a bundle older than one already opened here."""
    return TrustError(
        tr(
            f"数据包回滚：数据集 {found.dataset} 已用过版本 {found.version}（签发于 {found.signed}），"
            f"此数据包为版本 {core.version}（签发于 {core.issued}）",
            f"the bundle is an old one: version {found.version} of dataset {found.dataset} (issued {found.signed}) "
            f"was used here, this is version {core.version} (issued {core.issued})",
        ),
        file=file,
        field="core.version",
        remedy=tr(
            "使用最新的数据包；确需回退时加 --allow-rollback，但其报告不能作为通过",
            "use the newest bundle; --allow-rollback goes back, and then the report can never count as a pass",
        ),
    )
