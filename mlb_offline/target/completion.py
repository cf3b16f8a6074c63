"""From the body of a chat completion to a ``Response``, strictly (OpenAI API reference, "chat completion object").

Read: ``choices[0].message.content`` (the answer), ``.reasoning_content`` or ``.reasoning`` (kept apart),
``.refusal`` (the model's answer where content is null), ``choices[0].finish_reason``, ``model``, ``usage``.
Content null, or absent beside reasoning or tool calls, is an empty answer, which scoring calls unreadable.
Anything else where the answer should be is a fault of the server, never an empty answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from mlb_offline.errors import TargetError
from mlb_offline.language import tr
from mlb_offline.target.types import ItemFailed, Response, clean_text


def parse_json(body: bytes, endpoint: str) -> Any:
    """The JSON value of a body that came with status 200.

    Raises:
        TargetError: it is empty or not JSON in UTF-8.
    """
    if not body.strip():
        raise TargetError(
            tr(f"{endpoint}：服务器返回了空内容", f"{endpoint}: the server answered with an empty body"),
            remedy=tr(
                "查看服务器日志；确认该地址是模型服务", "look at the server's log; check that this is a model server"
            ),
        )
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        detail = type(error).__name__ if not isinstance(error, json.JSONDecodeError) else f"{error.msg} @{error.pos}"
        raise TargetError(
            tr(f"{endpoint}：回答不是有效的 JSON（{detail}）", f"{endpoint}: the answer is not valid JSON ({detail})"),
            remedy=tr(
                "确认该地址提供 OpenAI 兼容接口，且未开启流式输出",
                "check that the address offers the OpenAI-compatible API and that streaming is off",
            ),
        ) from None


def parse_completion(value: Any, *, seconds: float, endpoint: str) -> Response:
    """The answer in a chat completion object.

    Raises:
        TargetError: the object has no answer where one must be; the message names the member at fault.
        ItemFailed: the server's own content filter withheld the answer.
    """
    if not isinstance(value, dict):
        _wrong_shape(endpoint, "$", _kind(value))
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices:
        found = tr("不存在", "absent") if "choices" not in value else _kind(choices)
        _wrong_shape(endpoint, "choices", found)
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        _wrong_shape(endpoint, "choices[0].message", _kind(message))
    finish_reason = _text_or_none(choice.get("finish_reason"))
    if finish_reason == "content_filter":
        raise ItemFailed(
            "content-filter", tr("服务器的内容过滤拒绝了该条目", "the server's content filter withheld this answer")
        )
    usage = value.get("usage")
    return Response(
        text=_content(message, endpoint),
        finish_reason=finish_reason,
        model=_text_or_none(value.get("model")),
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        seconds=seconds,
        reasoning=_text_or_none(message.get("reasoning_content")) or _text_or_none(message.get("reasoning")),
    )


def _content(message: dict[str, Any], endpoint: str) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return clean_text(content)
    if content is not None:
        _wrong_shape(endpoint, "choices[0].message.content", _kind(content))
    refusal = message.get("refusal")
    if isinstance(refusal, str):
        return clean_text(refusal)
    if "content" not in message and not {"tool_calls", "reasoning_content", "reasoning"} & set(message):
        _wrong_shape(endpoint, "choices[0].message.content", tr("不存在", "absent"))
    return ""


def _wrong_shape(endpoint: str, member: str, found: str) -> NoReturn:
    raise TargetError(
        tr(
            f"{endpoint}：回答的 {member} 不符合 chat completions 格式（{found}）",
            f"{endpoint}: {member} of the answer is not as chat completions have it ({found})",
        ),
        field=member,
        remedy=tr(
            "确认服务器与 path 提供 OpenAI 兼容的 /chat/completions",
            "check that the server and path offer an OpenAI-compatible /chat/completions",
        ),
    )


def _kind(value: Any) -> str:
    if isinstance(value, list) and not value:
        return tr("空列表", "an empty list")
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _text_or_none(value: Any) -> str | None:
    return clean_text(value) if isinstance(value, str) else None


def _count(usage: Any, key: str) -> int | None:
    """A token count; None where the server does not count or counts nonsense: it is shown, never scored."""
    count = usage.get(key) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**53 else None


@dataclass(frozen=True)
class ErrorBody:
    """What an error body says: ``{"error": {message, code, param}}`` and its common variants; empty where absent."""

    message: str
    code: str
    param: str


def parse_error(body: bytes) -> ErrorBody:
    """Read an error body as far as it is JSON; never fails.

    FastAPI's list of validation errors is read without its ``input``, which repeats the request.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ErrorBody("", "", "")
    if not isinstance(value, dict):
        return ErrorBody("", "", "")
    error = value.get("error", value)
    if not isinstance(error, dict):
        return ErrorBody(error if isinstance(error, str) else "", "", "")
    message = error.get("message", error.get("detail"))
    if isinstance(message, list):
        parts = [part for part in message if isinstance(part, dict)]
        message = "; ".join(f"{_dotted(part.get('loc'))}: {part.get('msg')}" for part in parts)
    return ErrorBody(*(_plain(member) for member in (message, error.get("code"), error.get("param"))))


def _dotted(location: Any) -> str:
    return ".".join(str(part) for part in location) if isinstance(location, list) else "?"


def _plain(value: Any) -> str:
    return clean_text(value) if isinstance(value, str) else ""
