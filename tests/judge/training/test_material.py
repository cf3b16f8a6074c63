"""What judges learn from: read with its faults named, split by concept, and generated the same each time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from training_cases import corpus, material

from mlb_offline.errors import InputError
from mlb_offline.judge.annotation import read_annotations
from mlb_offline.judge.evidence import Answer
from mlb_offline.judge.lexicon import embedded
from mlb_offline.judge.training.corpora import read_documents
from mlb_offline.judge.training.edits import edited
from mlb_offline.judge.training.generator import LONG_EVERY, Generator
from mlb_offline.judge.training.lesson import differing, point
from mlb_offline.judge.training.material import GROUPS, Material, read_groups, read_material
from mlb_offline.judge.wording import plain

REPOSITORY = Path(__file__).parents[3]
SHIPPED = REPOSITORY / "models" / "src" / "criteria"
TESTS = REPOSITORY / "tests" / "data" / "judge"
MIX = {"cases": 1.0, "conduct": 1.0, "groups": 1.0, "lexicon": 1.0, "corpora": 1.0}


def generator(tmp_path: Path, mix: dict[str, float], seed: int = 1) -> Generator:
    corpus(tmp_path / "corpora")
    learnt, _ = read_material(material(tmp_path / "material"))
    return Generator(learnt, list(read_documents(tmp_path / "corpora")), embedded(), mix, seed)


def test_a_folder_without_a_known_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="corpora"):
        list(read_documents(tmp_path))


@pytest.mark.parametrize("keep", [40, 0.6, 0.98])
def test_a_corpus_that_is_cut_short_is_refused_by_name(tmp_path: Path, keep: float) -> None:
    file = corpus(tmp_path / "corpora", rows=400)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep if keep > 1 else len(whole) * keep)])
    with pytest.raises(InputError) as caught:
        list(read_documents(tmp_path / "corpora"))
    assert caught.value.file == str(file)
    assert caught.value.line is not None


def test_a_corpus_with_a_flipped_byte_or_of_another_form_is_refused(tmp_path: Path) -> None:
    file = corpus(tmp_path / "corpora", rows=400)
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    file.write_bytes(bytes(damaged))
    with pytest.raises(InputError):
        list(read_documents(tmp_path / "corpora"))
    corpus(tmp_path / "corpora").rename(tmp_path / "corpora" / "cmdd_dialogues.jsonl.xz")
    with pytest.raises(InputError) as caught:
        list(read_documents(tmp_path / "corpora"))
    assert caught.value.line == 1


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('{"id": "x"}', "dataset"),
        ("{", None),
        ('{"id":"x","dataset":"MARecord","specialty":"","topic":"","same":["a"],"other":[["n","b"]]}', "same"),
    ],
)
def test_a_faulty_group_is_refused_with_line_and_field(tmp_path: Path, line: str, field: str | None) -> None:
    file = material(tmp_path / "material") / GROUPS
    file.write_text(file.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_groups(file)
    assert (caught.value.line, caught.value.field) == (31, field)


def test_no_concept_and_no_group_is_on_both_sides(tmp_path: Path) -> None:
    learnt, kept = read_material(material(tmp_path / "material"))
    assert {one.concept for one in learnt.criteria if one.concept}.isdisjoint({one.concept for one in kept.criteria})
    assert {one.id for one in learnt.groups}.isdisjoint({one.id for one in kept.groups})
    assert learnt.criteria
    assert kept.groups


def test_no_statement_and_no_name_of_a_concept_is_on_both_sides_of_what_is_shipped() -> None:
    sides = read_material(SHIPPED)
    statements, concepts = [], []
    for side in sides:
        groups = side.groups
        statements.append(
            {plain(text) for one in groups for text in (*one.same, *one.less, *(other for _, other in one.other))}
        )
        concepts.append({embedded().find(one.concept) or one.concept for one in side.criteria if one.concept})
    assert statements[0].isdisjoint(statements[1])
    assert concepts[0].isdisjoint(concepts[1])
    assert 0.05 < len(sides[1].groups) / sum(len(side.groups) for side in sides) < 0.2


def test_a_lesson_knows_which_characters_fail() -> None:
    assert differing("体温39.5℃,伴咳嗽", "体温38.5℃,伴咳嗽") == (3,)
    assert differing("活动后胸骨后压榨样疼痛", "心电图未见异常") is None
    assert differing("发热", "发热") is None
    lesson = point("发热", "MARecord", "主诉", "发热三天", label=False, kind="duration", faults=(2, 3))
    assert (lesson.text, lesson.faults) == ("发热3天", (2, 3))
    assert point("发热", "MARecord", "主诉", "发热", label=True, kind="", faults=None).faults == ()


@pytest.mark.parametrize("source", [name for name in MIX if name != "conduct"])
def test_what_is_called_a_fault_lies_in_the_point_and_only_a_missing_point_has_one(tmp_path: Path, source: str) -> None:
    made = generator(tmp_path, {source: 1.0}).batch(0, 60)
    assert all(one.text == plain(one.text) for one in made)
    assert all(set(one.faults or ()) <= set(range(len(one.text))) for one in made)
    assert all((one.faults == ()) == one.label for one in made)


def test_a_changed_number_is_another_number() -> None:
    for seed in range(60):
        made = edited("每次口服的剂量0.1mg即可,病程平稳", "另有其他内容可查", embedded(), Random(seed))
        wrong = [one.text for one in made if one.kind == "number"]
        assert all("0.1mg" not in text for text in wrong)


def test_the_same_fact_is_not_in_an_answer_and_called_missing_from_it(tmp_path: Path) -> None:
    learnt, _ = read_material(SHIPPED)
    made = Generator(learnt, (), embedded(), {"groups": 1.0}, 3)
    statements: dict[str, set[str]] = {}
    for group in learnt.groups:
        for text in group.same:
            statements.setdefault(plain(text), set()).update(map(plain, group.same))
    lacking = [one for number in range(8) for one in made.batch(number, 8) if one.kind == "omission"]
    wrong = [one for one in lacking if any(text in plain(one.answer) for text in statements.get(one.text, ()))]
    assert len(lacking) > 50
    assert wrong == []


def test_some_answers_are_far_longer_than_most(tmp_path: Path) -> None:
    made = generator(tmp_path, MIX)
    lengths = [max(len(one.answer) for one in made.batch(number, 6)) for number in range(LONG_EVERY * 3)]
    usual = sorted(lengths)[len(lengths) // 2]
    assert max(lengths[LONG_EVERY - 1 :: LONG_EVERY]) > 5 * usual


@pytest.mark.parametrize(
    ("clause", "impossible"),
    [
        ("每天早上左右手散步", "左左"),
        ("子女体健", "子男"),
        ("父母体健", "母母"),
        ("未出现皮疹", "未出现无"),
        ("不伴头痛", "不伴否认"),
        ("上下肢麻木", "上上"),
        ("肝动脉栓塞治疗", "肝无"),
    ],
)
def test_an_edit_never_breaks_a_word(clause: str, impossible: str) -> None:
    for seed in range(40):
        made = edited(f"{clause},病程平稳", "另有其他内容可查", embedded(), Random(seed))
        assert not [one.text for one in made if impossible in one.text]


def test_the_same_seed_and_number_make_the_same_criteria_and_others_do_not(tmp_path: Path) -> None:
    first = generator(tmp_path, MIX).batch(3, 20)
    assert generator(tmp_path, MIX).batch(3, 20) == first
    assert generator(tmp_path, MIX, seed=2).batch(3, 20) != first
    assert generator(tmp_path, MIX).batch(4, 20) != first


@pytest.mark.parametrize("source", list(MIX))
def test_every_source_makes_both_verdicts(tmp_path: Path, source: str) -> None:
    made = generator(tmp_path, {source: 1.0}).batch(0, 60)
    counts = Counter(one.label for one in made)
    assert min(counts[True], counts[False]) > len(made) / 6


def test_a_composed_answer_holds_a_form_of_what_is_said_to_be_in_it(tmp_path: Path) -> None:
    learnt, _ = read_material(material(tmp_path / "material"))
    forms = {plain(text): group for group in learnt.groups for text in group.same}
    for one in generator(tmp_path, {"groups": 1.0}).batch(0, 60):
        if one.kind == "paraphrase" and one.text in forms:
            group = forms[one.text]
            whole = (*group.same, *(text for kind, text in group.other if kind == "more"))
            assert any(plain(text) in plain(one.answer) for text in whole) == one.label


@pytest.mark.parametrize("source", ["cases", "groups", "lexicon", "corpora"])
def test_what_stands_in_the_answer_in_the_same_words_is_hardly_ever_called_missing(tmp_path: Path, source: str) -> None:
    made = [one for one in generator(tmp_path, {source: 1.0}).batch(0, 100) if not one.label]
    there = [one.text for one in made if one.name == "point" and one.text in Answer(one.answer, embedded()).text]
    assert len(there) <= len(made) / 50


def shipped() -> Material:
    learnt, kept = read_material(SHIPPED)
    return Material(learnt.criteria + kept.criteria, learnt.groups + kept.groups)


def test_the_training_data_written_here_is_large_and_broad() -> None:
    criteria = shipped().criteria
    assert len(criteria) >= 6000
    assert len({one.specialty for one in criteria if one.specialty}) >= 40
    assert {one.dataset for one in criteria} == {
        "MADiagnosis",
        "MAInspection",
        "MARecord",
        "GeneralSafety",
        "MAEthic",
        "MACompliance",
    }
    assert all(one.text and one.answer for one in criteria)


def test_no_training_criterion_is_about_a_concept_kept_for_the_test() -> None:
    lines = (TESTS / "reserved.txt").read_text(encoding="utf-8").splitlines()
    reserved = [plain(line) for line in lines if "：" not in line]
    everything = shipped()
    told = [plain(f"{one.concept} {one.text}") for one in everything.criteria if one.name == "point"]
    told += [
        plain(text) for group in everything.groups for text in (*group.same, *group.less, *(t for _, t in group.other))
    ]
    assert [text for text in told if any(one in text for one in reserved)] == []


def test_the_spelling_of_what_is_shipped_stays() -> None:
    everything = shipped()
    texts = {one.text for one in everything.criteria if one.family == "points"}
    texts |= {text for group in everything.groups for text in (*group.same, *(other for _, other in group.other))}
    assert [text for text in map(plain, texts) if plain(text) != text] == []


def test_no_answer_of_the_test_stands_in_the_training_data() -> None:
    learnt = {plain(one.answer) for one in shipped().criteria}
    tested = {plain(one.answer) for part in ("natural", "hard") for one in read_annotations(TESTS / f"{part}.jsonl")}
    assert learnt.isdisjoint(tested)
