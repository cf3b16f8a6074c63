"""A report that is not byte for byte what a trusted key signed is refused."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest
import report_cases as cases
import rfc8785

from mlb_offline.errors import InputError, TrustError
from mlb_offline.report import trailer
from mlb_offline.report.build import sign
from mlb_offline.report.verify import read_limited, verify_bytes, verify_report
from mlb_offline.trust.store import TrustSet

TRUST = TrustSet((cases.KEY.verify_key,))


@pytest.fixture(scope="module")
def report() -> bytes:
    return sign(cases.data_of(cases.results_of()), cases.KEY).report


def refused(raw: bytes, trust: TrustSet = TRUST) -> bool:
    try:
        verify_bytes(raw, trust, file="report.html")
    except TrustError as error:
        return bool(error.message and error.remedy)
    return False


def test_an_untouched_report_is_authentic(report: bytes) -> None:
    data, signers = verify_bytes(report, TRUST, file="report.html")
    assert data.findings.verdict == "not evaluable"
    assert [key.keyid for key in signers] == [cases.KEY.keyid]


def test_every_byte_of_the_page_counts(report: bytes) -> None:
    random.seed(1)
    raw = bytearray(report)
    passed = []
    for place in range(len(trailer.split(report, file="x").page)):
        bit = 1 << random.randrange(8)
        raw[place] ^= bit
        if not refused(bytes(raw)):
            passed.append(place)
        raw[place] ^= bit
    assert passed == []


def test_every_bit_of_the_trailer_counts(report: bytes) -> None:
    raw = bytearray(report)
    start = len(trailer.split(report, file="x").page)
    passed = []
    for place in range(start, len(raw)):
        for bit in range(8):
            raw[place] ^= 1 << bit
            if not refused(bytes(raw)):
                passed.append((place, bit))
            raw[place] ^= 1 << bit
    assert passed == []


def test_a_report_cut_short_anywhere_is_refused(report: bytes) -> None:
    start = len(trailer.split(report, file="x").page)
    lengths = [*range(0, start, 101), *range(start, len(report))]
    assert all(refused(report[:length]) for length in lengths)


@pytest.mark.parametrize("more", [b"\n", b" ", b"\0", b"<p>pass</p>", b"<!---->", b"\n<!---->\n"])
def test_appended_bytes_are_refused(report: bytes, more: bytes) -> None:
    assert refused(report + more)
    assert refused(more + report)


def test_a_second_trailer_is_refused(report: bytes) -> None:
    split = trailer.split(report, file="x")
    tail = report[len(split.page) :]
    assert refused(report + tail)
    assert refused(split.page + tail + b"<p></p>" + tail)
    assert refused(tail + report)


def test_a_foreign_key_is_refused_and_named(report: bytes) -> None:
    foreign = sign(cases.data_of(cases.results_of(), key=cases.FOREIGN), cases.FOREIGN).report
    with pytest.raises(TrustError, match=cases.FOREIGN.keyid):
        verify_bytes(foreign, TRUST, file="report.html")
    assert refused(report, TrustSet((cases.FOREIGN.verify_key,)))


def test_a_signature_moved_from_another_report_is_refused(report: bytes) -> None:
    other = sign(cases.data_of(cases.results_of({"CMExam": 11})), cases.KEY).report
    assert not refused(other)
    page, tail = trailer.split(report, file="x").page, other[len(trailer.split(other, file="x").page) :]
    with pytest.raises(TrustError) as caught:
        verify_bytes(page + tail, TRUST, file="report.html")
    assert caught.value.field == "report-page"


def retrailed(report: bytes, **changes: object) -> bytes:
    """The report with keys of its trailer replaced (None: removed)."""
    split = trailer.split(report, file="x")
    text = report[len(split.page) + len(trailer.OPEN) : -len(trailer.CLOSE)]
    value = {**json.loads(base64.b64decode(text)), **changes}
    body = rfc8785.dumps({key: entry for key, entry in value.items() if entry is not None})
    return split.page + trailer.OPEN + base64.b64encode(body) + trailer.CLOSE


def test_the_trailer_is_spelled_in_one_way_only(report: bytes) -> None:
    assert retrailed(report) == report
    split = trailer.split(report, file="x")
    text = report[len(split.page) + len(trailer.OPEN) : -len(trailer.CLOSE)]
    loose = json.dumps(json.loads(base64.b64decode(text))).encode()
    assert refused(split.page + trailer.OPEN + base64.b64encode(loose) + trailer.CLOSE)
    assert refused(split.page + trailer.OPEN + text + b"\n" + trailer.CLOSE)
    assert refused(split.page + trailer.OPEN + base64.b64encode(b"[]") + trailer.CLOSE)


@pytest.mark.parametrize("key", trailer.KEYS)
def test_a_trailer_without_one_of_its_keys_is_refused(report: bytes, key: str) -> None:
    assert refused(retrailed(report, **{key: None}))


@pytest.mark.parametrize("key", trailer.RESERVED)
def test_what_this_version_cannot_check_is_refused_not_ignored(report: bytes, key: str) -> None:
    with pytest.raises(TrustError, match=key):
        verify_bytes(retrailed(report, **{key: ["x"]}), TRUST, file="report.html")


@pytest.mark.parametrize(
    "changes",
    [{"format": "mlb-offline/report-trailer/v2"}, {"extra": 1}, {"envelope": 7}, {"envelope": "é"}, {"envelope": ""}],
)
def test_other_trailer_contents_are_refused(report: bytes, changes: dict[str, object]) -> None:
    assert refused(retrailed(report, **changes))


def test_another_spelling_of_the_envelope_is_refused(report: bytes) -> None:
    split = trailer.split(report, file="x")
    loose = json.dumps(json.loads(split.envelope)).encode()
    assert refused(retrailed(report, envelope=base64.b64encode(loose).decode()))


def test_files_that_are_no_reports_are_refused(tmp_path: Path) -> None:
    for raw in (b"", b"<html></html>", b"\x00" * 100, trailer.OPEN, trailer.OPEN + trailer.CLOSE):
        assert refused(raw)
    with pytest.raises(InputError):
        verify_report(tmp_path / "absent.html", TRUST)
    with pytest.raises(InputError):
        verify_report(tmp_path, TRUST)
    (tmp_path / "long").write_bytes(b"12345")
    with pytest.raises(TrustError):
        read_limited(tmp_path / "long", 4)
