"""The target config (TOML): what to send to the model under test beside the question.

Every key is in docs/targets.md. Paths are relative to the folder of the config file.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mlb_offline.configuration import load_toml
from mlb_offline.language import tr
from mlb_offline.target.types import Parameters

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110 section 5.6.2
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_OWN_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding", "cookie"}
)
_OWN_MEMBERS = frozenset(
    {"model", "messages", "stream", "n", "temperature", "max_tokens", "seed", "top_p", "tools", "functions"}
)
_SECRET = re.compile(r"auth|cookie|credential|key|passw|secret|session|signature|token", re.IGNORECASE)
_TOML_LINE = re.compile(r"at line (\d+)")


def looks_secret(name: str) -> bool:
    """Whether a header or member of that name is likely to hold a secret."""
    return _SECRET.search(name) is not None


class TargetConfig(BaseModel):
    """The checked content of a target config; every key has a default.

    Attributes:
        model: name to ask the server for; None takes the only one that the server offers.
        api_key_file: file whose only line is sent as ``Authorization: Bearer ...``.
        headers: further request headers.
        ca_file: PEM certificates to trust for https instead of the system's.
        path: where the API begins on the server; None: ``/v1``, or the path of the URL.
        timeout_s: seconds for one whole request, servers only.
        temperature, max_tokens, seed, top_p, extra: as in ``Parameters``.
        context: tokens of context for ``gguf:`` (at most what the model was trained for).
        threads: CPU threads for ``gguf:``; 0 for all cores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    api_key_file: Path | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    ca_file: Path | None = None
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] | None = None
    timeout_s: float = Field(default=600.0, gt=0, le=86_400)
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_tokens: int = Field(default=2048, ge=1, le=1_000_000)
    seed: int = Field(default=0, ge=0, lt=2**31)
    top_p: float = Field(default=1.0, gt=0, le=1)
    extra: dict[str, Any] = Field(default_factory=dict)
    context: int = Field(default=8192, ge=256, le=2**20)
    threads: int = Field(default=0, ge=0, le=1024)

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(tr(f"请求头 {name!r} 的名称或值无效", f"header {name!r} has an invalid name or value"))
            if name.lower() in _OWN_HEADERS:
                raise ValueError(tr(f"请求头 {name} 由程序自行设置", f"header {name} is set by the program itself"))
        if len({name.lower() for name in headers}) != len(headers):
            raise ValueError(tr("请求头重复", "a header is given twice"))
        return headers

    @field_validator("extra")
    @classmethod
    def _extra_is_free(cls, extra: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(_OWN_MEMBERS & set(extra))
        if taken:
            raise ValueError(
                tr(f"extra 不得含 {taken}：另有专用键", f"extra cannot hold {taken}: they are set elsewhere")
            )
        _require_json(extra, "extra")
        return extra

    def parameters(self) -> Parameters:
        """The generation parameters alone."""
        return Parameters(self.temperature, self.max_tokens, self.seed, self.top_p, dict(self.extra))


def _require_json(value: Any, where: str) -> None:
    """Refuse what TOML has and JSON has not (dates, inf, nan), and names under which secrets would be published."""
    if isinstance(value, dict):
        for key, member in value.items():
            if looks_secret(key) and isinstance(member, str):
                raise ValueError(
                    tr(f"{where}.{key} 像是密钥；请放入请求头", f"{where}.{key} looks like a secret; put it in headers")
                )
            _require_json(member, f"{where}.{key}")
    elif isinstance(value, list):
        for member in value:
            _require_json(member, where)
    elif not _is_json_scalar(value):
        raise ValueError(tr(f"{where}：JSON 无法表示 {value}", f"{where}: JSON cannot hold {value}"))


def _is_json_scalar(value: Any) -> bool:
    """Whether RFC 8785 can write it: no inf or nan, and integers that a double holds exactly."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**53)


def load_target_config(path: Path | None) -> TargetConfig:
    """Read a target config; without a file, the defaults.

    Raises:
        InputError: the file cannot be read, is no TOML, or a key is unknown or has a wrong value.
    """
    if path is None:
        return TargetConfig()
    folder = path.absolute().parent

    def from_its_folder(raw: dict[str, Any]) -> None:
        for key in ("api_key_file", "ca_file"):
            if isinstance(raw.get(key), str):
                raw[key] = folder / raw[key]

    return load_toml(
        TargetConfig,
        path,
        what=tr("目标配置", "target config"),
        remedy=tr("可用的键见 docs/targets.md", "the keys are listed in docs/targets.md"),
        adjust=from_its_folder,
    )
