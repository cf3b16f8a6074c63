"""``bundle lint``: the starter bundle is clean, and one change of a clean folder is one fault of the rule it breaks."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import Item
from mlb_offline.benchmark.specialties import SPECIALTIES
from mlb_offline.bundle.lint.check import lint
from mlb_offline.bundle.lint.choices import chi_square_tail, letters, right, shares
from mlb_offline.bundle.lint.counts import counts, markdown
from mlb_offline.bundle.lint.fault import RULES
from mlb_offline.bundle.lint.likeness import Likeness
from mlb_offline.bundle.lint.personal import personal
from mlb_offline.bundle.source import read_source
from mlb_offline.cli import main
from mlb_offline.errors import InputError
from mlb_offline.language import set_language

STARTER = Path(__file__).parents[2] / "bundles" / "src" / "starter"
FORMAT = Path(__file__).parents[2] / "docs" / "format.md"
SHARED = Path(os.environ.get("MLB_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
CANARY = "00000000-0000-4000-8000-00000000000a"
HEAD = f"""title = "t"
series = "00000000-0000-4000-8000-000000000001"
version = 1
publisher = "p"
canary = "{CANARY}"
"""


@pytest.fixture(autouse=True)
def _english() -> None:
    set_language("en")


def item(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"i{number}",
        "specialty": SPECIALTIES[number % len(SPECIALTIES)],
        "difficulty": "中",
        "note": "依据教科书。",
        "source": f"here; canary {CANARY}",
        "licence": "MIT",
        "reviewed_by": "none",
        **fields,
    }


WORDS = re.split(
    " ", "肺炎 胃炎 肾炎 肝炎 脑炎 肠炎 胆囊炎 阑尾炎 扁桃体炎 中耳炎 结膜炎 皮炎 关节炎 心肌炎 膀胱炎 喉炎"
)


def choice(number: int, answer: str = "") -> dict[str, Any]:
    """One of a set of evenly keyed items with options of one length."""
    names = [f"第{number}题{WORDS[(number * 5 + place) % len(WORDS)][:2]}之{place}" for place in range(5)]
    return item(
        number,
        question=f"{WORDS[number % len(WORDS)]}病例{number}最可能是什么？",
        options=names,
        answer=answer or "ABCDE"[number % 5],
    )


RELATION = {"关系": "并发症", "头实体": "麻疹", "尾实体": "喉炎"}

EVENT = {"主体词": "咳嗽", "发生状态": "否定", "描述词": [], "解剖部位": []}


def clean() -> dict[str, list[dict[str, Any]]]:
    """A folder without a fault: one dataset of each form."""
    record = "请根据以下入院记录，给出诊断和依据。\n入院记录\n主诉：突发胸痛3小时。心电图下壁导联抬高，肌钙蛋白升高。"
    facts = [
        {"topic": "诊断", "point": "急性下壁心肌梗死"},
        {"topic": "依据", "point": "胸痛3小时"},
        {"topic": "依据", "point": "肌钙蛋白升高"},
    ]
    entities = {"疾病": ["肺炎"], "症状和体征": ["发热"], "药物": ["青霉素"]}
    return {
        "CMExam": [choice(number) for number in range(25)],
        "MAEthic": [item(0, scenario="患者要求隐瞒病情。", question="医生该怎么办？")],
        "CHIP-CDN": [item(0, question="胃CA", options=["胃炎", "胃恶性肿瘤"], answer="胃恶性肿瘤")],
        "CMeEE": [item(0, question="患儿发热伴肺炎，予青霉素。", answer=entities)],
        "CHIP-CDEE": [item(0, question="无咳嗽。", answer=[EVENT])],
        "CMeIE": [item(0, question="麻疹@麻疹可并发喉炎。", answer={"关系": [RELATION]})],
        "MAEEDisease": [item(0, question="2型糖尿病史10年，现诊断白内障。", answer={"疾病": ["2型糖尿病", "白内障"]})],
        "MADiagnosis": [
            item(
                0,
                question=record,
                answer={"诊断": "急性下壁心肌梗死", "诊断依据": ["胸痛"]},
                evaluation_points=facts,
            )
        ],
    }


def write(folder: Path, sets: dict[str, list[dict[str, Any]]], head: str = HEAD) -> Path:
    folder.mkdir(exist_ok=True)
    told = "".join(f'\n[datasets.{name}]\nlicence = "MIT"\nsource = "s"\nprompt = "default"\n' for name in sets)
    (folder / "bundle.toml").write_text(head + told, encoding="utf-8")
    for name, rows in sets.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def test_the_folder_that_the_cases_change_is_clean(tmp_path: Path) -> None:
    assert lint(write(tmp_path / "src", clean())) == []


Change = Callable[[dict[str, list[dict[str, Any]]]], None]


def put(dataset: str, line: int = 0, /, **fields: Any) -> Change:
    return lambda sets: sets[dataset][line].update(fields)


def points(*texts: str, topic: str = "依据") -> Change:
    return put("MADiagnosis", evaluation_points=[{"topic": topic, "point": text} for text in texts])


def never_e(sets: dict[str, list[dict[str, Any]]]) -> None:
    sets["CMExam"] = [choice(number, "ABCD"[number % 4]) for number in range(80)]


def right_is_longest(sets: dict[str, list[dict[str, Any]]]) -> None:
    for row in sets["CMExam"][::2]:
        row["options"]["ABCDE".index(row["answer"])] += "（多见于老年人）"


def several_b_c(sets: dict[str, list[dict[str, Any]]]) -> None:
    sets["CMExam"] += [choice(number, ("A,B", "B,C,D", "B,D", "B,E")[number % 4]) for number in range(25, 45)]


def always_a_b(sets: dict[str, list[dict[str, Any]]]) -> None:
    """One answer for a third of the items, while the letters of those with several right stay even."""
    keys = ["A,B"] * 13 + ["C,D", "C,E", "D,E", "C,D", "C,E", "D,E", "C,D", "C,E", "D,E"]
    sets["CMExam"] += [choice(25 + number, key) for number, key in enumerate(keys)]


def again(sets: dict[str, list[dict[str, Any]]]) -> None:
    sets["CMExam"].append(dict(sets["CMExam"][0], id="other"))


ENTITIES = {"疾病": ["肺炎"], "症状和体征": ["发热"], "药物": ["青霉素"]}
CASES: list[tuple[str, Change, str, str]] = [
    ("schema", put("CMExam", answer="F"), "CMExam.jsonl:1", "answer"),
    ("schema", put("CMExam", colour="red"), "CMExam.jsonl:1", "colour"),
    ("schema", again, "CMExam.jsonl:26", "question"),
    ("incomplete", put("CMExam", difficulty="hard"), "CMExam.jsonl:1", "difficulty"),
    ("incomplete", put("CMExam", 2, note="  "), "CMExam.jsonl:3", "note"),
    ("incomplete", put("MAEthic", scenario=None), "MAEthic.jsonl:1", "scenario"),
    ("incomplete", points("胸痛3小时", "肌钙蛋白升高"), "MADiagnosis.jsonl:1", "evaluation_points"),
    ("specialty", put("CMExam", specialty="心内"), "CMExam.jsonl:1", "specialty"),
    ("canary", put("MAEthic", source="here"), "MAEthic.jsonl:1", "source"),
    ("options", put("CHIP-CDN", options=["胃炎", "胃恶性肿瘤", "胃 炎"]), "CHIP-CDN.jsonl:1", "options.2"),
    ("options", put("CHIP-CDN", options=["胃炎", "胃恶性肿瘤", "胃炎\u200b。"]), "CHIP-CDN.jsonl:1", "options.2"),
    ("options", put("CHIP-CDN", options=["胃炎", "胃恶性肿瘤", "\u3164"]), "CHIP-CDN.jsonl:1", "options.2"),
    ("incomplete", put("CMeIE", answer={"关系": []}), "CMeIE.jsonl:1", "answer"),
    ("incomplete", put("MAEEDisease", answer={"疾病": []}), "MAEEDisease.jsonl:1", "answer"),
    ("verbatim", put("CHIP-CDEE", answer=[EVENT, EVENT]), "CHIP-CDEE.jsonl:1", "answer"),
    ("verbatim", put("CMeIE", answer={"关系": [RELATION, RELATION]}), "CMeIE.jsonl:1", "answer.关系"),
    ("values", put("CMeIE", answer={"关系": [{**RELATION, "关系": "症"}]}), "CMeIE.jsonl:1", "answer.关系.0.关系"),
    (
        "points",
        points("突发胸痛（3小时）", "大汗", "恶心", topic="初步诊断"),
        "MADiagnosis.jsonl:1",
        "evaluation_points.0",
    ),
    (
        "points",
        put("MADiagnosis", answer={"诊断": "突发胸痛；心梗", "诊断依据": ["胸痛"]}),
        "MADiagnosis.jsonl:1",
        "answer.诊断",
    ),
    ("guessable", always_a_b, "CMExam.jsonl", "answer"),
    ("letters", never_e, "CMExam.jsonl", "answer"),
    ("letters", several_b_c, "CMExam.jsonl", "answer"),
    ("guessable", right_is_longest, "CMExam.jsonl", "answer"),
    ("verbatim", put("CMeEE", answer={**ENTITIES, "药物": ["阿莫西林"]}), "CMeEE.jsonl:1", "answer.药物.0"),
    ("verbatim", put("CMeEE", answer={**ENTITIES, "药物": ["青霉素", "青霉素"]}), "CMeEE.jsonl:1", "answer.药物"),
    (
        "verbatim",
        put("CMeIE", answer={"关系": [{**RELATION, "尾实体": "肺炎"}]}),
        "CMeIE.jsonl:1",
        "answer.关系.0.尾实体",
    ),
    ("verbatim", put("CHIP-CDEE", answer=[{**EVENT, "解剖部位": ["肺"]}]), "CHIP-CDEE.jsonl:1", "answer.0.解剖部位.0"),
    ("nested", put("MAEEDisease", answer={"疾病": ["2型糖尿病", "糖尿病", "白内障"]}), "MAEEDisease.jsonl:1", "answer"),
    ("values", put("CMeIE", answer={"关系": [{**RELATION, "关系": "合并"}]}), "CMeIE.jsonl:1", "answer.关系.0.关系"),
    ("values", put("CHIP-CDEE", answer=[{**EVENT, "发生状态": "有"}]), "CHIP-CDEE.jsonl:1", "answer.0.发生状态"),
    ("points", points("胸痛3小时", "肌钙蛋白升高", "胸痛3小时"), "MADiagnosis.jsonl:1", "evaluation_points.2"),
    ("points", points("胸痛3小时；肌钙蛋白升高", "大汗", "恶心"), "MADiagnosis.jsonl:1", "evaluation_points.0"),
    ("points", points("给出诊断和依据", "大汗", "恶心"), "MADiagnosis.jsonl:1", "evaluation_points.0"),
    ("points", points("突发胸痛", "大汗", "恶心", topic="诊断"), "MADiagnosis.jsonl:1", "evaluation_points.0"),
]


@pytest.mark.parametrize(("rule", "change", "place", "field"), CASES, ids=[f"{c[0]}-{c[2]}-{c[3]}" for c in CASES])
def test_one_change_is_one_fault_that_names_its_place(
    tmp_path: Path, rule: str, change: Change, place: str, field: str
) -> None:
    sets = clean()
    change(sets)
    (fault,) = lint(write(tmp_path / "src", sets))
    where = fault.file if fault.line is None else f"{fault.file}:{fault.line}"
    assert (fault.rule, where, fault.field, bool(fault.message)) == (rule, place, field, True)


PERSONAL = [
    "患者张某，男，50岁",
    "患者李女士问",
    "经王主任医师会诊",
    "王大力，男，50岁。",
    "姓名：李",
    "身份证号 110105900101123",
    "证件110105199001011234",
    "电话13812345678",
    "电话+86 138-1234-5678",
    "电话１３８１２３４５６７８",
    "座机01062345678",
    "座机0571-87654321",
    "邮箱a.b@c.cn",
    "住院号：A123",
    "出生日期：1990年",
    "生于1990-1",
]
HARMLESS = [
    "向医生咨询",
    "于医生指导下使用",
    "姓名：不详",
    "任何医生都可以",
    "谢谢医生",
    "每周医生查房",
    "课程老师",
    "其余某些药物",
    "对于某些人",
    "尿酸13812 μmol",
    "1990年起病",
    "血压138/76mmHg",
    "白细胞0.12×10^9/L",
    "剂量为0512.5mg",
    "CK 13812345 U/L",
    "患者王不留行，煎服",
]


@pytest.mark.parametrize("text", PERSONAL)
@pytest.mark.parametrize("field", ["question", "scenario", "note", "answer", "evaluation_points"])
def test_what_looks_like_personal_data_is_found_in_every_field(text: str, field: str) -> None:
    row = item(
        0, **({"question": "问"} | {field: [{"topic": "a", "point": text}] if field == "evaluation_points" else text})
    )
    assert [place.split(".")[0] for place, _ in personal(Item(**row))][:1] == [field]


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_words_and_numbers_are_no_personal_data(text: str) -> None:
    assert list(personal(Item(**item(0, question=text)))) == []


@pytest.mark.parametrize(("size", "right_ones"), [(5, 3), (5, 4), (6, 2), (4, 1)])
def test_a_letter_that_is_right_in_every_item_is_uneven_and_an_even_set_is_not(size: int, right_ones: int) -> None:
    every = list(combinations("ABCDEF"[:size], right_ones))
    with_a = [key for key in every if "A" in key]
    for keys, uneven in ((every, False), (with_a, True)):
        rows = [
            choice(number)
            | {"options": [f"{n}" * 3 for n in range(size)], "answer": ",".join(keys[number % len(keys)])}
            for number in range(100)
        ]
        assert bool(list(letters(DATASETS["CMExam"], [Item(**row) for row in rows]))) is uneven


def test_every_rule_has_a_case_and_a_line_in_the_format() -> None:
    assert {case[0] for case in CASES} | {"personal", "alike", "copied"} == set(RULES), "these have tests of their own"
    text = FORMAT.read_text(encoding="utf-8")
    assert [rule for rule in RULES if f"| `{rule}` |" not in text] == []


def test_a_folder_without_a_canary_is_at_fault_once(tmp_path: Path) -> None:
    (fault,) = lint(write(tmp_path / "src", clean(), HEAD.replace(f'canary = "{CANARY}"\n', "")))
    assert (fault.rule, fault.file, fault.field) == ("canary", "bundle.toml", "canary")


LONG = "患者五十岁，活动后胸闷气短两年，近一周夜间不能平卧，双下肢浮肿，心尖部闻及收缩期杂音，超声提示左心室扩大。"


def test_items_that_are_nearly_the_same_are_alike_in_whatever_dataset(tmp_path: Path) -> None:
    sets = clean()
    sets["MAEEDisease"].append(item(1, question=LONG + "诊断心力衰竭。", answer={"疾病": ["心力衰竭"]}))
    sets["CMeEE"].append(
        item(1, question=LONG.replace("五十岁", "52岁") + "诊断心力衰竭。", answer={"疾病": ["心力衰竭"]})
    )
    (fault,) = lint(write(tmp_path / "src", sets))
    assert (fault.rule, fault.file, fault.line) == ("alike", "MAEEDisease.jsonl", 2)
    assert "CMeEE.jsonl:2" in fault.message


def strange(number: int, length: int) -> str:
    """A text that no other has."""
    return "".join(chr(0x4E00 + (number * 1009 + place * 37) % 20_000) for place in range(length))


def test_what_many_items_share_is_form_and_makes_none_alike() -> None:
    texts = [LONG + strange(number, 40) for number in range(12)]
    assert list(Likeness([text + text[-40:-4] for text in texts]).alike()) == []
    few = [LONG + strange(number, 15) for number in range(2)]
    assert [pair[:2] for pair in Likeness(few).alike()] == [(1, 0)]


def test_many_copies_of_one_item_do_not_hide_one_another() -> None:
    texts = [LONG.replace("五十", f"{30 + number}") for number in range(12)]
    assert len(list(Likeness(texts).alike())) == 12 * 11 / 2
    assert len(list(Likeness(texts).copied([LONG]))) == 12


def test_most_verbatim_copies_of_public_items_are_found(tmp_path: Path) -> None:
    public = SHARED / "cmexam" / "val.xlsx"
    if not public.is_file():
        pytest.skip(f"no public data at {public}")
    assert (
        exit_of(["bundle", "import", "cmexam", str(public), "--accept-refusals", "--out", str(tmp_path / "src")]) == 0
    )
    file = tmp_path / "src" / "CMExam.jsonl"
    file.write_text("".join(file.read_text(encoding="utf-8").splitlines(keepends=True)[:300]), encoding="utf-8")
    found = [fault.line for fault in lint(tmp_path / "src", [public]) if fault.rule == "copied"]
    assert len(found) >= 0.95 * 300


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps({"data": [{"q": f"病例：{LONG}答：心衰"}]}, ensure_ascii=False)),
        ("lines.json", json.dumps({"q": "另一段话，足够长的一段话"}) + "\n" + json.dumps({"q": LONG})),
        ("a.jsonl", json.dumps({"q": [LONG]})),
        ("a.csv", f"n,text\n1,{LONG}\n"),
        ("a.txt", f"第一行\n{LONG}\n"),
    ],
)
def test_an_item_that_stands_in_another_file_is_copied(tmp_path: Path, name: str, content: str) -> None:
    sets = clean()
    sets["MAEEDisease"].append(item(1, question=LONG + "诊断心力衰竭。", answer={"疾病": ["心力衰竭"]}))
    source, other = write(tmp_path / "src", sets), tmp_path / "other"
    other.mkdir()
    (other / name).write_text(content, encoding="utf-8")
    assert lint(source) == []
    (fault,) = lint(source, [other])
    assert (fault.rule, fault.file, fault.line) == ("copied", "MAEEDisease.jsonl", 2)
    assert name in fault.message


def zipped(**files: str) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return raw.getvalue()


UNREADABLE = [
    ("a.json", b"{"),
    ("a.json", b"[" * 100_000),
    ("a.pdf", b"x"),
    ("none.txt", None),
    ("a.csv", "病历".encode("gbk")),
    ("a.xlsx", b"x"),
    ("a.xlsx", zipped(a="b")),
    ("a.xlsx", zipped(**{"[Content_Types].xml": "<"})),
]


@pytest.mark.parametrize(("name", "content"), UNREADABLE)
def test_a_foreign_file_that_cannot_be_read_is_bad_input(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        lint(write(tmp_path / "src", clean()), [tmp_path / name])
    assert (caught.value.file, caught.value.field) == (str(tmp_path / name), "--against")


def test_options_that_are_letters_or_many_are_read_as_the_dataset_has_them(tmp_path: Path) -> None:
    sets = clean()
    sets["CMExam"].append(item(30, question="万能供血者是哪一型？", options=["A", "B", "AB", "O"], answer="D"))
    lines = [f"标准词{number}" for number in range(60)]
    sets["CHIP-CDN"] = [item(n, question=WORDS[n % 16] + str(n), options=lines, answer=lines[n * 2]) for n in range(25)]
    source = write(tmp_path / "src", sets)
    assert lint(source) == []
    assert right(DATASETS["CMExam"], read_source(source).datasets["CMExam"].items[-1]) == {3}


def exit_of(words: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--lang", "en"])
    return int(ended.value.code or 0)


def test_the_command_gives_3_for_faults_and_can_leave_out_a_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = clean()
    sets["CMExam"][0]["specialty"] = "心内"
    source = str(write(tmp_path / "src", sets))
    assert exit_of(["bundle", "lint", source, "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["clean"], [fault["rule"] for fault in told["faults"]]) == (False, ["specialty"])
    assert told["faults"][0] | {"message": ""} == {
        "rule": "specialty", "file": "CMExam.jsonl", "line": 1, "field": "specialty", "message": "",
    }  # fmt: skip
    assert exit_of(["bundle", "lint", source, "--skip", "specialty"]) == 0
    assert exit_of(["bundle", "lint", source, "--skip", "nonsense"]) == 2
    assert exit_of(["bundle", "lint", source, "--skip", "schema"]) == 2
    assert exit_of(["bundle", "lint", source, "--counts"]) == 0
    assert exit_of(["bundle", "lint", source, "--counts", "--skip", "alike"]) == 2
    (tmp_path / "empty").mkdir()
    assert exit_of(["bundle", "lint", source, "--against", str(tmp_path / "empty")]) == 3
    assert exit_of(["bundle", "lint", str(tmp_path / "none")]) == 3
    capsys.readouterr()


def test_the_tail_of_chi_square_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed (make setup)")
    for degrees in range(1, 15):
        for statistic in (0.0, 0.1, 1.0, 4.5, 12.0, 40.0):
            assert chi_square_tail(statistic, degrees) == pytest.approx(stats.chi2.sf(statistic, degrees), abs=1e-12)


def test_the_starter_bundle_is_clean_also_against_the_demonstration() -> None:
    assert [fault.told() for fault in lint(STARTER, [STARTER.parent / "demo"])] == []


def test_the_starter_bundle_is_copied_from_no_public_data() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no public data at {SHARED}")
    assert [fault.told() for fault in lint(STARTER, [SHARED])] == []


def test_the_starter_bundle_has_forty_items_a_dataset_and_fifty_specialties() -> None:
    found = counts(read_source(STARTER))
    assert len(found["datasets"]) == 22
    assert {name: one["items"] for name, one in found["datasets"].items() if one["items"] < 40} == {}
    assert len(found["specialties"]) >= 50
    assert found["specialties"].keys() <= set(SPECIALTIES)
    assert len(SPECIALTIES) == len(set(SPECIALTIES)) == 64


@pytest.mark.parametrize("name", ["CMExam", "MAExam", "MAKnowledge", "MAGuidance", "MAReport", "MAMedication"])
def test_a_quarter_to_two_fifths_of_the_starters_choices_have_several_right(name: str) -> None:
    items = read_source(STARTER).datasets[name].items
    assert 0.25 <= sum(len(right(DATASETS[name], one)) > 1 for one in items) / len(items) <= 0.4


@pytest.mark.parametrize("name", ["MASafety", "MAHalt"])
def test_sets_with_one_right_option_have_no_other_items(name: str) -> None:
    assert {len(right(DATASETS[name], one)) for one in read_source(STARTER).datasets[name].items} == {1}


def test_no_strategy_without_knowledge_gains_five_points_over_chance_on_the_starter() -> None:
    for name, content in read_source(STARTER).datasets.items():
        if content.dataset.form in {"choice", "terms"}:
            single = [one for one in content.items if len(right(content.dataset, one)) == 1]
            chance = sum(1 / len(one.options) for one in single) / len(content.items)
            best = max(shares(content.dataset, content.items).items(), key=lambda one: one[1])
            assert best[1] <= chance + 0.05 + 1e-9, (name, best, chance)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_card_holds_the_tables_that_the_command_prints(language: str) -> None:
    set_language(language)
    card = STARTER.parents[1] / ("README.zh.md" if language == "zh" else "README.md")
    assert markdown(read_source(STARTER)) in card.read_text(encoding="utf-8")
