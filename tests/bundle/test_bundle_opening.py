"""What opens, what is refused for its dates, versions, recipients or content, and what the state remembers."""

from __future__ import annotations

import ast
import hashlib
import json
import tracemalloc
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import independent_reader
import pytest
import zstandard
from bundle_simulator import (
    HOSPITAL,
    HOSPITAL_SEED,
    NOW,
    PUBLISHER,
    STRANGER,
    TRUST,
    Simulator,
    choice_item,
    choice_source,
)

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.bundle import validity
from mlb_offline.bundle.build import build_bundle
from mlb_offline.bundle.opening import KEY_CLAIMS, open_bundle, remember_bundle, show_bundle, verify_bundle
from mlb_offline.bundle.state import State, open_state
from mlb_offline.errors import TrustError


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "f.mlbb"


def refused(path: Path, simulator: Simulator, match: str, **options: object) -> TrustError:
    path.write_bytes(simulator.data())
    with pytest.raises(TrustError, match=match) as caught:
        verify_bundle(path, TRUST, **({"key": HOSPITAL, "now": NOW} | options))
    assert caught.value.file == str(path)
    assert caught.value.remedy
    return caught.value


def test_the_hospital_opens_what_was_sealed_for_it(path, small_bundle, state):
    path.write_bytes(small_bundle)
    opened = open_bundle(path, TRUST, HOSPITAL, state=state, now=NOW)
    source = choice_source()
    content = opened.datasets["CMExam"]
    assert sorted(content.items, key=lambda item: item.id) == list(source.datasets["CMExam"].items)
    assert content.prompt == source.datasets["CMExam"].prompt
    assert content.dataset is DATASETS["CMExam"]
    assert opened.publisher == PUBLISHER.verify_key
    assert opened.rollback is None


def test_the_publisher_opens_its_own_bundle(path, small_bundle):
    path.write_bytes(small_bundle)
    found = verify_bundle(path, TRUST, key=PUBLISHER.publisher_recipient(), now=NOW)
    assert found.unproved == ("no-rollback",)


def test_without_a_key_the_content_stays_unproved(path, small_bundle):
    path.write_bytes(small_bundle)
    found = verify_bundle(path, TRUST, key=None, now=NOW)
    assert set(KEY_CLAIMS) < set(found.unproved)
    assert not set(KEY_CLAIMS) & set(found.proved)


def test_show_needs_no_key_and_no_trust(path, small_bundle):
    path.write_bytes(small_bundle)
    assert show_bundle(path).core.title == "测试数据包"


def test_the_independent_reader_reads_the_same(small_bundle, path, state):
    path.write_bytes(small_bundle)
    opened = open_bundle(path, TRUST, HOSPITAL, state=state, now=NOW)
    manifest, datasets = independent_reader.open_bundle(small_bundle, [PUBLISHER.verify_key.spki], HOSPITAL_SEED, NOW)
    prompt, judge, items = datasets["CMExam"]
    content = opened.datasets["CMExam"]
    assert manifest == opened.manifest.model_dump()
    assert (prompt, judge) == (content.prompt, content.judge_prompt)
    assert items == [item.to_json() for item in content.items]


def test_the_independent_reader_imports_nothing_of_the_project():
    tree = ast.parse(Path(independent_reader.__file__).read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.Name):
            assert node.id not in {"__import__", "importlib", "exec", "eval"}
    assert names == {
        "__future__",
        "base64",
        "cryptography",
        "datetime",
        "hashlib",
        "hmac",
        "json",
        "zstandard",
    }


def test_the_simulator_makes_good_bundles_unless_told_otherwise(path):
    path.write_bytes(Simulator().data())
    assert verify_bundle(path, TRUST, key=HOSPITAL, now=NOW).manifest.core.version == 1


def test_a_key_the_bundle_was_not_sealed_for_is_refused(path):
    error = refused(path, Simulator(), "not sealed for this key", key=STRANGER)
    assert STRANGER.public.fingerprint in error.message


