"""A server that misbehaves: each fault has its own class, code and message."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from target_questions import PROMPT, QUESTION

from mlb_offline.demo.scripted import Reply, ScriptedServer
from mlb_offline.errors import MlbError, TargetError
from mlb_offline.language import set_language
from mlb_offline.target import transport
from mlb_offline.target.config import TargetConfig
from mlb_offline.target.faults import Context, cannot_connect, excerpt, retry_after, server_down
from mlb_offline.target.opening import open_target
from mlb_offline.target.types import ItemFailed, Question, Retry


def fault_of(spec: str, call: str = "ask", **options: Any) -> MlbError | Retry | ItemFailed:
    """What asking (or probing) the target raises."""

    async def go() -> MlbError | Retry | ItemFailed:
        target = open_target(spec, TargetConfig(**{"model": "m", "timeout_s": 5.0} | options))
        try:
            await (target.probe() if call == "probe" else target.ask(QUESTION))
        except (MlbError, Retry, ItemFailed) as fault:
            return fault
        finally:
            await target.close()
        raise AssertionError("no fault")

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("reply", "cause", "after"),
    [
        (Reply(status=429, headers={"Retry-After": "2"}), "throttled", 2.0),
        (Reply(status=429), "throttled", None),
        (Reply(status=503, headers={"Retry-After": "99999"}), "http-503", 3600.0),
        (Reply("overloaded", status=500), "http-500", None),
        (Reply(status=500, body="Internal Server Error", content_type="text/plain"), "http-500", None),
        (Reply(status=500, body='["sad"]'), "http-500", None),
        (Reply(status=502, body="<html>bad gateway</html>", content_type="text/html"), "http-502", None),
        (Reply(status=504), "http-504", None),
        (Reply(status=408), "http-408", None),
        (Reply(drop="before"), "connection-lost", None),
        (Reply("很长的回答" * 50, drop="middle"), "connection-lost", None),
        (Reply(body='{"choices": [{"message": {"content": "A', unframed=True), "connection-lost", None),
        (Reply(delay=3), "timeout", None),
    ],
)
def test_faults_of_the_moment_are_asked_again(ask: Any, reply: Reply, cause: str, after: float | None) -> None:
    with pytest.raises(Retry) as retry:
        ask(reply, timeout_s=0.3)
    assert (retry.value.cause, retry.value.after) == (cause, after)
    assert retry.value.throttled is (cause == "throttled")
    assert retry.value.message != retry.value.cause


def test_throttled_server_answers_in_the_end(unix: Path | None) -> None:
    script = {PROMPT: Reply("B", first=2, meanwhile=Reply(status=429))}

    async def go() -> tuple[list[str], int]:
        seen = []
        async with ScriptedServer(script, unix=unix) as server:
            target = open_target(server.target, TargetConfig(model="scripted"))
            for _ in range(3):
                try:
                    seen.append((await target.ask(QUESTION)).text)
                except Retry as retry:
                    seen.append(retry.cause)
            await target.close()
            return seen, server.asked[PROMPT]

    assert asyncio.run(go()) == (["throttled", "throttled", "B"], 3)


_TOO_LONG = "This model's maximum context length is 8192 tokens. However, you requested 9148 tokens"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(_TOO_LONG, status=400), "context-too-long"),
        (Reply("the request exceeds the available context size", status=400), "context-too-long"),
        (Reply("", status=400, code="context_length_exceeded"), "context-too-long"),
        (Reply("", status=413), "context-too-long"),
        (Reply("refused", status=400, code="content_filter"), "content-filter"),
        (Reply("whatever", status=400), "http-400"),
        (Reply(status=422, body='{"detail": [{"loc": ["body", "n"], "msg": "bad", "input": "x"}]}'), "http-422"),
    ],
)
def test_refused_request_fails_its_item(ask: Any, reply: Reply, reason: str) -> None:
    with pytest.raises(ItemFailed) as failed:
        ask(reply)
    assert failed.value.reason == reason
    assert failed.value.message != reason


@pytest.mark.parametrize(
    ("reply", "message", "remedy"),
    [
        (Reply("no such key", status=401), "wants a valid API key .401. no such key", "api_key_file"),
        (Reply("not you", status=403), "forbids access .403. not you", "api_key_file"),
        (Reply("no route", status=404), "no such path, or no model 'scripted' .404. no route", "path"),
        (Reply(status=404, body="<html>404</html>", content_type="text/html"), "no such path", "path"),
        (Reply(body="<html>login</html>", content_type="text/html"), "web page", "API address"),
        (Reply(body="  <!DOCTYPE html><p>hi", content_type="text/plain"), "web page", "API address"),
        (Reply("gone", status=301, headers={"Location": "/v2"}), "redirects are never followed", "final address"),
        (Reply("teapot", status=418), "HTTP 418", "chat/completions"),
        (Reply("not allowed", status=405), "HTTP 405", "chat/completions"),
        (Reply("unknown", status=400, code="model_not_found"), "does not accept a setting", "target config"),
        (Reply(status=400, body='{"error": {"message": "0-1", "param": "top_p"}}'), "400 top_p", "target config"),
        (Reply(body=""), "empty body", "log"),
        (Reply(body=" \n"), "empty body", "log"),
        (Reply(body="not json"), "not valid JSON .Expecting value @0.", "streaming"),
        (Reply(body="data: {}\n\ndata: [DONE]\n", content_type="text/event-stream"), "not valid JSON", "streaming"),
        (Reply(body="[" * 100_000), "not valid JSON", "streaming"),
        (Reply(body='{"choices": ["half'), "not valid JSON", "streaming"),
        (Reply(body='{"error": {"message": "out of memory"}}'), "200 with an error: out of memory", "log"),
        (Reply(body='{"error": "sad"}'), "200 with an error: sad", "log"),
        (Reply(body='{"object": "x"}'), r"choices of the answer .* \(absent\)", "OpenAI-compatible"),
        (Reply(body='{"choices": []}'), r"\(an empty list\)", "OpenAI-compatible"),
        (Reply(body='{"choices": {}}'), r"\(object\)", "OpenAI-compatible"),
        (Reply(body='["choices"]'), r"\$ of the answer .* \(array\)", "OpenAI-compatible"),
        (Reply(body='{"choices": [{"text": "A"}]}'), r"choices\[0\].message .* \(null\)", "OpenAI-compatible"),
        (Reply(body='{"choices": [{"message": {}}]}'), r"message.content .* \(absent\)", "OpenAI-compatible"),
        (Reply(body='{"choices": [{"message": {"content": 5}}]}'), r"\(number\)", "OpenAI-compatible"),
        (Reply(body='{"choices": [{"message": {"content": [{"text": "A"}]}}]}'), r"\(array\)", "OpenAI-compatible"),
    ],
)
def test_wrong_server_or_setting_stops_the_run(ask: Any, reply: Reply, message: str, remedy: str) -> None:
    with pytest.raises(TargetError, match=message) as error:
        ask(reply)
    assert remedy in error.value.remedy


def test_every_message_exists_in_chinese(ask: Any) -> None:
    set_language("zh")
    with pytest.raises(TargetError, match="网页"):
        ask(Reply(body="<html>"))
    with pytest.raises(Retry, match="秒内没有完整回答"):
        ask(Reply(delay=3), timeout_s=0.2)
    with pytest.raises(ItemFailed, match="超出模型的上下文长度"):
        ask(Reply(_TOO_LONG, status=400))


def test_oversized_answer_fails_its_item(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY", 100_000)
    assert len(ask("a" * 90_000).text) == 90_000
    with pytest.raises(ItemFailed) as failed:
        ask("a" * 200_000)
    assert failed.value.reason == "answer-too-large"


def test_server_that_refuses_every_first_request_stops_the_run(unix: Path | None) -> None:
    async def go(good_first: bool) -> list[str]:
        script = lambda prompt, _before: "A" if prompt == "good" else Reply("no", status=400)  # noqa: E731
        seen = []
        async with ScriptedServer(script, unix=unix) as server:
            target = open_target(server.target, TargetConfig(model="scripted"))
            if good_first:
                await target.ask(Question("CMExam", "0", "good", 0))
            for number in range(12):
                try:
                    await target.ask(Question("CMExam", "1", f"bad {number}", 0))
                except (ItemFailed, TargetError) as fault:
                    seen.append(type(fault).__name__)
            await target.close()
        return seen

    assert asyncio.run(go(good_first=False)) == ["ItemFailed"] * 9 + ["TargetError"] * 3
    assert asyncio.run(go(good_first=True)) == ["ItemFailed"] * 12


def test_message_that_repeats_the_prompt_or_a_key_is_not_shown(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-very-secret")
    with pytest.raises(ItemFailed) as failed:
        ask(Reply(f"cannot answer: {PROMPT[3:15]}", status=400))
    assert PROMPT[3:15] not in failed.value.message
    assert "withheld" in failed.value.message
    with pytest.raises(TargetError, match=r"wrong key \*\*\*"):
        ask(Reply("wrong key sk-very-secret", status=401), api_key_file=tmp_path / "key")


def test_probe_tells_of_a_server_that_is_down(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        spec = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        down = fault_of(spec, "probe")
    assert isinstance(down, TargetError)
    assert "connection refused" in down.message
    missing = fault_of(f"unix:{tmp_path}/none", "probe")
    assert isinstance(missing, TargetError)
    assert "the socket file does not exist" in missing.message
    assert isinstance(fault_of(f"unix:{tmp_path}/none"), Retry)


def test_socket_left_by_a_dead_server_refuses(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    fault = fault_of(f"unix:{tmp_path}/dead")
    assert isinstance(fault, Retry)
    assert fault.cause == "server-down"
    assert "no server listens" in fault.message


def test_path_that_is_no_socket(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    fault = fault_of(f"unix:{tmp_path}/file")
    assert isinstance(fault, TargetError)
    assert "not a socket" in fault.message


_AS_NOBODY = """
import asyncio, os, sys
from mlb_offline.target.opening import open_target
from mlb_offline.target.config import TargetConfig
from mlb_offline.errors import TargetError
async def go(path):
    target = open_target("unix:" + path, TargetConfig(model="m"))
    try:
        await target.probe()
    except TargetError as error:
        return error.diagnostics()
    finally:
        await target.close()
