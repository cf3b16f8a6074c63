"""Everything a hospital may get wrong: each its own message and exit code, no traceback, nothing half done."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from shop import Command, Done, Shop, seal

from mlb_offline.bundle.build import build_bundle
from mlb_offline.demo.scripted import scripted_server
from mlb_offline.trust.keys import KeyKind, load_recipient_public, load_signing_key, new_key

HTML = "<html><body>Welcome to nginx</body></html>"


def check(done: Done, code: int, *words: str) -> None:
    """The exit code, each word in the message, a remedy, and no traceback."""
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    for word in words:
        assert word.lower() in done.err.lower(), (word, done.err)
    assert "What to do" in done.err, done.err


def run(mlb: Command, shop: Shop, tmp_path: Path, **changes: object) -> Done:
    """``mlb-offline run`` with one thing wrong; ``None`` leaves an option out."""
    options: dict[str, object] = {
        "--bundle": shop.bundle,
        "--trust": shop.trust,
        "--key": shop.keys / "hospital.key.json",
        "--target": "unix:" + str(tmp_path / "nobody.sock"),
        "--out": tmp_path / "run",
        "--state": tmp_path / "state",
    }
    options.update({"--" + name.replace("_", "-"): value for name, value in changes.items()})
    return mlb("run", *(word for pair in options.items() if pair[1] is not None for word in pair))


@contextmanager
def serving(tmp_path: Path, reply: str) -> Iterator[str]:
    table = tmp_path / "replies.json"
    table.write_text(f'{{"replies": {{}}, "default": {reply}}}', encoding="utf-8")
    with scripted_server(table, log=tmp_path / "server.log") as server:
        yield server.target


def test_a_key_the_bundle_was_not_made_for(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    new_key(KeyKind.HOSPITAL, tmp_path, None)
    check(run(mlb, shop, tmp_path, key=tmp_path / "hospital.key.json"), 4, "demo.mlbb", "recipient")
    assert not (tmp_path / "run").exists()


def test_a_publisher_that_is_not_trusted(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    check(run(mlb, shop, tmp_path, trust=shop.trust / "report.pub.pem"), 4, "demo.mlbb")


def test_an_expired_bundle(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    past = date.today() - timedelta(days=30)  # noqa: DTZ011 - days, not moments
    source = dataclasses.replace(shop.source, issued=past - timedelta(days=30), expires=past)
    signing = load_signing_key(shop.keys / "publisher.key.json", None)
    recipient = load_recipient_public(shop.keys / "hospital.recipient.json")
    old = tmp_path / "old.mlbb"
    build_bundle(source, signing, [recipient], old, now=datetime.now(UTC) - timedelta(days=60))
    check(run(mlb, shop, tmp_path, bundle=old), 4, "expire")


def test_an_older_version_than_one_seen(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    newer = seal(dataclasses.replace(shop.source, version=shop.source.version + 1), shop.keys, tmp_path / "new.mlbb")
    with serving(tmp_path, '"A"') as target:
        assert run(mlb, shop, tmp_path, bundle=newer, target=target).code == 0
        check(run(mlb, shop, tmp_path, target=target, out=tmp_path / "second"), 4, "version")


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_truncated_bundle(mlb: Command, shop: Shop, tmp_path: Path, keep: int) -> None:
    short = tmp_path / "short.mlbb"
    short.write_bytes(shop.bundle.read_bytes()[:keep])
    check(run(mlb, shop, tmp_path, bundle=short), 4, "short.mlbb")


@pytest.mark.parametrize("option", ["bundle", "trust", "key", "policy", "declaration", "target_config"])
def test_a_file_that_is_not_there(mlb: Command, shop: Shop, tmp_path: Path, option: str) -> None:
    check(run(mlb, shop, tmp_path, **{option: tmp_path / "nothing.here"}), 3, "nothing.here")


@pytest.mark.parametrize("option", ["policy", "declaration", "target_config"])
@pytest.mark.parametrize("text", [b"= no toml", b"frobnicate = 1\n", b"\xff\xfe\x00"])
def test_a_configuration_that_cannot_be_read(
    mlb: Command, shop: Shop, tmp_path: Path, option: str, text: bytes
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_bytes(text)
    check(run(mlb, shop, tmp_path, **{option: bad}), 3, "bad.toml")


def test_a_dataset_that_does_not_exist(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    check(run(mlb, shop, tmp_path, dataset="CMExamm"), 2, "CMExamm", "CMExam,")


def test_a_target_nobody_has_heard_of(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    check(run(mlb, shop, tmp_path, target="ftp://model"), 2, "ftp://model")


def test_a_server_that_is_down(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    check(run(mlb, shop, tmp_path), 5, "nobody.sock")
    check(run(mlb, shop, tmp_path, target="http://127.0.0.1:9/v1", out=tmp_path / "b"), 5, "127.0.0.1:9")


def test_a_server_that_answers_html(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    with serving(tmp_path, f'{{"body": "{HTML}", "content_type": "text/html"}}') as target:
        check(run(mlb, shop, tmp_path, target=target), 5, "web page")


def test_a_server_that_refuses_the_key(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    with serving(tmp_path, '{"status": 401, "text": "no"}') as target:
        check(run(mlb, shop, tmp_path, target=target), 5, "401", "api_key_file")


def test_an_output_that_cannot_be_written(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("I am no folder")
    with serving(tmp_path, '"A"') as target:
        check(run(mlb, shop, tmp_path, target=target, out=blocked / "run"), 3, str(blocked))
        assert run(mlb, shop, tmp_path, target=target).code == 0
    check(mlb("report", "build", tmp_path / "run", *shop.signing, "--out", blocked / "r.html"), 3, str(blocked))
    check(run(mlb, shop, tmp_path, state=blocked / "state", out=tmp_path / "c"), 3, str(blocked))


def test_a_folder_that_holds_something_else(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "diary.txt").write_text("mine")
    with serving(tmp_path, '"A"') as target:
        check(run(mlb, shop, tmp_path, target=target), 2, "run")
    assert (tmp_path / "run" / "diary.txt").read_text() == "mine"


def test_options_that_do_not_go_together(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    check(run(mlb, shop, tmp_path, target=None), 2, "--target")
    check(run(mlb, shop, tmp_path, out=None), 2, "--out")
    check(run(mlb, shop, tmp_path, limit=0), 2, "--limit")


def test_a_run_that_is_none(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    for words in (["log", "verify", tmp_path], ["report", "build", tmp_path, *shop.signing, "--out", tmp_path / "r"]):
        check(mlb(*words), 3, str(tmp_path))
    check(mlb("verify", tmp_path / "no.html", "--trust", shop.trust), 3, "no.html")
    (tmp_path / "page.html").write_text(HTML)
    check(mlb("verify", tmp_path / "page.html", "--trust", shop.trust), 4, "page.html")


def test_errors_come_as_json_where_asked_for(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    done = mlb("log", "verify", tmp_path, "--json")
    assert done.code == 3
    assert done.result["error"]["exit_code"] == 3


def test_answers_under_names_that_nobody_asks_for(mlb: Command, shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text('{"dataset": "CMExam", "id": "CMExam-0001", "response": "A"}\n')
    check(run(mlb, shop, tmp_path, target=f"answers:{file}"), 3, "answers.jsonl", "CMExam-0001")
    assert not (tmp_path / "run").exists()
