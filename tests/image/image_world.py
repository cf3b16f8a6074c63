"""What the tests of the image stand on: a hospital's folder, and the checkout as another machine."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
USERS = ("65532:65532", "12345:999")
SCRIPT = "../media/mlb-offline.sh"
WHEELHOUSE = "build/wheelhouse/amd64/requirements.txt"
"""The wheels that the image under test was built from; make is to leave them, whatever was edited since."""
LOCKED = ("--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
LOCKED += ("--security-opt", "no-new-privileges")

one_user = pytest.mark.parametrize("hospital", USERS[:1], indirect=True)


def put_script(media: Path, version: str = "test") -> None:
    """The script as a release has it."""
    media.mkdir()
    text = (REPOSITORY / "deploy" / "mlb-offline.sh").read_text(encoding="utf-8")
    (media / "mlb-offline.sh").write_text(text.replace("@VERSION@", version), encoding="utf-8")
    (media / "mlb-offline.sh").chmod(0o755)


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value


@dataclass(frozen=True)
class Hospital:
    """Folders for the media (with the script), for work and for sockets, as the sheet says."""

    base: Path
    image: str
    engine: list[str]
    flags: list[str]
    user: str
    environment: dict[str, str] = field(repr=False)

    @property
    def folder(self) -> Path:
        return self.base / "work"

    @property
    def sockets(self) -> Path:
        return self.base / "socket"

    def script(self, *words: object, timeout: float = 120) -> Done:
        """``../media/mlb-offline.sh WORDS``."""
        command = ["sh", SCRIPT, *map(str, words)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def container(self, *words: object, timeout: float = 120) -> Done:
        """The engine's ``run`` with the flags of the issue, and whatever else is said."""
        done = subprocess.run(
            [*self.engine, "run", "--rm", *self.flags, *map(str, words)],
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, *words: object) -> Iterator[str]:
        """A container in the background; its name."""
        name = f"mlb-test-{uuid.uuid4().hex[:12]}"
        command = [*self.engine, "run", "--rm", "--detach", "--name", name, *self.flags, *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        try:
            yield name
        finally:
            subprocess.run([*self.engine, "stop", "--time", "5", name], capture_output=True, timeout=60)


def put_annotations(file: Path, most: int = 24) -> None:
    """A labelled set for ``judge calibrate``: the first criteria of the test part in natural proportion."""
    source = REPOSITORY / "tests" / "data" / "judge" / "natural.jsonl"
    file.write_text("".join(source.read_text(encoding="utf-8").splitlines(keepends=True)[:most]), encoding="utf-8")
    file.chmod(0o644)


def outside(*words: object) -> Done:
    """``mlb-offline`` of the checkout: another installation on another machine, as far as the image goes."""
    command = [sys.executable, "-m", "mlb_offline", "--lang", "en", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return Done(done.returncode, done.stdout, done.stderr)