asyncio.run(go("/nonexistent/socket"))  # everything is imported while it can still be read
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
print(asyncio.run(go(sys.argv[1])))
"""


def test_socket_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0)
        for folder in (tmp_path, *tmp_path.parents[:2]):  # pytest keeps its folders to itself
            if folder.stat().st_uid == os.getuid() and "pytest" in str(folder):
                folder.chmod(0o755)
        said = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, str(path)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
        ).stdout
    assert "no permission to connect" in said
    assert "read and write the socket file" in said


def test_what_speaks_no_http(tmp_path: Path) -> None:
    async def go() -> None:
        async def babble(_reader: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail ready\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_unix_server(babble, tmp_path / "s"):
            target = open_target(f"unix:{tmp_path}/s", TargetConfig(model="m"))
            try:
                await target.ask(QUESTION)
            finally:
                await target.close()

    with pytest.raises(TargetError, match="does not speak HTTP"):
        asyncio.run(go())


def test_any_other_failure_to_connect_is_named() -> None:
    assert "EHOSTUNREACH" in server_down(Context("e", "m"), errno.EHOSTUNREACH).message
    assert server_down(Context("e", "m"), None).cause == "server-down"


def test_unknown_host_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_host(*_arguments: Any, **_options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    fault = fault_of("http://model.ward.internal:8000/v1")
    assert isinstance(fault, TargetError)
    assert "host name cannot be resolved" in fault.message


def _certificate(folder: Path, name: str, host: str) -> tuple[Path, Path]:
    """A self-signed certificate for the host, and its key, as PEM files."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, key_pem


