"""The scripted server as a child process, and its file of replies."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlb_offline.demo import child as child_module
from mlb_offline.demo.child import serving
from mlb_offline.demo.scripted import Reply, ScriptedServer, read_replies, scripted_server
from mlb_offline.errors import InputError, TargetError
from mlb_offline.target.config import TargetConfig
from mlb_offline.target.opening import open_target
from mlb_offline.target.types import ItemFailed, Question, Retry

REPLIES = {
    "models": ["known"],
    "replies": {
        "一": "A",
        "二": {"text": "B", "first": 1, "meanwhile": {"status": 429}},
        "三": {"text": "C", "first": 1, "meanwhile": "先这样"},
        "四": {"body": "<html>", "content_type": "text/html"},
    },
}


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_child_serves_the_file(tmp_path: Path, kind: str) -> None:
    (tmp_path / "r.json").write_text(json.dumps(REPLIES), encoding="utf-8")

    async def go(spec: str) -> list[str]:
        target = open_target(spec, TargetConfig())
        seen = [str((await target.probe())["model"])]
        for prompt in ("一", "二", "二", "三", "三", "无"):
            try:
                seen.append((await target.ask(Question("CMExam", "1", prompt, 0))).text)
            except (Retry, ItemFailed) as fault:
                seen.append(fault.cause if isinstance(fault, Retry) else fault.reason)
        await target.close()
        return seen

    unix = tmp_path / "s" if kind == "unix" else None
    with scripted_server(tmp_path / "r.json", log=tmp_path / "log", unix=unix) as child:
        assert child.target.startswith("unix:" if unix else "http://127.0.0.1:")
        assert asyncio.run(go(child.target)) == ["known", "A", "throttled", "B", "先这样", "C", "http-400"]


def test_replies_file_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text(json.dumps({"replies": {"a": "b"}, "default": {"status": 500}}))
    assert read_replies(file) == ({"a": "b", "": Reply(status=500)}, ["scripted"])
    for text in ("", "[]", "{}", '{"replies": {"a": {"colour": 1}}}', '{"replies": {"a": 5}}'):
        file.write_text(text)
        with pytest.raises(InputError) as error:
            read_replies(file)
        assert error.value.file == str(file)
    with pytest.raises(InputError):  # noqa: SIM117
        with scripted_server(tmp_path / "none", log=tmp_path / "log"):
            pass


def test_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="did not answer in time"):  # noqa: SIM117
        with serving("http.server", [], unix=None, log=tmp_path / "log", deadline_s=0.0):
            pass


def test_stubborn_server_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_PATIENCE", 0.1)
    program = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        child_module._end(stubborn)
        assert stubborn.returncode == -signal.SIGKILL


def test_key_is_wanted_of_questions_too(tmp_path: Path) -> None:
    async def go() -> None:
        async with ScriptedServer({"": "A"}, unix=tmp_path / "s", api_key="k") as server:
            target = open_target(server.target, TargetConfig(model="scripted"))
            try:
                await target.ask(Question("CMExam", "1", "?", 0))
            finally:
                await target.close()

    with pytest.raises(TargetError, match="401"):
        asyncio.run(go())


def test_address_must_be_given() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mlb_offline.demo.scripted", "--replies", "x"], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert "--unix" in run.stderr
