"""A real llama.cpp server: the same answers over a Unix socket, over TCP and in-process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.demo import llama_server as module
from mlb_offline.demo.llama_server import llama_server
from mlb_offline.demo.tiny_gguf import write_tiny_gguf
from mlb_offline.errors import TargetError, UsageError
from mlb_offline.target.config import TargetConfig
from mlb_offline.target.opening import open_target
from mlb_offline.target.types import ItemFailed, Question

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")

# llama_cpp.server penalises repeats unless told otherwise
CONFIG = TargetConfig(max_tokens=32, threads=1, extra={"repeat_penalty": 1.0})
PROMPTS = [f"患者{age}岁，反复上腹痛，首选检查？A.胃镜 B.钡餐 C.超声" for age in range(30, 60)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


def answers(spec: str, prompts: list[str]) -> list[Any]:
    async def go() -> list[Any]:
        target = open_target(spec, CONFIG)
        await target.probe()
        questions = [Question("CMExam", str(n), prompt, 0) for n, prompt in enumerate(prompts)]
        if target.parallel:
            found = await asyncio.gather(*(target.ask(question) for question in questions))
        else:
            found = [await target.ask(question) for question in questions]
        await target.close()
        return [(one.text, one.finish_reason, one.prompt_tokens, one.completion_tokens) for one in found]

    return asyncio.run(go())


def test_same_answers_over_unix_socket_tcp_and_in_process(model: Path, tmp_path: Path) -> None:
    with llama_server(model, log=tmp_path / "unix.log", unix=tmp_path / "s") as server:
        over_unix = answers(server.target, PROMPTS)
        again = answers(server.target, PROMPTS[::-1])[::-1]
        too_long = asyncio.run(_too_long(server.target))
    with llama_server(model, log=tmp_path / "tcp.log") as server:
        over_tcp = answers(server.target, PROMPTS)
    assert over_unix == again == over_tcp == answers(f"gguf:{model}", PROMPTS)
    assert len({text for text, *_ in over_unix}) > 10
    assert too_long == "context-too-long"
    assert not (tmp_path / "s").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_every_request_starts_from_an_empty_context(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import llama_cpp
    from llama_cpp.server import app

    left_over = []
    complete = llama_cpp.Llama.create_chat_completion

    def spy(llama: Any, *arguments: Any, **options: Any) -> Any:
        left_over.append(llama.n_tokens)
        return complete(llama, *arguments, **options)

    monkeypatch.setattr(llama_cpp.Llama, "create_chat_completion", spy)
    monkeypatch.setattr(llama_cpp, "Llama", llama_cpp.Llama)  # put back after the test
    monkeypatch.setenv("CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("MODEL", "/nonexistent")
    module.make_app(model, "tiny", 1024)
    served: Any = app._llama_proxy
    for _ in range(2):
        served("tiny").create_chat_completion([{"role": "user", "content": PROMPTS[0]}], max_tokens=4)
    served.free()
    assert left_over == [0, 0]


async def _too_long(spec: str) -> str:
    target = open_target(spec, CONFIG)
    await target.probe()
    try:
        await target.ask(Question("CMExam", "1", "长" * 9000, 0))
    except ItemFailed as failed:
        return failed.reason
    finally:
        await target.close()
    return ""


def test_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"nothing")
    with pytest.raises(TargetError, match="Failed to load model from file"):  # noqa: SIM117
        with llama_server(tmp_path / "bad.gguf", log=tmp_path / "log", unix=tmp_path / "s"):
            pass


def test_missing_extra_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(UsageError, match="uvicorn"):  # noqa: SIM117
        with llama_server(tmp_path / "m.gguf", log=tmp_path / "log"):
            pass


def test_server_ends_with_its_parent(tmp_path: Path, model: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom mlb_offline.demo.llama_server import llama_server\n"
        "with llama_server(Path(sys.argv[1]), log=Path(sys.argv[2])) as server:\n"
        "    print(server.pid, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(model), str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and Path(f"/proc/{pid}/cmdline").exists():
        if b"llama_server" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{pid}").exists()
