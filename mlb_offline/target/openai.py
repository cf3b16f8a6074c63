"""A model server with the OpenAI chat completions API (``POST {path}/chat/completions``, ``GET {path}/models``).

Each question is one request with the prompt as its only message, role ``user``, without streaming. Prompts and
answers are never logged.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from mlb_offline.errors import TargetError
from mlb_offline.language import tr
from mlb_offline.target import faults
from mlb_offline.target.completion import parse_completion, parse_error, parse_json
from mlb_offline.target.faults import Answer, Context
from mlb_offline.target.transport import Client, Endpoint
from mlb_offline.target.types import ItemFailed, Parameters, Question, Response, Retry

_FIRST_REFUSALS = 10
_LISTED = 20  # models named in a message


class OpenAITarget:
    """See ``Target``; ``description["model"]`` is null until ``probe`` where the config names no model.

    Args:
        endpoint: where the server is.
        model: its name, or None to take the only one offered.
        parameters: how answers are generated.
        config_sha256: digest of what is not secret in the config, for the description.
    """

    parallel = True
    indicative = False

    def __init__(self, endpoint: Endpoint, model: str | None, parameters: Parameters, config_sha256: str) -> None:
        self._endpoint = endpoint
        self._client = Client(endpoint)
        self._model = model
        self._parameters = parameters
        self._config_sha256 = config_sha256
        self._refusals_before_an_answer = 0
        self._answered = False

    @property
    def description(self) -> Mapping[str, Any]:
        """``{kind, endpoint, model, parameters, config_sha256}``."""
        return {
            "kind": "openai",
            "endpoint": self._endpoint.shown,
            "model": self._model,
            "parameters": self._parameters.to_json(),
            "config_sha256": self._config_sha256,
        }

    async def probe(self) -> Mapping[str, Any]:
        """Ask for the list of models, and choose the only one where the config names none.

        Returns: ``{models: list | null, model, server: header | null, note}``; servers without such a list
            (404, 405, 501) are noted, not refused.

        Raises:
            TargetError: no connection, no permission, a web page, or the model is not offered.
        """
        context = self._context("")
        try:
            answer = await self._client.exchange("GET", "/models", None, context)
            models = None
            if answer.is_html or answer.status not in {404, 405, 501}:
                faults.check_status(answer, context)
                faults.check_whole(answer, context)
                models = _offered(parse_json(answer.body, context.endpoint))
        except (Retry, ItemFailed) as fault:
            raise faults.as_target_error(fault) from None
        self._choose(models)
        note = "" if models is not None else "no list of models"
        return {"models": models, "model": self._model, "server": answer.headers.get("Server"), "note": note}

    def _choose(self, models: list[str] | None) -> None:
        listed = ", ".join((models or [])[:_LISTED]) or tr("（无）", "(none)")
        shown = self._endpoint.shown
        if self._model is None:
            if models is None or len(models) != 1:
                raise TargetError(
                    tr(
                        f"{shown}：未指定模型，服务器提供：{listed}",
                        f"{shown}: no model is configured; the server offers: {listed}",
                    ),
                    field="model",
                    remedy=tr("在目标配置中设置 model", "set model in the target config"),
                )
            self._model = models[0]
        elif models and self._model not in models:
            raise TargetError(
                tr(
                    f"{shown}：服务器没有模型“{self._model}”，它提供：{listed}",
                    f"{shown}: the server has no model {self._model!r}; it offers: {listed}",
                ),
                field="model",
                remedy=tr("在目标配置中改正 model", "correct model in the target config"),
            )

    async def ask(self, question: Question) -> Response:
        """One chat completion; ``Retry``, ``ItemFailed`` and ``TargetError`` as docs/targets.md lists them."""
        context = self._context(question.prompt)
        started = time.perf_counter()
        answer = await self._client.exchange("POST", "/chat/completions", self._request(question), context)
        try:
            faults.check_status(answer, context)
        except ItemFailed as refusal:
            self._count_refusal(refusal, context)
            raise
        faults.check_whole(answer, context)
        value = parse_json(answer.body, context.endpoint)
        _check_error_in_200(value, answer, context)
        response = parse_completion(value, seconds=time.perf_counter() - started, endpoint=context.endpoint)
        self._answered = True
        return response

    def _request(self, question: Question) -> bytes:
        parameters = self._parameters
        body: dict[str, Any] = {
            **parameters.extra,
            "messages": [{"role": "user", "content": question.prompt}],
            "temperature": parameters.temperature,
            "top_p": parameters.top_p,
            "max_tokens": parameters.max_tokens,
            "seed": parameters.seed + question.repeat,
            "stream": False,
        }
        if self._model is not None:
            body["model"] = self._model
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")

    def _count_refusal(self, refusal: ItemFailed, context: Context) -> None:
        """A server that refuses every request from the first on refuses the settings, not the items."""
        if self._answered or not refusal.reason.startswith("http-"):
            return
        self._refusals_before_an_answer += 1
        if self._refusals_before_an_answer >= _FIRST_REFUSALS:
            raise TargetError(
                tr(
                    f"{context.endpoint}：服务器拒绝了最初的 {_FIRST_REFUSALS} 个请求。{refusal.message}",
                    f"{context.endpoint}: the server refused the first {_FIRST_REFUSALS} requests: {refusal.message}",
                ),
                remedy=tr(
                    "检查目标配置（model、extra、max_tokens）", "check the target config (model, extra, max_tokens)"
                ),
            ) from None

    def _context(self, prompt: str) -> Context:
        return Context(self._endpoint.shown, self._model or "", prompt, self._endpoint.secrets)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


def _check_error_in_200(value: Any, answer: Answer, context: Context) -> None:
    """Some gateways send their errors with status 200.

    Raises:
        TargetError: this is such an error.
    """
    if isinstance(value, dict) and "choices" not in value and value.get("error"):
        said = faults.excerpt(parse_error(answer.body).message, context)
        raise TargetError(
            tr(
                f"{context.endpoint}：服务器以状态 200 返回了错误：{said}",
                f"{context.endpoint}: the server answered 200 with an error: {said}",
            ),
            field="choices",
            remedy=tr("查看服务器日志", "look at the server's log"),
        )


def _offered(value: Any) -> list[str] | None:
    """Ids in a list of models, or None where the answer is no such list."""
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(data, list):
        return None
    return [model["id"] for model in data if isinstance(model, dict) and isinstance(model.get("id"), str)]
