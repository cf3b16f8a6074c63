from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st
from run_world import QUICK, FakeTarget, Silent, World, make_world, right_answer, run

from mlb_offline.bundle.build import build_bundle
from mlb_offline.bundle.state import open_state
from mlb_offline.demo.scripted import Reply, ScriptedServer
from mlb_offline.errors import InputError, TargetError, TrustError, UsageError
from mlb_offline.run.declaration import Declaration, load_declaration
from mlb_offline.run.estimate import estimate
from mlb_offline.run.events import EventType, next_event
from mlb_offline.run.identity import differences, identity_digest, require_same, target_fingerprint
from mlb_offline.run.invocation import Invocation, absolute_spec, stored_start
from mlb_offline.run.prepare import RunRequest, prepare
from mlb_offline.run.results import read_results
from mlb_offline.run.session import run_session
from mlb_offline.run.storable import storable
from mlb_offline.target.types import Question, Response
from mlb_offline.trust.keys import KeyKind, load_signing_key, new_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from("xyz"), JSON, max_size=3)


@given(OBJECTS, OBJECTS)
@example({"x": None}, {"x": None, "y": None})
@example({"x": True}, {"x": 1})
@example({"x": {}}, {"x": []})
def test_identities_differ_exactly_where_a_difference_is_named(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = differences(old, new)
    if identity_digest(old) == identity_digest(new):
        assert found == []
    else:
        assert found
        with pytest.raises(UsageError) as error:
            require_same(old, new)
        assert all(difference.field in error.value.message for difference in found[:8])
        assert (f"{len(found) - 8} more" in error.value.message) == (len(found) > 8)


def stopped(world: World, tmp_path: Path, **options: Any) -> None:
    """A run that stopped before its first answer."""
    with pytest.raises(TargetError):
        run(world.request(tmp_path, **options), FakeTarget(lambda _question, _before: TargetError("stop")))


def resumed(world: World, tmp_path: Path, target: FakeTarget | None = None, **options: Any) -> None:
    plain = {"target": None, "out": None, "resume": tmp_path / "run"}
    run(world.request(tmp_path, **{**plain, **options}), target or FakeTarget())


def test_a_resume_needs_nothing_but_folder_bundle_trust_and_key(world: World, tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text('hospital = "某医院"')
    stopped(world, tmp_path, declaration=tmp_path / "d.toml", datasets=("CMExam",), limit=5, repeats=2)
    resumed(world, tmp_path)
    found = read_results(tmp_path / "run", world.key)
    assert found.complete
    assert len(found.outcomes) == 10
    assert found.identity["declaration"] == {"hospital": "某医院"}
    assert found.indicative == ("limited", "datasets-subset")


@pytest.mark.parametrize(
    ("options", "field", "values"),
    [
        ({"limit": 3}, "selection.limit", "5 → 3"),
        ({"repeats": 2}, "repeats", "1 → 2"),
        ({"datasets": ("MAEESymp",)}, "selection.named", '(none) → ["MAEESymp"]'),
    ],
)
def test_a_resume_with_another_selection_is_refused_by_name(
    world: World, tmp_path: Path, options: dict[str, Any], field: str, values: str
) -> None:
    stopped(world, tmp_path, limit=5)
    with pytest.raises(UsageError) as error:
        resumed(world, tmp_path, **options)
    assert f"{field}: {values}" in error.value.message.replace("（无）", "(none)")
    resumed(world, tmp_path)


def test_another_target_is_refused_with_old_and_new_value(world: World, tmp_path: Path) -> None:
    stopped(world, tmp_path)
    other = FakeTarget(description={"kind": "fake", "model": "m-2", "parameters": {"seed": 3, "temperature": 1}})
    with pytest.raises(UsageError) as error:
        resumed(world, tmp_path, other)
    assert 'target.model: "m-1" → "m-2"' in error.value.message
    assert "target.parameters.temperature" in error.value.message
    assert not other.asked
    assert other.closed


def test_declaration_and_policy_are_read_once_and_another_one_is_refused(world: World, tmp_path: Path) -> None:
    declaration, policy = tmp_path / "d.toml", tmp_path / "p.toml"
    declaration.write_text('hospital = "甲医院"')
    policy.write_text('name = "a"\nversion = "1"')
    stopped(world, tmp_path, declaration=declaration, policy=policy)
    declaration.write_text('hospital = "乙医院"')
    with pytest.raises(UsageError, match=r"declaration.hospital"):
        resumed(world, tmp_path, declaration=declaration)
    policy.write_text('name = "a"\nversion = "2"')
    with pytest.raises(UsageError, match=r"policy_sha256"):
        resumed(world, tmp_path, policy=policy)
    declaration.unlink()
    policy.unlink()
    resumed(world, tmp_path)
    kept = stored_start(tmp_path / "run").invocation
    assert (kept.declaration, kept.policy) == ({"hospital": "甲医院"}, 'name = "a"\nversion = "1"')


def test_another_bundle_is_refused(world: World, tmp_path: Path) -> None:
    stopped(world, tmp_path)
    (tmp_path / "other").mkdir()
    other = make_world(tmp_path / "other", choices=12)
    signing = load_signing_key(other.folder / "publisher.key.json", None)
    bundle = tmp_path / "b.mlbb"
    build_bundle(other.source, signing, [world.key.public], bundle, now=datetime.now(UTC))
    with pytest.raises(UsageError, match=r"bundle.file_sha256"):
        resumed(world, tmp_path, bundle=bundle, trust=(other.trust,))


def test_a_resume_with_another_key_is_refused_as_untrusted(world: World, tmp_path: Path) -> None:
    stopped(world, tmp_path)
    new_key(KeyKind.HOSPITAL, tmp_path / "k", None)
    with pytest.raises(TrustError):
        resumed(world, tmp_path, key=tmp_path / "k" / "hospital.key.json")


def test_a_refused_resume_leaves_the_run_free_and_unchanged(world: World, tmp_path: Path) -> None:
    stopped(world, tmp_path)
    before = read_results(tmp_path / "run", world.key)
    with pytest.raises(UsageError):
        resumed(world, tmp_path, limit=1)
    assert read_results(tmp_path / "run", world.key) == before


def test_concurrency_may_change_between_sessions(world: World, tmp_path: Path) -> None:
    stopped(world, tmp_path)
    resumed(world, tmp_path, concurrency=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out": None}, "--out"),
        ({"resume": Path("x")}, "--out"),
        ({"target": None}, "--target"),
        ({"concurrency": 0}, "--concurrency"),
        ({"limit": 0}, "--limit"),
        ({"repeats": 0}, "--repeats"),
        ({"datasets": ("Nonsense",)}, "Nonsense"),
        ({"datasets": ("MAExam",)}, "MAExam"),
        ({"target": "telepathy:x"}, "telepathy"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(
    world: World, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        run(world.request(tmp_path, **options), FakeTarget())
    assert message in error.value.diagnostics()
    assert not (tmp_path / "run").exists()


def test_attempts_of_a_target_on_a_bundle_are_counted_but_not_those_of_a_resume(world: World, tmp_path: Path) -> None:
    stopped(world, tmp_path)
    resumed(world, tmp_path)
    first = read_results(tmp_path / "run", world.key)
    run(world.request(tmp_path, out=tmp_path / "second"), FakeTarget())
    second = read_results(tmp_path / "second", world.key)
    assert (first.attempt, second.attempt) == (1, 2)
    assert (first.state_created, second.state_created) == (True, False)
    assert [session.details["attempt"] for session in first.sessions] == [1, 1]
    assert [session.details["attempts_on_bundle"] for session in first.sessions] == [1, 1]


def at(endpoint: str, model: str = "m-1") -> FakeTarget:
    return FakeTarget(description={"kind": "openai", "endpoint": endpoint, "model": model, "parameters": {"seed": 1}})


def test_an_attempt_counts_wherever_the_target_is_reached_and_whatever_it_is_called(
    world: World, tmp_path: Path
) -> None:
    targets = [at("http://localhost:1/v1"), at("http://127.0.0.1:1/v1"), at("unix:/s"), at("unix:/s", model="alias")]
    found = []
    for number, target in enumerate(targets):
        run(world.request(tmp_path, out=tmp_path / str(number), limit=1), target)
        result = read_results(tmp_path / str(number), world.key)
        found.append((result.attempt, result.attempts_on_bundle))
    assert found == [(1, 1), (2, 2), (3, 3), (1, 4)]


def test_attempts_are_counted_by_what_the_target_is_not_by_how_it_is_asked() -> None:
    target = {"kind": "openai", "endpoint": "unix:/x", "model": "m", "parameters": {"seed": 1}}
    assert target_fingerprint(target) == target_fingerprint({**target, "parameters": {"seed": 2}})
    assert target_fingerprint(target) == target_fingerprint({**target, "endpoint": "unix:/y"})
    assert target_fingerprint(target) != target_fingerprint({**target, "model": "n"})
    assert target_fingerprint({"kind": "gguf", "sha256": "0"}) != target_fingerprint({"kind": "gguf", "sha256": "1"})


def spoil(world: World, tmp_path: Path, how: str) -> None:
    """Use the state folder in a way that records no attempt of the target."""
    request = world.request(tmp_path)
    match how:
        case "estimate":
            asyncio.run(estimate(prepare(request, estimate=True).plan, FakeTarget()))
        case "unreachable":
            with pytest.raises(TargetError):
                run(request, FakeTarget(probe_error=lambda: TargetError("down")))
        case "another target":
            run(world.request(tmp_path, out=tmp_path / "other", limit=1), at("unix:/s", model="throwaway"))


@pytest.mark.parametrize("how", ["nothing", "estimate", "unreachable", "another target"])
def test_that_earlier_attempts_can_be_unrecorded_is_said_whatever_was_done_with_the_folder_first(
    world: World, tmp_path: Path, how: str
) -> None:
    spoil(world, tmp_path, how)
    run(world.request(tmp_path), FakeTarget())
    found = read_results(tmp_path / "run", world.key)
    assert (found.attempt, found.state_created) == (1, True)
    assert found.state_since == json.loads((tmp_path / "state" / "state.json").read_text())["created"]


def test_a_state_folder_older_than_the_bundle_can_have_missed_no_attempt(world: World, tmp_path: Path) -> None:
    open_state(tmp_path / "state")
    (tmp_path / "state" / "state.json").write_text(
        '{"format": "mlb-offline/state/v1", "created": "2020-01-01T00:00:00Z"}'
    )
    run(world.request(tmp_path), FakeTarget())
    found = read_results(tmp_path / "run", world.key)
    assert (found.attempt, found.state_created, found.state_since) == (1, False, "2020-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("says", "named"),
    [
        ({"models": ["m-1", "m-2"], "model": "m-1"}, 'probe.models: ["m-1"] → ["m-1","m-2"]'),
        ({"models": None, "model": "m-1"}, 'probe.models: ["m-1"] → (none)'),
        ({"models": ["m-1"], "model": "m-2"}, 'probe.model: "m-1" → "m-2"'),
    ],
)
def test_a_resume_at_a_server_that_offers_other_models_is_refused_by_name(
    world: World, tmp_path: Path, says: dict[str, Any], named: str
) -> None:
    first = {"models": ["m-1"], "model": "m-1", "server": "x/1"}
    with pytest.raises(TargetError):
        run(world.request(tmp_path), FakeTarget(lambda _question, _before: TargetError("stop"), says=first))
    other = FakeTarget(says=says)
    with pytest.raises(UsageError) as error:
        resumed(world, tmp_path, other)
    assert named in error.value.message.replace("（无）", "(none)")
    assert not other.asked
    resumed(world, tmp_path, FakeTarget(says={**first, "server": "x/2"}))


def test_the_order_in_which_models_are_offered_may_change(world: World, tmp_path: Path) -> None:
    stop = FakeTarget(lambda _question, _before: TargetError("stop"), says={"models": ["a", "b"]})
    with pytest.raises(TargetError):
        run(world.request(tmp_path), stop)
    resumed(world, tmp_path, FakeTarget(says={"models": ["b", "a"]}))


def test_a_resume_at_a_real_server_that_now_serves_another_model_is_refused(world: World, tmp_path: Path) -> None:
    async def serve(reply: Reply, model: str, request: RunRequest) -> int:
        async with ScriptedServer({"": reply}, models=(model,), unix=tmp_path / "s") as server:
            try:
                await run_session(prepare(request), Silent(), QUICK)
            finally:
                (tmp_path / "s").unlink(missing_ok=True)
            return server.asked.total()

    resume = world.request(tmp_path, target=None, out=None, resume=tmp_path / "run")
    with pytest.raises(TargetError):
        asyncio.run(serve(Reply("no", status=401), "m-1", world.request(tmp_path, target=f"unix:{tmp_path}/s")))
    with pytest.raises(UsageError, match=r'target.model: "m-1" → "m-2"'):
        asyncio.run(serve(Reply("B"), "m-2", resume))
    assert asyncio.run(serve(Reply("B"), "m-1", resume)) == world.slots


def test_answers_under_two_model_names_make_a_run_indicative(world: World, tmp_path: Path) -> None:
    def behave(question: Question, before: int) -> Response:
        return replace(right_answer(question, before), model="m-2" if question.item == "c3" else "m-1")

    run(world.request(tmp_path), FakeTarget(behave))
    found = read_results(tmp_path / "run", world.key)
    assert found.indicative == ("several-models",)
    assert found.models == {"m-1": world.slots - 1, "m-2": 1}
    run(world.request(tmp_path, out=tmp_path / "one"), FakeTarget())
    assert read_results(tmp_path / "one", world.key).indicative == ()


ODD = {"models": ["m\ud800", "m-1"], "server": "x \udce9", "n": 2**60, "x": float("inf"), "raw": b"a", "k\ud800": ()}
PLAIN = {"models": ["m\ufffd", "m-1"], "server": "x \ufffd", "n": str(2**60), "x": "inf", "raw": "b'a'", "k\ufffd": []}


def test_whatever_a_server_says_of_itself_is_recorded(world: World, tmp_path: Path) -> None:
    run(world.request(tmp_path), FakeTarget(says=ODD))
    found = read_results(tmp_path / "run", world.key)
    assert found.sessions[0].details["probe"] == PLAIN
    sized = asyncio.run(estimate(prepare(world.request(tmp_path, out=None), estimate=True).plan, FakeTarget(says=ODD)))
    assert sized.probe == PLAIN


@given(st.recursive(JSON | st.floats() | st.integers() | st.binary(max_size=2), st.lists))
def test_what_is_made_storable_has_canonical_json_that_can_be_read_again(value: Any) -> None:
    text = rfc8785.dumps(storable(value))
    assert rfc8785.dumps(json.loads(text)) == text


@given(JSON)
def test_what_can_be_stored_is_stored_as_it_is(value: Any) -> None:
    assert storable(value) == value


@pytest.mark.parametrize("model", ["m\ud800", 2**60])
def test_a_model_whose_name_cannot_be_recorded_is_refused_before_anything_is_made(
    world: World, tmp_path: Path, model: Any
) -> None:
    odd = FakeTarget(description={"kind": "fake", "model": model})
    with pytest.raises(TargetError) as error:
        run(world.request(tmp_path), odd)
    assert error.value.remedy
    error.value.diagnostics().encode()
    assert not (tmp_path / "run").exists()
    assert odd.closed
    stopped(world, tmp_path)
    with pytest.raises(TargetError):
        resumed(world, tmp_path, FakeTarget(description={"kind": "fake", "model": model}))
    resumed(world, tmp_path)


def test_a_run_of_answers_says_so(world: World, tmp_path: Path) -> None:
    target = FakeTarget()
    target.indicative = True
    run(world.request(tmp_path), target)
    assert read_results(tmp_path / "run", world.key).indicative == ("answers-file",)


def test_the_invocation_is_kept_with_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_spec("gguf:m.gguf") == f"gguf:{tmp_path}/m.gguf"
    assert absolute_spec("unix:/run/x") == "unix:/run/x"
    assert absolute_spec("http://127.0.0.1:1/v1") == "http://127.0.0.1:1/v1"
    assert absolute_spec("nonsense") == "nonsense"
    whole = Invocation(
        target="unix:/x",
        target_config="/c",
        policy="name = 'p'",
        declaration={"hospital": "甲"},
        datasets=("CMExam",),
        limit=3,
        repeats=2,
    )
    assert Invocation.model_validate_json(json.dumps(whole.to_json())) == whole


def test_the_stored_invocation_holds_no_secret_and_no_bundle_path(world: World, tmp_path: Path) -> None:
    stopped(world, tmp_path)
    assert set(stored_start(tmp_path / "run").invocation.to_json()) == {
        "target",
        "target_config",
        "policy",
        "declaration",
        "datasets",
        "limit",
        "repeats",
        "judges",
        "accept_unlisted",
    }


def test_a_declaration_may_be_empty_and_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text('hospital = "某医院"\nweights_sha256 = "' + "0" * 64 + '"')
    declaration = load_declaration(tmp_path / "d.toml")
    assert declaration.to_json() == {"hospital": "某医院", "weights_sha256": "0" * 64}
    assert load_declaration(None) == Declaration()
    assert declaration.digest != Declaration().digest


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"hospital = 3", "hospital"),
        (b'hospital = ""', "hospital"),
        (b'ward = "x"', "ward"),
        (b'weights_sha256 = "abc"', "weights_sha256"),
        (b"hospital = ", None),
        (b"\xff", None),
    ],
)
def test_a_wrong_declaration_is_named_with_its_field(tmp_path: Path, content: bytes, field: str | None) -> None:
    (tmp_path / "d.toml").write_bytes(content)
    with pytest.raises(InputError) as error:
        load_declaration(tmp_path / "d.toml")
    assert error.value.field == field
    assert "d.toml" in error.value.diagnostics()
    assert "hospital" in error.value.remedy


def test_a_missing_declaration_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load_declaration(tmp_path / "none.toml")


def test_settings_that_cannot_have_been_written_are_refused(world: World, tmp_path: Path) -> None:
    stopped(world, tmp_path)
    with sqlite3.connect(tmp_path / "run" / "run.sqlite") as db:
        text = '{"target":"unix:/x","policy":"","limit":"many"}'
        digests = [
            hashlib.sha256(one.encode()).hexdigest()
            for one in (*db.execute("SELECT invocation FROM run").fetchone(), text)
        ]
        db.execute("UPDATE run SET invocation = ?", (text,))
        db.execute("UPDATE events SET body = replace(body, ?, ?)", digests)
        event = None
        for seq, at, kind, body in db.execute("SELECT seq, at, type, body FROM events ORDER BY seq").fetchall():
            event = next_event(event, at, EventType(kind), json.loads(body))
            db.execute("UPDATE events SET previous = ?, hash = ? WHERE seq = ?", (event.previous, event.hash, seq))
    db.close()
    with pytest.raises(TrustError) as error:
        resumed(world, tmp_path)
    assert error.value.field == "limit"


def test_the_page_on_the_store_names_every_field_of_identity_tables_and_events(world: World, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "run-store.md").read_text(encoding="utf-8")
    run(world.request(tmp_path), FakeTarget())
    identity = read_results(tmp_path / "run", world.key).identity
    names = {kind.value for kind in EventType} | set(identity) | set(identity["bundle"]) | set(identity["selection"])
    with sqlite3.connect(tmp_path / "run" / "run.sqlite") as db:
        for table in ("run", "items", "records", "events"):
            names |= {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        for (body,) in db.execute("SELECT body FROM events").fetchall():
            names |= set(json.loads(body))
    db.close()
    assert sorted(name for name in names if name not in page) == []
