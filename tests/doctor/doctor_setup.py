"""What the tests of the doctor work with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlb_offline.bundle.build import build_bundle
from mlb_offline.bundle.source import Source, read_source
from mlb_offline.doctor.finding import Checks, Finding
from mlb_offline.trust.keys import load_recipient_public, load_signing_key

REPOSITORY = Path(__file__).resolve().parents[2]
NO_STATE = "/tmp/mlb-offline-doctor-test/state"
"""A state folder that is not there and, the doctor making nothing, never will be."""


@dataclass(frozen=True)
class House:
    """Keys, trusted keys and a good bundle."""

    folder: Path
    bundle: Path

    @property
    def key(self) -> Path:
        return self.folder / "keys" / "hospital.key.json"

    @property
    def trust(self) -> Path:
        return self.folder / "trust"

    @property
    def opening(self) -> list[object]:
        return ["--bundle", self.bundle, "--trust", self.trust, "--key", self.key]


@dataclass(frozen=True)
class Told:
    """What the doctor said."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        return dict(json.loads(self.out))

    def find(self, id_: str) -> dict[str, Any]:
        found = [one for one in self.result["findings"] if one["id"] == id_]
        assert found, f"no finding {id_} in {self.out}"
        return dict(found[0])

    def failures(self) -> set[str]:
        return {one["id"] for one in self.result["findings"] if one["level"] == "failure"}


def doctor(*words: object, guard: str = "unix-only", cwd: Path | None = None, **environment: str) -> Told:
    command = [sys.executable, "-m", "mlb_offline", "--guard", guard, "doctor", *map(str, words)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=os.environ | {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "MLB_STATE": NO_STATE} | environment,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Told(done.returncode, done.stdout, done.stderr)


def demo_core(**changes: Any) -> Source:
    source = read_source(REPOSITORY / "bundles" / "src" / "demo")
    return replace(source, **changes)


def bundle_of(folder: Path, source: Source, name: str, *, now: datetime | None = None) -> Path:
    keys = folder / "keys"
    signing = load_signing_key(keys / "publisher.key.json", None)
    recipient = load_recipient_public(keys / "hospital.recipient.json")
    build_bundle(source, signing, [recipient], folder / name, now=now or datetime.now(UTC))
    return folder / name


def found_by(check: Checks[Any]) -> dict[str, Finding]:
    """The findings of a check, by id."""
    return {finding.id: finding for finding in check}
