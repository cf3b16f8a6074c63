"""``report build`` and ``verify`` on a run that stands in a real store."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import report_cases as cases
import rfc8785
from egress_cases import egress_of

from mlb_offline.cli import main
from mlb_offline.errors import Exit
from mlb_offline.language import set_language
from mlb_offline.report.verify import VerifiedReport, verify_report
from mlb_offline.run.changes import Answered, Noted, PlannedItem, Sent, Slot
from mlb_offline.run.events import EventType
from mlb_offline.run.invocation import Invocation
from mlb_offline.run.store import RunStore
from mlb_offline.scoring.outcome import Outcome, Score
from mlb_offline.trust.keys import KeyKind, load_recipient_key, new_key
from mlb_offline.trust.store import load_trust

PASSING = """\
name = "院内策略"
version = "1"
minimum_n = 5
approvers = [{name = "示例", role = "医务处", date = 2026-01-05}]
[[gate]]
scope = "dataset"
id = "CMExam"
min = 0.2
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: object) -> Done:
        set_language("en")
        with pytest.raises(SystemExit) as end:
            main(["--lang", "en", *(str(word) for word in words)])
        said = capsys.readouterr()
        return Done(int(end.value.code or 0), said.out, said.err)

    return run


def make_run(folder: Path, policy: str | None = None, **changes: object) -> Path:
    """A finished run in ``folder/run`` with keys in ``folder/keys``."""
    for kind in (KeyKind.HOSPITAL, KeyKind.REPORT):
        new_key(kind, folder / "keys", None)
    key = load_recipient_key(folder / "keys" / "hospital.key.json", None)
    asked = [[o.dataset, o.item, o.digest] for o in cases.results_of().outcomes]
    digest = hashlib.sha256(rfc8785.dumps(asked)).hexdigest()
    results = cases.results_of(policy=policy, items_sha256=digest, **changes)
    store = RunStore.create(
        folder / "run",
        run_id=results.run_id,
        identity=results.identity,
        invocation=Invocation(target="unix:/x", policy=cases.policy_of(policy).text).to_json(),
        items=[PlannedItem(Slot(o.dataset, o.item, o.repeat), o.digest, o.fn) for o in results.outcomes],
        recipient=key.public,
    )
    started = {
        "attempt": 1,
        "attempts_on_bundle": 1,
        "concurrency": 1,
        "egress": egress_of(results.identity["guard_mode"]),
        "probe": {},
        "rollback_override": False,
        "state_created": True,
        "state_note": "created",
        "state_since": "2026-01-01T00:00:00Z",
    }
    store.apply([Noted(EventType.STARTED, started)])
    response = {"text": "x", "finish_reason": "stop", "model": "demo-med-7b"}
    ends: Counter[str] = Counter()
    for o in results.outcomes:
        slot, score = Slot(o.dataset, o.item, o.repeat), Score(o.outcome, o.tp, o.fp, o.fn, "")
        kind = Outcome.WRONG if o.outcome is Outcome.FAILED and o.dataset == "CMExam" else o.outcome
        kind = Outcome.UNREADABLE if kind is Outcome.FAILED else kind
        ends[kind.value] += 1
        store.apply([Sent(slot, 1), Answered(slot, 1, response, Score(kind, score.tp, score.fp, score.fn, ""))])
    ended = {
        "egress": egress_of(results.identity["guard_mode"]),
        "items": len(results.outcomes),
        "judged": 0,
        "outcomes": dict(ends),
    }
    store.apply([Noted(EventType.FINISHED, ended)])
    store.close()
    return folder / "run"


def keys(folder: Path) -> list[object]:
    return ["--key", folder / "keys" / "hospital.key.json", "--sign-key", folder / "keys" / "report.key.json"]


def test_a_run_becomes_a_report_that_verifies(tmp_path: Path, command: Command) -> None:
    run = make_run(tmp_path)
    out = tmp_path / "out" / "report.html"
    built = command("report", "build", run, *keys(tmp_path), "--out", out)
    assert built.code == Exit.DONE, built.err
    assert "not evaluable" in built.out
    trust = ["--trust", tmp_path / "keys" / "report.pub.pem"]
    seen = command("verify", out, *trust)
    assert seen.code == Exit.DONE, seen.err
    for words in ("authentic", "items file agrees", "verdict: not evaluable", "no approved thresholds"):
        assert words in seen.out
    assert command("verify", out, *trust, "--require", "pass").code == Exit.NOT_EVALUABLE
    (tmp_path / "out" / "report.items.zst").unlink()
    assert "items file not checked" in command("verify", out, *trust).out


