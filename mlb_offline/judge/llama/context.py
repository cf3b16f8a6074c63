"""A GGUF model and one KV cache that many sequences share, through llama.cpp's low-level interface (llama.h).

A token of a batch may belong to several sequences at once, and a sequence may take over what another has read: nothing
is copied, the cells of the cache are marked as belonging to both.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.target.llama import LlamaLog, load

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Logits = npt.NDArray[np.float32]

PHYSICAL_BATCH = 512
"""Tokens that llama.cpp computes at a time."""


@dataclass(frozen=True)
class Row:
    """Tokens that follow one another.

    Attributes:
        sequences: that they belong to.
        start: the position of the first.
        tokens: their ids.
        wanted: indices into ``tokens``, rising, after which the logits are wanted.
    """

    sequences: tuple[int, ...]
    start: int
    tokens: Sequence[int]
    wanted: Sequence[int] = ()


def metadata_of(file: Path, key: str) -> str | None:
    """A text of a file's metadata, without loading its weights; None where there is none, or the file is no model."""
    api: Any = load().llama_cpp
    parameters = api.llama_model_default_params()
    parameters.vocab_only = True
    model = api.llama_model_load_from_file(str(file).encode(), parameters)
    if not model:
        return None
    try:
        return _metadata(api, model, key)
    finally:
        api.llama_model_free(model)


def _metadata(api: Any, model: Any, key: str) -> str | None:
    length = api.llama_model_meta_val_str(model, key.encode(), None, 0)
    if length < 0:
        return None
    buffer = ctypes.create_string_buffer(length + 1)
    api.llama_model_meta_val_str(model, key.encode(), buffer, length + 1)
    return buffer.value.decode("utf-8", "replace")


