"""``mlb-offline demo``: the whole job, twice, and nothing of anyone else's is touched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from shop import Command

from mlb_offline.demo import job
from mlb_offline.demo.job import MARKER
from mlb_offline.demo.scripted import scripted_server
from mlb_offline.demo.tiny_gguf import write_tiny_gguf
from mlb_offline.errors import InputError
from mlb_offline.installation import data_folder


def test_the_demonstration_reports_on_two_targets_and_can_be_repeated(mlb: Command, tmp_path: Path) -> None:
    out = tmp_path / "演示 folder"
    for _ in range(2):
        done = mlb("demo", "--out", out, "--json")
        assert done.code == 0, done.err
    result = done.result
    assert result["indicative"] is True
    assert {report["target"]: report["scores_as_scripted"] for report in result["reports"]} == {
        "llama-random": None,
        "scripted": True,
    }
    for report in result["reports"]:
        assert report["verdict"] == "not evaluable"
        verified = mlb("verify", report["file"], "--trust", result["trust"], "--require", "pass")
        assert verified.code == 7
        assert "demonstration keys" in verified.out
        piped = f"{sys.executable} -m mlb_offline verify '{report['file']}' --trust '{result['trust']}' --require pass"
        assert subprocess.run(["bash", "-c", f"{piped} | true; exit ${{PIPESTATUS[0]}}"], timeout=60).returncode == 7
    assert sorted(path.name for path in Path(result["trust"]).glob("*.pem")) == [
        "publisher.pub.pem",
        "report.pub.pem",
        "reviewer.pub.pem",
    ]
    assert not list(Path(result["trust"]).glob("*.key.json"))
    assert done.err.count("$ mlb-offline ") == 9
    told = mlb("verify", result["reports"][1]["file"], "--trust", result["trust"], "--json").result["data"]
    tallies = {sample["dataset"]: sample["tally"] for sample in told["samples"]}
    figures = [score["figure"] for score in told["findings"]["datasets"]]
    assert len(figures) == 22
    assert all(figures), "every dataset has a score"
    assert told["findings"]["overall"]["figure"] is not None
    assert tallies["CMExam"]["right"] == tallies["CMExam"]["wrong"] == tallies["CMExam"]["unreadable"] == 2


def test_a_folder_that_no_demonstration_left_is_not_touched(mlb: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = mlb("demo", "--out", tmp_path)
    assert done.code == 3
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (tmp_path / MARKER).exists()
    assert mlb("demo", "--out", tmp_path / "mine.txt" / "x").code == 3


def test_the_data_beside_the_package_is_found_through_mlb_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (data_folder() / "bundles" / "src" / "demo").is_dir()
    monkeypatch.setenv("MLB_DATA", str(tmp_path))
    with pytest.raises(InputError, match="bundles"):
        data_folder()
    (tmp_path / "bundles").mkdir()
    assert data_folder() == tmp_path


def test_without_the_extra_the_models_file_that_is_shipped_is_loaded_in_process(
    mlb: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the image, which has no server and no writer of models."""
    data = tmp_path / "data"
    (data / "models").mkdir(parents=True)
    (data / "bundles").symlink_to(data_folder() / "bundles")
    for file in (data_folder() / "models").iterdir():
        (data / "models" / file.name).symlink_to(file)
    write_tiny_gguf(data / "models" / "mlb-tiny-random.gguf")
    monkeypatch.setenv("MLB_DATA", str(data))
    monkeypatch.setattr(job, "has_extra", lambda: False)
    monkeypatch.setattr(job, "write_tiny_gguf", lambda _path: pytest.fail("the model is there"))
    done = mlb("demo", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    told = mlb("verify", done.result["reports"][0]["file"], "--trust", done.result["trust"], "--json").result["data"]
    assert told["run"]["identity"]["target"]["kind"] == "gguf"
    assert told["run"]["identity"]["target"]["cpu"]


def test_its_own_servers_are_not_for_a_tcp_mode_but_a_tcp_target_is(tmp_path: Path) -> None:
    def demo(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mlb_offline", "--lang", "en", "--guard", "loopback", "demo", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    refused = demo("--out", str(tmp_path / "a"))
    assert refused.returncode == 2
    assert "leave out --guard" in refused.stderr
    assert not (tmp_path / "a").exists()
    replies = tmp_path / "replies.json"
    replies.write_text('{"replies": {}, "default": "B"}')
    with scripted_server(replies, log=tmp_path / "log") as server:
        done = demo("--out", str(tmp_path / "b"), "--target", server.target, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reports"][0]["target"] == "own-target"
