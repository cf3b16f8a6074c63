"""``adjudicate plan``, ``page``, ``export`` and ``import``, then ``report build`` and ``verify``, as users see them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chromium
import openpyxl
import pytest
from desk_world import GATED, JUDGED, DeskWorld, all_of, copy_of, gate, make_desk_world, number_of

from mlb_offline.adjudication.packet import Packet, Verdict
from mlb_offline.adjudication.result import make_result
from mlb_offline.adjudication.tables import ID, VERDICT
from mlb_offline.cli import main
from mlb_offline.language import set_language
from mlb_offline.run.log import verify_log
from mlb_offline.run.results import read_results
from mlb_offline.trust.keys import KeyKind, new_key

PASSPHRASE = "松鼠 铁桥 七月 算盘 竹"
POLICY = GATED + gate("dataset", "MADiagnosis", 0.02)
SHARE = ("--share", "MADiagnosis=1")
DRAWN_CRITERIA = 10 * 2 * 3
"""Of MADiagnosis: answers that came, twice, three points each."""
USAGE, INPUT, TRUST, TARGET = 2, 3, 4, 5


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


Command = Callable[..., Done]


@pytest.fixture
def mlb(capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: object) -> Done:
        set_language("en")
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(["--lang", "en", *map(str, words)])
        said = capsys.readouterr()
        return Done(int(end.value.code or 0), said.out, said.err)

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> DeskWorld:
    return with_files(make_desk_world(tmp_path_factory.mktemp("commands") / "world", POLICY))


def with_files(made: DeskWorld) -> DeskWorld:
    """With a key for reports and a passphrase for pages."""
    new_key(KeyKind.REPORT, made.folder, None)
    (made.folder / "page.txt").write_text(PASSPHRASE + "\n", encoding="utf-8")
    (made.folder / "page.txt").chmod(0o600)
    return made


@pytest.fixture
def world(finished: DeskWorld, tmp_path: Path) -> DeskWorld:
    return copy_of(finished, tmp_path / "copy")


def opening(world: DeskWorld) -> list[object]:
    words: list[object] = ["--bundle", world.world.bundle, "--key", world.world.key_file, "--state", world.state]
    for file in world.trust_files:
        words += ["--trust", file]
    return words


def adjudicate(mlb: Command, world: DeskWorld, what: str, *words: object) -> Done:
    return mlb("adjudicate", what, world.directory, *words, *opening(world))


def fixed(mlb: Command, world: DeskWorld) -> None:
    done = adjudicate(mlb, world, "plan", "--fix", *SHARE)
    assert done.code == 0, done.err


def page(mlb: Command, world: DeskWorld, *words: object, name: str = "page.html") -> Done:
    out = ("--out", world.folder / name, "--page-passphrase-file", world.folder / "page.txt")
    return adjudicate(mlb, world, "page", *out, *words)


def packet_of(world: DeskWorld, name: str) -> tuple[Packet, bytes]:
    with world.desk() as desk:
        packet, _ = desk.packets()[name]
        return packet, desk.key_of(packet)


def given_out(mlb: Command, world: DeskWorld, *words: object) -> tuple[Packet, bytes]:
    """A packet of the sample, and its key."""
    fixed(mlb, world)
    done = page(mlb, world, "--only", "sample", "--json", *words)
    assert done.code == 0, done.err
    return packet_of(world, done.result["packet"])


def file_of(
    world: DeskWorld, packet: Packet, key: bytes, verdicts: dict[str, Verdict] | None = None, who: str = "first"
) -> Path:
    file = world.folder / f"{who}-{packet.id}.json"
    file.write_bytes(make_result(packet, key, world.reviewer(who), verdicts or all_of(packet, "是")))
    return file


def report(mlb: Command, world: DeskWorld, name: str = "report") -> dict[str, Any]:
    """Built, and verified with the reviewers' keys out of sight."""
    out = world.folder / name / "report.html"
    keys = ("--key", world.world.key_file, "--sign-key", world.folder / "report.key.json")
    built = mlb("report", "build", world.directory, *keys, "--out", out)
    assert built.code == 0, built.err
    verified = mlb("verify", out, "--trust", world.folder / "report.pub.pem", "--json")
    assert verified.code == 0, verified.err
    return dict(verified.result["data"])


