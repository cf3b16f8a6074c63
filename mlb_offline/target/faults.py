"""What each failure of a model server means: ask again, give this item up, or stop; and what to do about it.

No message ever repeats the prompt or a secret: what a server says of an error is shown only after ``excerpt``.
"""

from __future__ import annotations

import errno
import re
import ssl
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from mlb_offline.errors import TargetError
from mlb_offline.language import tr
from mlb_offline.target.completion import ErrorBody, parse_error
from mlb_offline.target.types import ItemFailed, Retry

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

_EXCERPT = 200  # characters of a server's own message that are shown
_OVERLAP = 8  # characters in common with the prompt that make the message withheld
_LONGEST_WAIT = 3600.0  # seconds; a server that asks for more is asked again after an hour
_TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size)|(length|window|size) of the context|too many tokens|exceeds?.{0,40}context"
    r"|(prompt|input).{0,30}too long|maximum.{0,20}(input|sequence|model).{0,10}length|max_model_len",
    re.IGNORECASE | re.DOTALL,
)
_FILTERED = re.compile(r"content.?(filter|policy|management)|data_inspection_failed", re.IGNORECASE)
_SETTING_CODES = frozenset(
    {"model_not_found", "unsupported_parameter", "unknown_parameter", "unsupported_value", "invalid_api_key"}
)
_OWN_PARAMETERS = frozenset({"model", "temperature", "top_p", "seed"})


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, read to its end.

    Attributes:
        body: at most the limit of ``transport.MAX_BODY`` bytes.
        framed: whether the server said where the body ends; if not, a cut body looks like a whole one.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    framed: bool

    @property
    def is_html(self) -> bool:
        """Whether this is a web page, whatever it is called."""
        if "html" in self.headers.get("Content-Type", "").lower():
            return True
        return self.body.lstrip()[:20].lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head"))


@dataclass(frozen=True)
class Context:
    """What messages need: which server, what was asked, and what they must not repeat."""

    endpoint: str
    model: str
    prompt: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)


def excerpt(text: str, context: Context) -> str:
    """The server's own words, made safe to show: one short line, no secret, nothing of the prompt.

    Returns: at most 200 characters, or a note that the text was withheld; empty for nothing.
    """
    for secret in context.secrets:
        text = text.replace(secret, "***")
    text = text[: 10 * _EXCERPT]
    if _repeats(text, context.prompt):
        return tr("（服务器的说明重复了题目，已略去）", "(withheld: the server's message repeats the prompt)")
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"


def _repeats(text: str, prompt: str) -> bool:
    """Whether the two have ``_OVERLAP`` characters in a row in common (a shorter prompt: all of it)."""
    size = min(_OVERLAP, len(prompt))
    if not size:
        return False
    return any(
        text[start : start + size].strip() and text[start : start + size] in prompt
        for start in range(len(text) - size + 1)
    )


def check_status(answer: Answer, context: Context) -> None:
    """Return if the status is 200 and this is no web page; else raise what it means.

    Raises:
        Retry: 408, 425, 429 and 5xx.
        ItemFailed: 400, 413 or 422, unless it speaks of the settings.
        TargetError: everything else.
    """
    status = answer.status
    if status in {408, 425, 429} or (status >= 500 and status not in {501, 505}):
        raise _transient(answer, context)
    if status in {401, 403}:
        raise _forbidden(answer, context)
    if status == 404:
        raise _not_found(answer, context)
    if answer.is_html:
        raise _web_page(answer, context)
    if status in {400, 413, 422}:
        raise _refused(answer, context)
    if status != 200:
        raise _other_status(answer, context)


def _transient(answer: Answer, context: Context) -> Retry:
    after = retry_after(answer.headers.get("Retry-After"))
    if answer.status == 429:
        return Retry(
            after=after,
            throttled=True,
            cause="throttled",
            message=tr(f"{context.endpoint}：请求过多（429）", f"{context.endpoint}: too many requests (429)"),
        )
    said = "" if answer.is_html else excerpt(parse_error(answer.body).message, context)
    return Retry(
        after=after,
        cause=f"http-{answer.status}",
        message=tr(
            f"{context.endpoint}：服务器暂时出错（HTTP {answer.status}）{said}",
            f"{context.endpoint}: the server failed for now (HTTP {answer.status}) {said}".rstrip(),
        ),
    )


