"""Judge A in this process, under llama.cpp: the log-odds of 是 from one forward pass a criterion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from mlb_offline.errors import InputError
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.evidence import Answer
from mlb_offline.judge.lexicon import Lexicon
from mlb_offline.judge.llama.context import LlamaContext
from mlb_offline.judge.llama.verdicts import VerdictReader
from mlb_offline.judge.rendering import CONTEXT, decoder_ids
from mlb_offline.judge.small_judge import SmallJudge, require_version, unusable
from mlb_offline.judge.vocabulary import BYTES, CONTROL, NO, YES, Vocabulary
from mlb_offline.language import tr

RENDERING = "mlb.judge.rendering"
"""Key of the metadata that tells a small judge of ours from any other model."""
SEQUENCES = 17
TOGETHER = 512
"""Tokens that are read at a time: every token attends over the cells of all, so more together is not faster."""


class LlamaJudge(SmallJudge):
    """A GGUF file of ours.

    Args:
        file: the model.
        lexicon: the names of concepts.
        threads: that llama.cpp may use.

    Raises:
        InputError: llama.cpp cannot load it, or it is not a judge of this version.
    """

    def __init__(self, file: Path, lexicon: Lexicon, *, threads: int = 2) -> None:
        self._context = LlamaContext(file, tokens=CONTEXT, sequences=SEQUENCES, threads=threads)
        self._lexicon = lexicon
        try:
            require_version(file, self._context.metadata(RENDERING))
            texts = self._context.texts(range(len(CONTROL) + len(BYTES), self._context.words))
            self.vocabulary = Vocabulary(tuple(text.replace("▁", " ") for text in texts))
            if not {YES, NO} <= self.vocabulary.ids.keys():
                raise unusable(file, tr(f"词表中没有 {YES} 与 {NO}", f"its vocabulary lacks {YES} or {NO}"))
        except InputError:
            self._context.close()
            raise
        yes, no = ([self.vocabulary.ids[word]] for word in (YES, NO))
        self._reader = VerdictReader(self._context, yes, no, together=TOGETHER)

    @property
    def context(self) -> LlamaContext:
        """The opened model."""
        return self._context

    def logits(self, criteria: Sequence[Criterion]) -> list[float]:
        """Log-odds of 是, one a criterion; the criteria of one answer go together."""
        found: list[float] = []
        for text, group in groupby(criteria, key=lambda one: one.answer):
            answer = Answer(text, self._lexicon)
            prompts = [decoder_ids(one, answer, self.vocabulary) for one in group]
            found += [one.log_odds for one in self._reader.weigh(prompts)]
        return found

    def tokenised(self, text: str) -> list[int]:
        """llama.cpp's own tokens of a text; the same as the vocabulary's."""
        return self._context.tokenised(text, special=False)

    def abort(self) -> None:
        """From another thread: fail at once, now and later."""
        self._context.abort()

    def close(self) -> None:
        """Free the model."""
        self._context.close()
