"""Judge A to GGUF: the network's weights under llama.cpp's names, its vocabulary, then quantised by llama.cpp."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from mlb_offline.errors import InputError
from mlb_offline.judge.rendering import VERSION
from mlb_offline.judge.training.decoder import EPSILON, ROPE_BASE, Decoder
from mlb_offline.judge.vocabulary import BEGIN, BYTES, CONTROL, END, UNKNOWN, Vocabulary
from mlb_offline.language import tr
from mlb_offline.target.llama import LlamaLog, load

NAME = "mlb-judge-a"
QUANTISATIONS = {"Q8_0": "LLAMA_FTYPE_MOSTLY_Q8_0", "Q4_K_M": "LLAMA_FTYPE_MOSTLY_Q4_K_M"}
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6  # llama_token_type in llama.h


def _types(vocabulary: Vocabulary) -> list[int]:
    control = [_UNKNOWN if token == UNKNOWN else _CONTROL for token in CONTROL]
    return control + [_BYTE] * len(BYTES) + [_NORMAL] * len(vocabulary.characters)


def write_gguf(path: Path, model: Decoder, vocabulary: Vocabulary) -> Path:
    """Write the model in float32; the embedding doubles as output, as in training.

    Raises:
        InputError: the file cannot be written.
    """
    import gguf

    shape = model.shape
    try:
        path.touch()
        writer: Any = gguf.GGUFWriter(path, "llama")
        writer.add_name(NAME)
        writer.add_license("Apache-2.0")
        writer.add_string("mlb.judge.rendering", VERSION)
        writer.add_block_count(shape.layers)
        writer.add_context_length(shape.context)
        writer.add_embedding_length(shape.width)
        writer.add_feed_forward_length(shape.inner)
        writer.add_head_count(shape.heads)
        writer.add_head_count_kv(shape.heads)
        writer.add_layer_norm_rms_eps(EPSILON)
        writer.add_rope_dimension_count(shape.width // shape.heads)
        writer.add_rope_freq_base(ROPE_BASE)
        writer.add_vocab_size(len(vocabulary.tokens))
        writer.add_tokenizer_model("llama")
        writer.add_token_list([token.replace(" ", "▁") for token in vocabulary.tokens])  # as SentencePiece does
        writer.add_token_scores([0.0] * len(vocabulary.tokens))
        writer.add_token_types(_types(vocabulary))
        for name, token in (("bos", BEGIN), ("eos", END), ("unk", UNKNOWN)):
            getattr(writer, f"add_{name}_token_id")(vocabulary.ids[token])
        writer.add_add_bos_token(False)
        writer.add_add_space_prefix(False)
        for name, tensor in model.state_dict().items():
            writer.add_tensor(name, tensor.detach().cpu().numpy().astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(
            tr(f"无法写入：{error.strerror}", f"cannot be written: {error.strerror}"),
            file=path,
            remedy=tr("检查文件夹与磁盘空间", "check the folder and the disk's space"),
        ) from None
    return path


def quantise(source: Path, target: Path, kind: str) -> Path:
    """Quantise a GGUF file by llama.cpp.

    Args:
        source: in float32 or float16.
        target: the file to make; replaced if it is there.
        kind: one of ``QUANTISATIONS``.

    Raises:
        InputError: llama.cpp refuses.
    """
    llama_cpp = load()
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, QUANTISATIONS[kind])
    parameters.nthread = 1
    failed = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters))
    if failed:
        target.unlink(missing_ok=True)
        raise InputError(
            tr(f"llama.cpp 无法量化：{LlamaLog.last()}", f"llama.cpp cannot quantise: {LlamaLog.last()}"),
            file=source,
            remedy=tr("检查磁盘空间与源文件", "check the disk's space and the source file"),
        )
    return target
