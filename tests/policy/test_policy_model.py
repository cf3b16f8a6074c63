"""Reading policies: every fault is refused with its place."""

from __future__ import annotations

import datetime
import hashlib
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_offline.configuration import LARGEST
from mlb_offline.errors import InputError
from mlb_offline.policy.explain import explain, warnings
from mlb_offline.policy.model import Policy, load_policy, parse_policy
from mlb_offline.toml_lines import line_of

FULL = """\
name = "example"
version = "3"
minimum_n = 80
validity_days = 180
size_cap = 24

[size_caps]
CMeIE = 40

[[gate]]
scope = "dataset"
id = "CMExam"
min = 0.6

[[gate]]
scope = "dimension"
id = "MedKQA"
min = 0.5
minimum_n = 50
on_fail = "conditional"

[[critical]]
dataset = "MASafety"
items = ["q1", "q2"]

[[critical]]
dataset = "CMeEE"
outcomes = ["unreadable", "failed"]
max_count = 3

[[approvers]]
name = "NAME"
role = "ROLE"
date = 2026-01-31
"""


def parse(text: str) -> Policy:
    return parse_policy(text.encode(), file="p.toml")


def refused(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert caught.value.file == "p.toml"
    assert caught.value.remedy
    return caught.value


def test_the_shipped_policy_has_no_thresholds_and_says_so() -> None:
    policy = load_policy(None)
    assert not policy.has_thresholds
    assert not policy.approvers
    assert policy.critical == []
    assert len(warnings(policy)) == 1


def test_every_key_is_read(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(FULL)
    policy = load_policy(file)
    assert policy.digest == hashlib.sha256(FULL.encode()).hexdigest()
    assert (policy.cap_of("CMeIE"), policy.cap_of("CMeEE"), policy.validity_days) == (40, 24, 180)
    assert [policy.minimum_of(gate, "CMExam") for gate in policy.gate] == [80, 50]
    assert policy.gate[1].on_fail == "conditional"
    assert policy.critical[0].counted == ("wrong", "unreadable", "failed", "missing")
    assert policy.critical[1].counted == ("unreadable", "failed")
    assert policy.approvers[0].date == "2026-01-31"
    assert policy.disputes.count_as == "not-evaluable"


def test_without_minimum_n_the_official_number_is_needed() -> None:
    policy = parse('name="a"\nversion="1"\n[[gate]]\nscope="dataset"\nid="MAExam"\nmin=0.5\n')
    assert policy.minimum_of(policy.gate[0], "MAExam") == 200


HEAD = 'name = "a"\nversion = "1"\n'
GATE = '[[gate]]\nscope = "dataset"\nid = "CMExam"\n'
FAULTS = [
    ("name = ", None, 1),
    (HEAD + "min = [", None, 3),
    ('version = "1"\n', "name", None),
    (HEAD + 'note = "x"\n', "note", 3),
    (HEAD + GATE + "min = 0\n", "gate.0.min", 6),
    (HEAD + GATE + "min = 1\n", "gate.0.min", 6),
    (HEAD + GATE + "min = 0.0\n", "gate.0.min", 6),
    (HEAD + GATE + "min = 1.5\n", "gate.0.min", 6),
    (HEAD + GATE + "min = -0.5\n", "gate.0.min", 6),
    (HEAD + GATE + "min = nan\n", "gate.0.min", 6),
    (HEAD + GATE + "min = inf\n", "gate.0.min", 6),
    (HEAD + GATE + 'min = "0.5"\n', "gate.0.min", 6),
    (HEAD + GATE + "min = true\n", "gate.0.min", 6),
    (HEAD + GATE, "gate.0.min", 3),
    (HEAD + GATE + "min = 0.5\nmax = 0.6\n", "gate.0.max", 7),
    (HEAD + GATE + "min = 0.5\nminimum_n = 0\n", "gate.0.minimum_n", 7),
    (HEAD + GATE + 'min = 0.5\non_fail = "pass"\n', "gate.0.on_fail", 7),
    (HEAD + GATE + "min = 0.5\n" + GATE + "min = 0.9\n", None, None),
    (HEAD + '[[gate]]\nscope = "dataset"\nid = "CMexam"\nmin = 0.5\n', "gate.0", 3),
    (HEAD + '[[gate]]\nscope = "dimension"\nid = "CMExam"\nmin = 0.5\n', "gate.0", 3),
    (HEAD + '[[gate]]\nscope = "overall"\nid = "MedRU"\nmin = 0.5\n', "gate.0", 3),
    (HEAD + '[[gate]]\nscope = "dataset"\nmin = 0.5\n', "gate.0", 3),
    (HEAD + '[[gate]]\nscope = "item"\nid = "x"\nmin = 0.5\n', "gate.0.scope", 4),
    (HEAD + '[[critical]]\ndataset = "Nope"\n', "critical.0", 3),
    (HEAD + '[[critical]]\ndataset = "CMExam"\nitems = ["a", "a"]\n', "critical.0", 3),
    (HEAD + '[[critical]]\ndataset = "CMExam"\nitems = ["a"]\nmax_count = 1\n', "critical.0", 3),
    (HEAD + '[[critical]]\ndataset = "CMExam"\nitems = ["a"]\noutcomes = ["wrong"]\n', "critical.0", 3),
    (HEAD + '[[critical]]\ndataset = "CMeEE"\noutcomes = ["wrong"]\n', "critical.0", 3),
    (HEAD + '[[critical]]\ndataset = "CMeEE"\noutcomes = ["right"]\n', "critical.0.outcomes.0", 5),
    (HEAD + "[size_caps]\nCMExam = 30\n", None, None),
    (HEAD + "[size_caps]\nCMeEE = 7\n", "size_caps.CMeEE", 3),
    (HEAD + "size_cap = 7\n", "size_cap", 3),
    (HEAD + '[[critical]]\ndataset = "CMExam"\noutcomes = ["missing"]\n', "critical.0", 3),
    (HEAD + '[[critical]]\ndataset = "CMeEE"\noutcomes = ["wrong", "missing"]\n', "critical.0", 3),
    (HEAD + '[[critical]]\ndataset = "CMeEE"\noutcomes = ["wrong", "failed"]\n', "critical.0", 3),
    (HEAD + '[[critical]]\ndataset = "MAEthic"\noutcomes = ["wrong"]\n', "critical.0", 3),
    (HEAD + '[[critical]]\ndataset = "CMExam"\nmax_count = 100\n', "critical.0", 3),
    (HEAD + "[weights.datasets]\nCMexam = 1\n", "weights", 3),
    (HEAD + "[weights.dimensions]\nCMExam = 1\n", "weights", 3),
    (HEAD + "[weights.datasets]\nCMExam = 0\n", "weights.datasets.CMExam", 3),
    (HEAD + "[weights.datasets]\nCMExam = -1\n", "weights.datasets.CMExam", 3),
    (HEAD + "[weights.datasets]\nCMExam = nan\n", "weights.datasets.CMExam", 3),
    (HEAD + "[weights.items]\nCMExam = 1\n", "weights.items", 3),
    (HEAD + "validity_days = 0\n", "validity_days", 3),
    (HEAD + '[[approvers]]\nname = "N"\nrole = "R"\ndate = "2026-02-30"\n', "approvers.0.date", 6),
    (HEAD + '[[approvers]]\nname = "N"\nrole = "R"\ndate = 2026-02-03T10:00:00\n', "approvers.0.date", 6),
    (HEAD + '[[approvers]]\nname = "N"\nrole = "R"\ndate = 20260203\n', "approvers.0.date", 6),
    (HEAD + '[[approvers]]\nname = " "\nrole = "R"\ndate = 2026-02-03\n', "approvers.0.name", 4),
    *(
        (HEAD + f'[[approvers]]\nname = "{blank}"\nrole = "R"\ndate = 2026-02-03\n', "approvers.0.name", 4)
        for blank in ("\u200b", "\u3164", "\u2800", "\ufe0f", "\u00ad\u2060", "-", "…", "\u202e")
    ),
    ('name = "\u200b"\nversion = "1"\n', "name", 1),
    (HEAD + 'gate = [{scope = "overall"}]\n', "gate.0.min", None),
]


@pytest.mark.parametrize(("text", "field", "line"), FAULTS)
def test_faults_are_refused_with_field_and_line(text: str, field: str | None, line: int | None) -> None:
    error = refused(text)
    assert (error.field, error.line) == (field, line)
    assert int(error.exit_code) == 3


def test_text_that_is_not_utf8_too_long_or_too_deep_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        parse_policy(b'name = "a"\nversion = "\xff"\n', file="p.toml")
    assert caught.value.line == 2
    with pytest.raises(InputError):
        parse_policy(b"#" * (LARGEST + 1), file="p.toml")
    refused(HEAD + "x = " + "[" * 50_000)


def test_a_file_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_policy(tmp_path / "none.toml")
    assert caught.value.file == str(tmp_path / "none.toml")
    with pytest.raises(InputError):
        load_policy(tmp_path)


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_never_a_crash(source: bytes) -> None:
    with pytest.raises(InputError):
        parse_policy(source, file="p.toml")


def test_a_policy_comes_back_from_its_json() -> None:
    policy = parse(FULL)
    again = Policy.from_json(policy.to_json())
    assert again == policy
    assert again.digest == policy.digest
    assert Policy.from_json(load_policy(None).to_json()) == load_policy(None)


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "0" * 64},
        {"toml": FULL.replace("0.6", "0.1")},
        {"toml": FULL + "# a comment\n"},
        {"toml": 3},
        {"toml": "\ud800"},
        {"toml": "not toml"},
        {"more": 1},
    ],
)
def test_json_whose_text_digest_and_data_disagree_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Policy.from_json(parse(FULL).to_json() | change)


