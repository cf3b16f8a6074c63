"""Building a report: the files, what openssl says of them, and what stops it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_cases as cases

from mlb_offline.errors import InputError, UsageError
from mlb_offline.report import items as items_file
from mlb_offline.report import measured
from mlb_offline.report.build import BuiltReport, build_report
from mlb_offline.report.statement import RESULTS, build_statement
from mlb_offline.report.verify import verify_report
from mlb_offline.run.results import RunResults
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.trust.signing import SigningKey
from mlb_offline.trust.store import TrustSet

TRUST = TrustSet((cases.KEY.verify_key,))


def built(out: Path, results: RunResults | None = None, policy: str | None = None, **more: Any) -> BuiltReport:
    results = cases.results_of(policy=policy) if results is None else results
    return build_report(results, cases.KEY, out, policy=cases.policy_of(policy), now=cases.NOW, **more)


def test_what_was_built_verifies_with_its_items_file(tmp_path: Path) -> None:
    report = built(tmp_path / "new" / "folder" / "r.v1.html", policy=cases.GATED)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "r.v1.html",
        "r.v1.items.zst",
        "r.v1.payload.bin",
        "r.v1.pub.pem",
        "r.v1.sig",
        "verify.html",
    ]
    assert report.files[0] == report.path
    verified = verify_report(report.path, TRUST)
    assert verified.items == report.path.with_name("r.v1.items.zst")
    assert verified.same_program
    assert verified.verdict == "conditional" or verified.verdict in RESULTS


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = built(tmp_path / "a" / "r.html"), built(tmp_path / "b" / "r.html")
    assert [path.read_bytes() for path in one.files] == [path.read_bytes() for path in other.files]


def test_openssl_alone_verifies_what_was_written_and_the_page_says_how(tmp_path: Path) -> None:
    assert shutil.which("openssl"), "openssl 3 is needed to check what auditors will check"
    built(tmp_path / "report.html")
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "report.pub.pem",
        "-rawin",
        "-in",
        "report.payload.bin",
        "-sigfile",
        "report.sig",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "Signature Verified Successfully")
    digest = subprocess.run(
        "n=$(grep -abo '<!--mlb-offline report trailer' report.html | cut -d: -f1)\n"
        'head -c "$n" report.html | openssl dgst -sha256\n'
        'grep -aoE \'.{84}"name":"report-page"\' report.payload.bin',
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert len(digest) == 2
    assert digest[0].split()[-1] in digest[1]
    page = (tmp_path / "report.html").read_text()
    for part in ("report.pub.pem -rawin", "grep -abo", "grep -aoE", "-in report.payload.bin -sigfile report.sig"):
        assert part in page
    raw = bytearray((tmp_path / "report.payload.bin").read_bytes())
    raw[100] ^= 1
    (tmp_path / "report.payload.bin").write_bytes(raw)
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode != 0


def test_nothing_is_written_over_without_force(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    built(out)
    before = out.read_bytes()
    other = replace(cases.results_of(), retries=99)
    with pytest.raises(InputError) as caught:
        built(out, other)
    assert "--force" in caught.value.remedy
    assert out.read_bytes() == before
    built(out, other, force=True)
    assert out.read_bytes() != before
    assert verify_report(out, TRUST).data.run.retries == 99
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_an_existing_companion_stops_the_report_too(tmp_path: Path) -> None:
    (tmp_path / "verify.html").write_text("something of the user's")
    with pytest.raises(InputError) as caught:
        built(tmp_path / "report.html")
    assert caught.value.file == str(tmp_path / "verify.html")
    assert [path.name for path in tmp_path.iterdir()] == ["verify.html"]


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        built(tmp_path / "file" / "report.html")
    assert "file" in (caught.value.file or "")


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlb_offline.report.build.os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        built(tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_wrong_ending_kind_of_key_and_policy_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="html"):
        built(tmp_path / "report.pdf")
    publisher = SigningKey.from_seed(bytes(32), "publisher")
    with pytest.raises(UsageError, match="report"):
        build_report(cases.results_of(), publisher, tmp_path / "r.html", policy=cases.policy_of(None), now=cases.NOW)
    with pytest.raises(UsageError, match="policy"):
        build_report(
            cases.results_of(), cases.KEY, tmp_path / "r.html", policy=cases.policy_of(cases.GATED), now=cases.NOW
        )
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_another_version_or_with_unknown_limits_makes_no_report() -> None:
    with pytest.raises(InputError) as caught:
        cases.data_of(cases.results_of(format="mlb-offline/run/v2"))
    assert caught.value.field == "format"
    with pytest.raises(InputError, match="starter-bundle"):
        cases.data_of(replace(cases.results_of(), indicative=("starter-bundle",)))


def test_a_report_whose_times_are_out_of_order_is_not_made() -> None:
    for changes in ({"finished": "2026-03-01T07:00:00.000Z"}, {"finished": "2026-03-09T00:00:00.000Z"}):
        with pytest.raises(InputError) as caught:
            cases.data_of(replace(cases.results_of(), **changes))  # type: ignore[arg-type]
        assert caught.value.remedy


def test_answers_under_several_model_names_make_a_report_indicative() -> None:
    for models in ({"b": 10, "a": 10}, {"demo-med-7b": 19, "unknown": 1}):
        data = cases.data_of(replace(cases.results_of(policy=cases.GATED), models=models), cases.GATED)
        assert [reason.code for reason in data.findings.indicative] == ["several-models"]
        assert data.findings.verdict == "not evaluable"
        assert cases.reread(data).findings == data.findings
    assert cases.data_of(replace(cases.results_of(), models={"unknown": 20})).findings.indicative == []


def test_an_approval_dated_after_the_run_started_does_not_count() -> None:
    late = cases.GATED.replace("2026-01-05", "2026-03-04")
    data = cases.data_of(cases.results_of(policy=late), late)
    assert data.findings.verdict == "not evaluable"
    assert [reason.code for reason in data.findings.reasons] == ["approval-after-start"]


def test_an_unfinished_run_is_reported_as_indicative_with_missing_counted_wrong() -> None:
    results = cases.results_of({"CMExam": 10})
    cut = [o if n < 6 else replace(o, outcome=Outcome.MISSING) for n, o in enumerate(results.outcomes)]
    data = cases.data_of(replace(results, outcomes=tuple(cut), complete=False, finished=None))
    assert data.samples[0].tally["missing"] == 4
    assert data.findings.datasets[0].figure is not None
    assert data.findings.datasets[0].figure.value == 0.6
    assert [reason.code for reason in data.findings.indicative] == ["run-not-finished"]


def test_repeats_are_counted_by_item() -> None:
    results = cases.results_of({"CMExam": 12, "CMeEE": 4}, repeats=3)
    data = cases.data_of(results)
    assert data.samples[0].n == 12
    assert sum(data.samples[0].tally.values()) == 36
    assert {row[1] for row in data.samples[0].histogram} == {3}
    assert data.items.records == 48


def test_items_are_sorted_records_without_text_and_repeat_byte_for_byte() -> None:
    results = cases.results_of()
    raw, records = items_file.pack(results)
    again, _ = items_file.pack(replace(results, outcomes=tuple(reversed(results.outcomes))))
    assert raw == again
    header, rows = items_file.unpack(raw, file="items")
    assert header.run == results.run_id
    assert len(rows) == records == len(results.outcomes)
    assert {row.item: row.outcome for row in rows} == {o.item: o.outcome for o in results.outcomes}
    assert {row.digest for row in rows} == {o.digest for o in results.outcomes}


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]",
        b'{"format":"mlb-offline/items/v1"}\n',
        b"no json\n",
        b'{"format":"mlb-offline/items/v1","identity_sha256":"' + b"0" * 64 + b'","run":"r"}\n{}\n',
    ],
)
def test_items_files_of_another_shape_are_refused(plain: bytes) -> None:
    import zstandard

    from mlb_offline.errors import TrustError

    with pytest.raises(TrustError):
        items_file.unpack(zstandard.ZstdCompressor().compress(plain), file="items")


def test_items_out_of_order_or_twice_are_refused() -> None:
    import zstandard

    from mlb_offline.errors import TrustError

    lines = zstandard.ZstdDecompressor().decompress(items_file.pack(cases.results_of())[0]).splitlines(keepends=True)
    for other in ([*lines, lines[-1]], [lines[0], lines[2], lines[1]]):
        with pytest.raises(TrustError):
            items_file.unpack(zstandard.ZstdCompressor().compress(b"".join(other)), file="items")


def test_critical_items_are_those_named_and_asked() -> None:
    policy = cases.policy_of(
        'name="x"\nversion="1"\n'
        '[[critical]]\ndataset="CMExam"\nitems=["CMExam-0","CMExam-11","absent"]\n'
        '[[critical]]\ndataset="CMeEE"\nitems=["CMeEE-0","CMeEE-5"]\n'
        '[[critical]]\ndataset="MAHalt"\n'
    )
    found = items_file.critical_items(policy, cases.results_of(repeats=2).outcomes)
    assert found == {"CMExam": {"CMExam-0": True, "CMExam-11": False}, "CMeEE": {"CMeEE-0": True, "CMeEE-5": False}}


def test_not_evaluable_is_never_told_as_passed() -> None:
    assert RESULTS["not evaluable"] == "FAILED"
    assert [verdict for verdict, result in RESULTS.items() if result == "PASSED"] == ["pass"]
    statement = json.loads(build_statement(cases.data_of(cases.results_of()), "00" * 32))
    assert statement["predicate"]["result"] == "FAILED"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert [subject["name"] for subject in statement["subject"]] == [
        "report-page",
        "items",
        "bundle",
        "policy",
        "run-log-head",
        "installed-files",
    ]
    assert statement["predicate"]["configuration"][0]["annotations"]["requiredSigners"] == [cases.KEY.keyid]


def test_the_judges_of_a_run_are_subjects_of_the_signature() -> None:
    statement = json.loads(build_statement(cases.data_of(cases.results_of({"MAEthic": 12})), "00" * 32))
    named = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    assert [named["judge-1"], named["judge-2"]] == [judge["sha256"] for judge in cases.JUDGES]


def test_the_measured_manifest_sees_every_file_but_caches(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.py").write_text("1")
    (tmp_path / "c.toml").write_text("2")
    first = measured.manifest(tmp_path)
    lines = sorted(
        f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in (("a/b.py", b"1"), ("c.toml", b"2"))
    )
    assert first == measured.Measured(2, hashlib.sha256("".join(lines).encode()).hexdigest())
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_text("3")
    assert measured.manifest(tmp_path) == first
    (tmp_path / "a" / "b.py").write_text("2")
    assert measured.manifest(tmp_path) != first
