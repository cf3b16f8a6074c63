"""The alias lexicon: finding names, and the quality of what is shipped."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mlb_offline.errors import InputError
from mlb_offline.judge.lexicon import Lexicon, embedded, parse_lexicon
from mlb_offline.judge.wording import plain

RESERVED = Path(__file__).parent.parent / "data" / "judge" / "reserved.txt"
SMALL = """disease\t急性心肌梗死\t心梗|AMI\t冠心病\t心绞痛
disease\t冠心病\tCHD|冠状动脉粥样硬化性心脏病
disease\t心绞痛\t胸绞痛
symptom\t食欲减退\t纳差|不想吃饭
"""


def small() -> Lexicon:
    return Lexicon(parse_lexicon(SMALL, file="small.tsv"))


def test_every_name_finds_its_concept() -> None:
    lexicon = small()
    assert lexicon.find("ami") == lexicon.find("急性心肌梗死") == lexicon.find("心梗") == 1
    assert lexicon.find("感冒") == 0


def test_the_longest_name_wins_and_none_lies_inside_another() -> None:
    spans = small().spans("急性心肌梗死后纳差")
    assert [(span.start, span.end, span.concept) for span in spans] == [(0, 6, 1), (7, 9, 4)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ami", 1),
        ("诊断ami。", 1),
        ("amiodarone", 0),
        ("family", 0),
        ("ami2", 0),
    ],
)
def test_a_latin_name_is_found_only_as_a_whole_word(text: str, found: int) -> None:
    assert len(small().spans(text)) == found


def test_parents_and_confusable_concepts_are_numbers_of_the_same_lexicon() -> None:
    lexicon = small()
    assert lexicon.parents(1) == (2,)
    assert lexicon.confusable(1) == (3,)
    assert lexicon.parents(4) == ()


@pytest.mark.parametrize(
    "line",
    [
        "disease\t肺炎",
        "illness\t肺炎\t肺部感染",
        "disease\t\t肺部感染",
        "a\tb\tc\td\te\tf",
    ],
)
def test_a_faulty_line_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_lexicon(f"disease\t肺炎\t肺部感染\n{line}\n", file="x.tsv")
    assert caught.value.line == 2


def test_what_is_named_only_as_more_general_or_confusable_is_a_concept_and_kinds_go_all_the_way_up() -> None:
    text = "disease\t股骨颈骨折\t股骨颈断裂\t髋部骨折\t骨折\ndisease\t髋部骨折\t髋骨折\t骨折\t脱位\n"
    lexicon = Lexicon(parse_lexicon(text, file="x.tsv"))
    above = [lexicon[number].term for number in lexicon.parents(lexicon.find("股骨颈骨折"))]
    assert above == ["髋部骨折", "骨折"]
    assert lexicon.confusable(1) == ()
    assert lexicon.confusable(2) == (lexicon.find("脱位"),)


def test_a_parent_may_be_named_by_any_of_its_names() -> None:
    lexicon = Lexicon(parse_lexicon("disease\t心绞痛\t胸绞痛\tCHD\ndisease\t冠心病\tCHD\t心绞痛\n", file="x.tsv"))
    assert (lexicon.parents(1), lexicon.parents(2)) == ((2,), (1,))


def test_every_concept_that_the_embedded_lexicon_names_is_there() -> None:
    lexicon = embedded()
    assert len([concept for concept in lexicon.concepts if concept.aliases]) >= 3000
    named = {term for concept in lexicon.concepts for term in (*concept.parents, *concept.confusable)}
    assert [term for term in named if len(plain(term)) > 1 and not lexicon.find(term)] == []


def test_no_name_of_the_embedded_lexicon_belongs_to_two_concepts() -> None:
    names = Counter(name for concept in embedded().concepts for name in {plain(one) for one in concept.names})
    assert [name for name, count in names.items() if count > 1] == []


def test_the_embedded_lexicon_knows_none_of_the_concepts_kept_for_the_test() -> None:
    reserved = {plain(line) for line in RESERVED.read_text(encoding="utf-8").splitlines() if "：" not in line}
    names = [plain(name) for concept in embedded().concepts for name in concept.names]
    assert [name for name in names if any(one in name for one in reserved)] == []
