"""Any GGUF chat model as a judge: each criterion one question, each verdict one forward pass.

The answer stands before the criterion (prompt.txt), so that the criteria of one answer share nearly all of their
prompt, which is then read once. What others wrote is tokenised without the names of control tokens: none can come of
it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from mlb_offline.errors import InputError
from mlb_offline.judge.annotation import Criterion, Family
from mlb_offline.judge.calibrated import sigmoid
from mlb_offline.judge.llama.context import LlamaContext
from mlb_offline.judge.llama.replies import ReplyWriter
from mlb_offline.judge.llama.template import around
from mlb_offline.judge.llama.verdicts import VerdictReader, Weighed
from mlb_offline.judge.prompt import NO, YES, Prompt, shipped_prompt
from mlb_offline.judge.said import said
from mlb_offline.language import tr

T = TypeVar("T")
CONTEXT = 8192
"""Cells of the cache; a prompt that needs more has no verdict."""
LONGEST_REPLY = 1024
"""Tokens that a model may reason and answer with."""
LEAST_MASS = 0.1
"""A model that would say either word with less probability than this has not answered the question: it abstains."""
SEQUENCES = 65
"""One for what is shared, two for each of 32 criteria that are read together."""


class GgufJudge:
    """See ``LogitJudge``; gives also how sure the model is to say either word.

    Args:
        file: a GGUF model with a chat template.
        prompt: the wording.
        prompts: another wording for criteria of these datasets, by id.
        threads: that llama.cpp may use.
        reasons: let it reason first and write its verdict, instead of weighing both words at once.
        calibration: (scale, shift) of the log-odds by family, as in ``Calibrated``.

    Raises:
        InputError: llama.cpp cannot load it, it has no usable chat template, or its tokenizer cannot tell the two words
            apart.
    """

    def __init__(
        self,
        file: Path,
        *,
        prompt: Prompt | None = None,
        prompts: Mapping[str, Prompt] | None = None,
        threads: int = 2,
        reasons: bool = False,
        calibration: Mapping[Family, tuple[float, float]] | None = None,
    ) -> None:
        self._calibration = calibration or {}
        self._prompt, self._prompts, self._reasons = prompt or shipped_prompt(), prompts or {}, reasons
        self._context = LlamaContext(file, tokens=CONTEXT, sequences=SEQUENCES, threads=threads)
        try:
            self._around = around(self._context, thinking=reasons)
            yes, no = (self._word(word) for word in (YES, NO))
            if not yes or not no or yes[0] == no[0]:
                raise _cannot_tell(file)
        except InputError:
            self._context.close()
            raise
        self._longest = min(CONTEXT, self._context.trained_context) - (LONGEST_REPLY if reasons else len(yes + no))
        self._reader = VerdictReader(self._context, yes, no)
        self._writer = ReplyWriter(self._context, longest=LONGEST_REPLY)

    @property
    def tokens_read(self) -> int:
        """Tokens that llama.cpp has computed so far."""
        return self._context.tokens_read

    def _word(self, word: str) -> list[int]:
        """The tokens of a word behind a line's end, without those of the end: some tokenizers put a space in front."""
        line, whole = (self._context.tokenised(text, special=False) for text in ("\n", f"\n{word}"))
        return whole[len(line) :] if whole[: len(line)] == line else []

    @property
    def context(self) -> LlamaContext:
        """The opened model."""
        return self._context

    def prompt_of(self, dataset: str) -> Prompt:
        """The wording with which criteria of a dataset are put."""
        return self._prompts.get(dataset, self._prompt)

    def tokens(self, criterion: Criterion) -> list[int]:
        """The whole prompt, chat template included."""
        message = self._context.tokenised(self.prompt_of(criterion.dataset).render(criterion), special=False)
        return [*self._around.before, *message, *self._around.after]

    def weigh(self, criteria: Sequence[Criterion]) -> list[Weighed | None]:
        """How probable both words are after each criterion, in order; None where its prompt is too long."""
        return self._grouped(criteria, self._reader.weigh)

    def replies(self, criteria: Sequence[Criterion]) -> list[str | None]:
        """What the model writes to each criterion; None where its prompt is too long or it comes to no end."""
        return self._grouped(criteria, self._writer.write)

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float | None]:
        """Probabilities of 是, in order; None is an abstention: the prompt is too long, or the model says neither word.
        A model that reasons gives 1 or 0."""
        if self._reasons:
            thought = "<think>" if self._around.thinks else ""
            verdicts = (None if text is None else said(thought + text) for text in self.replies(criteria))
            return [None if verdict is None else float(verdict) for verdict in verdicts]
        return [self._probability(one.family, found) for one, found in zip(criteria, self.weigh(criteria), strict=True)]

    def _probability(self, family: Family, found: Weighed | None) -> float | None:
        if found is None or not math.isfinite(found.log_odds) or not found.mass >= LEAST_MASS:
            return None
        scale, shift = self._calibration.get(family, (1.0, 0.0))
        return sigmoid(scale * found.log_odds + shift)

    def _grouped(
        self, criteria: Sequence[Criterion], asked: Callable[[list[list[int]]], Sequence[T | None]]
    ) -> list[T | None]:
        """The criteria of one answer go together."""
        found: list[T | None] = []
        for _, group in groupby(criteria, key=lambda one: (one.question, one.answer)):
            prompts = [self.tokens(one) for one in group]
            replies = iter(asked([prompt for prompt in prompts if len(prompt) <= self._longest]))
            found += [next(replies) if len(prompt) <= self._longest else None for prompt in prompts]
        return found

    def abort(self) -> None:
        """From another thread: fail at once, now and later."""
        self._context.abort()

    def close(self) -> None:
        """Free the model."""
        self._context.close()


def _cannot_tell(file: Path) -> InputError:
    return InputError(
        tr(f"该模型的分词器无法区分“{YES}”与“{NO}”", f"the model's tokenizer cannot tell {YES} from {NO}"),
        file=file,
        remedy=tr("使用支持中文的模型", "use a model whose tokenizer knows Chinese"),
    )
