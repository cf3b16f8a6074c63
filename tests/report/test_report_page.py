"""The page: what it says, in both languages, without scripts or outside resources, whatever the strings in it."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
import report_cases as cases
from hypothesis import given, settings
from hypothesis import strategies as st

from mlb_offline.benchmark.catalogue import DIMENSIONS, Metric
from mlb_offline.errors import InputError
from mlb_offline.report import page as rendering
from mlb_offline.report.build import sign
from mlb_offline.report.data import TALLY, ReportData, embed, extract
from mlb_offline.report.page import floor_percent, neutral, percent, render, threshold, wording
from mlb_offline.report.verify import verify_bytes
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.stats.reasons import known_codes
from mlb_offline.trust.store import TrustSet

HARMFUL = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
VOID = {"meta", "line", "circle", "br"}


class Reader(HTMLParser):
    """Elements, attributes and text of a page; fails where tags are not properly nested."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page.decode())
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "template"}:
            self.text.append(data)


def page_of(data: ReportData) -> bytes:
    return render(data, embed(data))


@pytest.fixture(scope="module")
def golden() -> dict[str, ReportData]:
    return {name: data for name, (data, _key) in cases.golden_cases().items()}


@pytest.mark.parametrize("name", ["gated", "adjudicated", "indicative"])
def test_the_page_is_the_golden_one(name: str) -> None:
    """After a wanted change: run report_cases.py as it says; a published template is never changed."""
    data, key = cases.golden_cases()[name]
    kept = (cases.GOLDEN / f"{name}.html").read_bytes()
    kept_data, embedded = extract(kept, file=name)
    assert kept_data == data
    assert kept.startswith(render(data, embedded))
    verify_bytes(kept, TrustSet((key.verify_key,)), file=name)


@pytest.mark.parametrize("name", ["gated", "indicative"])
def test_there_is_no_script_no_style_attribute_and_nothing_from_outside(
    golden: dict[str, ReportData], name: str
) -> None:
    page = page_of(golden[name])
    reader = Reader(page)
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
        "input",
        "a",
        "base",
        "foreignobject",
    }
    for tag, attributes in reader.tags:
        assert not {key for key in attributes if key.startswith("on")} | (
            {"style", "src", "href", "srcset"} & set(attributes)
        )
        assert tag != "meta" or attributes.get("http-equiv") in {None, "Content-Security-Policy"}
    assert b"@import" not in page
    assert b"url(" not in page


def test_the_policy_in_the_page_allows_its_own_style_and_nothing_else(golden: dict[str, ReportData]) -> None:
    page = page_of(golden["gated"]).decode()
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    policy = next(a["content"] for t, a in Reader(page.encode()).tags if a.get("http-equiv"))
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_the_page_speaks_both_languages_and_prints(golden: dict[str, ReportData]) -> None:
    page = page_of(golden["gated"]).decode()
    text = " ".join(Reader(page.encode()).text)
    for words in (
        "有条件通过",
        "Conditional",
        "自证",
        "Self-attested",
        "Unix sockets only (unix-only)",
        "The guard covers the evaluator",
        "凭裁判得到的得分仅供参考",
        "scores by judges are indicative",
        "accepted by the operator",
    ):
        assert words in text
    assert "not enforced" not in text
    assert "@page" in page
    assert "@media print" in page
    assert 'lang="zh-Hans"' in page


def test_tables_and_chart_can_be_read_by_machines_that_read_aloud(golden: dict[str, ReportData]) -> None:
    reader = Reader(page_of(golden["gated"]))
    assert all(attributes.get("scope") for tag, attributes in reader.tags if tag == "th")
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("svg") == 1
    assert tags[tags.index("svg") + 1 : tags.index("svg") + 3] == ["title", "desc"]
    assert next(a for t, a in reader.tags if t == "svg")["role"] == "img"


def test_every_figure_stands_with_its_n_and_interval(golden: dict[str, ReportData]) -> None:
    data = golden["gated"]
    text = " ".join(" ".join(Reader(page_of(data)).text).split())
    for score in [*data.findings.datasets, *data.findings.dimensions]:
        if score.figure is not None:
            value, low, high = (percent(part) for part in (score.figure.value, score.figure.low, score.figure.high))
            most = score.figure.most
            span = value if most is None else f"{value}–{percent(most)}"
            assert f"{span} [{low}, {high}] n={score.n}" in text
            assert f"{score.n} {span.replace('–', ' – ')} {low} – {high}" in text
        else:
            assert score.reason is not None


def test_what_has_no_score_gets_a_reason_and_never_a_zero(golden: dict[str, ReportData]) -> None:
    unseen = [replace(cases.outcome_of("GeneralSafety", n), outcome=Outcome.UNJUDGED, opinions=None) for n in range(5)]
    results = replace(cases.results_of({"GeneralSafety": 5}, outcomes=unseen, judges=[]), finished=None)
    page = page_of(cases.data_of(results)).decode()
    row = next(row for row in page.split("<tr>") if '<th scope="row">GeneralSafety</th>' in row and "裁判" in row)
    assert "— 无法评定：尚未经裁判" in row
    assert "0.0%" not in row