def test_json_with_softer_data_than_its_text_is_refused() -> None:
    value = parse(FULL).to_json()
    value["policy"]["gate"][0]["min"] = 0.01
    with pytest.raises(InputError):
        Policy.from_json(value)
    with pytest.raises(InputError):
        Policy.from_json([])


def test_lines_of_unusual_forms_are_left_unknown() -> None:
    assert line_of(b"a = 1\n", ()) is None
    assert line_of(b"[[gate]]\nmin = 1\n", ("gate", 1, "min")) is None
    assert line_of(b"[[gate]]\nmin = 1\n", ("gate", 0)) == 1
    assert line_of(b"[[gate]]\na = 1\n[[gate]]\nmin = 1\n", ("gate", 0, "min")) == 1


# --- what a policy asks for ---------------------------------------------------------------------------------------


def test_explain_says_how_many_right_answers_are_needed() -> None:
    policy = parse(HEAD + GATE + "min = 0.6\n" + GATE.replace("CMExam", "MAExam") + "min = 0.99\n")
    first, second = explain(policy)
    assert (first.right_needed, first.attainable, first.minimum_n) == (69, True, {"CMExam": 100})
    assert (second.right_needed, second.attainable) == (None, False)
    assert second.best is not None
    assert math.isclose(second.best, 0.05 ** (1 / 200), abs_tol=1e-6)


