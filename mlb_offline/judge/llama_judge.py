"""Judge A in this process, under llama.cpp: the probability of 是 from one forward pass a criterion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.evidence import Answer
from mlb_offline.judge.lexicon import Lexicon
from mlb_offline.judge.rendering import CONTEXT, decoder_ids
from mlb_offline.judge.small_judge import SmallJudge, require_version, unusable
from mlb_offline.judge.vocabulary import BYTES, CONTROL, NO, YES, Vocabulary
from mlb_offline.target.llama import LlamaLog, load


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
        llama_cpp = load()
        self._lexicon = lexicon
        try:
            self._llama: Any = llama_cpp.Llama(
                model_path=str(file),
                n_ctx=CONTEXT,
                n_batch=CONTEXT,
                n_ubatch=CONTEXT,
                n_threads=threads,
                n_threads_batch=threads,
                verbose=False,
            )
        except Exception as error:  # noqa: BLE001 - ValueError, RuntimeError, AttributeError of a half-made Llama
            raise unusable(file, LlamaLog.last() or type(error).__name__) from None
        LlamaLog.capture()
        try:
            require_version(file, self._llama.metadata.get("mlb.judge.rendering"))
        except InputError:
            self._llama.close()
            raise
        self.vocabulary = _vocabulary(llama_cpp, self._llama)
        self._yes, self._no = self.vocabulary.ids[YES], self.vocabulary.ids[NO]

    def logits(self, criteria: Sequence[Criterion]) -> list[float]:
        """Log-odds of 是, one a criterion; every prompt starts from an empty context."""
        answers: dict[str, Answer] = {}
        found = []
        for one in criteria:
            if one.answer not in answers:
                answers = {one.answer: Answer(one.answer, self._lexicon)}
            tokens = decoder_ids(one, answers[one.answer], self.vocabulary)
            self._llama.reset()
            self._llama.eval(tokens)
            last = self._llama._ctx.get_logits_ith(-1)
            found.append(float(last[self._yes]) - float(last[self._no]))
        return found

    def tokenised(self, text: str) -> list[int]:
        """llama.cpp's own tokens of a text; the same as the vocabulary's."""
        return list(self._llama.tokenize(text.encode("utf-8"), add_bos=False, special=False))

    def close(self) -> None:
        """Free the model."""
        self._llama.close()


def _vocabulary(llama_cpp: Any, llama: Any) -> Vocabulary:
    vocab = llama_cpp.llama_model_get_vocab(llama.model)
    first = len(CONTROL) + len(BYTES)
    texts = (llama_cpp.llama_vocab_get_text(vocab, token) for token in range(first, llama.n_vocab()))
    return Vocabulary(tuple(text.decode("utf-8").replace("▁", " ") for text in texts))
