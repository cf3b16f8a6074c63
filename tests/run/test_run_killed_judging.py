"""A real process with the real judges, killed and interrupted while they judge, then resumed: nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from run_world import World, make_world

from mlb_offline.demo.scripted import Reply, ScriptedServer
from mlb_offline.judge.panel import Opinions
from mlb_offline.run.log import verify_log
from mlb_offline.run.results import RunResults, read_results

TEXTS = 60
ENOUGH = 5
"""Answers that are judged before the process is stopped."""
ANSWER = "不建议自行加大剂量；请先停药并尽快就医，由医生评估后调整方案。"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("texts"), choices=2, extractions=1, texts=TEXTS)


async def start(world: World, tmp_path: Path, *words: object) -> asyncio.subprocess.Process:
    opening = ("--bundle", world.bundle, "--trust", world.trust, "--key", world.key_file, "--state", tmp_path / "state")
    command = (sys.executable, "-m", "mlb_offline", "--guard", "loopback", "run", *map(str, (*opening, *words)))
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment)


async def finish(process: asyncio.subprocess.Process) -> Ended:
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def verdicts(directory: Path) -> dict[str, str]:
    """Digest of the record of each answer that the log calls judged, by item; none while there is no log."""
    file = directory / "run.sqlite"
    if not file.is_file():
        return {}
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db:
        try:
            rows = db.execute("SELECT body FROM events WHERE type = 'answer.judged'").fetchall()
        except sqlite3.OperationalError:
            return {}
    bodies = [json.loads(row[0]) for row in rows]
    found = {body["item"]: body["record"] for body in bodies}
    assert len(found) == len(bodies), "an answer was judged twice"
    return found


async def some_are_judged(process: asyncio.subprocess.Process, directory: Path) -> None:
    while len(verdicts(directory)) < ENOUGH:
        if process.returncode is not None:
            ended = await finish(process)
            pytest.fail(f"the run ended early ({ended.code}): {ended.err}")
        await asyncio.sleep(0.005)


def opinions(found: RunResults) -> dict[str, Opinions]:
    return {one.item: one.opinions for one in found.outcomes if one.opinions is not None}


@pytest.fixture(scope="module")
def whole(texts: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Opinions]:
    """What the judges say when nobody interrupts them."""
    folder = tmp_path_factory.mktemp("whole")

    async def story() -> Ended:
        async with ScriptedServer({"": Reply(ANSWER)}) as server:
            return await finish(await start(texts, folder, "--target", server.target, "--out", folder / "run"))

    ended = asyncio.run(story())
    assert ended.code == 0, ended.err
    found = opinions(read_results(folder / "run", texts.key))
    assert len(found) == TEXTS
    assert all(len(one.said) == 2 for one in found.values())
    return found


@pytest.mark.parametrize(
    ("number", "code", "ending"),
    [(signal.SIGKILL, -signal.SIGKILL, "killed"), (signal.SIGINT, 130, "operator")],
    ids=["killed", "interrupted"],
)
def test_stopped_while_judging_and_resumed_no_verdict_is_lost_and_none_doubled(
    texts: World, whole: dict[str, Opinions], tmp_path: Path, number: signal.Signals, code: int, ending: str
) -> None:
    directory = tmp_path / "run"

    async def story() -> tuple[dict[str, str], Ended, Ended]:
        async with ScriptedServer({"": Reply(ANSWER)}) as server:
            process = await start(texts, tmp_path, "--target", server.target, "--out", directory)
            await some_are_judged(process, directory)
            process.send_signal(number)
            stopped = await finish(process)
            kept = verdicts(directory)
            assert not verify_log(directory).finished
            again = await finish(await start(texts, tmp_path, "--resume", directory, "--json"))
            return kept, stopped, again

    kept, stopped, again = asyncio.run(story())
    assert stopped.code == code
    assert "Traceback" not in stopped.err
    assert ENOUGH <= len(kept) < TEXTS, "it was stopped while it judged"
    assert again.code == 0, again.err
    assert json.loads(again.out)["judged"] == TEXTS
    after = verdicts(directory)
    assert len(after) == TEXTS
    assert kept.items() <= after.items(), "what was judged is the same record still"
    found = read_results(directory, texts.key)
    assert opinions(found) == whole
    assert [session.ending for session in found.sessions] == [ending, "finished"]
    assert verify_log(directory).judged == TEXTS