def test_warnings_name_what_can_never_pass() -> None:
    text = HEAD + GATE + "min = 0.99\n" + '[[gate]]\nscope = "overall"\nmin = 0.5\n'
    found = warnings(parse(text))
    assert len(found) == 4  # no approver, not attainable, judged, and what the cap of the whole's datasets means
    assert warnings(parse(FULL.replace("minimum_n = 80\n", "").replace("minimum_n = 50\n", ""))) == []


def test_warnings_name_gates_that_fewer_items_than_the_official_number_can_meet() -> None:
    (found,) = warnings(parse(FULL))
    assert "CMExam 50/100" in found
    assert "MAExam 50/200" in found


def test_warnings_name_approvals_that_lie_ahead() -> None:
    text = FULL.replace("minimum_n = 80\n", "").replace("minimum_n = 50\n", "")
    assert warnings(parse(text), today=datetime.date(2026, 1, 31)) == []
    (found,) = warnings(parse(text), today=datetime.date(2026, 1, 30))
    assert "2026-01-31" in found
    assert warnings(parse(text.replace("2026-01-31", "9999-12-31")))


def test_weights_are_read_and_come_back() -> None:
    policy = parse(HEAD + "[weights.datasets]\nCMExam = 2\n[weights.dimensions]\nMedRU = 0.5\n")
    assert policy.weighting.datasets == {"CMExam": 2.0}
    assert policy.weighting.dimensions == {"MedRU": 0.5}
    assert Policy.from_json(policy.to_json()) == policy


def test_explain_knows_dimensions_and_size_caps() -> None:
    policy = parse(HEAD + 'size_cap = 20\n[[gate]]\nscope = "dimension"\nid = "MedRU"\nmin = 0.7\n')
    (meaning,) = explain(policy)
    assert meaning.method == "bonferroni"
    assert set(meaning.size_caps.values()) == {20}
    assert meaning.right_needed is None
    assert meaning.attainable
