"""What the small judges are shown: shared beginnings, no control token from text, everything within its limit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.evidence import ANSWER_CHARACTERS, Answer
from mlb_offline.judge.lexicon import Lexicon, parse_lexicon
from mlb_offline.judge.rendering import (
    CONTEXT,
    QUERIES,
    aligner_answer,
    aligner_criterion,
    aligner_vocabulary,
    decoder_ids,
    decoder_parts,
    padded,
)
from mlb_offline.judge.vocabulary import BYTES, CONTROL, VERDICT, Vocabulary, common_characters

LEXICON = Lexicon(
    parse_lexicon(
        "disease\t急性心肌梗死\t心梗|AMI\t冠心病\t心绞痛\ndisease\t冠心病\tCHD\ndisease\t心绞痛\t胸绞痛\n", file="s.tsv"
    )
)
VOCABULARY = Vocabulary(common_characters(["诊断为急性心肌梗死"]))
POINT = Criterion("1", "1", "points", "MADiagnosis", "point", "诊断", "急性心肌梗死", "", "诊断：AMI", label=True)
ETHICS = Criterion("2", "2", "ethics", "MAEthic", "q1", "", "固定", "情境\n问题", "回答正文", label=True)


def tokens(criterion: Criterion) -> list[int]:
    return decoder_ids(criterion, Answer(criterion.answer, LEXICON), VOCABULARY)


def test_the_verdict_is_asked_for_at_the_end() -> None:
    assert tokens(POINT)[-1] == VOCABULARY.ids[VERDICT]
    assert tokens(ETHICS)[-1] == VOCABULARY.ids[VERDICT]


def test_the_fixed_questions_on_one_answer_share_all_but_their_end() -> None:
    first, second = tokens(ETHICS), tokens(replace(ETHICS, name="r2"))
    assert first[:-2] == second[:-2]
    assert first[-2] != second[-2]


def test_an_alias_is_shown_with_what_the_answer_says_instead() -> None:
    parts = [part.text for part in decoder_parts(POINT, Answer(POINT.answer, LEXICON))]
    assert parts[parts.index("<alias>") :][:4] == ["<alias>", "急性心肌梗死", "<as>", "ami"]


@pytest.mark.parametrize("name", [*CONTROL, BYTES[0x41]])
def test_a_control_token_written_in_a_text_is_only_its_characters(name: str) -> None:
    ids = VOCABULARY.text(name)
    assert all(index >= len(CONTROL) for index in ids)
    assert len(ids) == len(name)


def test_a_character_without_a_token_becomes_its_bytes() -> None:
    first = len(CONTROL)
    assert VOCABULARY.text("𠮷") == [first + byte for byte in "𠮷".encode()]


def test_judge_b_sees_concepts_parents_and_what_is_mistaken_for_them() -> None:
    answer = aligner_answer(Answer("患者心梗", LEXICON), LEXICON, VOCABULARY)
    assert answer.concepts == [0, 0, 1, 1]
    assert answer.others == [0, 0, 2, 2]
    criterion = aligner_criterion(POINT, LEXICON, VOCABULARY)
    assert criterion.concepts == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert criterion.others == [0, 0, 0, 3, 3, 3, 3, 3, 3]


def test_judge_b_asks_fixed_questions_by_tokens_that_no_text_has() -> None:
    side = aligner_criterion(ETHICS, LEXICON, VOCABULARY)
    other = aligner_criterion(replace(ETHICS, name="r2"), LEXICON, VOCABULARY)
    assert min(side.ids[:QUERIES]) >= len(VOCABULARY.tokens)
    assert set(side.ids[:QUERIES]).isdisjoint(other.ids[:QUERIES])
    assert side.ids[QUERIES:] == other.ids[QUERIES:]


@given(st.text(max_size=3000), st.text(min_size=1, max_size=400))
def test_no_text_makes_a_prompt_longer_than_the_context(answer: str, text: str) -> None:
    for criterion in (replace(POINT, answer=answer, text=text), replace(ETHICS, answer=answer, question=text)):
        assert len(decoder_ids(criterion, Answer(answer, LEXICON), VOCABULARY)) <= CONTEXT
        side = aligner_answer(Answer(answer, LEXICON), LEXICON, VOCABULARY)
        assert len(side.ids) == len(side.concepts) == len(side.others) <= ANSWER_CHARACTERS
        assert all(0 <= index < aligner_vocabulary(VOCABULARY) for index in side.ids)


@pytest.mark.parametrize("text", ["a\ud800", "\0", "好" * 50_000])
def test_no_answer_of_a_model_breaks_what_is_shown(text: str) -> None:
    answer = Answer(text, LEXICON)
    assert decoder_ids(replace(ETHICS, answer=text), answer, VOCABULARY)
    assert len(aligner_answer(answer, LEXICON, VOCABULARY).ids) <= ANSWER_CHARACTERS


def test_of_a_prompt_that_is_too_long_the_criterion_stays() -> None:
    rare = replace(ETHICS, question="🫀" * 200, answer="𠮷" * 500)
    ids = decoder_ids(rare, Answer(rare.answer, LEXICON), VOCABULARY)
    assert len(ids) == CONTEXT
    assert ids[-2:] == tokens(ETHICS)[-2:]


def test_rows_are_padded_to_one_length() -> None:
    assert padded([[1], [1, 2]], 3) == [[1, 0, 0], [1, 2, 0]]
