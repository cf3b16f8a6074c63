"""Write a tiny but real llama-architecture GGUF model with random weights: it answers fast, and talks nonsense.

The file is byte-identical each time it is written (by one release of ``gguf``): the weights come from SHAKE-256 of a
fixed seed, not from a random generator that the next numpy may implement otherwise. Vocabulary (SentencePiece style):
control tokens, 256 byte tokens, printable ASCII, Chinese punctuation and the 3,755 most common characters (GB 2312,
level 1). The end token's output row is longer than the others, so that answers end after a few tokens; so are those
of the letters A to E, so that some answers are choices and now and then a right one.

Format: GGUF specification, version 3 (ggml-org/ggml, docs/gguf.md).
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlb_offline.errors import InputError, UsageError
from mlb_offline.language import tr

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NAME = "mlb-tiny-random"
CONTEXT = 8192
_WIDTH, _LAYERS, _HEADS, _FEED_FORWARD = 64, 2, 4, 192
_CONTROL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
_UNKNOWN, _BEGIN, _END = 0, 1, 4
_NEWLINE = len(_CONTROL) + 0x0A
_TYPE_NORMAL, _TYPE_UNKNOWN, _TYPE_CONTROL, _TYPE_BYTE = 1, 2, 3, 6  # llama_token_type in llama.h
_PUNCTUATION = "，。、；：？！“”‘’（）《》【】…—·％℃"
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def vocabulary() -> list[tuple[str, int]]:
    """All tokens in order of their ids, each with its type."""
    tokens = [(text, _TYPE_CONTROL) for text in _CONTROL]
    tokens[_UNKNOWN] = (_CONTROL[_UNKNOWN], _TYPE_UNKNOWN)
    tokens += [(f"<0x{byte:02X}>", _TYPE_BYTE) for byte in range(256)]
    texts = ["▁"] + [chr(code) for code in range(0x21, 0x7F)] + list(_PUNCTUATION)
    texts += [bytes((row, cell)).decode("gb2312") for row in range(0xB0, 0xD8) for cell in _cells(row)]
    return tokens + [(text, _TYPE_NORMAL) for text in texts]


def _cells(row: int) -> range:
    return range(0xA1, 0xFA if row == 0xD7 else 0xFF)  # the last row of level 1 is not full


def write_tiny_gguf(path: Path, *, seed: str = "mlb-offline tiny model 1") -> Path:
    """Write the model (about 1.3 MB) and return its path.

    Args:
        path: the file to make; replaced if it is there.
        seed: another seed makes another model.

    Raises:
        UsageError: the ``demo`` extra is not installed.
        InputError: the file cannot be written.
    """
    try:
        import gguf
    except ImportError:
        raise UsageError(
            tr("未安装 demo 扩展（缺少 gguf 包）", "the demo extra is not installed (no package gguf)"),
            remedy=tr("运行 make setup，或安装 mlb-offline[demo]", "run make setup, or install mlb-offline[demo]"),
        ) from None
    tokens = vocabulary()
    try:
        path.touch()
        writer = gguf.GGUFWriter(path, "llama")
        _add_metadata(writer, tokens)
        for name, tensor in _tensors(tokens, seed):
            writer.add_tensor(name, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    except OSError as error:
        raise InputError(
            tr(f"无法写入：{error.strerror}", f"cannot be written: {error.strerror}"),
            file=path,
            remedy=tr("检查文件夹与磁盘空间", "check the folder and the disk's space"),
        ) from None
    return path


def _add_metadata(writer: Any, tokens: list[tuple[str, int]]) -> None:
    writer.add_name(NAME)
    writer.add_block_count(_LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_bos_token_id(_BEGIN)
    writer.add_eos_token_id(_END)
    writer.add_unk_token_id(_UNKNOWN)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(_TEMPLATE)


def _tensors(tokens: list[tuple[str, int]], seed: str) -> list[tuple[str, npt.NDArray[Any]]]:
    import numpy as np

    def norm(name: str) -> tuple[str, npt.NDArray[Any]]:
        return name, np.ones(_WIDTH, dtype=np.float32)

    def weights(name: str, rows: int, columns: int, scale: float = 1.0) -> tuple[str, npt.NDArray[Any]]:
        return name, (_uniform(f"{seed}/{name}", rows, columns) * np.float32(scale)).astype(np.float16)

    output = _uniform(f"{seed}/output.weight", len(tokens), _WIDTH)
    output[: len(_CONTROL) + 256] *= 0.25  # control and byte tokens are hardly ever generated
    output[_END] *= 32.0
    for index, (text, _) in enumerate(tokens):
        if text in "ABCDE":
            output[index] *= 5.0
    embedding = _uniform(f"{seed}/token_embd.weight", len(tokens), _WIDTH)
    # The newline after "assistant" points away from the end token, so that no answer is empty.
    embedding[_NEWLINE] = output[_END] * np.float32(-1.0)
    tensors = [("token_embd.weight", embedding.astype(np.float16)), norm("output_norm.weight")]
    tensors.append(("output.weight", output.astype(np.float16)))
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        tensors += [norm(f"{block}.attn_norm.weight"), norm(f"{block}.ffn_norm.weight")]
        # Large queries and keys make attention pick single tokens; a mean over all would forget the question.
        tensors += [weights(f"{block}.attn_{part}.weight", _WIDTH, _WIDTH, 2.0) for part in ("q", "k")]
        tensors += [weights(f"{block}.attn_{part}.weight", _WIDTH, _WIDTH) for part in ("v", "output")]
        tensors += [weights(f"{block}.ffn_{part}.weight", _FEED_FORWARD, _WIDTH) for part in ("gate", "up")]
        tensors.append(weights(f"{block}.ffn_down.weight", _WIDTH, _FEED_FORWARD))
    return tensors


def _uniform(seed: str, rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Weights of shape (rows, columns), uniform with variance 1/columns, from SHAKE-256 of the seed alone."""
    import numpy as np

    raw = hashlib.shake_256(seed.encode()).digest(rows * columns * 2)
    unit = np.frombuffer(raw, dtype="<u2").astype(np.float64) / 32767.5 - 1.0
    scaled: npt.NDArray[np.float32] = (unit * (3.0 / columns) ** 0.5).astype(np.float32).reshape(rows, columns)
    return scaled


def main(arguments: list[str] | None = None) -> None:
    """Write the model to the path given."""
    parser = argparse.ArgumentParser(prog="python -m mlb_offline.demo.tiny_gguf", description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    write_tiny_gguf(parser.parse_args(arguments).path)


if __name__ == "__main__":
    main()
