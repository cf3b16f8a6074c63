"""Judge A to GGUF: the network's weights under llama.cpp's names, and its vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlb_offline.judge.rendering import VERSION
from mlb_offline.judge.training.decoder import EPSILON, ROPE_BASE, Decoder
from mlb_offline.judge.training.writing import replacing
from mlb_offline.judge.vocabulary import BEGIN, BYTES, CONTROL, END, UNKNOWN, Vocabulary

NAME = "mlb-judge-a"
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
    with replacing(path) as partial:
        writer: Any = gguf.GGUFWriter(partial, "llama")
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
    return path
