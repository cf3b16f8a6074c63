"""是 or 否 from the probabilities of both words, for many prompts at a time.

Prompts that begin alike share what they have in common: it is read once, and each goes on from there as a sequence of
its own. Both words are weighed after one pass, also where a word takes several tokens: each is then read to its last
token but one, and its probability is the product of those of its tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlb_offline.judge.llama.context import LlamaContext, Row

if TYPE_CHECKING:
    from mlb_offline.judge.llama.context import Logits

Tokens = Sequence[int]
WORTH_SHARING = 16
"""Tokens; a shorter beginning is read anew for each prompt."""


@dataclass(frozen=True)
class Weighed:
    """What a model would say.

    Attributes:
        log_odds: of 是 against 否.
        mass: the probability that it says either, 0 to 1; where it is small the model has not understood the question.
    """

    log_odds: float
    mass: float


class VerdictReader:
    """Reads verdicts from a model.

    Args:
        context: the opened model.
        yes, no: the tokens of the two words; they differ in the first.
        together: the most tokens that are read at a time, beside a shared beginning.
    """

    def __init__(self, context: LlamaContext, yes: Tokens, no: Tokens, *, together: int = 0) -> None:
        self._context, self._words = context, (tuple(yes), tuple(no))
        self._together = together or context.tokens

    def weigh(self, prompts: Sequence[Tokens]) -> list[Weighed]:
        """Weigh both words after each prompt, in order.

        Args:
            prompts: of tokens, none empty, none longer than the context less the longer word.
        """
        if not prompts:
            return []
        shared = read_common(self._context, prompts)
        found: list[Weighed] = []
        for some in self._chunks([prompt[shared:] for prompt in prompts], shared):
            found += self._weigh_together(some, shared)
        return found

    def _chunks(self, rests: Sequence[Tokens], shared: int) -> Iterator[list[Tokens]]:
        """Rests of prompts that fit in together."""
        extra = sum(len(word) - 1 for word in self._words)
        most = min(self._together, self._context.tokens - shared)
        some: list[Tokens] = []
        size = 0
        for rest in rests:
            full = size + len(rest) + extra > most or (len(some) + 1) * len(self._words) >= self._context.sequences
            if some and full:
                yield some
                some, size = [], 0
            some.append(rest)
            size += len(rest) + extra
        if some:
            yield some

    def _weigh_together(self, rests: Sequence[Tokens], shared: int) -> list[Weighed]:
        """Sequence 0 keeps the shared beginning; every prompt has two, one for each word."""
        rows: list[Row] = []
        for index, rest in enumerate(rests):
            pair = (2 * index + 1, 2 * index + 2)
            if shared:
                for sequence in pair:
                    self._context.share(0, sequence)
            rows.append(Row(pair, shared, rest, (len(rest) - 1,)))
            for sequence, word in zip(pair, self._words, strict=True):
                if len(word) > 1:
                    rows.append(Row((sequence,), shared + len(rest), word[:-1], range(len(word) - 1)))
        logits = iter(self._context.read(rows))
        found = []
        for index in range(len(rests)):
            (after,) = next(logits)
            found.append(_weighed(*(self._log_probability(word, after, logits) for word in self._words)))
            for sequence in (2 * index + 1, 2 * index + 2):
                self._context.cut(sequence, 0)
        return found

    @staticmethod
    def _log_probability(word: tuple[int, ...], after: Logits, more: Iterator[list[Logits]]) -> float:
        steps = [after, *(next(more) if len(word) > 1 else [])]
        return sum(_log_softmax(logits, token) for logits, token in zip(steps, word, strict=True))


def read_common(context: LlamaContext, prompts: Sequence[Tokens]) -> int:
    """Forget everything, read into sequence 0 what all prompts begin with, where that is worth it; gives its length."""
    shared = common(prompts)
    shared = shared if len(prompts) > 1 and shared >= WORTH_SHARING else 0
    context.clear()
    if shared:
        context.read([Row((0,), 0, prompts[0][:shared])])
    return shared


def common(prompts: Sequence[Tokens]) -> int:
    """The number of tokens with which all prompts begin; of none of them the last."""
    if not prompts:
        return 0
    first = min(prompts, key=len)
    limit = len(first) - 1
    for prompt in prompts:
        limit = next((index for index in range(limit) if prompt[index] != first[index]), limit)
    return limit


def _log_softmax(logits: Logits, token: int) -> float:
    import numpy as np

    highest = float(logits.max())
    return float(logits[token]) - highest - math.log(float(np.exp(logits - highest, dtype=np.float64).sum()))


def _weighed(yes: float, no: float) -> Weighed:
    mass = math.exp(yes) + math.exp(no)
    return Weighed(yes - no, min(mass, 1.0))
