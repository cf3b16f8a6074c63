"""The base's configuration, and whether llama.cpp computes what it describes.

What a GGUF file cannot say, llama.cpp would compute wrongly without a word: sliding windows, other activations, ways
of stretching the rotary positions that it does not know. They are refused before the training.
"""

from __future__ import annotations

import math
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.judge.training.large.base import Base
from mlb_offline.judge.training.large.libraries import library
from mlb_offline.language import tr

_ROPE_KEYS = {
    "default": frozenset[str](),
    "linear": frozenset({"factor"}),
    "yarn": frozenset({"factor", "original_max_position_embeddings", "beta_fast", "beta_slow"}),
    "llama3": frozenset({"factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"}),
}
_OUTPUT = "lm_head.weight"


def load_configuration(base: Base) -> Any:
    """The configuration as transformers reads it (``PreTrainedConfig``), checked against the tensors.

    Raises:
        InputError: it is not valid, describes what llama.cpp does not compute, or does not fit the tensors.
    """
    transformers = library("transformers")
    file = base.folder / "config.json"
    try:
        configuration = transformers.AutoConfig.from_pretrained(
            base.folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # noqa: BLE001 - transformers raises what it likes on a faulty configuration
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _refused(base, None, f"无效：{reason}", f"is not valid: {reason}") from None
    if configuration.model_type != base.architecture.removesuffix("ForCausalLM").lower():
        raise InputError(
            tr(
                f"model_type 为 {configuration.model_type}，与架构 {base.architecture} 不符",
                f"model_type {configuration.model_type} does not belong to {base.architecture}",
            ),
            file=file,
            field="model_type",
            remedy=_remedy(),
        )
    _require_computable(base, configuration)
    _require_tensors(base, configuration)
    return configuration


def head_size(configuration: Any) -> int:
    """Width of one attention head."""
    return int(
        getattr(configuration, "head_dim", None) or configuration.hidden_size // configuration.num_attention_heads
    )


def rope_factors(configuration: Any) -> list[float] | None:
    """By how much each rotary frequency is divided (``head_size / 2`` values) in Llama 3's scaling; else None.

    Source: Llama 3.1, as in transformers ``modeling_rope_utils``: long waves are divided by ``factor``, short ones
    stay, those between are blended.
    """
    rope = configuration.rope_parameters
    if rope["rope_type"] != "llama3":
        return None
    size, factor = head_size(configuration), float(rope["factor"])
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    context = float(rope["original_max_position_embeddings"])
    factors = []
    for pair in range(0, size, 2):
        wave = 2 * math.pi * float(rope["rope_theta"]) ** (pair / size)
        blend = min(1.0, max(0.0, (context / wave - low) / (high - low)))
        factors.append(1 / ((1 - blend) / factor + blend))
    return factors


def _require_computable(base: Base, configuration: Any) -> None:
    if configuration.hidden_act != "silu":
        raise _refused(base, "hidden_act", f"为 {configuration.hidden_act}", f"is {configuration.hidden_act}")
    kinds = set(getattr(configuration, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise _refused(base, "use_sliding_window", "使用滑动窗口注意力", "asks for sliding windows")
    rope = configuration.rope_parameters
    known = _ROPE_KEYS.get(rope.get("rope_type"))
    if known is None or not set(rope) - {"rope_type", "type", "rope_theta"} <= known:
        found = ", ".join(f"{key} = {value}" for key, value in sorted(rope.items()))
        raise _refused(
            base, "rope_scaling", f"位置编码不受支持：{found}", f"has rotary positions of another kind: {found}"
        )


def _require_tensors(base: Base, configuration: Any) -> None:
    """Every tensor of the architecture is there with its shape, and no other: a missing one would be made up."""
    torch, transformers = library("torch"), library("transformers")
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(configuration)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: one.shape for name, one in base.tensors.items() if not name.endswith("rotary_emb.inv_freq")}
    if configuration.tie_word_embeddings:
        expected.pop(_OUTPUT, None)
        found.pop(_OUTPUT, None)
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise InputError(
            tr(
                f"{len(wrong)} 个张量与 config.json 不符，如 {name}：应为 {expected.get(name)}，实为 {found.get(name)}",
                f"{len(wrong)} tensors do not fit config.json, such as {name}: "
                f"{found.get(name)} instead of {expected.get(name)}",
            ),
            file=base.folder,
            field=name,
            remedy=_remedy(),
        )


def _refused(base: Base, field: str | None, zh: str, en: str) -> InputError:
    return InputError(
        tr(f"基座配置无法使用：{zh}", f"the base's configuration cannot be used: it {en}"),
        file=base.folder / "config.json",
        field=field,
        remedy=tr(
            "换用 llama.cpp 能原样计算的基座；若启用了滑动窗口或长上下文扩展，可在其副本中关闭",
            "use a base that llama.cpp computes as it is; sliding windows and longer contexts can be switched off "
            "in a copy of it",
        ),
    )


def _remedy() -> str:
    return tr(
        "重新复制完整的检查点文件夹：config.json 与分片须出自同一版本",
        "copy the whole checkpoint folder again: config.json and shards must be of one release",
    )
