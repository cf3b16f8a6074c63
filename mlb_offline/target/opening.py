"""From a target spec and a config to a target that can be asked."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import Any

from mlb_offline.airgap.network import require_short
from mlb_offline.errors import InputError, UsageError
from mlb_offline.language import tr
from mlb_offline.regular_file import read_at_most
from mlb_offline.target.config import TargetConfig, looks_secret
from mlb_offline.target.transport import Endpoint
from mlb_offline.target.types import Target

_DEFAULT_PATH = "/v1"
_FORMS = "unix:/run/model.sock, http://127.0.0.1:8000/v1, gguf:FILE, answers:FILE.jsonl"


def open_target(spec: str, config: TargetConfig) -> Target:
    """Open the target that the spec names.

    Args:
        spec: ``unix:PATH``, ``http(s)://HOST:PORT/PATH``, ``gguf:FILE`` or ``answers:FILE.jsonl``.
        config: checked target config; files that it names are read here.

    Raises:
        UsageError: no such kind of target, or spec and config contradict each other.
        InputError: a file (model, answers, key, CA) cannot be read or is not what it must be.
    """
    kind, _, rest = spec.partition(":")
    if kind in {"http", "https"}:
        return _open_tcp(spec, config)
    if not rest:
        raise _unknown(spec)
    if kind == "unix":
        return _open_unix(rest, config)
    if kind == "gguf":
        from mlb_offline.target.gguf import open_gguf

        return open_gguf(Path(rest), config)
    if kind == "answers":
        from mlb_offline.target.answers import open_answers

        return open_answers(Path(rest))
    raise _unknown(spec)


def _unknown(spec: str) -> UsageError:
    if spec.startswith("onnx:"):
        message = tr("此版本还不支持 onnx: 目标", "onnx: targets are not in this version")
    else:
        message = tr(f"无法识别的目标“{spec}”", f"not a target: {spec!r}")
    return UsageError(message, field="--target", remedy=tr(f"可用的形式：{_FORMS}", f"the forms are: {_FORMS}"))


def _open_unix(path: str, config: TargetConfig) -> Target:
    socket = str(Path(path).absolute())
    require_short(path, field="--target")
    if config.ca_file is not None:
        raise UsageError(
            tr("ca_file 只用于 https 目标", "ca_file goes with https targets only"),
            field="ca_file",
            remedy=tr("从目标配置中删去 ca_file", "take ca_file out of the target config"),
        )
    base = "http://localhost" + (config.path or _DEFAULT_PATH).rstrip("/")
    return _open_server(f"unix:{socket}", base, socket, config)


def _open_tcp(spec: str, config: TargetConfig) -> Target:
    from yarl import URL

    try:
        url = URL(spec)
        valid = bool(url.host) and url.port is not None
    except ValueError:
        valid = False
    if not valid or url.query_string or url.fragment or url.user is not None or url.password is not None:
        raise UsageError(
            tr(f"目标地址无效：{_without_login(spec)}", f"not a target address: {_without_login(spec)}"),
            field="--target",
            remedy=tr(
                "形如 http://127.0.0.1:8000/v1；密钥放入 api_key_file，不放在地址里",
                "as in http://127.0.0.1:8000/v1; a key goes into api_key_file, not into the address",
            ),
        )
    path = url.raw_path.rstrip("/")
    if path and config.path is not None and config.path.rstrip("/") != path:
        raise UsageError(
            tr(
                f"地址中的路径 {path} 与配置中的 {config.path} 不同",
                f"the address has path {path}, the config {config.path}",
            ),
            field="path",
            remedy=tr("只在一处给出路径", "give the path in one of the two"),
        )
    if config.ca_file is not None and url.scheme != "https":
        raise UsageError(
            tr("ca_file 只用于 https 目标", "ca_file goes with https targets only"),
            field="ca_file",
            remedy=tr("使用 https:// 地址，或删去 ca_file", "use an https:// address, or take ca_file out"),
        )
    path = path or (config.path or _DEFAULT_PATH).rstrip("/")
    base = f"{url.origin()}{path}"
    return _open_server(base, base, None, config)


def _without_login(spec: str) -> str:
    scheme, _, rest = spec.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _open_server(shown: str, base: str, socket: str | None, config: TargetConfig) -> Target:
    from mlb_offline.target.openai import OpenAITarget

    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "mlb-offline",
        **config.headers,
    }
    secrets = [value for name, value in config.headers.items() if looks_secret(name) and value]
    if config.api_key_file is not None:
        if any(name.lower() == "authorization" for name in config.headers):
            raise UsageError(
                tr(
                    "api_key_file 与 Authorization 请求头重复",
                    "api_key_file and an Authorization header are both given",
                ),
                field="headers.Authorization",
                remedy=tr("保留其一", "keep one of the two"),
            )
        key = _read_key(config.api_key_file)
        headers["Authorization"] = f"Bearer {key}"
        secrets.append(key)
    tls, ca_sha256 = (None, None) if config.ca_file is None else _read_ca(config.ca_file)
    endpoint = Endpoint(
        shown=shown,
        base=base,
        socket=socket,
        tls=tls,
        headers=headers,
        secrets=tuple(secrets),
        timeout_s=config.timeout_s,
    )
    return OpenAITarget(endpoint, config.model, config.parameters(), _digest(base, config, ca_sha256))


def _digest(base: str, config: TargetConfig, ca_sha256: str | None) -> str:
    """SHA-256 (hex) of the canonical JSON of what the config changes in a request and is no secret.

    The key, and values of headers that look secret, may be renewed between a run and its resume; so may the time
    limit. Names of such headers count.
    """
    import rfc8785

    public: dict[str, Any] = {
        "path": base.partition("://")[2].partition("/")[2],
        "headers": {
            name.lower(): "(secret)" if looks_secret(name) else value for name, value in config.headers.items()
        },
        "ca_sha256": ca_sha256,
    }
    return hashlib.sha256(rfc8785.dumps(public)).hexdigest()


def _read_key(path: Path) -> str:
    content = _read(path, tr("API 密钥文件", "the API key file"))
    try:
        key = content.decode("ascii").strip()
    except UnicodeDecodeError:
        key = ""
    if not key or not key.isprintable() or " " in key:
        raise InputError(
            tr("API 密钥文件应恰有一行可打印的 ASCII 字符", "the API key file must hold one line of printable ASCII"),
            file=path,
            field="api_key_file",
            remedy=tr("只写入密钥本身", "write the key into it and nothing else"),
        )
    return key


def _read_ca(path: Path) -> tuple[ssl.SSLContext, str]:
    content = _read(path, tr("CA 文件", "the CA file"))
    try:
        text = content.decode("ascii")
        if "-----BEGIN CERTIFICATE-----" not in text:  # an empty cadata would mean the system's own trust
            raise ValueError
        return ssl.create_default_context(cadata=text), hashlib.sha256(content).hexdigest()
    except (ssl.SSLError, UnicodeDecodeError, ValueError):
        raise InputError(
            tr("CA 文件不是 PEM 证书", "the CA file holds no PEM certificates"),
            file=path,
            field="ca_file",
            remedy=tr(
                "给出 PEM 格式（-----BEGIN CERTIFICATE-----）的 CA 证书", "give the CA's certificate in PEM form"
            ),
        ) from None


def _read(path: Path, what: str) -> bytes:
    try:
        return read_at_most(path, 1 << 20)
    except OSError as error:
        raise InputError(
            tr(f"无法读取{what}：{error.strerror}", f"{what} cannot be read: {error.strerror}"),
            file=path,
            remedy=tr("检查路径与权限", "check the path and its permissions"),
        ) from None