def row_of(page: str, dataset: str) -> str:
    return next(row for row in page.split("<tr>") if f'<th scope="row">{dataset}</th>' in row and " – " in row)


def test_unreadable_answers_stand_beside_the_score(golden: dict[str, ReportData]) -> None:
    data = golden["gated"]
    page = page_of(data).decode()
    for sample in data.samples:
        if sample.metric in {"accuracy", "micro-f1"}:
            assert sample.tally["unreadable"] > 0
            answers = sum(sample.tally.values())
            assert f"<strong>{sample.tally['unreadable']}</strong> / {answers}" in row_of(page, sample.dataset)


def text_of(data: ReportData) -> str:
    return " ".join(" ".join(Reader(page_of(data)).text).split())


def test_the_size_cap_of_micro_f1_gates_stands_in_the_page(golden: dict[str, ReportData]) -> None:
    assert "CMeEE B = 32" in text_of(golden["gated"])
    large = replace(cases.results_of(policy=cases.GATED).outcomes[-1], tp=30, fp=0, fn=30)
    outcomes = (*cases.results_of(policy=cases.GATED).outcomes[:-1], large)
    data = cases.data_of(cases.results_of(policy=cases.GATED, outcomes=outcomes), cases.GATED)
    assert "CMeEE B = 120" in text_of(data)
    only = cases.GATED.replace("CMeEE", "MAExam")
    assert " B = " not in text_of(cases.data_of(cases.results_of({"CMExam": 12}, policy=only), only))


def test_a_runaway_answer_is_named_and_misses_the_gate() -> None:
    results = cases.results_of(policy=cases.GATED)
    ran = replace(results.outcomes[-1], fp=500)
    data = cases.data_of(replace(results, outcomes=(*results.outcomes[:-1], ran)), cases.GATED)
    gate = data.findings.gates[1]
    assert (gate.id, gate.outcome, gate.bound) == ("CMeEE", "fail", 0.0)
    assert "CMeEE: 1 item(s) with more errors than the cap B = 32, up to 50" in text_of(data)


def test_weights_are_shown_where_they_are_not_equal() -> None:
    for extra, shown in (
        ("[weights.datasets]\nCMExam = 3\n", "MedKQA ← CMExam 75.0%，MedKQA ← MAExam 25.0%"),
        ("[weights.dimensions]\nMedRU = 6\n", "overall ← MedRU 60.0%"),
        ("[weights.datasets]\nCMExam = 3\nMAExam = 3\n", None),
    ):
        policy = cases.GATED + extra
        text = text_of(cases.data_of(cases.results_of(policy=policy), policy))
        assert ("weights are not equal" in text) == (shown is not None)
        assert shown is None or shown in text


def test_an_indicative_report_says_so_above_the_verdict(golden: dict[str, ReportData]) -> None:
    text = " ".join(Reader(page_of(golden["indicative"])).text)
    assert text.index("INDICATIVE") < text.index("Verdict under the policy")
    for words in ("demonstration keys", "demonstration bundle", "--limit", "--dataset", "the run was not finished"):
        assert words in text
    assert "INDICATIVE" not in " ".join(Reader(page_of(golden["gated"])).text)


def test_a_rollback_override_and_an_answers_file_are_printed() -> None:
    results = cases.results_of(answers_file=True)
    session = replace(results.sessions[0], details={**results.sessions[0].details, "rollback_override": True})
    data = cases.data_of(replace(results, sessions=(session,), indicative=("answers-file", "rollback-override")))
    assert [reason.code for reason in data.findings.indicative] == ["answers-file", "rollback-override"]
    assert "explicit override" in page_of(data).decode()


