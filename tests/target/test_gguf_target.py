"""A GGUF model in this process."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.demo.tiny_gguf import write_tiny_gguf
from mlb_offline.errors import InputError
from mlb_offline.target.config import TargetConfig
from mlb_offline.target.opening import open_target
from mlb_offline.target.types import ItemFailed, Question

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")

PROMPTS = [f"患者{age}岁，反复上腹痛，首选检查？A.胃镜 B.钡餐 C.超声" for age in range(30, 42)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


def answers(model: Path, prompts: list[str]) -> list[str]:
    async def go() -> list[str]:
        target = open_target(f"gguf:{model}", TargetConfig(max_tokens=32, context=2048, threads=1))
        try:
            return [(await target.ask(Question("CMExam", "1", prompt, 0))).text for prompt in prompts]
        finally:
            await target.close()

    return asyncio.run(go())


def test_answer_depends_on_the_question_alone(model: Path) -> None:
    forward = answers(model, PROMPTS)
    assert len(set(forward)) > 3
    assert answers(model, PROMPTS[::-1]) == forward[::-1]
    assert answers(model, [PROMPTS[0], PROMPTS[0]]) == [forward[0]] * 2


def test_every_question_starts_from_an_empty_context(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import llama_cpp

    left_over = []
    complete = llama_cpp.Llama.create_chat_completion

    def spy(llama: Any, **options: Any) -> Any:
        left_over.append(llama.n_tokens)
        return complete(llama, **options)

    monkeypatch.setattr(llama_cpp.Llama, "create_chat_completion", spy)
    answers(model, [PROMPTS[0], PROMPTS[0], PROMPTS[1]])
    assert left_over == [0, 0, 0]


def test_repeats_differ_when_sampling_and_repeat_themselves_by_seed(model: Path) -> None:
    async def go() -> list[str]:
        target = open_target(f"gguf:{model}", TargetConfig(max_tokens=32, temperature=2.0, context=2048, threads=1))
        asked = [await target.ask(Question("CMExam", "1", PROMPTS[0], repeat)) for repeat in (0, 1, 2, 0)]
        await target.close()
        return [answer.text for answer in asked]

    first, second, third, again = asyncio.run(go())
    assert first == again
    assert len({first, second, third}) > 1


def test_description_names_file_digest_and_parameters(model: Path) -> None:
    import rfc8785

    target = open_target(f"gguf:{model}", TargetConfig(threads=1))
    description = dict(target.description)
    found = asyncio.run(target.probe())
    asyncio.run(target.close())
    asyncio.run(target.close())  # harmless
    assert description["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert (description["file"], description["threads"], description["context"]) == ("tiny.gguf", 1, 8192)
    assert str(model.parent).encode() not in rfc8785.dumps(description)
    assert (target.parallel, target.indicative) == (False, False)
    assert found == {"name": "mlb-tiny-random", "architecture": "llama", "context": 8192}


def test_context_is_at_most_what_the_model_was_trained_for(model: Path) -> None:
    target = open_target(f"gguf:{model}", TargetConfig(context=65_536, threads=1))
    assert target.description["context"] == 8192
    asyncio.run(target.close())


def test_prompt_longer_than_the_context_fails_its_item_alone(model: Path) -> None:
    async def go() -> str:
        target = open_target(f"gguf:{model}", TargetConfig(context=256, max_tokens=8, threads=1))
        with pytest.raises(ItemFailed, match="256 tokens") as failed:
            await target.ask(Question("CMExam", "1", "长" * 300, 0))
        assert failed.value.reason == "context-too-long"
        response = await target.ask(Question("CMExam", "2", PROMPTS[0], 0))
        await target.close()
        assert (response.model, response.reasoning) == (None, None)
        assert response.prompt_tokens is not None
        return response.text

    assert asyncio.run(go())


def test_failure_of_the_engine_fails_its_item(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        target: Any = open_target(f"gguf:{model}", TargetConfig(context=256))

        def broken(**_options: Any) -> None:
            raise RuntimeError("llama_decode returned -3")

        monkeypatch.setattr(target._llama, "create_chat_completion", broken)
        try:
            await target.ask(Question("CMExam", "1", "?", 0))
        finally:
            await target.close()

    with pytest.raises(ItemFailed, match="RuntimeError") as failed:
        asyncio.run(go())
    assert failed.value.reason == "engine-error"


def test_cancelled_question_stops_soon_and_the_next_is_answered(model: Path) -> None:
    async def go() -> tuple[float, str]:
        target = open_target(f"gguf:{model}", TargetConfig(max_tokens=32, threads=1))
        long = asyncio.ensure_future(target.ask(Question("CMExam", "1", "长" * 8000, 0)))
        await asyncio.sleep(0.02)
        assert not long.done()
        started = time.perf_counter()
        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long
        stopped = time.perf_counter() - started
        answer = (await target.ask(Question("CMExam", "1", PROMPTS[0], 0))).text
        await target.close()
        return stopped, answer

    seconds, answer = asyncio.run(go())
    assert seconds < 1
    assert answer


def mutated(model: Path, name: str, old: bytes, new: bytes) -> Path:
    content = model.read_bytes()
    assert content.count(old) == 1
    path = model.with_name(name)
    path.write_bytes(content.replace(old, new))
    return path


def test_file_that_is_no_model_is_refused_before_the_run(model: Path, tmp_path: Path) -> None:
    for name, content, message in [
        ("text.gguf", b"hello", "not a GGUF file"),
        ("empty.gguf", b"", "not a GGUF file"),
        ("magic.gguf", b"GGUF", "cannot load"),
        ("old.gguf", b"GGUF" + struct.pack("<I", 1) + bytes(64), "cannot load"),
        ("half.gguf", model.read_bytes()[:700_000], "not within the file bounds"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message) as error:
            open_target(f"gguf:{tmp_path / name}", TargetConfig())
        assert error.value.file == str(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        open_target(f"gguf:{tmp_path / 'none'}", TargetConfig())


def test_file_on_which_llama_cpp_aborts_is_refused_and_the_process_lives(model: Path) -> None:
    key = b"llama.block_count" + struct.pack("<I", 4)
    damaged = mutated(model, "aborts.gguf", key + struct.pack("<I", 2), key + struct.pack("<I", 0))
    with pytest.raises(InputError, match=r"crashed on loading the file \(SIGABRT\)"):
        open_target(f"gguf:{damaged}", TargetConfig())


def test_load_killed_for_memory_is_said(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = subprocess.CompletedProcess([], -9)
    monkeypatch.setattr(subprocess, "run", lambda *_a, **_k: killed)
    with pytest.raises(InputError, match="memory may be short"):
        open_target(f"gguf:{model}", TargetConfig())


def test_model_without_a_chat_template_is_refused(model: Path) -> None:
    plain = mutated(model, "plain.gguf", b"tokenizer.chat_template", b"tokenizer.chat_templatX")
    with pytest.raises(InputError, match="no chat template"):
        open_target(f"gguf:{plain}", TargetConfig())


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"model": "x"}, "model"),
        ({"headers": {"X-A": "1"}}, "headers"),
        ({"path": "/v1"}, "path"),
        ({"extra": {"top_k": 1.5}}, "extra.top_k"),
        ({"extra": {"grammar": "x"}}, "extra.grammar"),
    ],
)
def test_settings_of_servers_are_refused(model: Path, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as error:
        open_target(f"gguf:{model}", TargetConfig(**options))
    assert error.value.field == field


_LOUD = """
import asyncio, sys
from mlb_offline.target.config import TargetConfig
from mlb_offline.target.opening import open_target
from mlb_offline.target.types import Question
async def go():
    target = open_target("gguf:" + sys.argv[1], TargetConfig(max_tokens=4, context=65536, threads=1))
    await target.ask(Question("CMExam", "1", "?", 0))
    await target.close()
asyncio.run(go())
"""


def test_llama_cpp_is_silent(model: Path) -> None:
    run = subprocess.run([sys.executable, "-c", _LOUD, str(model)], capture_output=True, check=True)
    assert (run.stdout, run.stderr) == (b"", b"")