def retry_after(value: str | None) -> float | None:
    """Seconds to wait, from a Retry-After header: seconds or an HTTP date (RFC 9110, section 10.2.3).

    Returns: 0 to 3,600; None where there is no such header or it makes no sense.
    """
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", value):
        return min(float(value), _LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(moment - time.time(), 0.0), _LONGEST_WAIT)


def _forbidden(answer: Answer, context: Context) -> TargetError:
    said = "" if answer.is_html else excerpt(parse_error(answer.body).message, context)
    if answer.status == 401:
        what = tr("服务器要求有效的 API 密钥（401）", "the server wants a valid API key (401)")
    else:
        what = tr("服务器拒绝访问（403）", "the server forbids access (403)")
    return TargetError(
        f"{context.endpoint}: {what} {said}".rstrip(),
        remedy=tr(
            "在目标配置中设置 api_key_file（或 headers），并确认该密钥有权使用此模型",
            "set api_key_file (or headers) in the target config, and check that the key may use this model",
        ),
    )


def _not_found(answer: Answer, context: Context) -> TargetError:
    said = "" if answer.is_html else excerpt(parse_error(answer.body).message, context)
    return TargetError(
        tr(
            f"{context.endpoint}：服务器没有此路径或没有模型“{context.model}”（404）{said}",
            f"{context.endpoint}: the server has no such path, or no model {context.model!r} (404) {said}".rstrip(),
        ),
        remedy=tr(
            "核对目标配置中的 path（通常为 /v1）与 model",
            "check path (usually /v1) and model in the target config",
        ),
    )


def _web_page(answer: Answer, context: Context) -> TargetError:
    return TargetError(
        tr(
            f"{context.endpoint}：返回的是网页（HTTP {answer.status}），不是模型的回答",
            f"{context.endpoint}: answers with a web page (HTTP {answer.status}), not with a model's answer",
        ),
        remedy=tr(
            "地址或端口可能属于管理界面、登录页或代理；改用模型服务的 API 地址（通常以 /v1 结尾）",
            "the address may be that of a console, a login page or a proxy; give the model server's API address "
            "(it usually ends in /v1)",
        ),
    )


def _refused(answer: Answer, context: Context) -> ItemFailed | TargetError:
    error = parse_error(answer.body)
    said = excerpt(error.message, context)
    if error.code in _SETTING_CODES or error.param in _OWN_PARAMETERS:
        return _setting_refused(answer, context, error)
    if _TOO_LONG.search(error.message) or error.code == "context_length_exceeded" or answer.status == 413:
        return ItemFailed(
            "context-too-long",
            tr(f"题目超出模型的上下文长度：{said}", f"the prompt is longer than the model's context: {said}"),
        )
    if _FILTERED.search(error.code) or _FILTERED.search(error.message):
        return ItemFailed(
            "content-filter", tr("服务器的内容过滤拒绝了该条目", "the server's content filter refused this item")
        )
    return ItemFailed(
        f"http-{answer.status}",
        tr(
            f"服务器拒绝了该请求（{answer.status}）：{said}",
            f"the server refused this request ({answer.status}): {said}",
        ),
    )


def _setting_refused(answer: Answer, context: Context, error: ErrorBody) -> TargetError:
    said = excerpt(error.message, context)
    return TargetError(
        tr(
            f"{context.endpoint}：服务器不接受设置（{answer.status} {error.code or error.param}）：{said}",
            f"{context.endpoint}: the server does not accept a setting ({answer.status} {error.code or error.param}): "
            f"{said}",
        ),
        field=error.param or None,
        remedy=tr("在目标配置中改正该项", "correct it in the target config"),
    )


def _other_status(answer: Answer, context: Context) -> TargetError:
    if 300 <= answer.status < 400:
        what = tr(
            "服务器要求转到别处；本程序从不跟随重定向", "the server redirects elsewhere; redirects are never followed"
        )
        remedy = tr("直接给出最终地址", "give the final address itself")
    else:
        what = tr("不能使用的状态码", "a status that cannot be used")
        remedy = tr("确认该地址提供 OpenAI 兼容的 /chat/completions", "check that it offers /chat/completions")
    return TargetError(f"{context.endpoint}: {what} (HTTP {answer.status})", remedy=remedy)


def check_whole(answer: Answer, context: Context) -> None:
    """Recognise a body that was cut without a trace.

    Raises:
        Retry: the server said neither length nor chunks, and what came is no whole JSON value.
    """
    if not answer.framed and answer.body.strip() and not answer.body.rstrip().endswith((b"}", b"]")):
        raise connection_lost(context)


