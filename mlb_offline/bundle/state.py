"""What this installation remembers between runs: versions of bundles seen, and attempts counted.

A folder of JSON files (``state_files``). It protects against an old bundle being replayed. It
cannot tell that the folder itself was put back to an old copy.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from mlb_offline.bundle.state_files import locked, read_record, unusable, write_record
from mlb_offline.errors import TrustError
from mlb_offline.language import tr

_STATE = "state.json"
_ROLLBACK = "rollback.json"
_ATTEMPTS = "attempts.json"
_FORMATS = {
    _STATE: "mlb-offline/state/v1",
    _ROLLBACK: "mlb-offline/rollback/v1",
    _ATTEMPTS: "mlb-offline/attempts/v1",
}


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Attempt(NamedTuple):
    """Numbers of a run, from 1, as far as recorded here.

    Attributes:
        of_target: among the runs of its target on its bundle.
        on_bundle: among all runs on its bundle, whatever the target.
    """

    of_target: int
    on_bundle: int


@dataclass(frozen=True)
class Seen:
    """The newest of a (publisher, series, dataset) seen: highest version, latest time of signing (RFC 3339, UTC)."""

    version: int
    signed: str


@dataclass(frozen=True)
class State:
    """A state folder.

    Attributes:
        folder: where it is.
        created: it was made just now, so nothing earlier can have been remembered; a report says so.
    """

    folder: Path
    created: bool

    def rollback(self, publisher: str, series: str, dataset: str) -> Seen | None:
        """What was seen of this publisher's (key id) dataset in this series, if anything.

        Raises:
            TrustError: the record is damaged.
        """
        found = self._read(_ROLLBACK).get("seen", {}).get(_key(publisher, series, dataset))
        return None if found is None else _seen(found, self.folder / _ROLLBACK)

    def latest_signed(self, publisher: str | None = None) -> str | None:
        """The latest time of signing in any bundle seen, of this publisher (key id) or of any."""
        seen = self._read(_ROLLBACK).get("seen", {})
        file = self.folder / _ROLLBACK
        start = "" if publisher is None else f"{publisher} "
        times = [_seen(value, file).signed for key, value in seen.items() if key.startswith(start)]
        return max(times, default=None)

    def advance(self, publisher: str, series: str, datasets: list[str], seen: Seen) -> bool:
        """Remember that these datasets were opened; what is remembered never goes back.

        Returns:
            whether anything remembered rose.

        Raises:
            InputError: the folder cannot be written.
            TrustError: the record is damaged.
        """
        with locked(self.folder):
            content = self._read(_ROLLBACK)
            records: dict[str, Any] = content.setdefault("seen", {})
            before = json.dumps(records, sort_keys=True)
            for dataset in datasets:
                key = _key(publisher, series, dataset)
                old = _seen(records[key], self.folder / _ROLLBACK) if key in records else seen
                # Times of one fixed form compare as text.
                records[key] = {"version": max(old.version, seen.version), "signed": max(old.signed, seen.signed)}
            rose = json.dumps(records, sort_keys=True) != before
            if rose:
                self._write(_ROLLBACK, content)
            return rose

    def record_override(self, entry: dict[str, Any]) -> None:
        """Keep for good that somebody chose to go back to an older bundle.

        Raises:
            InputError: the folder cannot be written.
        """
        with locked(self.folder):
            content = self._read(_ROLLBACK)
            content.setdefault("overrides", []).append(entry)
            self._write(_ROLLBACK, content)

    def next_attempt(self, target_fingerprint: str, bundle_uuid: str, run_id: str) -> Attempt:
        """The numbers of this run among those of this target on this bundle, and among all on this bundle.

        Asking again for the same run gives the same numbers.

        Args:
            target_fingerprint: of what the target is; a target under another name has another.
            bundle_uuid: of the bundle.
            run_id: of the run.

        Raises:
            InputError: the folder cannot be written.
            TrustError: the record is damaged.
        """
        with locked(self.folder):
            content = self._read(_ATTEMPTS)
            of_target = self._runs(content, "attempts", f"{target_fingerprint} {bundle_uuid}")
            on_bundle = self._runs(content, "bundles", bundle_uuid)
            new = [runs for runs in (of_target, on_bundle) if run_id not in runs]
            for runs in new:
                runs.append(run_id)
            if new:
                self._write(_ATTEMPTS, content)
            return Attempt(of_target.index(run_id) + 1, on_bundle.index(run_id) + 1)

    def since(self) -> str:
        """When the folder was made, RFC 3339, UTC, seconds: what was run before is not recorded in it.

        Raises:
            TrustError: the record is damaged.
        """
        created = self._read(_STATE).get("created")
        if not isinstance(created, str) or _TIME.fullmatch(created) is None:
            raise _damaged(self.folder / _STATE)
        return created

    def _runs(self, content: dict[str, Any], part: str, key: str) -> list[str]:
        runs = content.setdefault(part, {}).setdefault(key, [])
        if not isinstance(runs, list) or not all(isinstance(run, str) for run in runs):
            raise _damaged(self.folder / _ATTEMPTS)
        return runs

    def _read(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        content = read_record(path, _FORMATS[name], _damaged)
        parts = {"seen": dict, "overrides": list, "attempts": dict, "bundles": dict}
        if not all(isinstance(content[key], kind) for key, kind in parts.items() if key in content):
            raise _damaged(path)
        return content

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_record(self.folder / name, content)


def open_state(path: Path | None) -> State:
    """Open the state folder, making it at first use.

    Args:
        path: the folder; None: ``$MLB_STATE``, else ``$XDG_STATE_HOME/mlb-offline``, else
            ``~/.local/state/mlb-offline``.

    Raises:
        InputError: it cannot be made or written.
        TrustError: it is there but damaged.
    """
    folder = default_folder() if path is None else path
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(folder, error) from None
    probe = State(folder, created=False)
    with locked(folder):
        known = any((folder / name).exists() for name in _FORMATS)
        if not (folder / _STATE).exists():
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            probe._write(_STATE, {"format": _FORMATS[_STATE], "created": now})
    probe.since()
    return State(folder, created=not known)


def existing_state(path: Path) -> State | None:
    """The state folder as it stands, for a look: nothing is made or locked. None where nothing is recorded yet.

    Raises:
        InputError: it cannot be read.
        TrustError: it is damaged.
    """
    try:
        if not (path / _STATE).exists():
            return None
    except OSError as error:
        raise unusable(path, error) from None
    state = State(path, created=False)
    state.since()
    state.latest_signed()
    state._read(_ATTEMPTS)
    return state


def default_folder() -> Path:
    """Where state is kept unless ``--state`` says otherwise."""
    named = os.environ.get("MLB_STATE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "mlb-offline"


def _key(publisher: str, series: str, dataset: str) -> str:
    return f"{publisher} {series} {dataset}"


def _seen(value: Any, file: Path) -> Seen:
    if (
        not isinstance(value, dict)
        or set(value) != {"version", "signed"}
        or type(value["version"]) is not int
        or not isinstance(value["signed"], str)
        or _TIME.fullmatch(value["signed"]) is None
    ):
        raise _damaged(file)
    return Seen(value["version"], value["signed"])


def _damaged(path: Path) -> TrustError:
    return TrustError(
        tr(
            "状态记录已损坏，无法判断数据包是否回滚",
            "the state record is damaged: whether a bundle is old cannot be told",
        ),
        file=path,
        remedy=tr(
            "从备份恢复状态目录；若改用新目录，报告会写明从此开始记录",
            "restore the state folder from a backup; with a new folder, the report says that records begin there",
        ),
    )
