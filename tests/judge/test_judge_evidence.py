"""Evidence computed by code: which clauses are shown, and how each piece of a criterion is marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_offline.judge.evidence import WINDOW_CHARACTERS, WINDOWS, Answer, Mark, coverage
from mlb_offline.judge.lexicon import Concept, Lexicon, parse_lexicon
from mlb_offline.judge.wording import plain

LEXICON = Lexicon(
    parse_lexicon(
        "disease\t急性心肌梗死\t心梗|AMI\t冠心病\t心绞痛\ndisease\t冠心病\tCHD\ndisease\t心绞痛\t胸绞痛\nsymptom\t食欲减退\t纳差\n",
        file="small.tsv",
    )
)
ANSWER = (
    '{"诊断": "AMI", "诊断依据": ["持续胸痛3小时，伴大汗", "肌钙蛋白12.5ng/ml，明显升高", "否认糖尿病史，近1周纳差"]}'
)


def marks(criterion: str, answer: str = ANSWER) -> list[tuple[str, Mark]]:
    return [(piece.text, piece.mark) for piece in Answer(answer, LEXICON).pieces(plain(criterion))]


@pytest.mark.parametrize(
    ("criterion", "text", "mark"),
    [
        ("急性心肌梗死", "急性心肌梗死", Mark.ALIAS),
        ("冠心病", "冠心病", Mark.KIND),
        ("胸绞痛", "胸绞痛", Mark.MISSING),
        ("食欲减退", "食欲减退", Mark.ALIAS),
        ("否认糖尿病史", "糖尿病史", Mark.SAME),
        ("胸痛3小时", "3", Mark.NUMBER),
        ("胸痛5小时", "5", Mark.NO_NUMBER),
        ("肺癌", "肺癌", Mark.MISSING),
        ("有糖尿病史", "糖尿病史", Mark.DENIED),
        ("无糖尿病史", "糖尿病史", Mark.SAME),
        ("无纳差", "纳差", Mark.DENIED),
        ("否认AMI", "ami", Mark.DENIED),
        ("服药3周", "3", Mark.NO_NUMBER),
    ],
)
def test_a_piece_is_marked_by_how_the_answer_has_it(criterion: str, text: str, mark: Mark) -> None:
    assert (text, mark) in marks(criterion)


def test_a_concept_that_is_mistaken_for_the_wanted_one_is_shown_as_such() -> None:
    pieces = Answer("考虑心绞痛", LEXICON).pieces("急性心肌梗死")
    assert [(piece.mark, piece.instead) for piece in pieces] == [(Mark.CONFUSABLE, "心绞痛")]


def test_a_general_term_does_not_imply_the_special_one() -> None:
    assert marks("急性心肌梗死", "考虑冠心病") != [("急性心肌梗死", Mark.KIND)]


@pytest.mark.parametrize(
    ("answer", "mark"),
    [
        ("前壁急性心肌梗死", Mark.SAME),
        ("急性心绞痛", Mark.KIND),
        ("心绞痛样发作", Mark.SAME),
        ("否认心绞痛", Mark.DENIED),
    ],
)
def test_a_longer_term_that_ends_in_a_name_is_a_kind_of_it(answer: str, mark: Mark) -> None:
    lexicon = Lexicon([*LEXICON.concepts, Concept("disease", "急性心绞痛", ("急性胸绞痛",), (), ())])
    wanted = "急性心肌梗死" if "梗死" in answer else "心绞痛"
    assert [piece.mark for piece in Answer(answer, lexicon).pieces(wanted)] == [mark]


def test_a_number_that_is_not_there_is_shown_beside_the_one_of_its_unit() -> None:
    answer = Answer("胸痛3小时,肌钙蛋白12ng/ml", LEXICON)
    criterion = "胸痛5小时"
    pieces = answer.pieces(criterion, answer.windows(criterion))
    assert [piece.instead for piece in pieces if piece.mark is Mark.NO_NUMBER] == ["3"]


def test_words_that_carry_nothing_do_not_count_as_covered() -> None:
    assert coverage(Answer("无异常", LEXICON).pieces("有无纳差")) == 0.0


@pytest.mark.parametrize(
    ("criterion", "answer", "mark"),
    [
        ("发热", "无发热", Mark.DENIED),
        ("无发热", "患者发热", Mark.DENIED),
        ("无发热", "无咳嗽、无发热", Mark.SAME),
        ("支气管炎", "气管炎", Mark.PARTLY),
        ("气管炎", "支气管炎", Mark.CONFUSABLE),
        ("典型心绞痛", "不典型心绞痛", Mark.PARTLY),
    ],
)
def test_a_name_that_denies_another_is_seen_as_its_denial_and_what_is_mistaken_is_no_kind(
    criterion: str, answer: str, mark: Mark
) -> None:
    names = [
        ("symptom", "发热", ("发烧",), ()),
        ("finding", "体温正常", ("无发热",), ()),
        ("disease", "气管炎", ("气管炎症",), ("支气管炎",)),
        ("disease", "支气管炎", ("支气管炎症",), ()),
        ("symptom", "典型心绞痛", ("典型胸绞痛",), ()),
        ("symptom", "不典型心绞痛", ("不典型胸绞痛",), ()),
    ]
    lexicon = Lexicon([Concept(kind, term, aliases, (), mistaken) for kind, term, aliases, mistaken in names])
    found = [piece.mark for piece in Answer(answer, lexicon).pieces(criterion)]
    assert mark in found
    assert not {Mark.KIND, Mark.DENIED, Mark.SAME} - {mark} & set(found)


@pytest.mark.parametrize(
    ("criterion", "answer", "mark"),
    [
        ("血糖11.2mmol/l", "血糖11.2升高", Mark.NUMBER),
        ("体温38℃", "体温38度", Mark.NUMBER),
        ("手术30分钟", "手术30min", Mark.NUMBER),
        ("心率120次/分", "心率120bpm", Mark.NUMBER),
        ("口服75g", "口服75克", Mark.NUMBER),
        ("口服5mg", "口服5ml", Mark.NO_NUMBER),
        ("病程3天", "病程3周", Mark.NO_NUMBER),
    ],
)
def test_a_number_counts_with_its_unit(criterion: str, answer: str, mark: Mark) -> None:
    assert mark in [piece.mark for piece in Answer(answer, LEXICON).pieces(plain(criterion))]


def test_a_number_is_matched_whole() -> None:
    assert ("2", Mark.NO_NUMBER) in marks("2ng", "肌钙蛋白12ng/ml")


def test_the_windows_speak_of_the_criterion_and_stand_in_the_order_of_the_answer() -> None:
    windows = Answer(ANSWER, LEXICON).windows(plain("纳差1周，肌钙蛋白升高"))
    assert any("肌钙蛋白" in window for window in windows)
    assert any("纳差" in window for window in windows)
    assert [plain(ANSWER).index(window) for window in windows] == sorted(
        plain(ANSWER).index(window) for window in windows
    )


def test_an_answer_with_nothing_of_the_criterion_still_shows_a_clause() -> None:
    assert len(Answer(ANSWER, LEXICON).windows("骨折")) == 1


@given(st.text(max_size=300), st.text(min_size=1, max_size=60))
def test_pieces_give_the_criterion_back_and_windows_keep_their_limits(text: str, criterion: str) -> None:
    answer, wanted = Answer(text, LEXICON), plain(criterion)
    assert "".join(piece.text for piece in answer.pieces(wanted)) == wanted
    windows = answer.windows(wanted)
    assert len(windows) <= WINDOWS
    assert len(windows) <= 1 or sum(map(len, windows)) <= WINDOW_CHARACTERS
    assert 0.0 <= coverage(answer.pieces(wanted)) <= 1.0


@given(st.text(max_size=400))
def test_clauses_give_the_answer_back(text: str) -> None:
    answer = Answer(text, LEXICON)
    assert "".join("".join(clause.text.split()) for clause in answer.clauses) == "".join(answer.text.split())
