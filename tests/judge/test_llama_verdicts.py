"""Verdicts of any GGUF model: shared beginnings and batches change nothing, words may take several tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from mlb_offline.demo.tiny_gguf import write_tiny_gguf
from mlb_offline.errors import InputError
from mlb_offline.judge.llama.context import LlamaContext, Row
from mlb_offline.judge.llama.verdicts import WORTH_SHARING, VerdictReader, Weighed, common

SAME = 1e-3
"""Probabilities that differ less are the same; llama.cpp adds in another order in another batch."""
WORDS = {"one token": ("是", "否"), "several tokens": ("是的", "否定它"), "one and several": ("是", "不是")}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaContext]:
    file = write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")
    opened = LlamaContext(file, tokens=1024, sequences=33, threads=2)
    yield opened
    opened.close()


def probability(found: Weighed) -> float:
    return 1 / (1 + math.exp(-found.log_odds))


def prompts(context: LlamaContext, count: int = 9) -> list[list[int]]:
    rng = Random(5)
    head = context.tokenised("患者男性六十岁胸痛三小时伴大汗，心电图提示下壁导联抬高。", special=False)
    points = ("急性心肌梗死", "肺栓塞", "主动脉夹层", "骨折", "肺炎支原体感染", "无发热", "胸痛", "大汗", "男性")
    rests = [context.tokenised(rng.choice(points) + rng.choice(points), special=False) for _ in range(count)]
    return [head + rest for rest in rests]


def reader(context: LlamaContext, words: str, together: int = 0) -> VerdictReader:
    yes, no = (context.tokenised(word, special=False) for word in WORDS[words])
    return VerdictReader(context, yes, no, together=together)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("together", [0, 40, 1])
def test_verdicts_are_the_same_together_apart_and_in_any_order(
    context: LlamaContext, words: str, together: int
) -> None:
    asked = prompts(context)
    apart = [probability(reader(context, words).weigh([prompt])[0]) for prompt in asked]
    found = reader(context, words, together).weigh(asked)
    turned = reader(context, words, together).weigh(asked[::-1])[::-1]
    assert [probability(one) for one in found] == pytest.approx(apart, abs=SAME)
    assert [probability(one) for one in turned] == pytest.approx(apart, abs=SAME)
    assert len({round(one, 4) for one in apart}) > 3


def test_the_probability_of_a_word_is_the_product_of_those_of_its_tokens(context: LlamaContext) -> None:
    prompt = prompts(context, 1)[0]
    yes, no = (context.tokenised(word, special=False) for word in WORDS["several tokens"])

    def by_hand(word: list[int]) -> float:
        context.clear()
        total = 0.0
        for place, token in enumerate(word):
            so_far = [*prompt, *word[:place]]
            context.clear()
            ((logits,),) = context.read([Row((0,), 0, so_far, (len(so_far) - 1,))])
            highest = float(logits.max())
            total += float(logits[token]) - highest - math.log(sum(math.exp(float(one) - highest) for one in logits))
        return total

    wanted = by_hand(yes), by_hand(no)
    found = VerdictReader(context, yes, no).weigh([prompt])[0]
    assert found.log_odds == pytest.approx(wanted[0] - wanted[1], abs=0.02)
    assert found.mass == pytest.approx(math.exp(wanted[0]) + math.exp(wanted[1]), rel=0.05)


def test_a_shared_beginning_is_read_once(context: LlamaContext, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = prompts(context)
    read: list[int] = []
    real = LlamaContext.read

    def counting(self: LlamaContext, rows: list[Row]) -> object:
        read.append(sum(len(row.tokens) for row in rows))
        return real(self, rows)

    monkeypatch.setattr(LlamaContext, "read", counting)
    reader(context, "one token").weigh(asked)
    shared = common(asked)
    assert shared >= WORTH_SHARING
    assert sum(read) == shared + sum(len(prompt) - shared for prompt in asked)
    assert len(read) == 2


def test_of_no_prompt_the_last_token_is_shared() -> None:
    assert common([[1, 2, 3], [1, 2, 3]]) == 2
    assert common([[1, 2], [1, 2, 3]]) == 1
    assert common([[1], [2]]) == 0
    assert common([]) == 0


def test_more_tokens_than_cells_are_refused(context: LlamaContext) -> None:
    with pytest.raises(ValueError, match="cells"):
        context.read([Row((0,), 0, [5] * 1025)])


def test_what_the_file_says_of_itself_can_be_read(context: LlamaContext) -> None:
    assert context.metadata("general.name") == "mlb-tiny-random"
    assert context.metadata("nothing") is None
    assert context.trained_context == 8192
    assert context.texts(context.tokenised("是<|im_end|>", special=True)) == ["是", "<|im_end|>"]
    assert len(context.tokenised("<|im_end|>", special=False)) > 1


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no model"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        LlamaContext(file, tokens=64, sequences=2, threads=1)
    assert caught.value.file == str(file)