def test_tls_needs_the_right_ca_and_host(tmp_path: Path) -> None:
    pem, key = _certificate(tmp_path, "server", "127.0.0.1")
    elsewhere, elsewhere_key = _certificate(tmp_path, "elsewhere", "127.0.0.9")

    async def go(certificate: Path, key: Path, ca: Path | None, scheme: str = "https") -> str:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        async with ScriptedServer({"": "A"}, tls=tls) as server:
            spec = server.target.replace("https", scheme)
            target = open_target(spec, TargetConfig(model="scripted", ca_file=ca))
            try:
                return (await target.ask(QUESTION)).text
            finally:
                await target.close()

    assert asyncio.run(go(pem, key, pem)) == "A"
    with pytest.raises(TargetError, match="TLS failed: self-signed certificate") as error:
        asyncio.run(go(pem, key, None))
    assert "ca_file" in error.value.remedy
    with pytest.raises(TargetError, match="TLS failed: IP address mismatch"):
        asyncio.run(go(elsewhere, elsewhere_key, elsewhere))
    with pytest.raises((TargetError, Retry)):
        asyncio.run(go(pem, key, None, scheme="http"))


def test_tls_failure_within_the_handshake_is_told() -> None:
    inner = ssl.SSLError(1, "unexpected eof")
    error = SimpleNamespace(os_error=inner)
    fault = cannot_connect(error, Context("https://h/v1", "m"))  # type: ignore[arg-type]
    assert isinstance(fault, TargetError)
    assert "TLS failed" in fault.message


