"""A real process against a real server, killed and interrupted in the middle, then resumed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from run_world import World, make_world

from mlb_offline.demo.scripted import Reply, ScriptedServer
from mlb_offline.run.log import verify_log
from mlb_offline.run.results import RunResults, read_results
from mlb_offline.scoring.outcome import Outcome

CONCURRENCY = 4
ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("large"), choices=60, extractions=1, texts=1)


async def start(*words: object) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mlb_offline",
        "--guard",
        "loopback",
        *map(str, words),
        stdout=pipe,
        stderr=pipe,
        env=ENVIRONMENT,
    )


async def finish(process: asyncio.subprocess.Process) -> Ended:
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def opening(world: World, tmp_path: Path) -> tuple[object, ...]:
    return ("--bundle", world.bundle, "--trust", world.trust, "--key", world.key_file, "--state", tmp_path / "state")


def begin(world: World, tmp_path: Path, target: str) -> tuple[object, ...]:
    plain = ("--target", target, "--out", tmp_path / "run", "--concurrency", CONCURRENCY)
    return ("run", *opening(world, tmp_path), *plain)


async def asked_at_least(server: ScriptedServer, number: int, process: asyncio.subprocess.Process) -> None:
    while server.asked.total() < number:
        if process.returncode is not None:
            ended = await finish(process)
            pytest.fail(f"the run ended early ({ended.code}): {ended.err}")
        await asyncio.sleep(0.002)


def settled(results: RunResults) -> dict[tuple[str, str], object]:
    return {(one.dataset, one.item): one for one in results.outcomes if one.outcome is not Outcome.MISSING}


def server_at(delay: float = 0.02) -> ScriptedServer:
    return ScriptedServer({"": Reply("答案：B", delay=delay)})


def test_killed_and_resumed_no_answer_is_lost_and_none_asked_twice_but_those_in_flight(
    large: World, tmp_path: Path
) -> None:
    async def story() -> tuple[Counter[str], RunResults, RunResults, Ended]:
        async with server_at() as server:
            process = await start(*begin(large, tmp_path, server.target))
            await asked_at_least(server, 25, process)
            process.kill()
            await process.communicate()
            assert process.returncode == -signal.SIGKILL
            between = read_results(tmp_path / "run", large.key)
            again = await start("run", "--resume", tmp_path / "run", *opening(large, tmp_path), "--json")
            ended = await finish(again)
            return server.asked, between, read_results(tmp_path / "run", large.key), ended

    asked, between, after, ended = asyncio.run(story())
    assert ended.code == 0, ended.err
    kept = settled(between)
    assert 25 - 2 * CONCURRENCY <= len(kept) < large.slots
    assert kept.items() <= settled(after).items()
    assert after.complete
    assert len(asked) == large.slots
    twice = [prompt for prompt, times in asked.items() if times > 1]
    assert len(twice) <= CONCURRENCY
    assert max(asked.values()) <= 2
    assert [session.ending for session in after.sessions] == ["killed", "finished"]
    assert after.notes == ({"code": "sessions-killed", "sessions": 1},)
    assert verify_log(tmp_path / "run").events == after.events
    assert json.loads(ended.out)["datasets"]["CMExam"]["right"] == 60


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_keeps_what_came_and_prints_how_to_go_on(
    large: World, tmp_path: Path, number: signal.Signals
) -> None:
    async def story() -> tuple[Counter[str], Ended, int, Ended]:
        async with server_at() as server:
            process = await start(*begin(large, tmp_path, server.target))
            await asked_at_least(server, 12, process)
            process.send_signal(number)
            ended = await finish(process)
            asked_then = server.asked.total()
            done = read_results(tmp_path / "run", large.key)
            assert len(settled(done)) == asked_then
            assert done.sessions[-1].ending == "operator"
            command = re.search(r"(mlb-offline run --resume .*)", ended.err)
            assert command is not None, ended.err
            again = await finish(await start(*shlex.split(command[1])[1:]))
            return server.asked, ended, asked_then, again

    asked, ended, asked_then, again = asyncio.run(story())
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert again.code == 0, again.err
    # What was under way was waited for, so not even that is asked again.
    assert max(asked.values()) == 1
    assert asked_then < large.slots == asked.total()


def test_a_second_process_on_the_same_run_is_refused(large: World, tmp_path: Path) -> None:
    async def story() -> tuple[Ended, Ended]:
        async with server_at(delay=0.5) as server:
            process = await start(*begin(large, tmp_path, server.target))
            await asked_at_least(server, 5, process)
            second = await finish(await start("run", "--resume", tmp_path / "run", *opening(large, tmp_path)))
            process.terminate()
            return second, await finish(process)

    second, first = asyncio.run(story())
    assert second.code == 3
    assert "another process" in second.err
    assert first.code == 130


def test_throttled_by_a_real_server_everything_is_answered_once(large: World, tmp_path: Path) -> None:
    refusal = Reply("slow down", status=429, headers={"Retry-After": "0"})

    async def story() -> tuple[Ended, Counter[str]]:
        script = {"": Reply("B", first=1, meanwhile=refusal)}
        async with ScriptedServer(script) as server:
            words = (*begin(large, tmp_path, server.target), "--limit", 6)
            return await finish(await start(*words)), server.asked

    ended, asked = asyncio.run(story())
    assert ended.code == 0, ended.err
    assert set(asked.values()) == {2}
    found = read_results(tmp_path / "run", large.key)
    assert found.retries == len(found.outcomes)
    assert all(one.outcome is not Outcome.FAILED for one in found.outcomes)
    assert found.indicative == ("limited",)