def test_from_the_plan_to_a_report_that_verifies(mlb: Command, world: DeskWorld) -> None:
    planned = adjudicate(mlb, world, "plan")
    assert planned.code == 0, planned.err
    assert "MADiagnosis: 12 items, 60 criteria" in planned.out
    assert "dataset/MADiagnosis >= 0.02" in planned.out
    assert "add --fix" in planned.out
    assert "no gate of the policy concerns it" in planned.out
    (before,) = report(mlb, world, "before")["findings"]["gates"]
    assert (before["outcome"], before["reason"]["code"]) == ("not evaluable", "no-physician-sample")

    packet, key = given_out(mlb, world)
    assert len(packet.tasks) == DRAWN_CRITERIA
    html = (world.folder / "page.html").read_text(encoding="utf-8")
    assert packet.tasks[0].answer not in html, "the page is encrypted"
    assert (world.folder / "page.html").stat().st_mode & 0o777 == 0o600
    (waiting,) = report(mlb, world, "waiting")["findings"]["gates"]
    assert (waiting["outcome"], waiting["reason"]["code"]) == ("not evaluable", "no-physician-sample")

    taken = adjudicate(mlb, world, "import", file_of(world, packet, key))
    assert taken.code == 0, taken.err
    assert f"{DRAWN_CRITERIA} criteria (0 undecided)" in taken.out
    assert world.reviewer().verify_key.fingerprint in taken.out
    data = report(mlb, world)
    assert data["adjudication"]["shares"] == {"MADiagnosis": 1}
    assert [one["criteria"] for one in data["adjudication"]["reviewers"]] == [DRAWN_CRITERIA]
    assert data["adjudication"]["plaintext"] == 0
    assert data["findings"]["gates"][0]["outcome"] == "pass"
    (worth,) = data["findings"]["worth"]
    assert (worth["id"], worth["n"]) == ("MADiagnosis", DRAWN_CRITERIA)


def test_a_gate_whose_sample_a_physician_finds_bad_fails_whatever_the_judges_say(
    mlb: Command, world: DeskWorld
) -> None:
    packet, key = given_out(mlb, world)
    assert adjudicate(mlb, world, "import", file_of(world, packet, key, all_of(packet, "否"))).code == 0
    data = report(mlb, world)
    assert sum(one["criteria"]["y"] for one in data["samples"] if one["dataset"] == "MADiagnosis") > 30
    (found,) = data["findings"]["gates"]
    assert (found["outcome"], found["bound"], found["method"]) == ("fail", 0, "prediction-powered")


def test_json_of_each_command(mlb: Command, world: DeskWorld) -> None:
    plan = adjudicate(mlb, world, "plan", "--json").result
    assert plan["fixed"] is False
    assert [one["dataset"] for one in plan["datasets"]] == list(JUDGED)
    diagnosis = plan["datasets"][2]
    assert diagnosis["gates"]["dataset/MADiagnosis"]["threshold"] == 0.02
    assert diagnosis["share"] is None
    assert diagnosis["criteria"] == DRAWN_CRITERIA
    fixing = adjudicate(mlb, world, "plan", "--fix", *SHARE, "--json").result
    assert fixing["fixed"] is True
    assert {one["dataset"]: one["share"] for one in fixing["datasets"]}["MADiagnosis"] == 1
    again = adjudicate(mlb, world, "plan", "--json").result
    assert (again["fixed"], again["datasets"][2]["share"]) == (True, 1)
    given = page(mlb, world, "--only", "sample", "--json").result
    assert (given["tasks"], given["answers"]) == (DRAWN_CRITERIA, 20)
    table = world.folder / "table.csv"
    exported = adjudicate(mlb, world, "export", "--plaintext", "--only", "disputes", "--out", table, "--json").result
    assert exported["file"] == str(table)
    packet, key = packet_of(world, given["packet"])
    hard = packet.tasks[0].id
    file = file_of(world, packet, key, {**all_of(packet, "否"), hard: "?"})
    assert adjudicate(mlb, world, "import", file, "--json").result == {
        "imported": [
            {
                "file": str(file),
                "packet": packet.id,
                "reviewer": world.reviewer().verify_key.fingerprint,
                "verdicts": DRAWN_CRITERIA,
                "undecided": 1,
            }
        ]
    }
    refused = adjudicate(mlb, world, "import", file, "--json")
    assert refused.code == INPUT
    assert refused.result["error"]["exit_code"] == INPUT
    assert refused.result["error"]["remedy"]


