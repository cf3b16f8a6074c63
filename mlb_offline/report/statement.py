"""The signed statement: in-toto Statement v1 with the test-result predicate v0.1.

It follows from the data and the digest of the page alone, so that a verifier makes it again and compares bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlb_offline.report import canonical

if TYPE_CHECKING:
    from mlb_offline.report.data import ReportData, Verdict

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"

# A consumer that knows only the three results must never take "not evaluable" for more than it is.
RESULTS: dict[Verdict, str] = {
    "pass": "PASSED",
    "conditional": "WARNED",
    "fail": "FAILED",
    "not evaluable": "FAILED",
}


def build_statement(data: ReportData, page_sha256: str) -> bytes:
    """The canonical bytes of the statement about a report.

    Args:
        data: the document embedded in the page.
        page_sha256: SHA-256 (hex) of all bytes before the trailer.
    """
    return canonical.dump(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in _subjects(data, page_sha256)],
            "predicateType": PREDICATE_TYPE,
            "predicate": _predicate(data),
        }
    )


def _subjects(data: ReportData, page_sha256: str) -> list[tuple[str, str]]:
    return [
        ("report-page", page_sha256),
        ("items", data.items.sha256),
        ("bundle", data.run.identity.bundle.file_sha256),
        *((f"judge-{number}", judge.sha256) for number, judge in enumerate(data.run.identity.judges, start=1)),
        ("policy", data.policy.sha256),
        ("run-log-head", data.run.event_head),
        ("installed-files", data.tool.files_sha256),
    ]


def _predicate(data: ReportData) -> dict[str, Any]:
    findings = data.findings
    gates = {f"{gate.scope}:{gate.id}": gate.outcome for gate in findings.gates}
    return {
        "result": RESULTS[findings.verdict],
        "configuration": [
            {
                "name": "run-identity",
                "digest": {"sha256": data.run.identity_sha256},
                "annotations": {
                    "format": data.format,
                    "indicative": bool(findings.indicative),
                    "requiredSigners": [signer.keyid for signer in data.signers],
                    "runId": data.run.id,
                    "tool": f"{data.tool.name} {data.tool.version}",
                    "verdict": findings.verdict,
                },
            },
            {"name": "policy", "digest": {"sha256": data.policy.sha256}},
        ],
        "passedTests": sorted(name for name, outcome in gates.items() if outcome == "pass"),
        "warnedTests": [],
        "failedTests": sorted(name for name, outcome in gates.items() if outcome != "pass"),
    }