HOSTILE = [
    "<script>alert(1)</script>",
    "</template><h1>通过</h1>",
    "<!--mlb-offline report trailer v1:AAAA-->",
    '"><img src=x onerror=alert(1)>',
    "\u202e\u2066\u2069\u200f txt.exe",
    "a\x00b\x07c\x1b[31m",
    "\ufeff\u200b\u2060\u00ad",
    "\ud7ff\ue000\U000e0041\uffff",
    "${{7*7}}{% raw %}{{ data }}",
    "&lt;b&gt;&#x202e;",
    "换行\n\r\u2028\u2029",
    "x" * 10_000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_are_shown_harmlessly_and_the_report_still_verifies(text: str) -> None:
    identity: dict[str, Any] = cases.identity_of(cases.SMALL, cases.policy_of(None))
    declaration = dict.fromkeys(("hospital", "vendor", "model", "model_version", "operator"), text[:2000])
    target = identity["target"] | {"model": text, text: text, "parameters": {text: [text, {text: text}]}}
    bundle = identity["bundle"] | {"title": text}
    results = replace(
        cases.results_of(declaration=declaration, target=target, bundle=bundle, seeds=[]),
        models={text: 9, "demo-med-7b": 10},
        notes=(*cases.results_of().notes, {"code": "model-name-changed", "models": [text, "demo-med-7b"]}),
    )
    data = cases.data_of(results)
    page = page_of(data)
    assert page.count(b"<!--") == 0
    plain = page_of(cases.data_of(cases.results_of())).decode()
    known = {tag for tag, _ in Reader(plain.encode()).tags}
    reader = Reader(page)
    assert {tag for tag, _ in reader.tags} <= known
    shown = page.decode()
    assert "x" * (rendering.LONGEST + 1) not in shown
    assert {c for c in shown if unicodedata.category(c) in HARMFUL and c != "\n"} == set()
    trust = TrustSet((cases.KEY.verify_key,))
    found, _ = verify_bytes(sign(data, cases.KEY).report, trust, file="hostile")
    assert found.run.identity.declaration["hospital"] == text[:2000]


def test_a_string_that_is_no_unicode_text_is_named_as_input() -> None:
    results = cases.results_of()
    with pytest.raises(InputError) as caught:
        cases.data_of(replace(results, sessions=(replace(results.sessions[0], ending="\ud800"),)))
    assert caught.value.remedy


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=600))
def test_no_character_that_is_invisible_or_reorders_text_survives(text: str) -> None:
    shown = neutral(text)
    assert isinstance(shown, str)
    assert {c for c in shown if unicodedata.category(c) in HARMFUL} == set()
    assert neutral(shown) == shown or len(text) > rendering.LONGEST - 100 or len(shown) > rendering.LONGEST
    if text.isascii() and text.isprintable() and len(text) <= rendering.LONGEST:
        assert shown == text


def test_every_steering_character_that_unicode_knows_is_made_visible() -> None:
    """Fails on a Python whose Unicode has new ones: they need a new template version, not a change of this one."""
    kept = [hex(n) for n in range(0x110000) if unicodedata.category(chr(n)) in HARMFUL and neutral(chr(n)) == chr(n)]
    assert kept == []
    assert [neutral(c) for c in "中é😀 -~"] == list("中é😀 -~")


def test_percentages_have_one_decimal_and_bounds_are_never_rounded_up() -> None:
    assert [percent(x) for x in (0, 1, 0.12345, 0.9995)] == ["0.0%", "100.0%", "12.3%", "100.0%"]
    assert [floor_percent(x) for x in (0, 0.79999, 0.8, 0.999999, 0.57)] == ["0.0%", "79.9%", "80.0%", "99.9%", "57.0%"]
    assert [threshold(x) for x in (0.8, 0.855, 0.3333, 0.07)] == ["80.0%", "85.5%", "33.33%", "7.0%"]


def test_there_are_words_in_both_languages_for_every_code() -> None:
    words = wording("v1")
    assert set(known_codes()) <= set(words["reason"])
    assert set(words["critical_why"]) == {"no-items", "judges-alone", "item-unseen", "below-minimum-n"}
    assert set(DIMENSIONS) == set(words["dimension"])
    assert {metric.value for metric in Metric} == set(words["metric"])
    assert set(TALLY) == set(words["tally"])
    known = {"finished", "operator", "target", "judge", "storage", "egress", "error", "open", "killed"}
    assert set(words["ending"]) == known
    for section in words.values():
        for texts in section.values():
            assert set(texts) == {"zh", "en"}
            assert re.findall(r"\{\w+\}", texts["zh"]) is not None
            assert set(re.findall(r"\{\w+\}", texts["zh"])) == set(re.findall(r"\{\w+\}", texts["en"]))


def test_the_policy_stands_in_the_page_to_its_last_key(golden: dict[str, ReportData]) -> None:
    text = " ".join(Reader(page_of(golden["gated"])).text)
    for words in (
        "gate.2.min 0.9",
        "gate.2.on_fail conditional",
        "approvers.1.role 医务处",
        '["MASafety-1","MASafety-2"]',
    ):
        assert words in text


def test_a_code_without_words_stops_the_report() -> None:
    results = replace(cases.results_of(), notes=({"code": "something-new"},))
    data = cases.data_of(results)
    with pytest.raises(InputError, match="something-new"):
        page_of(data)


def test_the_page_says_where_nobody_could_tell_whether_the_model_judged_itself() -> None:
    said = "whether it is one of the judges could not be checked"
    unknown = cases.data_of(cases.results_of({"MAEthic": 12}))
    assert said in page_of(unknown).decode()
    known = cases.data_of(cases.results_of({"MAEthic": 12}, declaration={"weights_sha256": "9" * 64}))
    assert said not in page_of(known).decode()