def test_plain_server_asked_for_tls() -> None:
    async def go() -> None:
        async with ScriptedServer({"": "A"}) as server:
            target = open_target(server.target.replace("http", "https"), TargetConfig(model="scripted"))
            try:
                await target.ask(QUESTION)
            finally:
                await target.close()

    with pytest.raises(TargetError, match="TLS failed") as error:
        asyncio.run(go())
    assert "http://" in error.value.remedy


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply("loading model", status=503), "HTTP 503.*loading model"),
        (Reply(body="<html>welcome", content_type="text/html"), "web page"),
        (Reply(body="<html>nothing", status=404, content_type="text/html"), "no such path"),
        (Reply(body="?"), "not valid JSON"),
        (Reply(delay=2), "no whole answer within 0.3 s"),
    ],
)
def test_probe_stops_on_what_a_question_would_retry(probe: Any, reply: Reply, message: str) -> None:
    with pytest.raises(TargetError, match=message) as error:
        probe({"models_reply": reply}, model="scripted", timeout_s=0.3)
    assert error.value.remedy


def test_retry_after_understands_dates() -> None:
    soon = retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True))
    assert soon is not None
    assert 80 < soon <= 90
    assert retry_after(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0
    assert retry_after("Wed, 99 Foo 2026") is None
    assert retry_after(None) is None


@given(st.text(max_size=60))
def test_retry_after_is_none_or_within_an_hour(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or 0 <= seconds <= 3600


@given(st.text(max_size=300), st.text(min_size=8, max_size=60), st.text(max_size=300))
def test_excerpt_is_one_short_line_without_the_prompt(before: str, prompt: str, after: str) -> None:
    shown = excerpt(before + prompt + after, Context("e", "m", prompt))
    assert len(shown) <= 200
    assert shown.isprintable()
    assert prompt.strip() not in shown or len(prompt.split()) != 1


def test_excerpt_of_a_huge_message_is_short() -> None:
    assert len(excerpt("x" * 5_000_000, Context("e", "m", "y" * 100_000))) == 200
