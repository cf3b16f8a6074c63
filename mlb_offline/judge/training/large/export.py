"""Base and adapter as one GGUF file, tensor by tensor, so that a base larger than the memory can be exported.

The adapter is added in float32 to the base's own values and rounded once. Format: GGUF specification, version 3
(ggml-org/ggml, docs/gguf.md); names and metadata as llama.cpp's loader asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlb_offline.errors import InputError
from mlb_offline.judge.prompt import NO, YES
from mlb_offline.judge.training.large.base import ARCHITECTURES, Base
from mlb_offline.judge.training.large.encoding import Encoder
from mlb_offline.judge.training.large.geometry import head_size, rope_factors
from mlb_offline.judge.training.large.libraries import library
from mlb_offline.judge.training.large.model import adapter_update
from mlb_offline.judge.training.large.recipe import LargeRecipe, Weights
from mlb_offline.judge.training.large.vocabulary import Vocabulary
from mlb_offline.judge.training.writing import replacing
from mlb_offline.language import tr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_ROPE_FREQS = "rope_freqs.weight"


@dataclass(frozen=True)
class Source:
    """All that an exported file is made of.

    Attributes:
        base: the base.
        configuration: its configuration (``geometry.load_configuration``).
        vocabulary: its tokens.
        encoder: the prompt around a criterion; goes into the file's metadata, keys ``mlb_judge.*``.
    """

    base: Base
    configuration: Any
    vocabulary: Vocabulary
    encoder: Encoder

    @property
    def architecture(self) -> str:
        """The architecture's name in GGUF."""
        return ARCHITECTURES[self.base.architecture]


def write_gguf(path: Path, source: Source, adapter: Mapping[str, Any], recipe: LargeRecipe) -> int:
    """Write the judge.

    Args:
        path: the file to make; replaced if it is there.
        source: the base and what belongs to it.
        adapter: trained tensors by name (``model.trained``).
        recipe: for rank, alpha and the type of the weights.

    Returns:
        The number of parameters.

    Raises:
        InputError: the file cannot be written (what was written is removed), a shard cannot be read, or a weight is
            too large for F16.
    """
    gguf = library("gguf")
    names = _names(source)
    with replacing(path) as partial:
        writer = gguf.GGUFWriter(partial, source.architecture)
        try:
            _add_metadata(writer, source, recipe.weights)
            for name, shape in _shapes(source, names):
                _announce(writer, name, shape, recipe.weights)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for name, array in _arrays(source, names, dict(adapter), recipe.alpha / recipe.rank):
                writer.write_tensor_data(_stored(source.base, name, array, recipe.weights))
        finally:
            writer.close()
    return sum(_product(shape) for _, shape in _shapes(source, names))


def write_vocabulary(path: Path, source: Source) -> None:
    """Write a file without tensors, from which llama.cpp loads the tokenizer alone.

    Raises:
        InputError: it cannot be written.
    """
    gguf = library("gguf")
    with replacing(path) as partial:
        writer = gguf.GGUFWriter(partial, source.architecture)
        try:
            _add_metadata(writer, source, "F16")
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
        finally:
            writer.close()


def _names(source: Source) -> dict[str, str]:
    """The base's tensors, in order, each with its name in GGUF; without those that the file does not hold."""
    gguf = library("gguf")
    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[source.architecture], source.configuration.num_hidden_layers)
    tied = source.configuration.tie_word_embeddings
    kept = [
        name
        for name in sorted(source.base.tensors)
        if not name.endswith("rotary_emb.inv_freq") and not (tied and name == "lm_head.weight")
    ]
    return {name: names.get_name(name, try_suffixes=(".weight", ".bias")) for name in kept}


