"""The base's tokenizer as llama.cpp needs it: byte-level BPE (``gpt2``) with a known way of splitting text.

llama.cpp does not read the splitting expression of tokenizer.json; it has its own, by name (``tokenizer.ggml.pre``).
The name is therefore chosen by the expression, not by the architecture, and a tokenizer with another one is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.judge.training.large.base import Base, read_json
from mlb_offline.language import tr

_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PRE = {_QWEN: "qwen2", _QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|"): "llama-bpe"}
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5  # llama_token_type in llama.h


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their ids.

    Attributes:
        tokens: in the byte alphabet of GPT-2; added ones as they are written.
        types: ``llama_token_type`` of each.
        pre: ``qwen2`` or ``llama-bpe``.
    """

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    pre: str


def read_vocabulary(base: Base, rows: int) -> Vocabulary:
    """The vocabulary, filled up with unused tokens to the number of the embedding's rows.

    Raises:
        InputError: no byte-level BPE, an unknown splitting expression, or more tokens than rows.
    """
    document = read_json(base.tokenizer)
    model = document.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE" or not isinstance(model.get("vocab"), dict):
        raise _refused(base, "model.type", "不是 BPE 分词器", "is no BPE tokenizer")
    pre = _pre_of(base, document)
    entries: dict[int, tuple[str, int]] = {int(number): (text, _NORMAL) for text, number in model["vocab"].items()}
    for one in document.get("added_tokens") or ():
        entries[int(one["id"])] = (str(one["content"]), _CONTROL if one.get("special") else _USER_DEFINED)
    if entries and max(entries) >= rows:
        raise _refused(
            base,
            "model.vocab",
            f"词元编号 {max(entries)} 超出嵌入矩阵的 {rows} 行",
            f"has a token {max(entries)} beyond the embedding's {rows} rows",
        )
    filled = [entries.get(number, (f"[PAD{number}]", _UNUSED)) for number in range(rows)]
    return Vocabulary(tuple(text for text, _ in filled), tuple(kind for _, kind in filled), pre)


def _pre_of(base: Base, document: dict[str, Any]) -> str:
    steps = list(_steps(document.get("pre_tokenizer")))
    kinds = [step.get("type") for step in steps]
    if kinds != ["Split", "ByteLevel"] or steps[1].get("add_prefix_space") or steps[1].get("use_regex"):
        raise _refused(base, "pre_tokenizer", f"切分步骤为 {kinds}", f"splits text by {kinds}")
    pattern = steps[0].get("pattern")
    expression = pattern.get("Regex") if isinstance(pattern, dict) else None
    pre = _PRE.get(expression) if isinstance(expression, str) else None
    if pre is None or steps[0].get("behavior") != "Isolated" or steps[0].get("invert"):
        raise _refused(base, "pre_tokenizer", f"切分表达式未知：{expression}", f"splits text by {expression}")
    return pre


def _steps(step: Any) -> Iterator[dict[str, Any]]:
    if isinstance(step, dict) and isinstance(step.get("pretokenizers"), list):
        for one in step["pretokenizers"]:
            yield from _steps(one)
    elif isinstance(step, dict):
        yield step


def _refused(base: Base, field: str, zh: str, en: str) -> InputError:
    return InputError(
        tr(f"分词器无法导出：{zh}", f"the tokenizer cannot be exported: it {en}"),
        file=base.tokenizer,
        field=field,
        remedy=tr(
            "使用 Qwen2、Qwen3 或 Llama 3 系列、带原始分词器的基座",
            "use a base of the Qwen2, Qwen3 or Llama 3 family with its original tokenizer",
        ),
    )
