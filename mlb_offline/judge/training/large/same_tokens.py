"""What llama.cpp shows before an export: that it splits text as the base does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlb_offline.errors import InputError
from mlb_offline.judge.training.large.encoding import Example
from mlb_offline.language import tr
from mlb_offline.target.llama import LlamaLog, load


def require_same_tokens(vocabulary: Path, examples: Sequence[Example]) -> None:
    """Check that llama.cpp splits every prompt exactly as the base's own tokenizer does.

    Args:
        vocabulary: a GGUF file, of which only the tokenizer is loaded.
        examples: what to compare.

    Raises:
        InputError: llama.cpp cannot load the tokenizer, or splits a prompt otherwise; names the first.
    """
    llama_cpp = load()
    remedy = tr(
        "该基座的分词器与 llama.cpp 不一致：换用 Qwen2、Qwen3 或 Llama 3 的原始分词器",
        "this tokenizer and llama.cpp disagree: use the original one of Qwen2, Qwen3 or Llama 3",
    )
    try:
        llama = llama_cpp.Llama(str(vocabulary), vocab_only=True, verbose=False)
    except (ValueError, RuntimeError, AssertionError) as error:
        reason = LlamaLog.last() or str(error)
        raise InputError(
            tr(f"llama.cpp 无法载入分词器：{reason}", f"llama.cpp cannot load the tokenizer: {reason}"),
            file=vocabulary,
            remedy=remedy,
        ) from None
    finally:
        LlamaLog.capture()
    try:
        for example in examples:
            found = tuple(llama.tokenize(example.text.encode(), add_bos=False, special=True))
            if found != example.prompt:
                at = next(
                    (n for n, pair in enumerate(zip(found, example.prompt, strict=False)) if pair[0] != pair[1]),
                    min(len(found), len(example.prompt)),
                )
                raise InputError(
                    tr(
                        f"llama.cpp 对标注 {example.id} 的切分自第 {at + 1} 个词元起不同",
                        f"llama.cpp splits annotation {example.id} otherwise from token {at + 1} on",
                    ),
                    field="tokenizer",
                    remedy=remedy,
                )
    finally:
        llama.close()
