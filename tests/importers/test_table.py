"""Any table by a mapping: formats, encodings, options and answers in their several ways, and every refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.bundle.importers.result import Imported
from mlb_offline.bundle.importers.table import import_table
from mlb_offline.errors import InputError, UsageError

HEAD = 'licence = "CC0"\nsource = "Q"\nreviewed_by = "R"\n'
REPOSITORY = Path(__file__).resolve().parents[2]


def bring(tmp_path: Path, name: str, content: bytes | str, mapping: str, dataset: str | None = "MAExam") -> Imported:
    file, rule = tmp_path / name, tmp_path / "m.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    rule.write_text(HEAD + mapping, encoding="utf-8")
    return import_table(file, rule, dataset)


def only(found: Imported) -> Any:
    assert found.refused == ()
    (entry,) = found.datasets.values()
    (item,) = entry.items
    return item


def reason(found: Imported) -> str:
    (refusal,) = found.refused
    assert found.datasets == {}
    return refusal.reason


CHOICE = """
[columns]
question = "q"
[options]
column = "o"
[answer]
column = "a"
read = "letters"
"""


def choice(options: str, answer: str = 'column = "a"\nread = "letters"') -> str:
    return f'[columns]\nquestion = "q"\n[options]\n{options}\n[answer]\n{answer}\n'


@pytest.mark.parametrize(
    ("mapping", "row"),
    [
        (choice("in_question = true"), {"q": "甲？A.x B.y", "a": "B"}),
        (choice('column = "o"'), {"q": "甲？", "o": "A x\nB y", "a": "B"}),
        (choice('column = "o"\nescaped_newlines = true'), {"q": "甲？", "o": r"A x\nB y", "a": "B"}),
        (choice('column = "o"\nsplit = "lines"'), {"q": "甲？", "o": "x\ny\n", "a": "B"}),
        (choice('column = "o"\nsplit = "separator"\nseparator = "|"'), {"q": "甲？", "o": "x| y", "a": "B"}),
        (choice('column = "o"'), {"q": "甲？", "o": "A x B y", "a": "B"}),
        (choice('column = "o"\nsplit = "json"'), {"q": "甲？", "o": '["x", "y"]', "a": "B"}),
        (choice('column = "o"'), {"q": "甲？", "o": ["x", "y"], "a": "B"}),
        (choice('columns = ["o1", "o2", "o3"]'), {"q": "甲？", "o1": "x", "o2": "y", "o3": "", "a": "B"}),
        (choice('column = "o"', 'column = "a"\nread = "index"\nbase = 1'), {"q": "甲？", "o": ["x", "y"], "a": 2}),
        (choice('column = "o"', 'column = "a"\nread = "index"'), {"q": "甲？", "o": ["x", "y"], "a": [1]}),
        (choice('column = "o"', 'column = "a.b"\nread = "option"'), {"q": "甲？", "o": ["x", "y"], "a": {"b": "y"}}),
    ],
)
def test_options_and_answers_are_read_in_their_several_ways(tmp_path: Path, mapping: str, row: dict[str, Any]) -> None:
    item = only(bring(tmp_path, "a.jsonl", json.dumps(row, ensure_ascii=False), mapping))
    assert (item.question, item.options, item.answer) == ("甲？", ["x", "y"], "B")


@pytest.mark.parametrize(
    ("mapping", "row", "why"),
    [
        (
            choice('columns = ["o1", "o2", "o3"]'),
            {"q": "甲", "o1": "x", "o2": "", "o3": "y", "a": "B"},
            "before the last",
        ),
        (choice('column = "o"'), {"q": "甲", "o": [1, 2], "a": "B"}, "not a list of strings"),
        (choice('column = "o"'), {"q": "甲", "o": None, "a": "B"}, "no options"),
        (choice('column = "o"'), {"q": None, "o": ["x", "y"], "a": "B"}, "no question"),
        (choice('column = "o"'), {"q": ["甲"], "o": ["x", "y"], "a": "B"}, "'q' is not text"),
        (choice('column = "o"'), {"q": 1.5, "o": ["x", "y"], "a": "B"}, "float"),
        (choice('column = "o"'), {"q": "甲", "o": ["x"], "a": "A"}, "options: 1 options"),
        (choice('column = "o"'), {"q": "甲", "o": ["x", " "], "a": "A"}, "options"),
        (choice('column = "o"', 'column = "a"\nread = "index"'), {"q": "甲", "o": ["x", "y"], "a": 2}, "beyond"),
        (
            choice('column = "o"', 'column = "a"\nread = "index"'),
            {"q": "甲", "o": ["x", "y"], "a": "x"},
            "not the number",
        ),
        (
            choice('column = "o"', 'column = "a"\nread = "index"'),
            {"q": "甲", "o": ["x", "y"], "a": [True]},
            "not the number",
        ),
        (choice('column = "o"', 'column = "a"\nread = "option"'), {"q": "甲", "o": ["x", "y"], "a": "z"}, "0 options"),
        (choice('column = "o"', 'column = "a"\nread = "option"'), {"q": "甲", "o": ["x", "x"], "a": "x"}, "2 options"),
        (choice('column = "o"', 'column = "a"\nread = "option"'), {"q": "甲", "o": ["x", "y"], "a": None}, "no answer"),
        (choice('column = "o"', 'column = "a"\nread = "option"'), {"q": "甲", "o": ["x", "y"], "a": ["x"]}, "not text"),
    ],
)
def test_a_row_with_a_fault_is_refused_with_its_reason(
    tmp_path: Path, mapping: str, row: dict[str, Any], why: str
) -> None:
    assert why in reason(bring(tmp_path, "a.jsonl", json.dumps(row, ensure_ascii=False), mapping))


def test_a_row_without_a_column_that_others_have_is_refused(tmp_path: Path) -> None:
    rows = '{"q": "甲", "o": ["x", "y"], "a": "A"}\n\n{"q": "乙", "o": ["x", "y"]}\n[1]\n{"q"\n'
    found = bring(tmp_path, "a.jsonl", rows, CHOICE)
    assert found.read == 1
    assert [(refusal.row, refusal.reason[:14]) for refusal in found.refused] == [
        (3, "'a' is missing"),
        (4, "not a JSON obj"),
        (5, "not valid JSON"),
    ]


def test_a_json_list_counts_records(tmp_path: Path) -> None:
    found = bring(tmp_path, "a.json", '[{"q": "甲", "o": ["x", "y"], "a": "A"},\n 3]', CHOICE)
    assert [item.id for item in found.datasets["MAExam"].items] == ["MAExam-0001"]
    assert found.refused[0].row == 2


def test_ids_of_a_column_are_kept_and_may_not_repeat(tmp_path: Path) -> None:
    rows = "\n".join(json.dumps({"i": 7, "q": "甲", "o": ["x", "y"], "a": "A"}) for _ in range(2))
    found = bring(tmp_path, "a.jsonl", rows, CHOICE.replace("[columns]", '[columns]\nid = "i"'))
    assert [item.id for item in found.datasets["MAExam"].items] == ["7"]
    assert "'7' is that of row 1" in found.refused[0].reason


def test_constants_and_other_columns_become_fields(tmp_path: Path) -> None:
    mapping = (
        CHOICE.replace("[columns]", '[columns]\nnote = "n"\ndifficulty = "d"') + '[constants]\nspecialty = "内科"\n'
    )
    row = {"q": "甲", "o": ["x", "y"], "a": "A", "n": "因为", "d": None}
    item = only(bring(tmp_path, "a.jsonl", json.dumps(row), mapping))
    assert (item.specialty, item.note, item.difficulty) == ("内科", "因为", None)
    assert (item.licence, item.reviewed_by, item.source) == ("CC0", "R", "Q (a.jsonl, row 1)")


def test_csv_dialect_and_declared_encoding(tmp_path: Path) -> None:
    content = "q;o;a\n'题；一';'A x\nB y';B\n".encode("gb18030")
    mapping = 'encoding = "gb18030"\nformat = "csv"\n' + CHOICE + '[csv]\ndelimiter = ";"\nquote = "\'"\n'
    item = only(bring(tmp_path, "a.txt", content, mapping))
    assert (item.question, item.options) == ("题；一", ["x", "y"])
    with pytest.raises(InputError, match="not text in utf-8") as caught:
        bring(tmp_path, "a.csv", content, CHOICE)
    assert caught.value.line == 2
    assert "gb18030" in caught.value.remedy


def test_a_sheet_of_a_workbook_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("题")
    for row in (("q", "o", "a"), ("甲", "A x\nB y", "A")):
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    content = (tmp_path / "a.xlsx").read_bytes()
    assert only(bring(tmp_path, "a.xlsx", content, CHOICE + '[xlsx]\nsheet = "题"\n')).options == ["x", "y"]


def test_a_prompt_beside_the_mapping_is_used_and_checked(tmp_path: Path) -> None:
    row = json.dumps({"q": "甲", "o": ["x", "y"], "a": "A"})
    (tmp_path / "p.txt").write_text("${question}|${options}", encoding="utf-8")
    found = bring(tmp_path, "a.jsonl", row, 'prompt = "p.txt"\n' + CHOICE)
    assert found.datasets["MAExam"].prompt == "${question}|${options}"
    (tmp_path / "p.txt").write_text("${question}", encoding="utf-8")
    with pytest.raises(InputError, match="slots"):
        bring(tmp_path, "a.jsonl", row, 'prompt = "p.txt"\n' + CHOICE)


def test_candidate_lines_and_terms(tmp_path: Path) -> None:
    answer = 'column = "a"\nread = "line"\nseparator = ","'
    mapping = choice('column = "o"\nsplit = "lines"', answer)
    row = {"q": "短语", "o": "甲##乙\n丙", "a": "甲, 乙"}
    assert only(bring(tmp_path, "a.jsonl", json.dumps(row), mapping, "CHIP-CDN")).answer == "甲##乙"
    row["a"] = "丙"
    mapping = choice('column = "o"\nsplit = "lines"', 'column = "a"\nread = "line"')
    assert only(bring(tmp_path, "a.jsonl", json.dumps(row), mapping, "CHIP-CDN")).answer == "丙"


def test_records_may_come_with_points_and_without_an_answer(tmp_path: Path) -> None:
    mapping = '[columns]\nquestion = "q"\nevaluation_points = "p"\n'
    row = {"q": "病历", "p": [{"topic": "诊断", "point": "肺炎"}]}
    assert (
        only(bring(tmp_path, "a.jsonl", json.dumps(row), mapping, "MADiagnosis")).evaluation_points[0].point == "肺炎"
    )
    row["p"] = [{"topic": "诊断"}]
    assert "evaluation_points" in reason(bring(tmp_path, "a.jsonl", json.dumps(row), mapping, "MADiagnosis"))


SPANS = """
[columns]
question = "text"
[answer]
column = "spans"
read = "spans"
[answer.labels]
"药" = "药品"
"病" = ""
[answer.spans]
label = "type"
start = "from"
"""


@pytest.mark.parametrize(
    ("keys", "span"),
    [
        ('text = "s"', {"s": "阿司匹林", "from": "2"}),
        ('text = "s"\nend = "to"', {"s": "阿司匹林", "from": 2, "to": 6}),
        ('end = "to"\nend_included = true', {"from": 2, "to": 5}),
    ],
)
def test_spans_become_entities_each_once_in_order(tmp_path: Path, keys: str, span: dict[str, Any]) -> None:
    spans = [span | {"type": "药"}, span | {"type": "药"}, span | {"type": "病"}]
    content = json.dumps({"text": "服用阿司匹林。", "spans": json.dumps(spans)})
    found = bring(tmp_path, "a.jsonl", content, SPANS + keys, "MAEEMedic")
    assert only(found).answer == {"药品": ["阿司匹林"]}
    assert found.notes == ("1 spans '病' left aside, as the mapping says",)


@pytest.mark.parametrize(
    ("spans", "why"),
    [
        ({}, "not a list"),
        ([1], "span 1 is not an object"),
        ([{"s": "阿司", "from": 2}], "label None is not in labels"),
        ([{"s": "阿司", "from": 2, "type": "科室"}], "'科室' is not in labels"),
        ([{"s": "阿司", "from": 3, "type": "药"}], "but the text there is '司匹'"),
        ([{"s": "阿司", "from": 99, "type": "药"}], "no text at 99"),
        ([{"s": "阿司", "from": -1, "type": "药"}], "no offset"),
        ([{"s": "阿司", "from": "²", "type": "药"}], "no offset"),
        ([{"s": "阿司", "from": True, "type": "药"}], "no offset"),
        ([{"s": "", "from": 2, "type": "药"}], "no text at 2"),
        ([{"from": 2, "type": "药"}], "has no 's'"),
        (None, "no answer"),
    ],
)
def test_a_wrong_span_refuses_its_row(tmp_path: Path, spans: Any, why: str) -> None:
    content = json.dumps({"text": "服用阿司匹林。", "spans": spans})
    assert why in reason(bring(tmp_path, "a.jsonl", content, SPANS + 'text = "s"', "MAEEMedic"))


@pytest.mark.parametrize("mapping", sorted((REPOSITORY / "bundles" / "mappings").glob("cehrner-*.toml")), ids=str)
def test_cehrner_is_an_extraction_set_of_verbatim_entities(shared_data: Path, mapping: Path) -> None:
    for name, count in (("dev", 44), ("test", 41), ("train", 914)):
        file = shared_data / "cehrner" / f"{name}.json"
        found = import_table(file, mapping)
        twice = {552: "the same question and options as row 313"} if name == "train" else {}
        assert {refusal.row: refusal.reason for refusal in found.refused} == twice
        assert found.read == count - len(twice)
        (entry,) = found.datasets.values()
        assert mapping.stem == f"cehrner-{entry.dataset.id.lower()}"
        marked = 0
        lines = enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        kept = [json.loads(line) for number, line in lines if number not in twice]
        for item, raw in zip(entry.items, kept, strict=True):
            assert item.question == raw["text"]
            assert set(item.answer) == set(DATASETS[entry.dataset.id].keys)
            entities = [entity for entities in item.answer.values() for entity in entities]
            assert all(entity in item.question for entity in entities)
            assert {*entities} <= {span["mention"] for span in raw["mention_data"]}
            if entry.dataset.id == "CMeEE":
                assert {*entities} == {span["mention"] for span in raw["mention_data"]}
            marked += len(entities)
        assert marked > 30


@pytest.mark.parametrize(
    ("mapping", "dataset", "field", "message"),
    [
        ("x", "MAExam", None, "not valid TOML"),
        (CHOICE + "[other]\n", "MAExam", "other", "mapping is not valid"),
        ("[columns]\nid = 'x'", "MAExam", None, "must name question"),
        (CHOICE + "[constants]\nspecialty = ''\n", "MAExam", "constants.specialty", "mapping is not valid"),
        ("[columns]\nquestion='q'\nspecialty='s'\n[constants]\nspecialty='x'", "MAExam", None, "both a column"),
        (choice("in_question = true\ncolumn = 'o'"), "MAExam", "options", "exactly one"),
        (choice("split = 'lines'"), "MAExam", "options", "exactly one"),
        (choice("column = 'o'\nsplit = 'separator'"), "MAExam", "options", "separator"),
        (choice("column = 'o'", "column = 'a'\nread = 'spans'"), "MAExam", "answer", "spans and labels"),
        (SPANS, "MAEEMedic", "answer.spans", "text or end"),
        (SPANS.replace("药品", "症状") + "text = 's'", "MAEEMedic", "answer.labels", "they are: 药品"),
        (SPANS + "text = 's'", "CMeIE", "answer.read", "can be: json"),
        (SPANS + "text = 's'", "MAExam", "options", "needs options"),
        ("[columns]\nquestion = 'q'", "CMeIE", "answer", "needs an answer"),
        (CHOICE, "MAEthic", "options", "has none"),
        (CHOICE + "[csv]\ndelimiter = '\"'\n", "MAExam", "csv", "must differ"),
    ],
)
def test_a_mapping_that_does_not_fit_is_an_error_naming_its_field(
    tmp_path: Path, mapping: str, dataset: str, field: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        bring(tmp_path, "a.jsonl", "{}", mapping, dataset)
    assert (caught.value.file, caught.value.field) == (str(tmp_path / "m.toml"), field)


def test_free_text_sets_take_no_answer(tmp_path: Path) -> None:
    mapping = "[columns]\nquestion = 'q'\n"
    assert only(bring(tmp_path, "a.jsonl", '{"q": "甲"}', mapping, "MAEthic")).answer is None
    with pytest.raises(InputError, match="can be: -"):
        bring(tmp_path, "a.jsonl", '{"q": "甲"}', mapping + "[answer]\ncolumn = 'a'\nread = 'json'", "MAEthic")


def test_the_dataset_is_named_by_the_mapping_or_the_command(tmp_path: Path) -> None:
    row = '{"q": "甲", "o": ["x", "y"], "a": "A"}'
    assert set(bring(tmp_path, "a.jsonl", row, 'dataset = "MAHalt"\n' + CHOICE, None).datasets) == {"MAHalt"}
    with pytest.raises(UsageError, match="no dataset is named"):
        bring(tmp_path, "a.jsonl", row, CHOICE, None)
    with pytest.raises(UsageError, match="no dataset named 'X'"):
        bring(tmp_path, "a.jsonl", row, CHOICE, "X")


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("a.jsonl", "q,o,a\n甲,乙,A\n", 1, "no line is a JSON object"),
        ("a.json", "[{", 1, "not valid JSON"),
        ("a.json", "[]", None, "no rows of data"),
        ("a.csv", 'q,o,a\n"甲', 2, "not valid CSV"),
        ("a.jsonl", '{"q": 1, "o": 2}', None, "no column 'a'"),
        ("a.txt", "x", None, "does not tell the format"),
    ],
)
def test_a_table_that_cannot_be_read_is_an_error(
    tmp_path: Path, name: str, content: str, line: int | None, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        bring(tmp_path, name, content, CHOICE)
    assert caught.value.line == line
    assert caught.value.remedy
