"""docs/scoring.md and the tests speak of the same rules, and the code of the same reasons."""

from __future__ import annotations

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
DOCUMENT = (REPOSITORY / "docs" / "scoring.md").read_text(encoding="utf-8")
RULES = set(re.findall(r"^- \*\*([PCJETS]\d+)\*\*", DOCUMENT, re.MULTILINE))


def test_every_documented_rule_has_a_test_that_names_it_and_no_test_names_another() -> None:
    tables = [
        json.loads(line)["rule"] for path in HERE.glob("*.jsonl") for line in path.read_text("utf-8").splitlines()
    ]
    named = [
        rule for path in HERE.glob("test_*.py") for rule in re.findall(r"_rule_([a-z]\d+)", path.read_text("utf-8"))
    ]
    assert {*tables, *(rule.upper() for rule in named)} == RULES


def test_the_code_names_no_rule_that_is_not_documented() -> None:
    code = "".join(path.read_text("utf-8") for path in (REPOSITORY / "mlb_offline" / "scoring").glob("*.py"))
    assert set(re.findall(r"\b([PCJETS]\d{1,2})\b", code)) <= RULES


def test_every_reason_for_an_unreadable_answer_is_documented() -> None:
    code = "".join(path.read_text("utf-8") for path in (REPOSITORY / "mlb_offline" / "scoring").glob("*.py"))
    reasons = set(re.findall(r'Unreadable\("([a-z-]+)"\)', code)) | set(
        re.findall(r'Group\(None, [^"]+"([a-z-]+)"\)', code)
    )
    assert reasons
    assert {reason for reason in reasons if f"`{reason}`" not in DOCUMENT} == set()
