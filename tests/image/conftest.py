"""The image under test: `make image-test` builds it and names it in MLB_IMAGE; without that these tests are skipped."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_world import REPOSITORY, USERS, Hospital, put_script

sys.path.insert(0, str(REPOSITORY / "deploy"))  # its modules import one another by their names


@pytest.fixture(scope="session")
def image() -> str:
    name = os.environ.get("MLB_IMAGE", "")
    if not name:
        pytest.skip("no image was built: run `make image-test`")
    return name


@pytest.fixture(scope="session")
def engine() -> list[str]:
    return shlex.split(os.environ.get("MLB_ENGINE", "docker"))


@pytest.fixture(params=USERS)
def hospital(image: str, engine: list[str], request: pytest.FixtureRequest) -> Iterator[Hospital]:
    # Not in pytest's own folder, which no other user may enter; and short, for sockets' paths are.
    base = Path(tempfile.mkdtemp(prefix="mlb-h-"))
    base.chmod(0o755)
    put_script(base / "media")
    user = str(request.param)
    uid, gid = map(int, user.split(":"))
    for name in ("work", "socket"):
        (base / name).mkdir()
        os.chown(base / name, uid, gid)
    flags = [*shlex.split(os.environ.get("MLB_FLAGS", "")), "--no-healthcheck"]
    # Whom to run as the script finds out: the owner of the work folder.
    rest = {name: value for name, value in os.environ.items() if name not in {"MLB_USER", "SUDO_UID", "SUDO_GID"}}
    settings = {"MLB_IMAGE": image, "MLB_ENGINE": shlex.join(engine), "MLB_FLAGS": shlex.join(flags)}
    yield Hospital(base, image, engine, flags, user, rest | settings | {"LANG": "en_US.UTF-8"})
    shutil.rmtree(base)
