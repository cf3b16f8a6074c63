"""A server that behaves: what is sent, what is read, what is kept apart."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from target_questions import PROMPT, QUESTION

from mlb_offline.demo.scripted import Reply, ScriptedServer
from mlb_offline.errors import TargetError
from mlb_offline.target.config import TargetConfig
from mlb_offline.target.opening import open_target
from mlb_offline.target.types import ItemFailed, Question


def test_answer_comes_with_its_circumstances(ask: Any) -> None:
    response = ask({PROMPT: Reply("B,C", reasoning="先想一想")})
    assert (response.text, response.reasoning, response.finish_reason) == ("B,C", "先想一想", "stop")
    assert (response.model, response.prompt_tokens, response.completion_tokens) == ("scripted", 7, 3)
    assert 0 < response.seconds < 5


def test_request_holds_prompt_parameters_and_extra(unix: Path | None) -> None:
    config = TargetConfig(model="m", temperature=0.5, max_tokens=9, seed=3, top_p=0.9, extra={"top_k": 5})

    async def go() -> dict[str, Any]:
        async with ScriptedServer({"": "A"}, unix=unix) as server:
            target = open_target(server.target, config)
            await target.ask(Question("CMExam", "1", PROMPT, 2))
            await target.close()
            return server.requests[0]

    assert asyncio.run(go()) == {
        "model": "m",
        "messages": [{"role": "user", "content": PROMPT}],
        "temperature": 0.5,
        "max_tokens": 9,
        "top_p": 0.9,
        "seed": 5,  # the third repeat of seed 3
        "stream": False,
        "top_k": 5,
    }


def test_key_and_headers_are_sent_and_never_described(tmp_path: Path, unix: Path | None) -> None:
    (tmp_path / "key").write_text("sk-very-secret\n")
    headers = {"X-Api-Key": "other-secret", "X-Ward": "7"}
    config = TargetConfig(model="scripted", api_key_file=tmp_path / "key", headers=headers)

    async def go() -> tuple[Any, Any, str]:
        async with ScriptedServer({"": "A"}, unix=unix, api_key="sk-very-secret") as server:
            target = open_target(server.target, config)
            await target.probe()
            await target.ask(QUESTION)
            await target.close()
            return server.headers, target.description, repr(target._endpoint)  # type: ignore[attr-defined]

    sent, description, shown = asyncio.run(go())
    assert all(one["X-Api-Key"] == "other-secret" and one["X-Ward"] == "7" for one in sent)
    assert "secret" not in json.dumps(description) + shown


def test_many_questions_share_one_session_and_run_at_once(unix: Path | None) -> None:
    async def go() -> tuple[list[str], int]:
        script = lambda prompt, _before: Reply(prompt.upper(), delay=0.05)  # noqa: E731
        async with ScriptedServer(script, unix=unix) as server:
            target = open_target(server.target, TargetConfig(model="scripted"))
            questions = [Question("CMExam", str(n), f"q{n}", 0) for n in range(20)]
            answers = await asyncio.gather(*(target.ask(question) for question in questions))
            await target.close()
            return [answer.text for answer in answers], server.busiest

    texts, busiest = asyncio.run(go())
    assert texts == [f"Q{n}" for n in range(20)]
    assert busiest == 20


def test_environment_proxies_are_ignored(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask("A").text == "A"


def test_cookies_are_not_kept(unix: Path | None) -> None:
    async def go() -> list[Any]:
        script = {"": Reply("A", headers={"Set-Cookie": "id=1; Path=/"})}
        async with ScriptedServer(script, unix=unix) as server:
            target = open_target(server.target, TargetConfig(model="scripted"))
            await target.ask(QUESTION)
            await target.ask(QUESTION)
            await target.close()
            return server.headers

    assert not any("Cookie" in headers for headers in asyncio.run(go()))


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(None, message={"tool_calls": []}, finish_reason="tool_calls"), ""),
        (Reply(None, reasoning="想了很久", finish_reason="length"), ""),
        (Reply(None, message={"refusal": "我不能回答"}), "我不能回答"),
        (Reply(None), ""),
        (Reply(""), ""),
        (Reply(body='{"choices":[{"message":{"content":"\\ud83d 好"},"finish_reason":"stop"}]}'), "� 好"),
    ],
)
def test_null_content_is_an_empty_answer_and_a_refusal_an_answer(ask: Any, reply: Reply, text: str) -> None:
    assert ask(reply).text == text


def test_content_withheld_by_a_filter_fails_the_item(ask: Any) -> None:
    with pytest.raises(ItemFailed) as failed:
        ask(Reply("", finish_reason="content_filter"))
    assert failed.value.reason == "content-filter"


def test_senseless_usage_is_none(ask: Any) -> None:
    body = {"choices": [{"message": {"content": "A"}}], "usage": {"prompt_tokens": -1, "completion_tokens": True}}
    response = ask(Reply(body=json.dumps(body)))
    assert (response.prompt_tokens, response.completion_tokens, response.finish_reason) == (None, None, None)


def test_only_model_offered_is_taken_and_described(probe: Any) -> None:
    found = probe({"models": ["qwen"]})
    assert found["model"] == found["description"]["model"] == "qwen"
    assert found["models"] == ["qwen"]


def test_model_must_be_chosen_among_several(probe: Any) -> None:
    with pytest.raises(TargetError, match="offers: a, b") as error:
        probe({"models": ["a", "b"]})
    assert error.value.field == "model"


def test_configured_model_must_be_offered(probe: Any) -> None:
    with pytest.raises(TargetError, match="no model 'c'; it offers: a, b"):
        probe({"models": ["a", "b"]}, model="c")


@pytest.mark.parametrize("server", [{"models": None}, {"models_reply": Reply(body='{"object": "list"}')}])
def test_server_without_a_list_of_models_is_noted_when_one_is_configured(probe: Any, server: Any) -> None:
    assert probe(server, model="m")["note"] == "no list of models"
    with pytest.raises(TargetError, match="no model is configured"):
        probe(server)


def test_wrong_key_is_told_at_the_probe(probe: Any) -> None:
    with pytest.raises(TargetError, match="401") as error:
        probe({"api_key": "right"})
    assert "api_key_file" in error.value.remedy


def test_description_is_canonical_and_depends_on_what_is_not_secret(tmp_path: Path) -> None:
    import rfc8785

    def described(**options: Any) -> bytes:
        return rfc8785.dumps(dict(open_target("unix:/run/m.sock", TargetConfig(**options)).description))

    (tmp_path / "key").write_text("a")
    plain = described()
    assert described(api_key_file=tmp_path / "key") == plain
    assert described(timeout_s=1.0) == plain
    assert described(headers={"X-Ward": "7"}) != plain
    assert described(headers={"X-Token": "7"}) == described(headers={"x-token": "8"}) != plain
    assert described(path="/v2") != plain
    assert described(extra={"top_k": 1}) != plain