def _shapes(source: Source, names: Mapping[str, str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    factors = rope_factors(source.configuration)
    if factors is not None:
        yield _ROPE_FREQS, (len(factors),)
    for name, exported in names.items():
        yield exported, source.base.tensors[name].shape


def _arrays(
    source: Source, names: Mapping[str, str], adapter: dict[str, Any], scaling: float
) -> Iterator[tuple[str, Array]]:
    """The tensors of ``_shapes``, in the same order, float32."""
    import numpy as np

    factors = rope_factors(source.configuration)
    if factors is not None:
        yield _ROPE_FREQS, np.array(factors, dtype=np.float32)
    for name, exported in names.items():
        tensor = _read(source.base.tensors[name].file, name)
        update = adapter_update(adapter, name, scaling)
        array = (tensor if update is None else tensor + update).numpy()
        yield exported, _rotated(source, name, array)


def _read(file: Path, name: str) -> Any:
    """A tensor of a shard, float32."""
    safetensors = library("safetensors")
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            return opened.get_tensor(name).float()
    except Exception as error:  # noqa: BLE001 - an OSError from here would be taken for one of writing
        raise InputError(
            tr(f"张量 {name} 无法读取：{error}", f"the tensor {name} cannot be read: {error}"),
            file=file,
            remedy=tr("重新复制该分片，再次给出同一命令", "copy this shard again and give the same command"),
        ) from None


def _rotated(source: Source, name: str, array: Array) -> Array:
    """Queries and keys of Llama, whose rotary pairs are neighbours in GGUF and half a head apart in the base."""
    if source.architecture != "llama" or ".self_attn." not in name:
        return array
    heads = {
        "q_proj": source.configuration.num_attention_heads,
        "k_proj": source.configuration.num_key_value_heads,
    }.get(name.split(".")[-2])
    if heads is None:
        return array
    halves = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
    return halves.swapaxes(1, 2).reshape(array.shape)


def _announce(writer: Any, name: str, shape: tuple[int, ...], weights: Weights) -> None:
    import numpy as np

    gguf = library("gguf")
    if len(shape) == 1:  # norms and biases: small, and llama.cpp wants them exact
        writer.add_tensor_info(name, shape, np.dtype(np.float32), 4 * _product(shape))
    else:
        kind = gguf.GGMLQuantizationType[weights]
        writer.add_tensor_info(name, shape, np.dtype(np.float16), 2 * _product(shape), raw_dtype=kind)


def _stored(base: Base, name: str, array: Array, weights: Weights) -> Array:
    import numpy as np

    gguf = library("gguf")
    if array.ndim == 1:
        return np.ascontiguousarray(array, dtype=np.float32)
    if weights == "BF16":
        packed: Array = gguf.quants.quantize(np.ascontiguousarray(array), gguf.GGMLQuantizationType.BF16)
        return packed
    if float(np.abs(array).max()) > float(np.finfo(np.float16).max):
        raise InputError(
            tr(f"张量 {name} 的数值超出 F16 范围", f"the tensor {name} holds values too large for F16"),
            file=base.folder,
            field="weights",
            remedy=tr(
                '在配方中改用 weights = "BF16"，再次给出同一命令',
                'set weights = "BF16" and give the same command again',
            ),
        )
    return np.ascontiguousarray(array, dtype=np.float16)


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _add_metadata(writer: Any, source: Source, weights: Weights) -> None:
    gguf = library("gguf")
    configuration = source.configuration
    writer.add_type("model")
    writer.add_name(f"{source.base.folder.absolute().name} mlb judge")
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{weights}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(configuration.max_position_embeddings)
    writer.add_embedding_length(configuration.hidden_size)
    writer.add_block_count(configuration.num_hidden_layers)
    writer.add_feed_forward_length(configuration.intermediate_size)
    writer.add_head_count(configuration.num_attention_heads)
    writer.add_head_count_kv(configuration.num_key_value_heads)
    writer.add_layer_norm_rms_eps(configuration.rms_norm_eps)
    writer.add_key_length(head_size(configuration))
    writer.add_value_length(head_size(configuration))
    writer.add_vocab_size(len(source.vocabulary.tokens))
    _add_rope(writer, configuration)
    _add_tokenizer(writer, source)
    _add_prompt(writer, source.encoder)


def _add_rope(writer: Any, configuration: Any) -> None:
    gguf = library("gguf")
    rope = configuration.rope_parameters
    writer.add_rope_dimension_count(head_size(configuration))
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    if rope["rope_type"] in {"linear", "yarn"}:
        writer.add_rope_scaling_type(gguf.RopeScalingType[rope["rope_type"].upper()])
        writer.add_rope_scaling_factor(float(rope["factor"]))
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(int(rope["original_max_position_embeddings"]))
        writer.add_rope_scaling_yarn_beta_fast(float(rope.get("beta_fast") or 32.0))
        writer.add_rope_scaling_yarn_beta_slow(float(rope.get("beta_slow") or 1.0))


def _add_tokenizer(writer: Any, source: Source) -> None:
    gguf = library("gguf")
    vocabulary = source.vocabulary
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.types))
    special = gguf.SpecialVocab(source.base.folder, load_merges=True, n_vocab=len(vocabulary.tokens))
    special.add_to_gguf(writer, quiet=True)


def _add_prompt(writer: Any, encoder: Encoder) -> None:
    """What an engine needs to ask this judge as it was trained, without a template engine."""
    writer.add_string("mlb_judge.prompt.version", encoder.prompt.version)
    writer.add_string("mlb_judge.prompt.sha256", encoder.prompt.sha256)
    writer.add_string("mlb_judge.prefix", encoder.prefix)
    writer.add_string("mlb_judge.suffix", encoder.suffix)
    writer.add_string("mlb_judge.yes", YES)
    writer.add_string("mlb_judge.no", NO)
