"""How far the run is: a bar on a terminal, else a plain line now and then; always on stderr."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TextIO

from mlb_offline.language import tr
from mlb_offline.run.tally import Tally

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

REFRESH_SECONDS = 0.25
LINE_SECONDS = 10.0


class Display(Protocol):
    """Something that can show a tally again and again."""

    interval: float

    def show(self, tally: Tally) -> None:
        """Show the counts as they are now."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def open_display(stream: TextIO) -> Display:
    """A bar if ``stream`` is a terminal, else lines."""
    return BarDisplay(stream) if stream.isatty() else LineDisplay(stream)


async def keep_showing(display: Display, tally: Tally) -> None:
    """Refresh the display until cancelled, then once more."""
    try:
        while True:
            display.show(tally)
            await asyncio.sleep(display.interval)
    finally:
        display.show(tally)
        display.close()


class LineDisplay:
    """One line every ten seconds, and only when something changed; good for logs."""

    interval = LINE_SECONDS

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ("", "")

    def show(self, tally: Tally) -> None:
        """Write a line, unless nothing was settled, and no new trouble came, since the last."""
        counts = f"{tally.finished}/{tally.total}{_judged(tally)}"
        if (counts, tally.last_trouble) == self._last:
            return
        self._last = counts, tally.last_trouble
        current = next((name for name, total in tally.totals.items() if tally.done[name] < total), "")
        self._stream.write(f"{counts}  {_speed(tally)}  {_faults(tally)}  {current}".rstrip() + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to restore."""


class BarDisplay:
    """One bar for the run and one for each dataset that is under way."""

    interval = REFRESH_SECONDS

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bars: RichProgress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[more]}"),
            console=Console(file=stream),
            auto_refresh=False,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def show(self, tally: Tally) -> None:
        """Redraw all bars; the first time, take over the terminal."""
        if not self._tasks:
            self._bars.start()
        more = f"{_speed(tally)}{_judged(tally)}  {_faults(tally)}"
        self._update(tr("全部", "all"), tally.finished, tally.total, more, visible=True)
        for name, total in tally.totals.items():
            done = tally.done[name]
            self._update(f"  {name}", done, total, "", visible=0 < done < total)
        self._bars.refresh()

    def _update(self, name: str, done: int, total: int, more: str, *, visible: bool) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, visible=visible, more="")
        self._bars.update(self._tasks[name], completed=done, more=more, visible=visible)

    def close(self) -> None:
        """Stop drawing."""
        self._bars.stop()


def _judged(tally: Tally) -> str:
    return "" if not tally.to_judge else tr("  裁判 ", "  judged ") + f"{tally.judged}/{tally.to_judge}"


def _speed(tally: Tally) -> str:
    rate = tally.rate()
    left = tally.seconds_left()
    shown = f"{rate:.1f}/s" if rate >= 0.1 or rate == 0 else tr(f"{rate * 60:.1f}/分", f"{rate * 60:.1f}/min")
    return shown if left is None else f"{shown}  {tr('剩余', 'left')} {_duration(left)}"


def _faults(tally: Tally) -> str:
    failed, unreadable = tally.outcomes["failed"], tally.outcomes["unreadable"]
    counts = tr(
        f"失败 {failed} 无法解读 {unreadable} 重试 {tally.retries}",
        f"failed {failed} unreadable {unreadable} retried {tally.retries}",
    )
    return f"{counts}  {tr('正在重试：', 'trying again: ')}{tally.last_trouble}" if tally.last_trouble else counts


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
