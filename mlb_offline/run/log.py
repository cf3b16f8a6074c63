"""``log verify``: does the log of a run hold, and what does it tell? Needs no key.

That outcomes and log are those written with the answers is shown when the answers are read, with the key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlb_offline.errors import TrustError
from mlb_offline.language import tr
from mlb_offline.run.check import check_store
from mlb_offline.run.database import STORE_NAME, open_for_reading, reading_errors
from mlb_offline.run.rows import read_header


@dataclass(frozen=True)
class LogReport:
    """A log that holds.

    Attributes:
        run_id: UUID.
        events: number of events.
        head: hash of the last, which a report signs.
        items: slots of the run.
        outcomes: slots by outcome.
        records: encrypted records.
        finished: RFC 3339 UTC, or None.
        judged: answers that the judges have judged; ``criteria`` of these, of which the judges left ``open`` open.
        shares: chance of an item to be drawn for a physician, by dataset; None while nothing is planned.
        packets: given out to be labelled; of these ``plaintext`` unencrypted.
        labels: how many of those each reviewer has labelled, by key id.
    """

    run_id: str
    events: int
    head: str
    items: int
    outcomes: Mapping[str, int]
    records: int
    finished: str | None
    judged: int
    criteria: int
    open: int
    shares: Mapping[str, float] | None
    packets: int
    plaintext: int
    labels: Mapping[str, int]


def verify_log(directory: Path) -> LogReport:
    """Recompute the chain of events and hold the tables against it.

    Raises:
        InputError: there is no run.
        TrustError: the first event, item or record at fault.
    """
    db = open_for_reading(directory)
    file = directory / STORE_NAME
    try:
        with reading_errors(file):
            _check_pages(db.execute("PRAGMA quick_check").fetchall(), file)
            told = check_store(db, file)
            header = read_header(db)
    finally:
        db.close()
    return LogReport(
        run_id=header.id,
        events=told.last.seq,
        head=told.last.hash,
        items=told.created.items,
        outcomes=dict(Counter(settled.outcome for settled in told.outcomes.values())),
        records=len(told.records),
        finished=told.finished,
        judged=len(told.judged),
        criteria=sum(one.criteria for one in told.judged.values()),
        open=sum(one.open for one in told.judged.values()),
        shares=told.shares,
        packets=len(told.packets),
        plaintext=sum(one.plaintext for one in told.packets.values()),
        labels=dict(sorted(Counter(one.reviewer for one in told.labels).items())),
    )


def _check_pages(rows: list[tuple[str]], file: Path) -> None:
    if rows != [("ok",)]:
        raise TrustError(
            tr(f"数据库文件已损坏：{rows[0][0]}", f"the database file is damaged: {rows[0][0]}"),
            file=file,
            remedy=tr("从备份恢复运行目录", "restore the run folder from a backup"),
        )
