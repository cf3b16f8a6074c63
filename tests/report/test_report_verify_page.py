"""verify.html: a second reader of the report format, in a browser without network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import report_cases as cases

from mlb_offline.report import trailer
from mlb_offline.report.build import sign, verify_page

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=20000",
    "--dump-dom",
]


def part(tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", verify_page().decode(), re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_its_policy_allows_its_own_script_and_style_and_no_network() -> None:
    def digest(text: str) -> str:
        return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    page = verify_page().decode()
    assert (
        f"default-src 'none'; script-src '{digest(part('script'))}'; style-src '{digest(part('style'))}'; "
        "base-uri 'none'; form-action 'none'" in page
    )
    for word in (
        "http://",
        "https://",
        "fetch(",
        "XMLHttpRequest",
        "import(",
        "eval(",
        "innerHTML",
        "style=",
        "onclick",
    ):
        assert word not in page


def test_it_says_what_it_does_not_check() -> None:
    page = verify_page().decode()
    assert "<strong>not</strong> compute scores" in page
    assert "mlb-offline verify" in page


def test_a_browser_takes_the_honest_report_and_refuses_changed_ones(tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium on this machine; the format's other readers are tested elsewhere")
    report = sign(cases.data_of(cases.results_of()), cases.KEY).report
    start = len(trailer.split(report, file="x").page)
    inputs = {"honest": report, "appended": report + b"\n", "two": report + report[start:], "none": report[:start]}
    for place in [0, 1000, start - 1, *range(start, len(report), 37), len(report) - 1]:
        raw = bytearray(report)
        raw[place] ^= 1
        inputs[f"byte {place}"] = bytes(raw)
    pem, foreign = (key.verify_key.to_pem().decode() for key in (cases.KEY, cases.FOREIGN))
    jobs = [[name, base64.b64encode(raw).decode(), pem] for name, raw in inputs.items()]
    jobs.append(["foreign", base64.b64encode(report).decode(), foreign])
    for purpose in ("publisher", "reviewer"):
        jobs.append([purpose, base64.b64encode(report).decode(), pem.replace("of: report", f"of: {purpose}")])
    harness = tmp_path / "harness.html"
    harness.write_text(
        f"<!doctype html><meta charset=utf-8><pre id=out></pre><script>{part('script')}\n"
        f"const JOBS = {json.dumps(jobs)};\n"
        "(async () => { const said = {};\n"
        "for (const [name, raw, pem] of JOBS) { try { said[name] = await checkReport(bytesOf(atob(raw)), pem); }\n"
        "catch (error) { said[name] = String(error instanceof Refused ? error.en : 'crash: ' + error); } }\n"
        "document.getElementById('out').textContent = JSON.stringify(said); })();</script>"
    )
    command = [browser, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", harness.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    found = re.search(r'<pre id="out">(.*?)</pre>', shown, re.DOTALL)
    assert found is not None
    said = json.loads(found[1])
    assert said.pop("honest") == {
        "verdict": "not evaluable",
        "indicative": False,
        "run": cases.results_of().run_id,
        "fingerprint": cases.KEY.verify_key.fingerprint,
        "digest": hashlib.sha256(report[:start]).hexdigest(),
    }
    assert len(said) == len(jobs) - 1
    assert [name for name, words in said.items() if not isinstance(words, str)] == []
    assert [words for words in said.values() if words.startswith("crash")] == []
    assert "not by the key given" in said["foreign"]
    assert "the key of a bundle's publisher" in said["publisher"]
    assert "the key of a physician reviewer" in said["reviewer"]
