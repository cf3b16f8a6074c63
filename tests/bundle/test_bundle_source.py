"""The source folder: read back as written, and every fault named with file, line and field."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
from bundle_simulator import SERIES, choice_item, choice_source
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import Item
from mlb_offline.benchmark.prompts import default_prompt
from mlb_offline.bundle.source import read_source, write_source
from mlb_offline.errors import InputError

TOML = f"""title = "t"
series = "{SERIES}"
version = 1
publisher = "p"
[datasets.CMExam]
licence = "CC0-1.0"
source = "the tests"
"""


@pytest.fixture
def folder(tmp_path):
    src = tmp_path / "src"
    (src / "prompts").mkdir(parents=True)
    (src / "bundle.toml").write_text(TOML, encoding="utf-8")
    (src / "prompts" / "CMExam.txt").write_text("${question}\n${options}\n", encoding="utf-8")
    write_items(src, [choice_item(1), choice_item(2)])
    return src


def write_items(src, items, name="CMExam"):
    lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in items]
    (src / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def refused(src, match):
    with pytest.raises(InputError, match=match) as caught:
        read_source(src)
    assert caught.value.file is not None
    assert caught.value.remedy
    return caught.value


def test_a_folder_is_read(folder):
    source = read_source(folder)
    assert source.datasets["CMExam"].prompt == "${question}\n${options}\n"
    assert [item.id for item in source.datasets["CMExam"].items] == ["exam-1", "exam-2"]
    assert (source.series, source.issued, source.expires, source.demonstration) == (SERIES, None, None, False)


# Files are UTF-8, so no lone surrogates; titles are shown on terminals, so no control characters.
prompts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf"]), min_size=1, max_size=30).filter(str.strip)
days = st.one_of(st.none(), st.dates(date(2000, 1, 1), date(2100, 1, 1)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts, texts, prompts, days, days, st.uuids(), st.integers(1, 2**53 - 1), st.booleans())
def test_what_is_written_is_read_back_equal(
    tmp_path_factory, title, licence, prompt, issued, expires, series, version, demonstration
):
    source = choice_source(
        title=title,
        publisher=licence,
        issued=issued,
        expires=expires,
        series=series,
        version=version,
        demonstration=demonstration,
    )
    content = replace(source.datasets["CMExam"], licence=licence, source=title, prompt="${question}${options}" + prompt)
    source = replace(source, datasets={"CMExam": content})
    out = tmp_path_factory.mktemp("source") / "src"
    write_source(source, out)
    assert read_source(out) == source


JUDGE_PROMPT = "依据指南判断。\r\n${answer}\n是否满足：${criterion}$5 $answer"


def judged_folder(tmp_path, text, dataset="MAEthic"):
    """A source folder of one item with a judge prompt."""
    item = Item.model_validate(choice_item(1, options=[], answer=None, scenario="情境"))
    source = choice_source()
    content = replace(source.datasets["CMExam"], dataset=DATASETS[dataset], prompt="${question}", items=(item,))
    out = tmp_path / "judged"
    write_source(replace(source, datasets={dataset: replace(content, judge_prompt=text)}), out)
    return out


def test_a_judge_prompt_is_written_and_read_back_equal(tmp_path):
    assert read_source(judged_folder(tmp_path, JUDGE_PROMPT)).datasets["MAEthic"].judge_prompt == JUDGE_PROMPT
    assert read_source(judged_folder(tmp_path / "none", None)).datasets["MAEthic"].judge_prompt is None


@pytest.mark.parametrize(
    ("text", "line", "match"),
    [
        ("${answer}", None, r"no slot \$\{criterion\}"),
        ("${criterion}", None, r"no slot \$\{answer\}"),
        ("", None, "no slot"),
        ("${answer}\n${criterion}\n${point}", 3, r"wrong slot \$\{point\}"),
        ("${answer}\n${criterion} ${Answer}", 2, r"wrong slot \$\{Answer\}"),
        ("${answer}${criterion}\n\n${answer", 3, "wrong slot"),
        ("${answer}\n⟦回答⟧${criterion}", 2, "marks of the program"),
        ("${answer}${criterion}" + "好" * 4000, None, "longer than 4000"),
    ],
)
def test_a_judge_prompt_that_cannot_be_filled_is_refused_with_its_line(tmp_path, text, line, match):
    out = judged_folder(tmp_path, text)
    error = refused(out, match)
    assert (error.file, error.line) == (str(out / "judge" / "MAEthic.txt"), line)


@pytest.mark.parametrize(
    ("dataset", "text", "good"),
    [
        ("GeneralSafety", "安全吗？${answer}", True),
        ("GeneralSafety", "安全吗？${question}${answer}${criterion}", True),
        ("GeneralSafety", "安全吗？${question}", False),
    ],
)
def test_only_one_question_is_asked_of_safety_so_its_wording_may_be_all_the_publishers(tmp_path, dataset, text, good):
    out = judged_folder(tmp_path, text, dataset)
    if good:
        assert read_source(out).datasets[dataset].judge_prompt == text
    else:
        refused(out, "no slot")


def test_a_folder_with_something_in_it_is_not_written_to(folder):
    with pytest.raises(InputError, match="not empty"):
        write_source(choice_source(), folder)


def test_merging_adds_datasets_and_keeps_what_the_folder_says_of_itself(tmp_path):
    out = tmp_path / "src"
    first = choice_source(title="first", version=3, issued=date(2026, 1, 1))
    write_source(first, out, merge=True)
    write_source(choice_source(title="second", dataset="MAExam"), out, merge=True)
    found = read_source(out)
    assert (found.title, found.version, found.issued) == ("first", 3, date(2026, 1, 1))
    assert list(found.datasets) == ["CMExam", "MAExam"]
    assert found.datasets["CMExam"] == first.datasets["CMExam"]


def test_merging_a_dataset_that_is_there_is_refused_and_changes_nothing(tmp_path):
    out = tmp_path / "src"
    write_source(choice_source(2), out)
    with pytest.raises(InputError, match="in this source folder already"):
        write_source(choice_source(5), out, merge=True)
    assert len(read_source(out).datasets["CMExam"].items) == 2


def test_merging_into_what_is_no_source_folder_is_refused(tmp_path):
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(InputError, match="cannot be read"):
        write_source(choice_source(), tmp_path, merge=True)


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_source(choice_source(), tmp_path / "file" / "src")


def test_the_order_of_datasets_is_that_of_the_catalogue(folder):
    toml = TOML.replace("[datasets.CMExam]", '[datasets.MAExam]\nlicence = "x"\nsource = "y"\n[datasets.CMExam]')
    (folder / "bundle.toml").write_text(toml)
    (folder / "prompts" / "MAExam.txt").write_text("${question}${options}")
    write_items(folder, [choice_item(1)], "MAExam")
    assert list(read_source(folder).datasets) == ["CMExam", "MAExam"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("title", "titel"), "title"),
        (('title = "t"', 'title = ""'), "title"),
        (('title = "t"', 'title = "\\u001b[2J"'), "title"),
        (("version = 1", "version = 0"), "version"),
        (("version = 1", 'version = "1"'), "version"),
        (("version = 1", "version = true"), "version"),
        ((str(SERIES), "no uuid"), "series"),
        (('publisher = "p"', 'publisher = "p"\nissued = "2026-01-01"'), "issued"),
        (('publisher = "p"', 'publisher = "p"\nissued = 2026-01-01T00:00:00Z'), "issued"),
        (("[datasets.CMExam]", "[datasets.CMExam]\nextra = 1"), "datasets.CMExam.extra"),
        (('licence = "CC0-1.0"\n', ""), "datasets.CMExam.licence"),
        (("[datasets.CMExam]", "[datasets.CMExamPlus]"), "datasets.CMExamPlus"),
    ],
)
def test_a_fault_in_bundle_toml_names_its_field(folder, change, field):
    assert change[0] in TOML
    (folder / "bundle.toml").write_text(TOML.replace(*change, 1), encoding="utf-8")
    error = refused(folder, None)
    assert (error.field, error.file) == (field, str(folder / "bundle.toml"))


def test_toml_that_does_not_parse_names_its_line(folder):
    (folder / "bundle.toml").write_text('title = "t"\nversion = = 1\n')
    assert refused(folder, "not valid TOML").line == 2


def test_toml_that_ends_too_early_is_refused(folder):
    (folder / "bundle.toml").write_text('title = "t')
    assert refused(folder, "not valid TOML")


def test_no_datasets_at_all_are_refused(folder):
    (folder / "bundle.toml").write_text(TOML.split("[datasets", maxsplit=1)[0] + "datasets = {}\n")
    assert refused(folder, None).field == "datasets"


@pytest.mark.parametrize("name", ["bundle.toml", "CMExam.jsonl", "prompts/CMExam.txt"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert refused(folder, "cannot be read").file == str(folder / name)


@pytest.mark.parametrize("name", ["MAExam.jsonl", "prompts/MAExam.txt", "prompts/CMExam.md", "judge/MAExam.txt"])
def test_a_file_that_belongs_to_nothing_is_not_passed_over(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    assert refused(folder, "should not be here").file == str(folder / name)


def test_a_prompt_without_its_slots_is_refused(folder):
    (folder / "prompts" / "CMExam.txt").write_text("${question}")
    assert refused(folder, "slots").file == str(folder / "prompts" / "CMExam.txt")


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ('{"id": "a", "id": "b"}', "occurs twice"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a valid item"),
        (json.dumps(choice_item(1)), "is that of line 1"),
        (json.dumps(choice_item(2, answer="D")), "answer"),
        ('"' + "x" * (4 * 1024 * 1024) + '"', "over 4 MiB"),
    ],
    ids=["empty", "cut", "repeated key", "deep", "no object", "repeated id", "wrong answer", "endless"],
)
def test_a_bad_line_is_named(folder, line, match):
    (folder / "CMExam.jsonl").write_text(json.dumps(choice_item(1)) + "\n" + line + "\n", encoding="utf-8")
    error = refused(folder, match)
    assert (error.line, error.file) == (2, str(folder / "CMExam.jsonl"))


def test_text_that_is_no_utf8_is_named_with_its_line(folder):
    (folder / "CMExam.jsonl").write_bytes(json.dumps(choice_item(1)).encode() + b"\n\xff\n")
    assert refused(folder, "not UTF-8").line == 2


def test_a_judge_prompt_of_a_dataset_that_is_not_judged_is_refused(folder):
    (folder / "judge").mkdir()
    (folder / "judge" / "CMExam.txt").write_text("${answer}${criterion}")
    assert refused(folder, "CMExam is not judged").file == str(folder / "judge" / "CMExam.txt")


def test_the_datasets_are_those_of_the_catalogue(folder):
    assert read_source(folder).datasets["CMExam"].dataset is DATASETS["CMExam"]
    assert isinstance(read_source(folder).series, UUID)


def test_the_projects_own_prompt_is_taken_only_where_the_source_says_so(folder):
    toml = folder / "bundle.toml"
    toml.write_text(
        toml.read_text("utf-8").replace("[datasets.CMExam]", '[datasets.CMExam]\nprompt = "default"'), "utf-8"
    )
    refused(folder, "should not be here")
    (folder / "prompts" / "CMExam.txt").unlink()
    assert read_source(folder).datasets["CMExam"].prompt == default_prompt(DATASETS["CMExam"])
    toml.write_text(toml.read_text("utf-8").replace('prompt = "default"\n', ""), "utf-8")
    refused(folder, "cannot be read")
