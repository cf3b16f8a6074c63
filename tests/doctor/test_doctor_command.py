"""``mlb-offline doctor`` on real keys, bundles, sockets and folders."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from doctor_setup import House, Told, bundle_of, demo_core, doctor

from mlb_offline.bundle.state import Seen, open_state
from mlb_offline.demo.scripted import scripted_server
from mlb_offline.doctor import models
from mlb_offline.errors import TargetError
from mlb_offline.installation import data_folder
from mlb_offline.target.config import TargetConfig
from mlb_offline.trust.keys import KeyKind, new_key


@pytest.fixture
def served(sockets: Path, tmp_path: Path) -> Iterator[str]:
    replies = tmp_path / "replies.json"
    replies.write_text(json.dumps({"replies": {}, "models": ["qwen-under-test"]}), encoding="utf-8")
    with scripted_server(replies, log=tmp_path / "server.log", unix=sockets / "m.sock") as server:
        yield server.target


def tree(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def test_a_good_setup_is_exit_0_and_nothing_is_left_behind(house: House, served: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    words = [*house.opening, "--target", served, "--state", place / "state", "--out", place / "new" / "run"]
    told = doctor(*words, "--json")
    assert told.code == 0, told.out
    assert told.result["ok"] is True
    assert told.failures() == set()
    assert told.result["not_checked"] == []
    assert "qwen-under-test" in told.find("target.answers")["message"]
    assert "content opens" in told.find("bundle.verified")["message"]
    assert "first run makes it" in told.find("state.record")["message"]
    assert told.result["egress"]["peer"]["uid"] == os.getuid()
    assert tree(place) == []


def test_what_is_not_given_is_said_not_to_be_checked(tmp_path: Path) -> None:
    told = doctor("--state", tmp_path, "--json")
    assert told.code == 0
    assert {one["area"] for one in told.result["not_checked"]} == {"bundle", "key", "store", "target"}
    assert "not checked: the bundle" in doctor("--state", tmp_path).out


def test_text_puts_the_remedy_below_each_failure_and_the_answer_last(tmp_path: Path) -> None:
    told = doctor("--key", tmp_path / "none.json", "--state", tmp_path)
    lines = told.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  ✗"))
    assert lines[at + 1].startswith("      What to do: ")
    assert lines[-1].startswith("Would stop a run: 1 (exit code 3)")
    assert told.code == 3


def test_a_bundle_that_has_expired_or_soon_will(house: House) -> None:
    past = demo_core(issued=date(2026, 1, 1), expires=date(2026, 2, 1))
    expired = bundle_of(house.folder, past, "expired.mlbb", now=datetime(2026, 1, 2, tzinfo=UTC))
    told = doctor("--bundle", expired, "--trust", house.trust, "--key", house.key, "--json")
    assert told.code == 4
    assert "expired" in told.find("bundle.verified")["message"]
    soon = demo_core(expires=(datetime.now(UTC) + timedelta(days=10)).date())
    told = doctor("--bundle", bundle_of(house.folder, soon, "soon.mlbb"), "--trust", house.trust, "--json")
    assert told.code == 0
    assert told.find("bundle.expires")["level"] == "warning"
    assert told.find("bundle.demonstration")["level"] == "warning"
    assert "content not checked" in told.find("bundle.verified")["message"]


def test_a_newer_bundle_seen_before_stops_a_run(house: House, tmp_path: Path) -> None:
    from mlb_offline.trust.store import load_trust

    state = open_state(tmp_path / "state")
    publisher = load_trust([house.trust]).keys[0].keyid
    series = str(demo_core().series)
    state.advance(publisher, series, ["CMExam"], Seen(9, "2026-11-01T00:00:00Z"))
    before = tree(tmp_path)
    told = doctor(*house.opening, "--state", tmp_path / "state", "--json")
    assert told.code == 4
    assert "version 9" in told.find("bundle.no-rollback")["message"]
    assert tree(tmp_path) == before
    state.advance(publisher, "another series", ["X"], Seen(1, "2099-01-01T00:00:00Z"))
    assert "clock.sane" in doctor(*house.opening, "--state", tmp_path / "state", "--json").failures()


def test_another_hospitals_key_is_exit_4(house: House, tmp_path: Path) -> None:
    new_key(KeyKind.HOSPITAL, tmp_path, None)
    told = doctor("--bundle", house.bundle, "--trust", house.trust, "--key", tmp_path / "hospital.key.json", "--json")
    assert told.code == 4
    assert told.failures() == {"bundle.verified"}
    assert "not sealed for this key" in told.find("bundle.verified")["message"]


def test_a_publisher_that_is_not_trusted_is_exit_4(house: House, tmp_path: Path) -> None:
    new_key(KeyKind.PUBLISHER, tmp_path, None)
    told = doctor("--bundle", house.bundle, "--trust", tmp_path / "publisher.pub.pem", "--json")
    assert (told.code, told.failures()) == (4, {"bundle.verified"})


def test_a_key_that_others_can_read_is_exit_4_with_the_command_that_helps(house: House, tmp_path: Path) -> None:
    key = tmp_path / "hospital.key.json"
    shutil.copy(house.key, key)
    key.chmod(0o644)
    told = doctor("--bundle", house.bundle, "--trust", house.trust, "--key", key, "--json")
    assert told.code == 4
    assert told.find("key.opened")["remedy"] == f"chmod 600 {key}"
    assert told.find("bundle.verified")["level"] == "ok"  # as far as it goes without the key


def test_a_passphrase_is_read_from_its_file_and_missed_without(tmp_path: Path) -> None:
    new_key(KeyKind.HOSPITAL, tmp_path, "open sesame")
    secret = tmp_path / "pass"
    secret.write_text("open sesame\n")
    secret.chmod(0o600)
    key = tmp_path / "hospital.key.json"
    told = doctor("--key", key, "--passphrase-file", secret, "--json")
    assert told.code == 0
    assert "with a passphrase" in told.find("key.opened")["message"]
    assert "open sesame" not in told.out
    without = doctor("--key", key, "--json")
    assert without.code == 4
    assert "--passphrase-file" in without.find("key.opened")["remedy"]


def test_a_report_key_opens_nothing_and_a_demonstration_key_never_passes(house: House, tmp_path: Path) -> None:
    assert doctor("--key", house.folder / "keys" / "report.key.json", "--json").code == 2
    new_key(KeyKind.HOSPITAL, tmp_path, None, demonstration=True)
    told = doctor("--key", tmp_path / "hospital.key.json", "--json")
    assert told.code == 0
    assert told.find("key.demonstration")["level"] == "warning"


def on(target: str, *words: object) -> Told:
    return doctor("--target", target, *words, "--json")


def test_a_socket_that_is_missing_plain_or_dead_is_exit_5(sockets: Path) -> None:
    plain = sockets / "plain"
    plain.write_text("x")
    dead = sockets / "dead"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(dead))
    for path, said in ((sockets / "none", "does not exist"), (plain, "not a socket"), (dead, "refused")):
        told = on(f"unix:{path}")
        assert told.code == 5
        assert said in told.find("target.answers")["message"]
        assert told.find("target.answers")["remedy"]


def test_a_server_that_hangs_is_not_waited_for(sockets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "PATIENCE", 0.2)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(sockets / "s"))
        silent.listen()
        with pytest.raises(TargetError, match=r"within 0\.2 s"):
            list(models.check_target(f"unix:{sockets / 's'}", TargetConfig()))


def test_a_tcp_target_under_unix_only_is_a_usage_error() -> None:
    told = on("http://127.0.0.1:9/v1")
    assert told.code == 2
    assert "mlb-offline bridge" in told.find("target.way")["remedy"]


def test_a_tcp_target_narrows_the_guard_as_a_run_does(tmp_path: Path) -> None:
    replies = tmp_path / "replies.json"
    replies.write_text('{"replies": {}}', encoding="utf-8")
    with scripted_server(replies, log=tmp_path / "server.log") as server:
        told = doctor("--target", server.target, "--json", guard="loopback")
    assert told.code == 0, told.out
    assert told.find("egress.guard")["level"] == "warning"
    landlock = told.result["egress"]["process"]["landlock"]
    if landlock is not None and landlock["abi"] >= 4:
        assert landlock["port"] == int(server.target.rpartition(":")[2].partition("/")[0])


def test_a_model_that_is_not_offered_or_a_config_that_is_wrong(served: str, tmp_path: Path) -> None:
    config = tmp_path / "t.toml"
    config.write_text('model = "another"\n')
    told = on(served, "--target-config", config)
    assert told.code == 5
    assert "qwen-under-test" in told.find("target.answers")["message"]
    config.write_text('modell = "another"\n')
    told = on(served, "--target-config", config)
    assert (told.code, told.failures()) == (3, {"target.config"})


def test_answers_are_read(tmp_path: Path) -> None:
    answers = tmp_path / "a.jsonl"
    answers.write_text('{"dataset": "CMExam", "id": "1", "response": "A"}\n', encoding="utf-8")
    assert "indicative" in on(f"answers:{answers}").find("target.answers")["message"]
    assert on(f"answers:{tmp_path / 'none'}").code == 3
    assert on("onnx:x").code == 2


def test_a_gguf_model_is_loaded_and_is_no_judge_of_itself(tmp_path: Path) -> None:
    from mlb_offline.demo.tiny_gguf import write_tiny_gguf

    model = write_tiny_gguf(tmp_path / "m.gguf")
    judge = write_tiny_gguf(tmp_path / "j.gguf", seed="another")
    told = on(f"gguf:{model}", "--judge", judge)
    assert told.failures() == set()
    assert "mlb-tiny-random" in told.find("target.answers")["message"]
    assert "m.gguf, j.gguf" in told.find("memory.room")["message"]
    assert "run needs --accept-unlisted" in told.find("judge.loads")["message"]
    assert told.find("cpu.engine")["level"] == "ok"
    itself = on(f"gguf:{model}", "--judge", model)
    assert (itself.code, itself.failures()) == (2, {"judge.loads"})
    (tmp_path / "bad.gguf").write_bytes(b"no model")
    assert doctor("--judge", tmp_path / "bad.gguf", "--json").code == 3


def test_a_model_that_does_not_fit_is_not_loaded(tmp_path: Path) -> None:
    huge = tmp_path / "huge.gguf"
    with huge.open("wb") as file:
        file.truncate(2**43)  # sparse
    told = on(f"gguf:{huge}", "--judge", tmp_path / "any.gguf")
    assert (told.code, told.failures()) == (3, {"memory.room"})
    assert [one["area"] for one in told.result["not_checked"]][-2:] == ["target", "judge"]


def test_a_folder_that_cannot_be_written_is_exit_3(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("x")
    told = doctor("--out", plain / "run", "--state", plain / "state", "--json")
    assert told.code == 3
    assert {"store.writable", "state.record"} <= told.failures()
    assert "store.writable" in doctor("--out", "/proc/nowhere/run", "--json").failures()  # also for root


def test_a_folder_that_holds_something_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").touch()
    told = doctor("--out", tmp_path / "out", "--state", tmp_path / "state", "--json")
    assert (told.code, told.failures()) == (2, {"store.writable"})


def test_a_damaged_state_folder_is_exit_4(tmp_path: Path) -> None:
    open_state(tmp_path / "state")
    assert "has records since" in doctor("--state", tmp_path / "state", "--json").find("state.record")["message"]
    (tmp_path / "state" / "rollback.json").write_text("{")
    told = doctor("--state", tmp_path / "state", "--json")
    assert (told.code, told.failures()) == (4, {"state.record"})


def test_an_image_whose_files_were_changed_is_exit_4(tmp_path: Path) -> None:
    import hashlib

    part = tmp_path / "part"
    part.write_text("as built")
    digest = hashlib.sha256(b"as built").hexdigest()
    (tmp_path / "MANIFEST.sha256").write_text(f"{digest}  {part}\n")
    (tmp_path / "bundles").mkdir()
    (tmp_path / "models").mkdir()
    for file in (data_folder() / "models").glob("*.*"):
        (tmp_path / "models" / file.name).symlink_to(file)
    whole = doctor("--json", MLB_DATA=str(tmp_path))
    assert whole.code == 0
    assert "all 1 files" in whole.find("kernel.image")["message"]
    part.write_text("changed")
    told = doctor("--json", MLB_DATA=str(tmp_path))
    assert told.code == 4
    assert told.failures() == {"kernel.image", "egress.evidence"}
    assert told.result["egress"] is None
    part.write_text("as built")
    (tmp_path / "added.pth").write_text("import os")
    assert doctor("--json", MLB_DATA=str(tmp_path)).code == 4
    (tmp_path / "added.pth").unlink()
    (tmp_path / "models" / "judge.gguf").write_text("a hospital's own")
    assert doctor("--json", MLB_DATA=str(tmp_path)).code == 0


def test_the_worst_of_several_decides(house: House, tmp_path: Path) -> None:
    words = ["--target", "http://127.0.0.1:9/v1", "--key", tmp_path / "none", "--json"]
    assert doctor(*words).code == 3
    assert doctor(*words, guard="none").code == 6