def test_an_expired_bundle_is_refused(path):
    simulator = Simulator()
    simulator.core["expires"] = "2026-03-01T08:00:00Z"
    assert refused(path, simulator, "has expired").field == "core.expires"


def test_a_bundle_is_good_up_to_the_second_before_it_expires(path):
    simulator = Simulator()
    simulator.core["expires"] = "2026-03-01T08:00:01Z"
    path.write_bytes(simulator.data())
    assert verify_bundle(path, TRUST, key=None, now=NOW)


def test_a_bundle_not_yet_issued_is_refused(path):
    simulator = Simulator()
    simulator.core["issued"] = "2026-03-02T08:00:01Z"
    refused(path, simulator, "not in force yet")


def test_a_day_of_grace_covers_time_zones(path):
    simulator = Simulator()
    simulator.core["issued"] = "2026-03-02T08:00:00Z"
    path.write_bytes(simulator.data())
    assert verify_bundle(path, TRUST, key=None, now=NOW)


@pytest.mark.parametrize("version", ["0.1.1", "0.2.0", "1.0.0", "999999.0.0"])
def test_a_bundle_that_needs_a_newer_tool_is_refused(path, version, monkeypatch):
    monkeypatch.setitem(validity.check_tool.__kwdefaults__, "tool", "0.1.0")
    simulator = Simulator()
    simulator.core["minimum_tool"] = version
    assert version in refused(path, simulator, "or newer").message


def test_versions_are_compared_as_numbers():
    core = type("C", (), {"minimum_tool": "0.9.0"})
    validity.check_tool(core, file=Path("f"), tool="0.10.0")


def test_another_format_is_refused_as_such_before_anything_else_of_it_is_judged(path):
    simulator = Simulator()
    simulator.core = {"format": "mlb-offline/bundle/v2\n", "what": "else"}
    assert "mlb-offline/bundle/v2?" in refused(path, simulator, "is not known").message


def test_an_unknown_dataset_is_refused(path):
    simulator = Simulator()
    simulator.core["datasets"][0]["id"] = "CMExamPlus"
    assert refused(path, simulator, "unknown dataset").field == "core.datasets.0.id"


def test_a_dataset_with_another_metric_is_refused(path):
    simulator = Simulator()
    simulator.core["datasets"][0]["metric"] = "micro-f1"
    refused(path, simulator, "must be accuracy")


CORE_FAULTS = {
    "version 0": {"version": 0},
    "version no integer": {"version": 1.5},
    "version true": {"version": True},
    "empty title": {"title": " "},
    "title that steers a terminal": {"title": "a\x1b[2Jb"},
    "title that turns the writing": {"title": "a\u202eb"},
    "no datasets": {"datasets": []},
    "series no UUID": {"series": "5F0C2A52-8D3B-4C69-9D0E-0D6F4F7F3A11"},
    "canary no UUID": {"canary": "x"},
    "time with an offset": {"issued": "2026-02-01T00:00:00+00:00"},
    "time that does not exist": {"issued": "2026-02-30T00:00:00Z"},
    "time in a short form": {"issued": "2026-2-01T00:00:00Z"},
    "expires before issued": {"expires": "2026-01-01T00:00:00Z"},
    "tool version of two parts": {"minimum_tool": "0.1"},
    "demonstration as text": {"demonstration": "no"},
    "one key too many": {"extra\x1b": 1},
}


@pytest.mark.parametrize("name", CORE_FAULTS)
def test_a_manifest_core_that_is_not_as_written_is_refused(path, name):
    simulator = Simulator()
    simulator.core |= CORE_FAULTS[name]
    refused(path, simulator, "manifest is malformed")


def test_a_manifest_core_with_a_key_missing_is_refused(path):
    for key in Simulator().core:
        simulator = Simulator()
        del simulator.core[key]
        refused(path, simulator, "malformed|is not known")


def test_a_dataset_listed_twice_is_refused(path):
    simulator = Simulator()
    simulator.core["datasets"] *= 2
    refused(path, simulator, "listed twice")


