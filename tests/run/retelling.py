"""What a forger without the hospital's key can do to a run: edit its tables, and make its log anew."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rfc8785

from mlb_offline.run.events import GENESIS, event_hash

Told = list[tuple[str, str, dict[str, Any]]]
"""(at, type, body) of every event."""


def execute(directory: Path, sql: str, *values: object) -> None:
    with sqlite3.connect(directory / "run.sqlite") as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute(sql, values)
    db.close()


def rewrite_chain(directory: Path, change: Callable[[sqlite3.Connection], None]) -> None:
    """What a forger with the file, but without the key, can do: edit, then make a new chain."""
    with sqlite3.connect(directory / "run.sqlite") as db:
        change(db)
        previous = GENESIS
        for seq, at, kind, body in db.execute("SELECT seq, at, type, body FROM events ORDER BY seq").fetchall():
            following = event_hash(seq, at, kind, body, previous)
            db.execute("UPDATE events SET previous = ?, hash = ? WHERE seq = ?", (previous, following, seq))
            previous = following
    db.close()


def retell(directory: Path, change: Callable[[Told], None], *edits: str) -> None:
    """What a forger without the key can do: another story, under a whole new chain, and tables to go with it."""
    with sqlite3.connect(directory / "run.sqlite") as db:
        rows = db.execute("SELECT at, type, body FROM events ORDER BY seq").fetchall()
        story = [(at, kind, json.loads(body)) for at, kind, body in rows]
        change(story)
        for edit in edits:
            db.execute(edit)
        db.execute("DELETE FROM events")
        previous = GENESIS
        for seq, (at, kind, body) in enumerate(story, start=1):
            text = rfc8785.dumps(body).decode()
            following = event_hash(seq, at, kind, text, previous)
            db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", (seq, at, kind, text, previous, following))
            previous = following
    db.close()


def place(story: Told, kind: str, item: str | None = None) -> int:
    """Where the first event of a type stands; of the first item whose name begins so, where there are several."""
    names = [one[2]["item"] for one in story if item is not None and one[2].get("item", "").startswith(item)]
    name = min(names, default=None)
    return next(n for n, (_at, one, body) in enumerate(story) if one == kind and name in {None, body.get("item")})


def body(story: Told, kind: str, item: str | None = None) -> dict[str, Any]:
    return story[place(story, kind, item)][2]


def move(story: Told, source: int, target: int) -> None:
    story.insert(target, story.pop(source))
