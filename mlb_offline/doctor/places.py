"""The folders that a run would write: can they be written, and what stands in them. Nothing is left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlb_offline.bundle.state import State, existing_state
from mlb_offline.doctor.disk import nearest
from mlb_offline.doctor.finding import Area, Checks, ok
from mlb_offline.errors import InputError
from mlb_offline.language import tr

_TRIAL = 4096  # bytes; a full disk or a used-up quota often still makes empty files


def require_writable(path: Path) -> bool:
    """Check that files can be made in a folder, or that the folder can be made; whether it is there.

    Raises:
        InputError: neither.
        OSError: the way to it cannot be followed.
    """
    there = nearest(path)
    if not there.is_dir():
        raise InputError(
            tr(f"{there} 不是文件夹", f"{there} is not a folder"),
            file=path,
            remedy=tr("换一个目录", "choose another folder"),
        )
    try:
        with tempfile.TemporaryFile(dir=there) as trial:  # has no name where the file system can do that
            trial.write(bytes(_TRIAL))
            trial.flush()
    except OSError as error:
        raise InputError(
            tr(f"无法写入：{error.strerror}", f"cannot be written: {error.strerror}"),
            file=path,
            remedy=tr(
                "给予本用户写权限、以可写方式挂载、腾出空间，或换一个目录",
                "let this user write it, mount it writable, free some space, or choose another folder",
            ),
        ) from None
    return there.samefile(path) if path.exists() else False


def check_store(out: Path) -> Checks[None]:
    """Judge the folder of a new run.

    Raises:
        UsageError: it holds something.
        InputError: it cannot be written.
    """
    from mlb_offline.run.database import require_empty

    if require_writable(out):
        require_empty(out)
    yield ok(Area.STORE, "writable", tr(f"{out}：可写", f"{out}: can be written"))


def check_state(folder: Path) -> Checks[State | None]:
    """Judge the state folder, and return it where there is one.

    Raises:
        InputError: it cannot be read or written.
        TrustError: it is damaged.
    """
    state = existing_state(folder)
    require_writable(folder)
    if state is None:
        yield ok(
            Area.STATE,
            "record",
            tr(
                f"{folder}：尚无记录，首次运行时建立；报告会写明从此开始记录",
                f"{folder}: nothing recorded yet; the first run makes it, and its report says that records begin then",
            ),
        )
    else:
        since = state.since()
        yield ok(Area.STATE, "record", tr(f"{folder}：自 {since} 起有记录", f"{folder}: has records since {since}"))
    return state