@pytest.mark.parametrize(
    "change",
    [
        {"recipients": []},
        {"recipients": [{"keyid": "a" * 64, "kem": "X25519", "wrapped": ""}]},
        {"recipients": [{"keyid": "a" * 64, "kem": "MLKEM768-X25519", "wrapped": "AAAA"}]},
        {"recipients": [{"keyid": "a" * 63, "kem": "MLKEM768-X25519", "wrapped": "AAAA"}]},
        {"payload": {}},
        {"more": 1},
    ],
)
def test_a_manifest_that_is_not_as_written_is_refused(path, change):
    simulator = Simulator()
    simulator.manifest_changes = change
    refused(path, simulator, "manifest is malformed")


def test_recipients_out_of_order_are_refused(path):
    simulator = Simulator()
    simulator.recipients = [HOSPITAL.public, STRANGER.public]
    plain, cipher = simulator.seal()
    good = simulator.manifest(plain, cipher)["recipients"]
    simulator.manifest_changes = {"recipients": good[::-1]}
    refused(path, simulator, "ascending order")


def test_a_manifest_that_is_not_canonical_is_refused(path, monkeypatch):
    import bundle_simulator

    monkeypatch.setattr(bundle_simulator, "canonical_json", lambda value: json.dumps(value).encode())
    refused(path, Simulator(), "not canonical JSON")


RECORD_FAULTS = {
    "no records but a line end": (lambda r: r.clear(), "last line|JSON"),
    "dataset record missing": (lambda r: r.pop(0), "dataset record"),
    "dataset record of another dataset": (lambda r: r[0].update(id="MAExam"), "dataset record"),
    "dataset record with another count": (lambda r: r[0].update(items=3), "dataset record"),
    "canary of another bundle": (lambda r: r[0].update(canary="x"), "dataset record"),
    "prompt missing": (lambda r: r.pop(1), "no prompt"),
    "prompt no text": (lambda r: r[1].update(text=1), "no prompt"),
    "prompt with more": (lambda r: r[1].update(more="x"), "no prompt"),
    "prompt without its slots": (lambda r: r[1].update(text="x"), "dataset CMExam"),
    "an item missing": (lambda r: r.pop(), "1 items, the manifest says 2"),
    "an item too many": (lambda r: r.append({"type": "item", "item": choice_item(3)}), "3 items"),
    "an item twice": (lambda r: r.__setitem__(3, r[2]), "occurs twice"),
    "an item that is a prompt": (lambda r: r[2].update(type="prompt"), "no item"),
    "an item record with more": (lambda r: r[2].update(more=1), "no item"),
    "an item without a question": (lambda r: r[2]["item"].pop("question"), "dataset CMExam"),
    "an item with a wrong answer": (lambda r: r[2]["item"].update(answer="D"), "dataset CMExam"),
}


@pytest.mark.parametrize("name", RECORD_FAULTS)
def test_records_that_are_not_what_the_manifest_says_are_refused(path, name):
    change, match = RECORD_FAULTS[name]
    simulator = Simulator()
    change(simulator.records[0])
    refused(path, simulator, match)


GOOD_JUDGE_PROMPT = "${answer}${criterion}"


def judged(text: str | None, **announced: object) -> Simulator:
    """A bundle of one dataset with a judge prompt, and what its entry in the manifest has beside the usual keys."""
    simulator = Simulator()
    head, prompt, item, _ = simulator.records[0]
    changed = {"id": "MAEthic", "items": 1, "metric": "judge-ethics"}
    simulator.core["datasets"][0].update(changed, **announced)
    head.update(changed)
    prompt.update(text="${question}", **({} if text is None else {"judge": text}))
    item["item"] = {"scenario": "情境"} | {
        key: item["item"][key] for key in item["item"] if key not in {"options", "answer"}
    }
    simulator.records[0].pop()
    return simulator


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("announced", [{}, {"judge_prompt": digest(GOOD_JUDGE_PROMPT)}], ids=["as before", "announced"])
def test_a_judge_prompt_is_read_announced_or_not(path, state, announced):
    path.write_bytes(judged(GOOD_JUDGE_PROMPT, **announced).data())
    opened = open_bundle(path, TRUST, HOSPITAL, state=state, now=NOW)
    assert opened.datasets["MAEthic"].judge_prompt == GOOD_JUDGE_PROMPT
    _, read = independent_reader.open_bundle(path.read_bytes(), [PUBLISHER.verify_key.spki], HOSPITAL_SEED, NOW)
    assert read["MAEthic"][1] == GOOD_JUDGE_PROMPT


