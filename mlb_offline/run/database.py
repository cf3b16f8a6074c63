"""The SQLite file of a run: made private, locked against a second process, opened durable.

WAL with ``synchronous=FULL``: a commit is on the disk before it is acknowledged, so neither ``kill -9`` nor a
power failure loses an acknowledged answer. ``NORMAL`` would be about ten times quicker a commit (0.03 against
0.2 ms, measured) but loses every commit since the last checkpoint when the power fails; answers take a model
seconds, and the writer commits those of all connections at once, so the wait is not felt.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from mlb_offline.errors import InputError, TrustError, UsageError
from mlb_offline.language import tr
from mlb_offline.run.migrations import migrations, refuse_newer

STORE_NAME = "run.sqlite"
LOCK_NAME = "run.lock"

_TABLES = frozenset({"run", "items", "records", "events"})
_UNWRITABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


@contextmanager
def database_errors(file: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours: full disk and unwritable path ``InputError``, damage ``TrustError``."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        # Errors of Python's own, such as text that is no UTF-8, carry no code of SQLite's.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        raise _explained(file, error, code) from None
    except UnicodeDecodeError as error:
        raise _explained(file, error, sqlite3.SQLITE_CORRUPT) from None
    except OSError as error:
        raise _unwritable(file, error.strerror or str(error)) from None


@contextmanager
def reading_errors(file: Path) -> Iterator[None]:
    """``database_errors``; what else a damaged schema or cell makes of those who read it is ``TrustError`` too."""
    try:
        with database_errors(file):
            yield
    except (LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
        named = ValueError(f"{type(error).__name__}: {error}")
        raise _explained(file, named, sqlite3.SQLITE_CORRUPT) from None


def _explained(file: Path, error: Exception, code: int) -> InputError | TrustError:
    if code == sqlite3.SQLITE_FULL:
        return InputError(
            tr("磁盘已满，未能写入", "the disk is full"),
            file=file,
            remedy=tr(
                "腾出空间后继续；已记录的回答没有丢失", "free some space, then resume; no recorded answer is lost"
            ),
        )
    if code in _UNWRITABLE:
        return _unwritable(file, str(error))
    return TrustError(
        tr(f"运行数据库已损坏或不是运行数据库（{error}）", f"this is damaged or no run store ({error})"),
        file=file,
        remedy=tr("从备份恢复运行目录", "restore the run folder from a backup"),
    )


def _unwritable(file: Path, why: str) -> InputError:
    return InputError(
        tr(f"无法读写（{why}）", f"it cannot be read or written ({why})"),
        file=file,
        remedy=tr("检查路径、权限与磁盘空间", "check the path, its permissions and the disk space"),
    )


def make_directory(directory: Path) -> None:
    """Make ``directory`` (0700), or take it if it is empty.

    Raises:
        UsageError: it holds something already.
        InputError: it cannot be made.
    """
    with database_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        require_empty(directory)
        directory.chmod(0o700)


def require_empty(directory: Path) -> None:
    """Refuse a folder for a new run that holds something already.

    Raises:
        UsageError: it does.
        InputError: it is no folder, or cannot be read.
    """
    with database_errors(directory):
        held = sorted(entry.name for entry in directory.iterdir())
        if STORE_NAME in held:
            raise UsageError(
                tr("该目录中已有一次运行", "this folder holds a run already"),
                file=directory,
                remedy=tr(
                    f"用 --resume {directory} 继续它，或换一个 --out 目录",
                    f"continue it with --resume {directory}, or choose another --out",
                ),
            )
        if held and held != [LOCK_NAME]:
            raise UsageError(
                tr("输出目录不是空的", "the output folder is not empty"),
                file=directory,
                remedy=tr("换一个新的 --out 目录", "choose a new --out folder"),
            )


def take_lock(directory: Path) -> int:
    """Lock the run for this process; the descriptor returned holds the lock until it is closed.

    Raises:
        InputError: another process has it, or the file cannot be made.
    """
    file = directory / LOCK_NAME
    with database_errors(file):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InputError(
                tr("另一个进程正在进行这次运行", "another process is at work on this run"),
                file=directory,
                remedy=tr("等它结束，或先停止它", "wait until it ends, or stop it first"),
            ) from None
    return descriptor


def _connect(file: Path, mode: str) -> Database:
    # Writing happens on the writer's thread and opening on the caller's; never on both at once.
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?{mode}", uri=True, check_same_thread=False)
    # A plug-in found on the machine has no business in a run's store.
    return Database(connection, execute_plugins=False)


def create_database(directory: Path) -> Database:
    """A new, empty run store (0600) with all tables.

    Raises:
        InputError: it cannot be written.
    """
    file = directory / STORE_NAME
    with database_errors(file):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return open_database(directory, new=True)


def open_database(directory: Path, *, new: bool = False) -> Database:
    """An existing run store, for writing, with any new migrations applied.

    Raises:
        InputError: there is none, it cannot be written, or a newer version wrote it.
        TrustError: it is damaged.
    """
    file = _existing(directory)
    with reading_errors(file):
        db = _connect(file, "mode=rw")
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            if not new:
                # Tables are made in a file of ours only.
                _check_ours(db, file)
            migrations.apply(db)
        except BaseException:
            db.close()
            raise
    return db


def open_for_reading(directory: Path) -> Database:
    """An existing run store, read-only, in one transaction, so that all of it is of one moment.

    Raises:
        InputError: there is none, or a newer version wrote it.
        TrustError: it is damaged.
    """
    file = _existing(directory)
    with reading_errors(file):
        db = _connect(file, "mode=ro")
        try:
            db.execute("BEGIN")
            _check_ours(db, file)
        except BaseException:
            db.close()
            raise
    return db


def _check_ours(db: Database, file: Path) -> None:
    """Refuse a file of a newer version, of something else, or in which no run was ever entered."""
    refuse_newer(db, file)
    found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
    tables = {name for (name,) in found}
    empty = all(db.execute(f"SELECT count(*) FROM {name}").fetchone() == (0,) for name in _TABLES & tables)  # noqa: S608
    if tables <= _TABLES | {"_migrations"} and empty:
        raise _never_begun(file.parent)
    db.execute("SELECT count(*) FROM run").fetchone()


def _never_begun(directory: Path) -> InputError:
    return InputError(
        tr(
            "这里没有可继续的运行：进程在建立运行时被终止，尚未提问",
            "there is no run here to go on with: its process ended while making it, before anything was asked",
        ),
        file=directory,
        remedy=tr(
            "删除该目录，用 run --out 重新开始（若有备份则恢复备份）",
            "remove the folder and start again with run --out (or restore a backup, if there is one)",
        ),
    )


def _existing(directory: Path) -> Path:
    file = directory / STORE_NAME
    if not file.is_file():
        if (directory / LOCK_NAME).is_file():
            raise _never_begun(directory)
        raise InputError(
            tr("这里没有运行数据库", "there is no run here"),
            file=file,
            remedy=tr("给出 run --out 所用的目录", "give the folder that `run --out` wrote"),
        )
    return file