BAD_SHARES = [
    "MADiagnosis",
    "MADiagnosis=",
    "MADiagnosis=0",
    "MADiagnosis=1.1",
    "MADiagnosis=nan",
    "MADiagnosis=x",
    "=1",
]


@pytest.mark.parametrize("share", BAD_SHARES)
def test_a_share_that_is_none_is_refused_and_nothing_is_fixed(mlb: Command, world: DeskWorld, share: str) -> None:
    done = adjudicate(mlb, world, "plan", "--fix", "--share", share)
    assert done.code == USAGE
    assert "--share" in done.err
    assert verify_log(world.directory).shares is None


def test_shares_are_fixed_once_and_only_with_fix(mlb: Command, world: DeskWorld) -> None:
    assert adjudicate(mlb, world, "plan", *SHARE).code == USAGE
    assert adjudicate(mlb, world, "plan", "--fix", *SHARE, *SHARE).code == USAGE
    assert adjudicate(mlb, world, "plan", "--fix", "--share", "CMExam=1").code == USAGE
    fixed(mlb, world)
    done = adjudicate(mlb, world, "plan", "--fix", *SHARE)
    assert done.code == USAGE
    assert "cannot be changed" in done.err


def test_a_gate_is_not_left_without_a_sample_by_oversight(mlb: Command, tmp_path: Path) -> None:
    made = make_desk_world(tmp_path / "world", GATED + gate("dataset", "MADiagnosis", 0.99), items=5)
    done = adjudicate(mlb, made, "plan", "--fix")
    assert done.code == USAGE
    assert "--share MADiagnosis=1" in done.err
    assert verify_log(made.directory).shares is None


def test_packets_wait_for_the_plan_and_files_are_not_written_over(mlb: Command, world: DeskWorld) -> None:
    early = page(mlb, world)
    assert early.code == USAGE
    assert "adjudicate plan --fix" in early.err
    assert not (world.folder / "page.html").exists()
    fixed(mlb, world)
    assert page(mlb, world, "--only", "everything").code == USAGE
    assert page(mlb, world).code == 0
    kept = (world.folder / "page.html").read_bytes()
    assert page(mlb, world).code == INPUT
    assert (world.folder / "page.html").read_bytes() == kept
    assert verify_log(world.directory).packets == 1
    assert page(mlb, world, name="missing/page.html").code == INPUT
    (world.folder / "page.txt").write_text("short", encoding="utf-8")
    assert page(mlb, world, name="other.html").code == USAGE
    assert verify_log(world.directory).packets == 1, "what was not given out is not in the log"


def test_a_table_is_plaintext_only_where_that_is_meant(mlb: Command, world: DeskWorld) -> None:
    fixed(mlb, world)
    for words in (("--out", world.folder / "t.csv"), ("--out", world.folder / "t.txt", "--plaintext")):
        assert adjudicate(mlb, world, "export", *words).code == USAGE
    assert verify_log(world.directory).packets == 0


def edited(raw: bytes, place: int) -> bytes:
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


