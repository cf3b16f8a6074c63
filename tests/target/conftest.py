"""A scripted server to ask, on both kinds of socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from target_questions import QUESTION

from mlb_offline.demo.scripted import Reply, Script, ScriptedServer
from mlb_offline.language import set_language
from mlb_offline.target.config import TargetConfig
from mlb_offline.target.opening import open_target
from mlb_offline.target.types import Question, Response

Ask = Callable[..., Response]
Probe = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def english() -> Any:
    set_language("en")
    yield
    set_language("en")


@pytest.fixture(params=["unix", "tcp"])
def unix(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """A path for a Unix socket, and then None for TCP: the test runs on both."""
    return tmp_path / "s" if request.param == "unix" else None


@pytest.fixture
def ask(unix: Path | None) -> Ask:
    """Asks one question of a server with the given script."""

    def run(script: Script | Reply | str, question: Question = QUESTION, **options: Any) -> Response:
        config = TargetConfig(**{"model": "scripted", "timeout_s": 5.0} | options)

        async def go() -> Response:
            async with ScriptedServer(_script(script), unix=unix) as server:
                target = open_target(server.target, config)
                try:
                    return await target.ask(question)
                finally:
                    await target.close()

        return asyncio.run(go())

    return run


@pytest.fixture
def probe(unix: Path | None) -> Probe:
    """Probes a server; ``server`` holds the options of ``ScriptedServer``, the rest is the target config."""

    def run(server: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        async def go() -> dict[str, Any]:
            async with ScriptedServer({}, unix=unix, **(server or {})) as running:
                target = open_target(running.target, TargetConfig(**{"timeout_s": 5.0} | options))
                try:
                    found = await target.probe()
                    return {**found, "description": target.description}
                finally:
                    await target.close()

        return asyncio.run(go())

    return run


def _script(script: Script | Reply | str) -> Script:
    return {"": script} if isinstance(script, Reply | str) else script
