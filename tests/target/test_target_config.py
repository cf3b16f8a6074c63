"""The target config and the target spec: what is understood, and where a mistake is said to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlb_offline.errors import InputError, UsageError
from mlb_offline.target.config import TargetConfig, load_target_config
from mlb_offline.target.opening import open_target

FULL = """
model = "qwen"
api_key_file = "key"
ca_file = "/etc/ca.pem"
path = "/openai/v1"
timeout_s = 30
temperature = 0.2
max_tokens = 10
seed = 7
top_p = 0.5
context = 4096
threads = 2
[headers]
X-Ward = "7"
[extra]
repeat_penalty = 1.0
chat_template_kwargs = { enable_thinking = false }
"""


def test_no_file_means_the_defaults() -> None:
    parameters = load_target_config(None).parameters()
    assert (parameters.temperature, parameters.max_tokens, parameters.seed, parameters.top_p) == (0.0, 2048, 0, 1.0)


def test_every_key_is_read_and_paths_are_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text(FULL)
    config = load_target_config(file)
    assert config.api_key_file == tmp_path / "key"
    assert config.ca_file == Path("/etc/ca.pem")
    assert config.extra["chat_template_kwargs"] == {"enable_thinking": False}
    assert config.parameters().to_json()["max_tokens"] == 10
    assert set(config.model_fields_set) == set(TargetConfig.model_fields)


@pytest.mark.parametrize(
    ("text", "field", "line"),
    [
        ("modell = 'x'", "modell", 1),
        ("model = 5", "model", 1),
        ("temperature = -1", "temperature", 1),
        ("temperature = nan", "temperature", 1),
        ("timeout_s = 0", "timeout_s", 1),
        ("max_tokens = '9'", "max_tokens", 1),
        ("seed = -1", "seed", 1),
        ("path = 'v1'", "path", 1),
        ("api_key_file = 3", "api_key_file", 1),
        ("[headers]\nHost = 'x'", "headers", 1),
        ("[headers]\n'bad name' = 'x'", "headers", 1),
        ('[headers]\nX-A = "a\\nb"', "headers", 1),
        ("[headers]\nX-A = '1'\nx-a = '2'", "headers", 1),
        ("[extra]\nmodel = 'x'", "extra", 1),
        ("[extra]\nstream = true", "extra", 1),
        ("[extra]\nwhen = 2026-01-01", "extra", 1),
        ("[extra]\nx = [inf]", "extra", 1),
        ("[extra]\nx = 9007199254740993", "extra", 1),
        ("[extra]\na = { api_key = 'x' }", "extra", 1),
        ("model = 'a'\nmodel = 'b'\n", None, 2),
        ("a = 1\n\n= 2", None, 3),
    ],
)
def test_a_mistake_is_said_with_file_field_and_line(
    tmp_path: Path, text: str, field: str | None, line: int | None
) -> None:
    file = tmp_path / "t.toml"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        load_target_config(file)
    assert (error.value.file, error.value.field, error.value.line) == (str(file), field, line)
    assert error.value.remedy


def test_unreadable_config_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_target_config(tmp_path / "none.toml")
    (tmp_path / "t.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        load_target_config(tmp_path / "t.toml")


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "model.gguf",
        "unix:",
        "gguf:",
        "ftp://x/v1",
        "onnx:folder",
        "http://",
        "http://:8000/v1",
        "http://127.0.0.1:99999/v1",
        "http://user:pw@127.0.0.1:8000/v1",
        "http://127.0.0.1:8000/v1?key=x",
        "unix:/" + "x" * 120,
    ],
)
def test_what_is_no_target(spec: str) -> None:
    with pytest.raises(UsageError) as error:
        open_target(spec, TargetConfig())
    assert error.value.field == "--target"
    assert error.value.remedy
    assert "pw@" not in error.value.diagnostics()


def test_onnx_says_that_it_is_not_in_this_version() -> None:
    with pytest.raises(UsageError, match="not in this version"):
        open_target("onnx:folder", TargetConfig())


@pytest.mark.parametrize(
    ("spec", "options", "endpoint"),
    [
        ("unix:/run/m.sock", {}, "unix:/run/m.sock"),
        ("http://127.0.0.1:8000", {}, "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", {"path": "/api/"}, "http://127.0.0.1:8000/api"),
        ("http://127.0.0.1:8000/v1/", {"path": "/v1"}, "http://127.0.0.1:8000/v1"),
        ("https://model.ward/x/v1", {}, "https://model.ward/x/v1"),
        ("http://[::1]:8000/v1", {}, "http://[::1]:8000/v1"),
    ],
)
def test_where_the_api_begins(spec: str, options: dict[str, Any], endpoint: str) -> None:
    assert open_target(spec, TargetConfig(**options)).description["endpoint"] == endpoint


@pytest.mark.parametrize(
    ("spec", "options", "field"),
    [
        ("http://127.0.0.1:1/v1", {"path": "/v2"}, "path"),
        ("http://127.0.0.1:1/v1", {"ca_file": Path("ca")}, "ca_file"),
        ("unix:/run/m.sock", {"ca_file": Path("ca")}, "ca_file"),
        ("unix:/run/m.sock", {"api_key_file": Path("k"), "headers": {"Authorization": "x"}}, "headers.Authorization"),
    ],
)
def test_spec_and_config_must_agree(spec: str, options: dict[str, Any], field: str) -> None:
    with pytest.raises(UsageError) as error:
        open_target(spec, TargetConfig(**options))
    assert error.value.field == field


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"a\nb", "密钥".encode()])
def test_key_file_holds_one_key(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(InputError) as error:
        open_target("unix:/run/m.sock", TargetConfig(api_key_file=tmp_path / "key"))
    assert error.value.field == "api_key_file"


def test_missing_key_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="API key file cannot be read"):
        open_target("unix:/run/m.sock", TargetConfig(api_key_file=tmp_path / "none"))


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff"]
)
def test_ca_file_holds_certificates(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ca").write_bytes(content)
    with pytest.raises(InputError, match="no PEM certificates"):
        open_target("https://127.0.0.1:1/v1", TargetConfig(ca_file=tmp_path / "ca"))