def test_a_result_with_any_byte_changed_is_refused(mlb: Command, world: DeskWorld) -> None:
    packet, key = given_out(mlb, world, "--limit", 3)
    file = file_of(world, packet, key)
    raw, head = file.read_bytes(), verify_log(world.directory).head
    step = max(1, len(raw) // 25)
    for place in range(0, len(raw), step):
        file.write_bytes(edited(raw, place))
        done = adjudicate(mlb, world, "import", file)
        assert done.code in {INPUT, TRUST}, place
        assert "Traceback" not in done.err
    for piece in (b"", raw[:-1], raw + b"\n", b"{}", b"[]", b"\xff"):
        file.write_bytes(piece)
        assert adjudicate(mlb, world, "import", file).code == INPUT
    assert verify_log(world.directory).head == head
    file.write_bytes(raw)
    assert adjudicate(mlb, world, "import", file).code == 0


def test_partial_unknown_and_repeated_results_are_refused_and_nothing_beside_them_is_taken_in(
    mlb: Command, world: DeskWorld
) -> None:
    packet, key = given_out(mlb, world)
    good = file_of(world, packet, key, who="second")
    partial = file_of(world, packet, key, {packet.tasks[0].id: "是"})
    head = verify_log(world.directory).head

    def refused(code: int, *files: Path) -> Done:
        done = adjudicate(mlb, world, "import", *files)
        assert done.code == code, done.err
        assert verify_log(world.directory).head == head
        return done

    assert "no verdict yet" in refused(INPUT, good, partial).err
    refused(INPUT, good, world.folder / "nothing.json")
    refused(INPUT, good, good)
    stranger = file_of(world, packet, key, who="stranger")
    refused(TRUST, good, stranger)
    assert adjudicate(mlb, world, "import", good).code == 0
    head = verify_log(world.directory).head
    assert "taken in before" in refused(INPUT, good).err


def test_the_publishers_key_settles_nothing(mlb: Command, world: DeskWorld) -> None:
    """The bundle's publisher is trusted, but not as a physician; not even where the file says that it is one."""
    fixed(mlb, world)
    table = world.folder / "t.csv"
    assert adjudicate(mlb, world, "export", "--plaintext", "--limit", 3, "--out", table).code == 0
    fill(table, "是")
    head = verify_log(world.directory).head
    publisher = world.folder / "publisher.key.json"
    assert adjudicate(mlb, world, "import", table, "--reviewer-key", publisher).code in {USAGE, INPUT, TRUST}
    posing = world.folder / "posing.key.json"
    posing.write_text(publisher.read_text().replace('"publisher"', '"reviewer"'))
    done = adjudicate(mlb, world, "import", table, "--reviewer-key", posing)
    assert done.code in {INPUT, TRUST}
    assert "Traceback" not in done.err
    assert verify_log(world.directory).head == head


def test_results_of_another_run_or_packet_are_refused(mlb: Command, world: DeskWorld, tmp_path: Path) -> None:
    packet, key = given_out(mlb, world, "--limit", 3)
    other = with_files(make_desk_world(tmp_path / "other", POLICY))
    foreign, foreign_key = given_out(mlb, other)
    done = adjudicate(mlb, world, "import", file_of(world, foreign, foreign_key))
    assert done.code == TRUST
    assert "never gave out" in done.err
    # Under this packet's name, with the other's content.
    renamed = json.loads(file_of(world, foreign, foreign_key).read_bytes())
    (world.folder / "renamed.json").write_text(
        json.dumps({**renamed, "packet": packet.id}, separators=(",", ":"), sort_keys=True)
    )
    assert adjudicate(mlb, world, "import", world.folder / "renamed.json").code == TRUST
    assert adjudicate(mlb, world, "import", file_of(world, packet, key)).code == 0


def test_exit_codes_of_runs_that_are_none(mlb: Command, world: DeskWorld, tmp_path: Path) -> None:
    empty = DeskWorld(tmp_path / "nowhere", world.world)
    words = opening(world)
    assert mlb("adjudicate", "plan", empty.directory, *words).code == INPUT
    assert mlb("adjudicate", "plan", world.directory).code == USAGE
    wrong = [world.world.trust if word == world.world.key_file else word for word in words]
    assert mlb("adjudicate", "plan", world.directory, *wrong).code in {INPUT, TRUST}
    untrusted = [word if word != world.world.trust else world.folder / "report.pub.pem" for word in words]
    assert mlb("adjudicate", "plan", world.directory, *untrusted).code == TRUST


def test_a_run_that_has_not_finished_is_exit_5(mlb: Command, world: DeskWorld) -> None:
    import sqlite3

    with sqlite3.connect(world.directory / "run.sqlite") as db:
        db.execute("DELETE FROM events WHERE type = 'run.finished'")
    db.close()
    done = adjudicate(mlb, world, "plan")
    assert done.code == TARGET, done.err
    assert "--resume" in done.err


def fill(table: Path, verdict: str) -> None:
    """What a physician does in a spreadsheet."""
    if table.suffix == ".csv":
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
        for row in rows[1:]:
            row[rows[0].index(VERDICT)] = verdict
        with table.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows(rows)
        return
    book = openpyxl.load_workbook(table)
    sheet = book.worksheets[0]
    column = next(cell.column for cell in sheet[1] if cell.value == VERDICT)
    for row in range(2, sheet.max_row + 1):
        sheet.cell(row, column).value = verdict
    book.save(table)


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_a_table_goes_out_and_comes_back_signed_by_whoever_filled_it_in(
    mlb: Command, world: DeskWorld, suffix: str
) -> None:
    fixed(mlb, world)
    first, second = (world.folder / f"{name}.{suffix}" for name in ("first", "second"))
    given = [
        adjudicate(mlb, world, "export", "--plaintext", "--only", which, "--out", table, "--json").result
        for which, table in (("sample", first), ("disputes", second))
    ]
    empty = adjudicate(mlb, world, "import", second, "--reviewer-key", world.reviewer_file("first"))
    assert empty.code == INPUT
    assert "no verdict yet" in empty.err
    fill(first, "是")
    fill(second, "否")
    unsigned = adjudicate(mlb, world, "import", second)
    assert unsigned.code == USAGE
    assert "--reviewer-key" in unsigned.err
    # The last table that was given out is taken to be meant; this is the one before.
    signed = ("--reviewer-key", world.reviewer_file("first"))
    other = adjudicate(mlb, world, "import", first, *signed)
    assert other.code == INPUT
    assert ID in other.err or "not the text" in other.err
    assert adjudicate(mlb, world, "import", first, *signed, "--packet", "nothing").code == USAGE
    untrusted = adjudicate(mlb, world, "import", second, "--reviewer-key", world.reviewer_file("stranger"))
    assert untrusted.code == TRUST
    assert adjudicate(mlb, world, "import", first, *signed, "--packet", given[0]["packet"]).code == 0
    assert adjudicate(mlb, world, "import", second, *signed).code == 0
    data = report(mlb, world)
    assert (data["adjudication"]["packets"], data["adjudication"]["plaintext"]) == (2, 2)
    html = (world.folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "2 of them in plaintext" in html


def told_apart(packet: Packet, salt: str) -> dict[str, Verdict]:
    """Verdicts of one physician: mostly 是, some 否, a few undecided."""
    turns = {task.id: number_of(salt + task.id) % 10 for task in packet.tasks}
    return {task: "?" if turn == 0 else "否" if turn < 4 else "是" for task, turn in turns.items()}


def test_two_who_differ_leave_it_open_a_third_decides_and_their_kappa_is_in_the_report(
    mlb: Command, world: DeskWorld
) -> None:
    from sklearn.metrics import cohen_kappa_score

    packet, key = given_out(mlb, world)
    said = {who: told_apart(packet, who) for who in ("first", "second")}
    files = [file_of(world, packet, key, verdicts, who) for who, verdicts in said.items()]
    assert adjudicate(mlb, world, "import", *files).code == 0
    both = [task.id for task in packet.tasks if "?" not in {said["first"][task.id], said["second"][task.id]}]
    differing = [task for task in both if said["first"][task] != said["second"][task]]
    assert len(differing) > 3
    found = read_results(world.directory, world.world.key)
    marks = "".join(one.physicians for one in found.outcomes if one.dataset == "MADiagnosis")
    assert marks.count("?") == len(packet.tasks) - (len(both) - len(differing))
    before = report(mlb, world, "two")
    assert before["findings"]["gates"][0]["reason"]["code"] == "physician-sample-open"

    kappa = cohen_kappa_score([said["first"][task] for task in both], [said["second"][task] for task in both])
    agreed = 1 - len(differing) / len(both)
    (row,) = [one for one in before["findings"]["worth"] if one["id"] == "physicians"]
    assert row["n"] == row["answered"] == len(both)
    assert row["kappa"]["value"] == pytest.approx(kappa, abs=1e-6)
    assert row["agreed"]["value"] == pytest.approx(agreed, abs=1e-6)

    open_ones = page(mlb, world, "--only", "sample", "--json", name="third.html").result
    assert open_ones["tasks"] == marks.count("?"), "only what is open is asked again"
    third, third_key = packet_of(world, open_ones["packet"])
    assert adjudicate(mlb, world, "import", file_of(world, third, third_key, who="third")).code == 0
    marks_now = "".join(
        one.physicians
        for one in read_results(world.directory, world.world.key).outcomes
        if one.dataset == "MADiagnosis"
    )
    undecided = sum("?" in {said["first"][task.id], said["second"][task.id]} for task in packet.tasks)
    assert marks_now.count("?") <= undecided
    assert len(report(mlb, world, "three")["adjudication"]["reviewers"]) == 3


@pytest.mark.skipif(chromium.find() is None, reason="no chromium on this machine")
def test_a_physician_settles_the_page_in_a_browser_and_the_file_is_taken_in(
    mlb: Command, world: DeskWorld, tmp_path: Path
) -> None:
    packet, _key = given_out(mlb, world, "--limit", 6)
    (tmp_path / "downloads").mkdir()
    with chromium.Chromium(tmp_path / "profile", tmp_path / "downloads") as browser:
        browser.open(world.folder / "page.html")
        browser.type("passphrase", PASSPHRASE)
        browser.press("Enter")
        browser.until("el('desk').hidden === false")
        shown = browser.run("document.body.innerText")
        assert "zq-" not in shown
        for key in "ynyyny":
            browser.press(key)
        browser.click("#save")
        browser.choose("key-file", world.reviewer_file("first"))
        browser.type("key-passphrase", "")
        browser.press("Enter")
        browser.until("el('key-said').innerText.includes('已签署并保存')")
        deadline = time.monotonic() + 20
        while not (files := list((tmp_path / "downloads").glob("*-complete.json"))) and time.monotonic() < deadline:
            time.sleep(0.05)
    done = adjudicate(mlb, world, "import", *files, "--json")
    assert done.code == 0, done.err
    assert done.result["imported"][0]["reviewer"] == world.reviewer().verify_key.fingerprint
    found = read_results(world.directory, world.world.key).adjudication
    assert found is not None
    assert list(found.labels[0].verdicts.values()) == list("是否是是否是")
    assert len(packet.tasks) == 6


def test_the_whole_job_in_real_processes(world: DeskWorld) -> None:
    def mlb(*words: object) -> Done:
        command = [sys.executable, "-m", "mlb_offline", "--lang", "en", *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env={**os.environ, "LC_ALL": "C.UTF-8"}
        )
        return Done(done.returncode, done.stdout, done.stderr)

    packet, key = given_out(mlb, world, "--limit", 6)
    assert adjudicate(mlb, world, "import", file_of(world, packet, key)).code == 0
    again = adjudicate(mlb, world, "import", file_of(world, packet, key))
    assert again.code == INPUT
    assert "Traceback" not in again.err
    data = report(mlb, world)
    assert [one["criteria"] for one in data["adjudication"]["reviewers"]] == [6]
    assert data["findings"]["gates"][0]["reason"]["code"] == "physician-sample-open"
