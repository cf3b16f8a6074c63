"""One sealed demonstration bundle with its keys, and the command line run in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import Command, Done, Shop, seal

from mlb_offline.bundle.source import read_source
from mlb_offline.cli import main
from mlb_offline.trust.keys import KeyKind, new_key

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def mlb(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run ``mlb-offline`` with these words; nothing but ``SystemExit`` may come out of it."""

    def run(*words: object) -> Done:
        capfd.readouterr()
        try:
            main([str(word) for word in words])
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "trust").mkdir()
    for kind in KeyKind:
        new_key(kind, folder / "keys", None)
        for public in (folder / "keys").glob(f"{kind}.pub.pem"):
            (folder / "trust" / public.name).write_bytes(public.read_bytes())
    source = read_source(REPOSITORY / "bundles" / "src" / "demo")
    return Shop(folder, seal(source, folder / "keys", folder / "demo.mlbb"), source)


@pytest.fixture
def state(tmp_path: Path) -> list[object]:
    return ["--state", tmp_path / "state"]