JUDGE_PROMPT_FAULTS = {
    "another than announced": (judged(GOOD_JUDGE_PROMPT, judge_prompt=digest("x")), "not the one of the manifest"),
    "announced and absent": (judged(None, judge_prompt=digest(GOOD_JUDGE_PROMPT)), "not the one of the manifest"),
    "announced as nothing": (judged(None, judge_prompt=""), "malformed"),
    "announced as null": (judged(None, judge_prompt=None), "malformed"),
    "without its slots": (judged("${answer}"), "dataset MAEthic"),
}


@pytest.mark.parametrize("name", JUDGE_PROMPT_FAULTS)
def test_a_judge_prompt_that_is_not_what_it_must_be_is_refused(path, name):
    simulator, match = JUDGE_PROMPT_FAULTS[name]
    refused(path, simulator, match)


def test_a_judge_prompt_of_a_dataset_that_is_not_judged_is_refused(path):
    simulator = Simulator()
    simulator.records[0][1].update(judge=GOOD_JUDGE_PROMPT)
    refused(path, simulator, "CMExam is not judged")


def frame(data: bytes, **options: object) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(data)


def content(simulator: Simulator) -> bytes:
    return zstandard.ZstdDecompressor().decompress(simulator.frames())


PLAIN_FAULTS = {
    "no zstd": (lambda s: b"x" * 40, "does not open"),
    "frame cut off": (lambda s: s.frames()[:-1], "not complete"),
    "frame of another dataset after the last": (lambda s: s.frames() * 2, "follows the last dataset"),
    "a byte after the last frame": (lambda s: s.frames() + b"\n", "follows the last dataset"),
    "no size declared": (lambda s: frame(content(s), write_content_size=False), "too large|not complete"),
    "a bomb": (lambda s: frame(bytes(300 * 1024 * 1024)), "too large"),
    "last line without its end": (lambda s: frame(content(s)[:-1]), "last line"),
    "a line that is no JSON": (lambda s: frame(content(s) + b"{\n"), "not JSON"),
    "a line that is no UTF-8": (lambda s: frame(content(s) + b'"\xff"\n'), "not JSON"),
    "a line of brackets": (lambda s: frame(content(s) + b"[" * 100_000 + b"\n"), "not JSON"),
}


@pytest.mark.parametrize("name", PLAIN_FAULTS)
def test_a_plaintext_that_is_not_as_written_is_refused(path, name):
    change, match = PLAIN_FAULTS[name]
    simulator = Simulator()
    simulator.plain = change(Simulator())
    simulator.records = [[]]
    refused(path, simulator, match)


def test_a_frame_that_holds_more_than_it_declares_is_refused_without_unpacking_it(path):
    size = 256 * 1024 * 1024
    good = frame(bytes(size))
    assert good.count(size.to_bytes(4, "little")) == 1
    simulator = Simulator()
    simulator.plain = good.replace(size.to_bytes(4, "little"), (1024).to_bytes(4, "little"))
    tracemalloc.start()
    try:
        refused(path, simulator, "does not open|not complete")
        assert tracemalloc.get_traced_memory()[1] < 80 * 1024 * 1024
    finally:
        tracemalloc.stop()


def built(tmp_path: Path, version: int, **changes: object) -> Path:
    out = tmp_path / f"v{version}-{len(changes)}.mlbb"
    build_bundle(choice_source(version=version), PUBLISHER, [HOSPITAL.public], out, **({"now": NOW} | changes))
    return out


def use(path: Path, state: State, now: datetime = NOW, **options: object) -> str:
    """Open a bundle and say that a run uses it."""
    return remember_bundle(open_bundle(path, TRUST, HOSPITAL, state=state, now=now, **options), state, now)


