"""``keys`` and ``bundle`` from the command line, in one process."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import independent_reader
import pytest
from bundle_simulator import choice_item, choice_source
from typer.testing import CliRunner

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import Item
from mlb_offline.bundle.source import SourceDataset, write_source
from mlb_offline.cli import bundle, keys
from mlb_offline.errors import InputError, MlbError, TrustError
from mlb_offline.trust import sealing
from mlb_offline.trust.store import load_public_key

runner = CliRunner()


@pytest.fixture(autouse=True)
def _quick_scrypt(monkeypatch):
    monkeypatch.setattr(sealing, "N_WITH_PASSPHRASE", 2**10)


def run(app, *arguments, **options):
    result = runner.invoke(app, [str(argument) for argument in arguments], **options)
    if isinstance(result.exception, MlbError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def run_json(app, *arguments, **options):
    return json.loads(run(app, *arguments, "--json", **options).stdout)


@pytest.fixture
def world(tmp_path):
    """A publisher's and a hospital's keys, and a source folder."""
    for kind in ("publisher", "hospital", "report", "reviewer"):
        run(keys.app, "new", "--kind", kind, "--out", tmp_path / kind)
    write_source(choice_source(), tmp_path / "src")
    return tmp_path


def build(world, *more):
    sign = world / "publisher" / "publisher.key.json"
    recipient = world / "hospital" / "hospital.recipient.json"
    arguments = (world / "src", "--sign-key", sign, "--recipient", recipient, "--out", world / "b.mlbb", *more)
    return run_json(bundle.app, "build", *arguments)


def test_a_bundle_goes_all_the_way_and_the_independent_reader_opens_it(world):
    built = build(world)
    public = world / "publisher" / "publisher.pub.pem"
    verified = run_json(
        bundle.app, "verify", world / "b.mlbb", "--trust", public, "--key", world / "hospital/hospital.key.json"
    )
    assert verified["manifest"] == built["manifest"]
    assert verified["publisher"] == built["publisher"]
    assert verified["unproved"] == ["no-rollback"]
    kind, seed = independent_reader.private_seed((world / "hospital/hospital.key.json").read_text())
    manifest, datasets = independent_reader.open_bundle(
        (world / "b.mlbb").read_bytes(), [load_public_key(public).spki], seed, datetime.now(UTC)
    )
    assert (kind, manifest) == ("hospital", built["manifest"])
    assert len(datasets["CMExam"][2]) == 4


def test_the_independent_reader_opens_it_as_the_publisher_too(world):
    build(world)
    _kind, seed = independent_reader.private_seed((world / "publisher/publisher.key.json").read_text())
    spki = load_public_key(world / "publisher/publisher.pub.pem").spki
    data, now = (world / "b.mlbb").read_bytes(), datetime.now(UTC)
    derived = independent_reader.publisher_recipient_seed(seed)
    assert independent_reader.open_bundle(data, [spki], derived, now)
    with pytest.raises(independent_reader.Refused, match="expired"):
        independent_reader.open_bundle(data, [spki], derived, now + timedelta(days=366))


def test_the_independent_reader_opens_a_key_under_a_passphrase(tmp_path):
    (tmp_path / "p").write_text("秘密\n", encoding="utf-8")
    (tmp_path / "p").chmod(0o600)
    run(keys.app, "new", "--kind", "hospital", "--out", tmp_path, "--passphrase-file", tmp_path / "p")
    text = (tmp_path / "hospital.key.json").read_text()
    keyid, _key = independent_reader.recipient(independent_reader.private_seed(text, "秘密")[1])
    shown = run_json(keys.app, "show", tmp_path / "hospital.recipient.json")
    assert shown["keyid"] == keyid


def test_text_output_names_fingerprints_and_what_was_not_checked(world):
    build(world)
    public = world / "publisher" / "publisher.pub.pem"
    fingerprint = load_public_key(public).fingerprint
    verified = run(bundle.app, "verify", world / "b.mlbb", "--trust", public).stdout
    assert fingerprint in verified
    assert "not checked: every chunk is authentic" in verified
    assert "for demonstration only" in verified
    assert "unverified" in run(bundle.app, "show", world / "b.mlbb").stdout
    assert fingerprint in run(keys.app, "show", public).stdout


def test_show_lists_the_datasets_that_bring_their_own_judge_prompt(world):
    item = Item.model_validate(choice_item(1, options=[], answer=None))
    source = choice_source()
    safety = DATASETS["GeneralSafety"]
    content = SourceDataset(safety, "${question}", "安全吗？${answer}", (item,), "CC0-1.0", "the tests")
    write_source(replace(source, datasets={safety.id: content}), world / "src", merge=True)
    build(world)
    told = "own/" + hashlib.sha256("安全吗？${answer}".encode()).hexdigest()[:12]
    lines = run(bundle.app, "show", world / "b.mlbb").stdout.splitlines()
    place = lines.index(f"    its own judge prompt {told}")
    assert "GeneralSafety" in lines[place - 1]
    assert sum("judge prompt" in line for line in lines) == 1


def test_show_says_in_json_that_nothing_is_verified(world):
    build(world)
    assert run_json(bundle.app, "show", world / "b.mlbb")["verified"] is False


def test_making_a_key_without_a_passphrase_says_so(tmp_path):
    assert "has no passphrase" in run(keys.app, "new", "--kind", "report", "--out", tmp_path).stdout


@pytest.mark.parametrize(
    ("kind", "uses"),
    [
        ("publisher", ["verify", "seal-for"]),
        ("hospital", ["seal-for"]),
        ("report", ["verify"]),
        ("reviewer", ["verify"]),
    ],
)
def test_showing_a_private_key_shows_its_public_halves(world, kind, uses):
    shown = run_json(keys.app, "show", world / kind / f"{kind}.key.json")
    assert [public["use"] for public in shown["public"]] == uses
    assert shown["kind"] == kind
    text = run(keys.app, "show", world / kind / f"{kind}.key.json").stdout
    assert all(public["fingerprint"] in text for public in shown["public"])


def test_a_passphrase_is_asked_for_on_a_terminal_only(tmp_path, monkeypatch):
    (tmp_path / "p").write_text("right")
    (tmp_path / "p").chmod(0o600)
    run(keys.app, "new", "--kind", "report", "--out", tmp_path, "--passphrase-file", tmp_path / "p")
    path = tmp_path / "report.key.json"
    with pytest.raises(TrustError, match="none was given"):
        run(keys.app, "show", path)

    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setattr(keys.sys, "stdin", Terminal())
    monkeypatch.setattr(keys.sys, "stderr", Terminal())
    monkeypatch.setattr(keys.typer, "prompt", lambda *_args, **_options: "right")
    assert keys.unlock(path, None) == "right"


def test_errors_reach_the_caller_as_they_are(world):
    build(world)
    with pytest.raises(InputError, match="never overwritten"):
        build(world)
    other = world / "report" / "report.pub.pem"
    with pytest.raises(TrustError, match="not trusted"):
        run(bundle.app, "verify", world / "b.mlbb", "--trust", other)


def test_import_is_a_command_of_the_group():
    assert "import" in {command.name for command in bundle.app.registered_commands}