class LlamaContext:
    """An opened model.

    Args:
        file: the model.
        tokens: cells of the cache, for all sequences together; also the most tokens of one ``read``.
        sequences: the most sequences.
        threads: that llama.cpp may use.

    Raises:
        InputError: llama.cpp cannot load the model, or has no memory for the cache.
    """

    def __init__(self, file: Path, *, tokens: int, sequences: int, threads: int) -> None:
        self._api: Any = load().llama_cpp
        self.file, self.tokens, self.sequences = file, tokens, sequences
        self.tokens_read = 0
        self._model: Any = None
        self._context: Any = None
        self._batch: Any = None
        parameters = self._api.llama_model_default_params()
        self._model = self._api.llama_model_load_from_file(str(file).encode(), parameters)
        if not self._model:
            raise self._refusal("cannot be loaded", "无法载入")
        self._require_attention()
        settings = self._api.llama_context_default_params()
        settings.n_ctx = settings.n_batch = tokens
        settings.n_ubatch = min(PHYSICAL_BATCH, tokens)
        settings.n_seq_max, settings.kv_unified = sequences, True
        settings.n_threads = settings.n_threads_batch = threads
        settings.n_outputs_max = tokens
        self._context = self._api.llama_init_from_model(self._model, settings)
        if not self._context:
            refusal = self._refusal("has no room for its context", "没有足够内存容纳上下文")
            self.close()
            raise refusal
        self._aborted = threading.Event()
        self._abort = self._api.ggml_abort_callback(lambda _data: self._aborted.is_set())
        self._api.llama_set_abort_callback(self._context, self._abort, ctypes.c_void_p(0))
        self._memory = self._api.llama_get_memory(self._context)
        self._vocabulary = self._api.llama_model_get_vocab(self._model)
        self.words: int = self._api.llama_vocab_n_tokens(self._vocabulary)
        self._batch = self._api.llama_batch_init(tokens, 0, sequences)

    def _require_attention(self) -> None:
        """Refuse a model whose memory is no cache of single tokens: sequences could not share it."""
        other = ("llama_model_is_recurrent", "llama_model_is_hybrid", "llama_model_has_encoder")
        if any(getattr(self._api, name)(self._model) for name in other):
            architecture = self.metadata("general.architecture")
            self.close()
            raise InputError(
                tr(
                    f"不支持该模型的架构（{architecture}）作为裁判",
                    f"a model of this architecture ({architecture}) cannot be a judge",
                ),
                file=self.file,
                field="general.architecture",
                remedy=tr("使用仅含解码器的 Transformer 模型", "use a transformer with a decoder only"),
            )

    def _refusal(self, en: str, zh: str) -> InputError:
        said = LlamaLog.last() or "?"
        return InputError(
            tr(f"llama.cpp {zh}该模型：{said}", f"the model {en}: {said}"),
            file=self.file,
            remedy=tr(
                "核对文件是否完整（与来源比对 SHA-256）；内存不足时换用更小的模型",
                "check that the file is whole (compare its SHA-256 with the source's); or use a smaller model",
            ),
        )

    @property
    def trained_context(self) -> int:
        """Tokens of the longest text that the model was trained on."""
        return int(self._api.llama_model_n_ctx_train(self._model))

    @property
    def parameters(self) -> int:
        """Number of the model's parameters."""
        return int(self._api.llama_model_n_params(self._model))

    @property
    def quantisation(self) -> str:
        """Of most weights, such as ``Q4_K_M``: what the file says, else what llama.cpp guesses from its tensors."""
        said = self.metadata("general.file_type")
        constants: dict[str, object] = vars(self._api)
        for name, value in constants.items():
            if name.startswith("LLAMA_FTYPE_") and str(value) == said:
                return name.removeprefix("LLAMA_FTYPE_").removeprefix("MOSTLY_").removeprefix("ALL_")
        buffer = ctypes.create_string_buffer(256)
        self._api.llama_model_desc(self._model, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace").rpartition(" ")[2] or "?"

    def metadata(self, key: str) -> str | None:
        """A text of the file's metadata; None where there is none."""
        return _metadata(self._api, self._model, key)

    def tokenised(self, text: str, *, special: bool) -> list[int]:
        """The tokens of a text, none added. ``special``: whether the names of control tokens in it become such."""
        raw = text.encode("utf-8", "replace")
        space = len(raw) + 8
        while True:
            array = (self._api.llama_token * space)()
            count = self._api.llama_tokenize(self._vocabulary, raw, len(raw), array, space, False, special)
            if count >= 0:
                return list(array[:count])
            space = -count

    @property
    def begin(self) -> tuple[int, ...]:
        """The token that llama.cpp puts before a text of this model; none where the model wants none."""
        token = self._api.llama_vocab_bos(self._vocabulary)
        return (token,) if self._api.llama_vocab_get_add_bos(self._vocabulary) and 0 <= token < self.words else ()

    def named(self, which: str) -> str:
        """The text of the token ``bos`` or ``eos``; empty where there is none."""
        token = getattr(self._api, f"llama_vocab_{which}")(self._vocabulary)
        return self.texts([token])[0] if 0 <= token < self.words else ""

    def texts(self, tokens: Sequence[int]) -> list[str]:
        """The texts of tokens, as the vocabulary spells them.

        Raises:
            ValueError: a number is that of no token.
        """
        if any(not 0 <= token < self.words for token in tokens):
            raise ValueError("no such token")
        found = (self._api.llama_vocab_get_text(self._vocabulary, token) for token in tokens)
        return [text.decode("utf-8", "replace") for text in found]

    def ends(self, token: int) -> bool:
        """Whether a token ends what a model writes."""
        return bool(self._api.llama_vocab_is_eog(self._vocabulary, token))

    def written(self, tokens: Sequence[int]) -> str:
        """The text that tokens stand for, control tokens by their names (a thought ends with one in some models)."""
        raw = b""
        for token in tokens:
            size = 64
            while True:
                buffer = ctypes.create_string_buffer(size)
                found = self._api.llama_token_to_piece(self._vocabulary, token, buffer, size, 0, True)
                if found >= 0:
                    raw += buffer.raw[:found]
                    break
                size = -found
        return raw.decode("utf-8", "replace")

    def clear(self) -> None:
        """Forget all sequences."""
        self._api.llama_memory_clear(self._memory, False)

    def share(self, source: int, target: int) -> None:
        """Let a sequence that is empty begin with all that another has read."""
        self._api.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def cut(self, sequence: int, length: int) -> None:
        """Forget what a sequence has read from position ``length`` on."""
        self._api.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def read(self, rows: Sequence[Row]) -> list[list[Logits]]:
        """Read rows, all at once, and give for each the logits that it wants, (vocabulary,) each.

        Raises:
            ValueError: more tokens than the context has cells.
            MemoryError: the sequences' cells do not fit in any more.
            RuntimeError: llama.cpp failed.
        """
        import numpy as np

        if sum(len(row.tokens) for row in rows) > self.tokens:
            raise ValueError("more tokens than cells")
        places, count = [], 0
        for row in rows:
            wanted = frozenset(row.wanted)
            for index, token in enumerate(row.tokens):
                self._batch.token[count] = token
                self._batch.pos[count] = row.start + index
                self._batch.n_seq_id[count] = len(row.sequences)
                for which, sequence in enumerate(row.sequences):
                    self._batch.seq_id[count][which] = sequence
                self._batch.logits[count] = index in wanted
                count += 1
            places.append([count - len(row.tokens) + index for index in row.wanted])
        self._batch.n_tokens = count
        self.tokens_read += count
        ended = self._api.llama_decode(self._context, self._batch)
        if ended:
            raise MemoryError("no room in the cache") if ended == 1 else RuntimeError(f"llama_decode: {ended}")

        def logits(place: int) -> Logits:
            pointer = self._api.llama_get_logits_ith(self._context, place)
            return np.ctypeslib.as_array(pointer, shape=(self.words,)).copy()

        return [[logits(place) for place in row] for row in places]

    def abort(self) -> None:
        """From another thread: let the ``read`` at hand, and every later one, fail at once."""
        self._aborted.set()

    def close(self) -> None:
        """Free everything."""
        if self._batch is not None:
            self._api.llama_batch_free(self._batch)
        if self._context:
            self._api.llama_free(self._context)
        if self._model:
            self._api.llama_model_free(self._model)
        self._batch = self._context = self._model = None
