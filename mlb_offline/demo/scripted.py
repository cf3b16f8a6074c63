"""An OpenAI-compatible server whose every answer is known beforehand, faults included.

``async with ScriptedServer(script, unix=PATH) as server`` runs one in the loop at hand, ``scripted_server`` as a child
process from a JSON file, ``python -m mlb_offline.demo.scripted --replies F.json --unix PATH`` by hand.

Replies file: ``{"models": [names], "replies": {prompt: reply}, "default": reply}``, where a reply is a text or an
object with the fields of ``Reply``. A prompt without reply and default is refused with 400.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlb_offline.demo.child import Child, add_arguments, listen, serving
from mlb_offline.errors import InputError
from mlb_offline.language import tr

if TYPE_CHECKING:
    from aiohttp import web

_FAILED_STATUS = 400


@dataclass(frozen=True)
class Reply:
    """What the server does when asked.

    Attributes:
        text: content of the answer; None sends ``null``.
        finish_reason: as in the API.
        reasoning: ``reasoning_content`` beside the content.
        message: members that replace those of the message.
        status: HTTP status; other than 200 sends an error object with ``text`` as its message.
        code: ``code`` of that error object.
        headers: further response headers.
        body: raw body in place of everything above; a fault such as HTML, half a JSON, nothing.
        content_type: of the body.
        unframed: send the body without length or chunks, then close.
        delay: seconds before anything is sent.
        drop: ``before`` closes the connection unanswered, ``middle`` within the body.
        first: how many times ``meanwhile`` is done before this reply.
        meanwhile: the reply until then, such as 429.
    """

    text: str | None = ""
    finish_reason: str = "stop"
    reasoning: str | None = None
    message: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    content_type: str = "application/json"
    unframed: bool = False
    delay: float = 0.0
    drop: str | None = None
    first: int = 0
    meanwhile: Reply | None = None


Script = Callable[[str, int], Reply | str] | Mapping[str, Reply | str]
"""From a prompt, and how often it has been asked before, to what to do; or a table of prompts."""


class ScriptedServer:
    """The server; counts what it is asked.

    Args:
        script: what to do for each prompt; a table may have the key ``""`` for all other prompts.
        unix: path for a Unix socket; None for a loopback port.
        models: names offered; None answers the list with 404.
        models_reply: a reply in place of the list, for faults.
        api_key: if set, what ``Authorization: Bearer`` must hold.
        tls: to speak https.
        bound: a socket that is bound already (child process).

    Attributes:
        asked: how often each prompt was asked.
        requests: the parsed request objects in order of arrival.
        headers: the request headers in order of arrival.
        busiest: most questions that were open at once.
    """

    def __init__(
        self,
        script: Script,
        *,
        unix: Path | None = None,
        models: Sequence[str] | None = ("scripted",),
        models_reply: Reply | None = None,
        api_key: str | None = None,
        tls: ssl.SSLContext | None = None,
        bound: socket.socket | None = None,
    ) -> None:
        self._script = script
        self._unix = unix
        self._models = models
        self._models_reply = models_reply
        self._api_key = api_key
        self._tls = tls
        self._bound = bound
        self._runner: web.AppRunner | None = None
        self._open = 0
        self.target = ""
        self.asked: Counter[str] = Counter()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.busiest = 0

    async def __aenter__(self) -> ScriptedServer:
        from aiohttp import web

        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handle_signals=False)
        await self._runner.setup()
        await self._site(self._runner).start()
        if self._unix is not None:
            self.target = f"unix:{self._unix.absolute()}"
        else:
            host, port = self._runner.addresses[0][:2]
            self.target = f"{'https' if self._tls else 'http'}://{host}:{port}/v1"
        return self

    def _site(self, runner: web.AppRunner) -> web.BaseSite:
        from aiohttp import web

        if self._bound is not None:
            return web.SockSite(runner, self._bound)
        if self._unix is not None:
            return web.UnixSite(runner, self._unix)
        return web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls)

    async def __aexit__(self, *_exception: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._unix is not None:
            self._unix.unlink(missing_ok=True)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        self.headers.append(request.headers)
        if self._refused(request):
            return _error(401, "invalid API key", None)
        if self._models_reply is not None:
            return await _perform(request, self._models_reply, "")
        if self._models is None:
            return web.Response(status=404, text="no such page")
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in self._models]})

    def _refused(self, request: web.Request) -> bool:
        return self._api_key is not None and request.headers.get("Authorization") != f"Bearer {self._api_key}"

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(request.headers)
        if self._refused(request):
            return _error(401, "invalid API key", None)
        body = await request.json()
        prompt = body["messages"][-1]["content"]
        before = self.asked[prompt]
        self.asked[prompt] += 1
        self.requests.append(body)
        self._open += 1
        self.busiest = max(self.busiest, self._open)
        try:
            return await _perform(request, self._reply(prompt, before), body.get("model") or "scripted")
        finally:
            self._open -= 1

    def _reply(self, prompt: str, before: int) -> Reply:
        if isinstance(self._script, Mapping):
            found = self._script.get(prompt, self._script.get(""))
        else:
            found = self._script(prompt, before)
        reply = Reply(found) if isinstance(found, str) else found
        if reply is None:
            return Reply("no reply is scripted for this prompt", status=_FAILED_STATUS)
        if reply.meanwhile is not None and before < reply.first:
            return reply.meanwhile
        return reply


async def _perform(request: web.Request, reply: Reply, model: str) -> web.StreamResponse:
    from aiohttp import web

    if reply.delay:
        await asyncio.sleep(reply.delay)
    if reply.drop == "before":
        _cut(request)
        return web.Response()
    if reply.status != 200 and reply.body is None:
        return _error(reply.status, reply.text or "", reply.code, reply.headers)
    body = json.dumps(_completion(reply, model), ensure_ascii=False) if reply.body is None else reply.body
    content = body.encode("utf-8", "surrogatepass")
    headers = {**reply.headers, "Content-Type": reply.content_type}
    if reply.drop == "middle":
        return await _send_half(request, content, headers)
    if reply.unframed:
        return _send_unframed(request, content)
    return web.Response(body=content, status=reply.status, headers=headers)


async def _send_half(request: web.Request, content: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    from aiohttp import web

    response = web.StreamResponse(headers={**headers, "Content-Length": str(len(content))})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    _cut(request)
    return response


def _send_unframed(request: web.Request, content: bytes) -> web.StreamResponse:
    """HTTP/1.0 style: the body ends where the connection does."""
    from aiohttp import web

    if request.transport is not None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
        request.transport.write(head + content)
        request.transport.close()
    return web.Response()


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


def _error(status: int, message: str, code: str | None, headers: Mapping[str, str] | None = None) -> web.Response:
    from aiohttp import web

    error = {"message": message, "type": "scripted", "param": None, "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


def _completion(reply: Reply, model: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    return {
        "id": "scripted",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": {**message, **reply.message}, "finish_reason": reply.finish_reason}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


@contextmanager
def scripted_server(replies: Path, *, log: Path, unix: Path | None = None) -> Iterator[Child]:
    """The server as a child process for as long as the block lasts.

    Args:
        replies: the JSON file (see the module).
        log: file for the server's output.
        unix: path for its socket; None for a free loopback port.

    Raises:
        InputError: the file cannot be read or is not as it must be.
        TargetError: the server did not start; with the tail of its log.
    """
    read_replies(replies)
    with serving(__name__, ["--replies", str(replies)], unix=unix, log=log) as child:
        yield child


def read_replies(path: Path) -> tuple[dict[str, Reply | str], list[str]]:
    """The table of replies (the default under the key ``""``) and the models offered.

    Raises:
        InputError: the file cannot be read, is no JSON, or a reply has an unknown field.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        table = {prompt: _as_reply(reply) for prompt, reply in raw["replies"].items()}
        if "default" in raw:
            table[""] = _as_reply(raw["default"])
        return table, list(raw.get("models", ["scripted"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            tr(f"应答文件无效：{error}", f"not a file of replies: {error}"),
            file=path,
            remedy=tr('应为 {"replies": {题目: 应答}}', 'it must be {"replies": {prompt: reply}}'),
        ) from None


def _as_reply(value: Any) -> Reply | str:
    if isinstance(value, str):
        return value
    fields = dict(value)
    if "meanwhile" in fields:
        meanwhile = _as_reply(fields["meanwhile"])
        fields["meanwhile"] = Reply(meanwhile) if isinstance(meanwhile, str) else meanwhile
    return Reply(**fields)


async def _serve(table: Mapping[str, Reply | str], models: Sequence[str], bound: socket.socket) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with ScriptedServer(table, models=models, bound=bound):
        await ended.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a file of replies until terminated."""
    parser = argparse.ArgumentParser(prog="python -m mlb_offline.demo.scripted", description=__doc__)
    parser.add_argument("--replies", type=Path, required=True)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    table, models = read_replies(options.replies)
    asyncio.run(_serve(table, models, listen(options)))


if __name__ == "__main__":
    main()
