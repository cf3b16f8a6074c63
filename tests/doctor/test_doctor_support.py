"""The support file helps somebody elsewhere and tells nothing that must stay in the house."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import stat
from pathlib import Path

import pytest
from doctor_setup import House, doctor
from hypothesis import given
from hypothesis import strategies as st

from mlb_offline.doctor.options import Options
from mlb_offline.doctor.scrub import Scrubber, scrubber

PLAIN = Scrubber((), (("ward7", "(host)"), ("alice", "(user)")))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("chmod 600 /data/keys/hospital.key.json", "chmod 600 hospital.key.json"),
        ("/data/x.toml:12: field model: wrong", "x.toml:12: field model: wrong"),
        ("文件/data/x/k.json：无法读取", "文件k.json：无法读取"),
        ("用 --resume /srv/run 继续它，或换一个", "用 --resume run 继续它，或换一个"),
        ("unix:/run/model.sock: refused", "unix:model.sock: refused"),
        ("~/.local/state/mlb-offline: ok", "mlb-offline: ok"),
        ("at /data/keys/", "at keys"),
        ("the model Qwen/Qwen3-8B and/or 1/2", "the model Qwen/Qwen3-8B and/or 1/2"),
        ("http://user:secret@10.1.2.3:8000/v1: no", "http://(address):8000/v1: no"),
        ("https://model.hospital.internal:8000/v1", "https://(address):8000/v1"),
        ("http://[fe80::1]:80/v1", "http://(address):80/v1"),
        ("target (192.168.1.20), fd00::17 and ::1", "target ((address)), (address) and (address)"),
        ("at 2026-11-24T06:02:14Z, version 0.3.36", "at 2026-11-24T06:02:14Z, version 0.3.36"),
        ("alice on ward7: malice", "(user) on (host): malice"),
    ],
)
def test_paths_addresses_and_names_are_taken_out(text: str, left: str) -> None:
    assert PLAIN.text(text) == left


def test_the_programs_name_stays_readable_where_its_user_is_called_the_same() -> None:
    assert Scrubber((), (("mlb", "(user)"),)).text("mlb-offline run as mlb") == "mlb-offline run as (user)"


def test_a_folder_with_odd_characters_is_taken_out_where_it_was_named(tmp_path: Path) -> None:
    odd = tmp_path / "张三 (信息科)" / "my keys"
    clean = scrubber(Options(key=odd / "k.json", trust=(odd,)))
    assert clean.text(f"{odd / 'k.json'}: wrong; {odd / 'x.crt'}: {odd}") == "k.json: wrong; x.crt: my keys"
    assert clean.text(f"{odd.parent} is not a folder") == "张三 (信息科) is not a folder"


def test_a_relative_path_is_reduced_too() -> None:
    clean = scrubber(Options(key=Path("keys/ward/k.json"), target="unix:run/m.sock"))
    assert clean.text("keys/ward/k.json: wrong, unix:run/m.sock") == "k.json: wrong, unix:m.sock"


def test_the_host_of_a_target_is_taken_out_by_name() -> None:
    assert scrubber(Options(target="http://gpu-01.ward:80/v1")).text("a TCP target (gpu-01.ward)") == (
        "a TCP target ((address))"
    )


def test_every_text_in_a_value_is_scrubbed() -> None:
    value = {"a": ["/x/y", {"b": "alice"}], "n": 1, "none": None}
    assert PLAIN.value(value) == {"a": ["y", {"b": "(user)"}], "n": 1, "none": None}


_PART = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)


@given(st.lists(_PART, min_size=2, max_size=5))
def test_no_folder_of_an_absolute_path_is_left(parts: list[str]) -> None:
    assert PLAIN.text(f"see /{'/'.join(['Zq9', *parts])} now") == PLAIN.text(f"see {parts[-1]} now")


def texts(value: object) -> list[str]:
    """Every text in a JSON value; names of members are the program's own."""
    if isinstance(value, dict):
        return [text for member in value.values() for text in texts(member)]
    if isinstance(value, list):
        return [text for member in value for text in texts(member)]
    return [value] if isinstance(value, str) else []


def test_the_file_holds_what_helps_and_nothing_else(house: House, tmp_path: Path) -> None:
    support = tmp_path / "support.json"
    words = ["--bundle", house.bundle, "--trust", house.trust, "--key", house.key]
    words += ["--target", f"unix:{tmp_path / 'no.sock'}", "--out", tmp_path / "run", "--state", tmp_path / "state"]
    told = doctor(*words, "--support-file", support, "--json", MLB_WHISPER="zx-environment-value")
    assert told.code == 5
    assert stat.S_IMODE(support.stat().st_mode) == 0o600
    text = support.read_text(encoding="utf-8")
    content = json.loads(text)
    assert content["format"] == "mlb-offline/support/v1"
    assert content["kernel"] == os.uname().release
    assert content["packages"]["cryptography"]
    assert content["memory"]["total"] > 0
    assert content["cpu"]["cores"] >= 1
    assert content["egress"]["mode"] == "unix-only"
    assert {one["id"] for one in content["findings"]} >= {"target.answers", "bundle.verified", "key.opened"}
    # No absolute path, and no folder of any path that was named.
    assert [value for value in texts(content) if re.search(r"(^|[^A-Za-z0-9])/[^ ]", value)] == []
    assert tmp_path.name not in text
    assert house.folder.name not in text
    for name in {socket.gethostname(), pwd.getpwuid(os.getuid()).pw_name}:
        word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
        assert [value for value in texts(content) if word.search(value)] == []
    assert "zx-environment-value" not in text
    key = json.loads(house.key.read_text(encoding="utf-8"))
    for secret in (key["sealed"]["ciphertext"], key["sealed"]["nonce"], key["scrypt"]["salt"]):
        assert secret not in text
    for publics in house.trust.iterdir():
        assert publics.read_text().splitlines()[-2] not in text
    assert re.search(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", text) is None


def test_what_was_written_is_said_on_stdout(tmp_path: Path) -> None:
    told = doctor("--egress", "--support-file", tmp_path / "s.json", "--lang", "zh")
    assert told.code == 0
    assert "支持文件" in told.out
    assert "其中没有：题目与回答、密钥与口令" in told.out
    assert "防护模式 unix-only" in (tmp_path / "s.json").read_text(encoding="utf-8")


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    there = tmp_path / "s.json"
    there.write_text("mine")
    told = doctor("--egress", "--support-file", there, "--json")
    assert (told.code, told.failures()) == (3, {"support.written"})
    assert there.read_text() == "mine"
    assert doctor("--egress", "--support-file", tmp_path / "none" / "s.json", "--json").code == 3
