"""Answers that were put to no judge: how many and why stands in the report, and fits what is told of criteria."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import report_cases as cases
import rfc8785
import zstandard

from mlb_offline.errors import TrustError
from mlb_offline.judge.panel import ASIDE
from mlb_offline.report.build import sign
from mlb_offline.report.data import ReportData
from mlb_offline.report.items import pack
from mlb_offline.report.page import render
from mlb_offline.report.verify import items_match, verify_bytes
from mlb_offline.trust.store import TrustSet

TRUST = TrustSet((cases.KEY.verify_key,))
COUNTS = {"CMExam": 12, "GeneralSafety": 30, "MAEthic": 20, "MADiagnosis": 60}
RESULTS = cases.set_aside(cases.results_of(COUNTS), {"GeneralSafety": (1, 2, 4, 7), "MADiagnosis": (0, 5, 8)})
HONEST = cases.reread(cases.data_of(RESULTS))
NONE = cases.reread(cases.data_of(cases.results_of(COUNTS)))
Change = Callable[[dict[str, Any]], object]


def sample(value: dict[str, Any], name: str = "GeneralSafety") -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in value["samples"] if one["dataset"] == name)
    return found


def aside(name: str = "GeneralSafety", **counts: int) -> Change:
    told = {code.replace("_", "-"): count for code, count in counts.items()}
    return lambda value: sample(value, name)["aside"].update(told)


def lie(change: Change) -> ReportData:
    """No finding follows from these counts, so the lie is whole."""
    value = json.loads(HONEST.to_bytes())
    change(value)
    assert value != json.loads(HONEST.to_bytes())
    return ReportData.model_validate(value)


def test_answers_are_counted_by_reason() -> None:
    told = {one.dataset: {code: n for code, n in one.aside.items() if n} for one in HONEST.samples}
    assert told == {
        "CMExam": {},
        "GeneralSafety": {"any": 4, "instruction": 1, "judge-failed": 1, "length": 1, "repetition": 1, "verdict": 2},
        "MAEthic": {},
        "MADiagnosis": {"any": 3, "instruction": 1, "length": 1, "repetition": 1, "verdict": 2},
    }
    keys = {one.dataset: one.aside.keys() for one in HONEST.samples}
    assert keys.pop("CMExam") == set()
    assert all(names == {"any", *ASIDE} for names in keys.values())


@pytest.mark.parametrize("data", [HONEST, NONE])
def test_honest_reports_stand(data: ReportData) -> None:
    assert verify_bytes(sign(data, cases.KEY).report, TRUST, file="report.html")[0] == data


def test_the_page_tells_them_where_there_are_any() -> None:
    page = render(HONEST, "").decode()
    for words in (
        "未由裁判评判的回答",
        "The answers below are judged by no model",
        "a physician decides",
        "writes for its judges, or repeats itself",
        '<th scope="row">GeneralSafety</th><td class="number">4 / 26</td>',
        '写有评判结论 <span class="inline-en" lang="en">offers a verdict</span>&nbsp;2；',
        '裁判出错 <span class="inline-en" lang="en">a judge failed</span>&nbsp;1</td>',
    ):
        assert words in page, words
    assert "隐藏字符" not in page
    assert page.count("offers a verdict") == 2, "only datasets that have any"
    assert "未由裁判评判的回答" not in render(NONE, "").decode()


def abstained(value: dict[str, Any], name: str, criteria: int) -> None:
    """Of so many criteria a judge abstained, and of the others both said 否."""
    told = sample(value, name)["criteria"]
    told.update(a=criteria, n=told["n"] + told["a"] - criteria)


def all_of_them(value: dict[str, Any]) -> None:
    """All answers set aside, with a criterion each to abstain on, though judges agreed on others."""
    judged = sample(value, "MADiagnosis")["tally"]["judged"]
    abstained(value, "MADiagnosis", judged)
    aside("MADiagnosis", any=judged, verdict=judged)(value)


def more_than_abstained(value: dict[str, Any]) -> None:
    """Of answers that have no number of criteria of their own."""
    more = sample(value, "MADiagnosis")["criteria"]["a"] + 1
    assert more < sample(value, "MADiagnosis")["tally"]["judged"]
    aside("MADiagnosis", any=more, verdict=more)(value)


LIES: dict[str, Change] = {
    "none": aside(any=0, instruction=0, judge_failed=0, length=0, repetition=0, verdict=1),
    "fewer than by a reason": aside(any=1),
    "fewer than by a reason and those at which a judge failed": aside(any=2),
    "more than by all reasons": aside("MADiagnosis", any=6),
    "more than were judged": aside(any=27, verdict=27),
    "more than abstained criteria": more_than_abstained,
    "all of them, with criteria agreed on": all_of_them,
    "six criteria each": aside("MAEthic", any=2, verdict=2),
    "an unknown reason": aside(boredom=1),
    "a reason left out": lambda v: sample(v)["aside"].pop("hidden"),
    "no counts": lambda v: sample(v).update(aside={}),
    "of a dataset without judges": lambda v: sample(v, "CMExam").update(aside=dict(sample(v)["aside"])),
    "criteria agreed on after all": lambda v: abstained(v, "GeneralSafety", 3),
}


@pytest.mark.parametrize("name", LIES)
def test_counts_that_do_not_fit_are_refused(name: str) -> None:
    with pytest.raises(TrustError) as caught:
        verify_bytes(sign(lie(LIES[name]), cases.KEY).report, TRUST, file="report.html")
    assert caught.value.field == "data.samples"


@pytest.mark.parametrize("count", [-1, 1.5, "2", None])
def test_a_count_is_a_number(count: object) -> None:
    with pytest.raises(ValueError, match="aside"):
        lie(aside(verdict=count))  # type: ignore[arg-type]


def test_with_the_items_file_every_count_is_checked() -> None:
    lying = lie(aside(verdict=1, claim=1))
    verify_bytes(sign(lying, cases.KEY).report, TRUST, file="report.html")
    items_match(pack(RESULTS)[0], HONEST, file="items")
    with pytest.raises(TrustError, match=r"disagree|不一致"):
        items_match(pack(RESULTS)[0], lying, file="items")


RECORDS: dict[str, dict[str, Any]] = {
    "no reason": {"signs": []},
    "an unknown reason": {"signs": ["boredom"]},
    "out of order": {"signs": ["verdict", "claim"]},
    "twice": {"signs": ["claim", "claim"]},
    "judged all the same": {"judges": "y"},
    "of an answer that nobody judged": {"outcome": "unjudged", "judges": None},
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_an_answer_set_aside_says_why_and_has_no_verdict(name: str) -> None:
    plain = zstandard.ZstdDecompressor().decompress(pack(RESULTS)[0])
    records = [json.loads(line) for line in plain.splitlines()]
    place = next(n for n, one in enumerate(records) if one.get("signs") and one["dataset"] == "GeneralSafety")
    records[place] = {key: value for key, value in (records[place] | RECORDS[name]).items() if value is not None}
    raw = zstandard.ZstdCompressor().compress(b"".join(rfc8785.dumps(one) + b"\n" for one in records))
    data = HONEST.model_copy(
        update={"items": HONEST.items.model_copy(update={"sha256": hashlib.sha256(raw).hexdigest()})}
    )
    with pytest.raises(TrustError, match=r"not valid|无效"):
        items_match(raw, data, file="items")
