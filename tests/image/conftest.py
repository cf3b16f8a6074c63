"""The image under test: `make image-test` builds it and names it in MLB_IMAGE; without that these tests are skipped."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_world import REPOSITORY, USERS, Hospital


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
    folder = Path(tempfile.mkdtemp(prefix="mlb-h-"))
    script = (REPOSITORY / "deploy" / "mlb-offline.sh").read_text(encoding="utf-8")
    (folder / "mlb-offline.sh").write_text(script.replace("@VERSION@", "test"), encoding="utf-8")
    user = str(request.param)
    uid, gid = map(int, user.split(":"))
    os.chown(folder, uid, gid)
    flags = [*shlex.split(os.environ.get("MLB_FLAGS", "")), "--no-healthcheck"]
    settings = {"MLB_IMAGE": image, "MLB_ENGINE": shlex.join(engine), "MLB_FLAGS": shlex.join(flags), "MLB_USER": user}
    yield Hospital(folder, image, engine, flags, user, os.environ | settings | {"LANG": "en_US.UTF-8"})
    shutil.rmtree(folder)
