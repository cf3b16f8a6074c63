"""The 22 official files, and files of their layout with every fault a row can have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.benchmark.catalogue import DATASETS, Form
from mlb_offline.benchmark.prompts import render_prompt
from mlb_offline.bundle.importers.mlb import import_mlb, split_candidates
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.bundle.importers.result import Imported
from mlb_offline.errors import InputError, UsageError

EXPECTED: dict[str, tuple[list[str], str]] = {
    "CMExam": (["射干", "白头翁", "马齿苋", "穿心莲", "白花蛇舌草"], "D"),
    "MAExam": (["未分化癌", "鳞状细胞癌", "腺鳞癌", "类癌", "印戒细胞癌"], "E"),
    "MAHalt": (["偏低", "正常", "偏高"], "B"),
    "MAKnowledge": (["牛奶", "红肉", "菠菜", "香蕉", "动物肝脏"], "B,C,E"),
    "MAGuidance": (["皮肤科", "普外科", "血液科", "内分泌科", "感染科"], "B,C,E"),
    "MAMedication": (["华法林", "肝素", "维生素K", "氯吡格雷", "纤维蛋白原"], "C,E"),
}
STARTS: dict[str, tuple[list[str], str]] = {
    "MASafety": (["西咪替丁诱导CYP2C9，", "西咪替丁抑制CYP1A2，", "西咪替丁抑制CYP3A4，", "胺碘酮与", "胺碘酮与"], "C"),
    "MAReport": (["急性细菌感染，", "缺铁性贫血，", "左侧乳腺结节", "炎症指标升高", "白细胞升高"], "C"),
    "CHIP-CDN": (
        [
            "肝恶性",
            "急进性",
            "脊髓变性##",
            "肾术后##",
            "肛门",
            "颈淋巴结",
            "关节痛",
            "月经",
            "其他特指",
            "肺癌术后##",
        ],
        "肺癌术后##肺恶性",
    ),
}


@pytest.fixture(scope="module")
def official(shared_data: Path) -> Imported:
    return import_mlb(shared_data / "mlb_official")


def test_every_official_file_is_read_and_none_of_its_rows_refused(official: Imported) -> None:
    assert set(official.datasets) == set(DATASETS)
    assert (official.read, official.refused, official.notes) == (22, (), ())


@pytest.mark.parametrize("name", EXPECTED)
def test_official_options_and_answers_are_exactly_those_of_the_files(official: Imported, name: str) -> None:
    item = official.datasets[name].items[0]
    assert (item.options, item.answer) == EXPECTED[name]
    assert item.id == f"{name}-0001"


@pytest.mark.parametrize("name", STARTS)
def test_long_official_options_are_all_there(official: Imported, name: str) -> None:
    item = official.datasets[name].items[0]
    starts, answer = STARTS[name]
    assert len(item.options) == len(starts)
    assert all(option.startswith(start) for option, start in zip(item.options, starts, strict=True))
    assert item.answer.startswith(answer)


def test_the_text_before_the_options_is_kept_whole(official: Imported, shared_data: Path) -> None:
    for name, entry in official.datasets.items():
        raw = json.loads((shared_data / "mlb_official" / f"{name}.json").read_text(encoding="utf-8"))
        question = raw["examples"][0]["question"]
        if entry.dataset.form in {Form.CHOICE, Form.TERMS}:
            assert question.startswith(entry.items[0].question)
            rest = question[len(entry.items[0].question) :]
            assert all(option in rest for option in entry.items[0].options)
        else:
            assert entry.items[0].question == question
        assert entry.prompt == raw["system_prompt"]
        assert "${" not in render_prompt(entry.dataset, entry.prompt, entry.items[0])
    report = official.datasets["MAReport"].items[0].question
    assert report.endswith("| 参考C-反应蛋白 | < 10.00 | 无 | M | 无 |'}")


def test_sets_without_answers_have_none_and_the_others_keep_theirs(official: Imported, shared_data: Path) -> None:
    for name, entry in official.datasets.items():
        answer = entry.items[0].answer
        if entry.dataset.form is Form.TEXT:
            assert answer is None
            assert entry.items[0].question.startswith("请回答以下问题：")
        elif entry.dataset.form not in {Form.CHOICE, Form.TERMS}:
            raw = json.loads((shared_data / "mlb_official" / f"{name}.json").read_text(encoding="utf-8"))
            assert answer == raw["examples"][0]["answer"]


def official_file(folder: Path, name: str, examples: Any, prompt: str = "${question} ${options}") -> Path:
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"system_prompt": prompt, "examples": examples}, ensure_ascii=False), encoding="utf-8")
    return file


def test_ids_follow_the_row_in_the_file_although_rows_before_are_refused(tmp_path: Path) -> None:
    good, other = ({"question": f"{text}？A.x B.y", "answer": "B"} for text in "甲乙")
    found = import_mlb(official_file(tmp_path, "MAExam", [good, {"question": "没有选项"}, other]))
    assert [item.id for item in found.datasets["MAExam"].items] == ["MAExam-0001", "MAExam-0003"]
    assert [(refusal.row, refusal.file) for refusal in found.refused] == [(2, str(tmp_path / "MAExam.json"))]
    assert found.read == 2


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        ("text", "not a JSON object"),
        ({"answer": "A"}, "no question"),
        ({"question": " ", "answer": "A"}, "no question"),
        ({"question": "甲？A.x B.y"}, "no answer"),
        ({"question": "甲？A.x B.y", "answer": ""}, "no answer"),
        ({"question": "甲？A.x B.y", "answer": "C"}, "not among the options"),
        ({"question": "甲？A.x B.y", "answer": "AA"}, "repeated"),
        ({"question": "甲？A.x B.y", "answer": 1}, "not text"),
        ({"question": "甲？A.x B.x", "answer": "B"}, "same text as the right option"),
        ({"question": "甲？A.x B.y", "answer": "A", "options": ["x"]}, "options field"),
        ({"question": "甲？A.x B.y", "answer": "A", "note": 3}, "note"),
        ({"question": "甲\ud800？A.x B.y", "answer": "A"}, "question"),
    ],
)
def test_a_choice_row_with_a_fault_is_refused_with_its_reason(tmp_path: Path, example: Any, reason: str) -> None:
    file = tmp_path / "MAExam.json"
    file.write_text(json.dumps({"system_prompt": "${question}${options}", "examples": [example]}), encoding="utf-8")
    found = import_mlb(file)
    assert found.datasets == {}
    assert reason in found.refused[0].reason


@pytest.mark.parametrize(("given", "answer"), [("b、A", "A,B"), ("ＢＡ", "A,B"), (["B", "A"], "A,B"), ("A B", "A,B")])
def test_answers_are_normalised(tmp_path: Path, given: Any, answer: str) -> None:
    found = import_mlb(official_file(tmp_path, "MAExam", [{"question": "甲？A.x B.y C.z", "answer": given}]))
    assert found.datasets["MAExam"].items[0].answer == answer


def test_an_answer_written_as_a_json_string_is_parsed(tmp_path: Path) -> None:
    example = {"question": "服用阿司匹林。", "answer": '{"药品": ["阿司匹林"]}'}
    found = import_mlb(
        official_file(tmp_path, "MAEEMedic", [example, {**example, "answer": "阿司匹林"}], "${question}")
    )
    assert found.datasets["MAEEMedic"].items[0].answer == {"药品": ["阿司匹林"]}
    assert "not valid JSON" in found.refused[0].reason


def test_extra_fields_are_kept_where_known_and_named_where_not(tmp_path: Path) -> None:
    example = {
        "question": "病历",
        "evaluation_points": [{"topic": "诊断", "point": "肺炎"}],
        "specialty": "呼吸内科",
        "difficulty": "",
        "type": 1,
    }
    found = import_mlb(official_file(tmp_path, "MADiagnosis", [example], "${question}"))
    item = found.datasets["MADiagnosis"].items[0]
    assert (item.specialty, item.answer, item.difficulty) == ("呼吸内科", None, None)
    assert item.evaluation_points[0].point == "肺炎"
    assert found.notes == ("MADiagnosis: fields left aside: type",)


@pytest.mark.parametrize(("answer", "note"), [("拒答", "拒答"), ({"a": "乙"}, '{"a": "乙"}')])
def test_an_answer_where_the_benchmark_has_none_is_kept_as_a_note(tmp_path: Path, answer: Any, note: str) -> None:
    found = import_mlb(official_file(tmp_path, "MAEthic", [{"question": "甲", "answer": answer}], "${question}"))
    assert (found.datasets["MAEthic"].items[0].note, found.datasets["MAEthic"].items[0].answer) == (note, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("短语", "there are 0"), ("短语\n候选标准词：\n", "no candidates"), ("候选标准词：\n甲", "no phrase")],
)
def test_candidates_stand_after_their_heading_or_the_row_is_refused(text: str, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        split_candidates(text)
    assert split_candidates("短语 \n候选标准词:\n甲##乙\n\n 丙\n") == ("短语", ("甲##乙", "丙"))


def test_a_cdn_answer_must_be_a_whole_candidate_line(tmp_path: Path) -> None:
    example = {"question": "短语\n候选标准词：\n甲##乙\n丙", "answer": "甲"}
    found = import_mlb(official_file(tmp_path, "CHIP-CDN", [example]))
    assert "answer" in found.refused[0].reason


def test_a_folder_says_what_it_lacks_and_what_was_left_aside(tmp_path: Path) -> None:
    official_file(tmp_path, "MAExam", [{"question": "甲？A.x B.y", "answer": "B"}])
    (tmp_path / "other.json").write_text("[]", encoding="utf-8")
    (tmp_path / "README.md").write_text("", encoding="utf-8")
    stranger, missing = import_mlb(tmp_path).notes
    assert stranger.endswith("other.json")
    assert "CMExam" in missing
    assert "MAExam" not in missing
    assert import_mlb(tmp_path, "MAExam").notes == (stranger,)
    with pytest.raises(InputError, match="no official file"):
        import_mlb(tmp_path, "CMExam")


def test_a_file_of_another_name_needs_its_dataset_named(tmp_path: Path) -> None:
    file = official_file(tmp_path, "exam_full", [{"question": "甲？A.x B.y", "answer": "B"}])
    with pytest.raises(InputError, match="not named after"):
        import_mlb(file)
    assert set(import_mlb(file, "MAExam").datasets) == {"MAExam"}
    with pytest.raises(UsageError):
        import_mlb(file, "MAExams")


@pytest.mark.parametrize(
    ("content", "field", "line", "message"),
    [
        (b"{", None, 1, "not valid JSON"),
        (b"[]", None, None, "must be a JSON object"),
        (b'{"examples": [1]}', "system_prompt", None, "non-empty string"),
        (b'{"system_prompt": "${question}${options}", "examples": []}', "examples", None, "non-empty list"),
        (b'{"system_prompt": "${question}", "examples": [1]}', "system_prompt", None, "slots"),
        (b'{"a": 1, "a": 2}', None, None, "occurs twice"),
        (b'{"a": NaN}', None, None, "not JSON"),
        (b"[" * 200_000, None, None, "too deeply"),
        (b"", None, None, "empty"),
        (b"\xef\xbb\xbf \n", None, None, "empty"),
        (b"\xff\xfe{\x00", None, None, "UTF-16"),
        ("{\n题".encode("gb18030"), None, 2, "not text in utf-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_fault(
    tmp_path: Path, content: bytes, field: str | None, line: int | None, message: str
) -> None:
    file = tmp_path / "MAExam.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        import_mlb(file)
    assert (caught.value.file, caught.value.field, caught.value.line) == (str(file), field, line)
    assert caught.value.remedy


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        import_mlb(tmp_path / "nothing")


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlb_offline.bundle.importers.files.MAX_BYTES", 3)
    file = tmp_path / "MAExam.json"
    file.write_bytes(b"{   }")
    with pytest.raises(InputError, match="too large"):
        import_mlb(file)