def connection_lost(context: Context) -> Retry:
    """The connection ended before the answer did."""
    return Retry(
        cause="connection-lost",
        message=tr(
            f"{context.endpoint}：回答未完，连接已断开", f"{context.endpoint}: the connection closed in mid-answer"
        ),
    )


def timed_out(context: Context, seconds: float) -> Retry:
    """No whole answer within the time allowed."""
    return Retry(
        cause="timeout",
        message=tr(
            f"{context.endpoint}：{seconds:g} 秒内没有完整回答（timeout_s）",
            f"{context.endpoint}: no whole answer within {seconds:g} s (timeout_s)",
        ),
    )


def too_large(context: Context, limit: int) -> ItemFailed:
    """The answer is larger than any answer can honestly be."""
    return ItemFailed(
        "answer-too-large",
        tr(
            f"{context.endpoint}：回答超过 {limit // 2**20} MB",
            f"{context.endpoint}: the answer is over {limit // 2**20} MB",
        ),
    )


def cannot_connect(error: aiohttp.ClientConnectorError, context: Context) -> Retry | TargetError:
    """What a failed connection means; for ``probe`` even the retryable ones stop the run."""
    cause = error.os_error
    if isinstance(cause, ssl.SSLError):
        return tls_failed(cause, context)
    if cause.errno in {errno.EACCES, errno.EPERM}:
        return TargetError(
            tr(f"{context.endpoint}：没有连接权限", f"{context.endpoint}: no permission to connect"),
            remedy=tr(
                "给予本用户对套接字文件的读写权限及对其文件夹的进入权限",
                "let this user read and write the socket file and enter its folder",
            ),
        )
    from aiohttp import ClientConnectorDNSError

    if isinstance(error, ClientConnectorDNSError):
        return TargetError(
            tr(f"{context.endpoint}：主机名无法解析", f"{context.endpoint}: the host name cannot be resolved"),
            remedy=tr("改用 IP 地址，或检查 hosts 文件", "give the IP address, or check the hosts file"),
        )
    return server_down(context, cause.errno)


def server_down(context: Context, code: int | None) -> Retry:
    """Nobody listens there now; a server that is being restarted will be back."""
    if code == errno.ENOENT:
        detail = tr("套接字文件不存在", "the socket file does not exist")
    elif code == errno.ECONNREFUSED:
        detail = tr("连接被拒绝，没有服务器在监听", "connection refused, no server listens there")
    else:
        detail = errno.errorcode.get(code or 0, "error")
    return Retry(
        cause="server-down",
        message=tr(f"{context.endpoint}：无法连接模型服务器：{detail}", f"{context.endpoint}: no connection: {detail}"),
    )


def not_a_socket(context: Context) -> TargetError:
    """The path of a Unix target is a regular file, a folder or the like."""
    return TargetError(
        tr(f"{context.endpoint}：该路径不是套接字", f"{context.endpoint}: that path is not a socket"),
        remedy=tr("给出服务器监听的套接字文件", "give the socket file on which the server listens"),
    )


def not_http(context: Context) -> TargetError:
    """Something answers there, but not in HTTP."""
    return TargetError(
        tr(f"{context.endpoint}：对方说的不是 HTTP", f"{context.endpoint}: what answers there does not speak HTTP"),
        remedy=tr("核对端口；若服务器使用 TLS，改用 https://", "check the port; use https:// if the server speaks TLS"),
    )


def tls_failed(cause: Exception, context: Context) -> TargetError:
    """No trusted TLS connection: unknown issuer, wrong host name, expired, or no TLS at all."""
    detail = getattr(cause, "verify_message", "") or getattr(cause, "reason", None) or type(cause).__name__
    return TargetError(
        tr(f"{context.endpoint}：TLS 连接失败：{detail}", f"{context.endpoint}: TLS failed: {detail}"),
        remedy=tr(
            "在目标配置中以 ca_file 给出签发服务器证书的 CA，并核对地址中的主机名；若服务器不用 TLS，改用 http://",
            "give the CA that issued the server's certificate as ca_file in the target config, and check the host "
            "name; use http:// if the server speaks no TLS",
        ),
    )


def as_target_error(fault: Retry | ItemFailed) -> TargetError:
    """A fault of the first contact, when there is nothing to retry yet: the run does not start."""
    return TargetError(
        fault.message,
        remedy=tr(
            "启动模型服务器并确认地址（--target）与套接字挂载；然后重试",
            "start the model server, check the address (--target) and the socket's mount, then try again",
        ),
    )
