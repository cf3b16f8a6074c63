"""The tables of a run, as append-only migrations recorded in the table ``_migrations`` of the file they made.

A migration that has been released is never edited; a change is a new one. A file that holds one this program
does not know was made by a newer version and is refused.
"""

from __future__ import annotations

from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from mlb_offline.errors import InputError
from mlb_offline.language import tr


class _RunMigrations(Migrations):
    migrations_table = "_migrations"


migrations = _RunMigrations("run")
"""All migrations of a run store, in order."""


@migrations(name="m001_run_items_records_events")
def m001_run_items_records_events(db: Database) -> None:
    """The run, its items, the encrypted records, and the chain of events."""
    db.execute(
        "CREATE TABLE run (id TEXT PRIMARY KEY, identity TEXT NOT NULL, identity_sha256 TEXT NOT NULL,"
        " wrapped_key BLOB NOT NULL, recipient TEXT NOT NULL, invocation TEXT NOT NULL, created TEXT NOT NULL)"
        " STRICT"
    )
    db.execute(
        "CREATE TABLE items (position INTEGER NOT NULL UNIQUE, dataset TEXT NOT NULL, item TEXT NOT NULL,"
        " repeat INTEGER NOT NULL, digest TEXT NOT NULL, absent_fn INTEGER NOT NULL, state TEXT NOT NULL,"
        " outcome TEXT, tp INTEGER NOT NULL, fp INTEGER NOT NULL, fn INTEGER NOT NULL, note TEXT NOT NULL,"
        " attempts INTEGER NOT NULL, PRIMARY KEY (dataset, item, repeat)) STRICT, WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE records (kind TEXT NOT NULL, dataset TEXT NOT NULL, item TEXT NOT NULL,"
        " repeat INTEGER NOT NULL, attempt INTEGER NOT NULL, nonce BLOB NOT NULL, ciphertext BLOB NOT NULL,"
        " sha256 TEXT NOT NULL, PRIMARY KEY (dataset, item, repeat, kind, attempt)) STRICT"
    )
    db.execute(
        "CREATE TABLE events (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, type TEXT NOT NULL,"
        " body TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL) STRICT"
    )


_KNOWN = frozenset(migration.name for migration in migrations.pending(Database(memory=True)))


def refuse_newer(db: Database, file: Path) -> None:
    """Refuse a file with migrations that this program does not know.

    Raises:
        InputError: it has some; the message names them.
    """
    unknown = sorted({migration.name for migration in migrations.applied(db)} - _KNOWN)
    if unknown:
        names = ", ".join(unknown)
        raise InputError(
            tr(f"由更新的版本写成（{names}）", f"it was written by a newer version ({names})"),
            file=file,
            remedy=tr("用写成它的版本打开", "open it with the version that wrote it"),
        )