def test_results_are_machine_readable(tmp_path: Path, command: Command) -> None:
    run = make_run(tmp_path)
    out = tmp_path / "report.html"
    built = json.loads(command("report", "build", run, *keys(tmp_path), "--out", out, "--json").out)
    assert built["report"] == str(out)
    assert built["verdict"] == "not evaluable"
    seen = json.loads(command("verify", out, "--trust", tmp_path / "keys" / "report.pub.pem", "--json").out)
    assert seen["authentic"] is True
    assert seen["items_checked"] is True
    assert seen["signers"] == [built["signer"]]
    assert {sample["dataset"] for sample in seen["data"]["samples"]} == set(cases.SMALL)


def test_a_pass_is_a_pass_and_require_pass_says_so(tmp_path: Path, command: Command) -> None:
    run = make_run(tmp_path, PASSING)
    out = tmp_path / "report.html"
    assert command("report", "build", run, *keys(tmp_path), "--out", out).code == Exit.DONE
    words = ("verify", out, "--trust", tmp_path / "keys" / "report.pub.pem", "--require", "pass")
    seen = command(*words)
    assert "verdict: pass" in seen.out
    assert seen.code == Exit.DONE


def test_a_pass_lapses_with_the_validity_that_its_policy_gives(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, "validity_days = 30\n" + PASSING)
    out = tmp_path / "report.html"
    command("report", "build", run, *keys(tmp_path), "--out", out)
    words = ("verify", out, "--trust", tmp_path / "keys" / "report.pub.pem")
    verified = verify_report(out, load_trust([tmp_path / "keys" / "report.pub.pem"]))
    finished = datetime.fromisoformat(str(verified.data.run.finished))
    assert verified.valid_until == finished + timedelta(days=30)
    assert "valid until" in command(*words, "--require", "pass").out
    monkeypatch.setattr(VerifiedReport, "valid_until", datetime.now(UTC) - timedelta(seconds=1))
    late = command(*words, "--require", "pass")
    assert late.code == Exit.TRUST
    assert "valid" in late.err
    assert command(*words).code == Exit.DONE, "it stays authentic"


def test_a_missed_gate_is_exit_1_where_a_pass_is_required(tmp_path: Path, command: Command) -> None:
    run = make_run(tmp_path, PASSING.replace("0.2", "0.9"))
    out = tmp_path / "report.html"
    command("report", "build", run, *keys(tmp_path), "--out", out)
    trust = ("--trust", tmp_path / "keys" / "report.pub.pem")
    assert command("verify", out, *trust).code == Exit.DONE
    seen = command("verify", out, *trust, "--require", "pass")
    assert seen.code == Exit.GATES_FAILED
    assert "gate dataset/CMExam is not reached" in seen.out


def test_demonstration_keys_are_told_and_never_pass(tmp_path: Path, command: Command) -> None:
    run = make_run(tmp_path, PASSING, demonstration={"bundle": True, "keys": True})
    out = tmp_path / "report.html"
    built = command("report", "build", run, *keys(tmp_path), "--out", out)
    assert "indicative" in built.out
    seen = command("verify", out, "--trust", tmp_path / "keys" / "report.pub.pem", "--require", "pass")
    assert seen.code == Exit.NOT_EVALUABLE
    assert "indicative: demonstration keys were used" in seen.out


def test_a_changed_report_a_foreign_key_and_a_file_in_the_way_each_say_what_is_wrong(
    tmp_path: Path, command: Command
) -> None:
    run = make_run(tmp_path, PASSING)
    out = tmp_path / "report.html"
    command("report", "build", run, *keys(tmp_path), "--out", out)
    new_key(KeyKind.REPORT, tmp_path / "other", None)
    foreign = command("verify", out, "--trust", tmp_path / "other" / "report.pub.pem")
    assert (foreign.code, "not trusted" in foreign.err) == (Exit.TRUST, True)
    raw = out.read_bytes()
    out.write_bytes(raw.replace("得分".encode(), "得份".encode(), 1))
    changed = command("verify", out, "--trust", tmp_path / "keys" / "report.pub.pem", "--json")
    assert changed.code == Exit.TRUST
    assert "changed after it was signed" in json.loads(changed.out)["error"]["message"]
    again = command("report", "build", run, *keys(tmp_path), "--out", out)
    assert (again.code, "--force" in again.err) == (Exit.BAD_INPUT, True)


def test_another_program_and_other_words_are_noted(tmp_path: Path, command: Command) -> None:
    from mlb_offline.report.build import sign

    path = tmp_path / "report.html"
    path.write_bytes(sign(cases.data_of(cases.results_of()), cases.KEY).report)
    (tmp_path / "report.pub.pem").write_bytes(cases.KEY.verify_key.to_pem())
    seen = command("verify", path, "--trust", tmp_path / "report.pub.pem", "--items", tmp_path / "absent")
    assert seen.code == Exit.BAD_INPUT
    seen = command("verify", path, "--trust", tmp_path / "report.pub.pem")
    assert seen.code == Exit.DONE
    assert "whose files are not those of this one" in seen.out