def test_an_older_version_is_refused_once_a_newer_was_used(tmp_path, state):
    old, new = built(tmp_path, 1), built(tmp_path, 2, now=NOW + timedelta(hours=1))
    later = NOW + timedelta(days=2)
    assert use(old, state, later) == "created"
    state = open_state(state.folder)
    assert use(new, state, later) == "advanced"
    assert use(new, state, later) == "unchanged"
    with pytest.raises(TrustError, match="old one: version 2 of dataset CMExam"):
        open_bundle(old, TRUST, HOSPITAL, state=state, now=later)


def test_a_look_at_a_newer_bundle_is_no_use_of_it(tmp_path, state):
    old, new = built(tmp_path, 1), built(tmp_path, 2)
    use(old, state)
    open_bundle(new, TRUST, HOSPITAL, state=state, now=NOW)
    assert open_bundle(old, TRUST, HOSPITAL, state=state, now=NOW).rollback is None


def test_a_run_goes_on_with_the_bundle_it_began_with_though_a_newer_was_used_since(tmp_path, state):
    old, new = built(tmp_path, 1), built(tmp_path, 2)
    begun = open_bundle(old, TRUST, HOSPITAL, state=state, now=NOW).manifest.core_digest().hex()
    use(new, state)
    assert open_bundle(old, TRUST, HOSPITAL, state=state, now=NOW, in_use=begun).rollback is None
    with pytest.raises(TrustError, match="old one"):
        open_bundle(old, TRUST, HOSPITAL, state=state, now=NOW, in_use="0" * 64)


def test_the_same_version_signed_earlier_is_refused(tmp_path, state):
    early, late = built(tmp_path, 1), built(tmp_path, 1, now=NOW + timedelta(seconds=1), shuffle_seed=bytes(32))
    use(late, state)
    with pytest.raises(TrustError, match="old one"):
        open_bundle(early, TRUST, HOSPITAL, state=state, now=NOW)


def test_going_back_needs_an_override_that_is_remembered_and_lowers_nothing(tmp_path, state):
    old, new = built(tmp_path, 1), built(tmp_path, 2)
    use(new, state)
    assert use(old, state, allow_rollback=True) == "override"
    kept = json.loads((state.folder / "rollback.json").read_text())["overrides"]
    assert [(entry["version"], entry["seen"]["version"]) for entry in kept] == [(1, 2)]
    with pytest.raises(TrustError, match="old one"):
        open_bundle(old, TRUST, HOSPITAL, state=state, now=NOW)


def test_an_override_that_was_not_needed_is_none(tmp_path, state):
    opened = open_bundle(built(tmp_path, 1), TRUST, HOSPITAL, state=state, now=NOW, allow_rollback=True)
    assert opened.rollback is None


def test_other_series_and_datasets_do_not_count(tmp_path, state):
    use(built(tmp_path, 5), state)
    other = choice_source(dataset="MAExam")
    series = replace(choice_source(), series="11111111-8d3b-4c69-9d0e-0d6f4f7f3a11")
    state = open_state(state.folder)
    for number, source in enumerate((other, series)):
        out = tmp_path / f"other-{number}.mlbb"
        build_bundle(source, PUBLISHER, [HOSPITAL.public], out, now=NOW)
        assert use(out, state) == "first-seen"


def test_a_clock_set_back_is_refused_and_no_override_helps(tmp_path, state):
    new = built(tmp_path, 2, now=NOW + timedelta(days=40))
    use(new, state, NOW + timedelta(days=41))
    old = built(tmp_path, 1)
    with pytest.raises(TrustError, match="set back"):
        open_bundle(old, TRUST, HOSPITAL, state=state, now=NOW, allow_rollback=True)


def test_plaintext_never_touches_the_disk(tmp_path, state, monkeypatch):
    """Everything written between building and opening is searched for the text of an item."""
    out = built(tmp_path, 1)
    open_bundle(out, TRUST, HOSPITAL, state=state, now=NOW)
    found = [file for file in tmp_path.rglob("*") if file.is_file() and "下列哪项".encode() in file.read_bytes()]
    assert found == []
