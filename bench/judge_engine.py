"""Verdicts a second of the llama.cpp engine beside the naive loop, calls that reuse a prefix, and the limit.

``python -m bench.judge_engine [--size tiny|half] [--answers N] [--characters N] [--json]``, one process, one model:

* naive: ``create_chat_completion`` for each criterion, one token, from an empty context;
* prefix: the same calls, the context kept, so that llama-cpp-python reads anew only what differs from the call before;
* engine: ``judge.llama``: the criteria of an answer share what they have in common, and go together;
* limit: the rate at which the same model reads full batches, over the tokens that must be read at least.

Work is counted beside time: tokens that each way reads. The model has random weights: ``half`` has the shape of a model
of about half a billion parameters (Q8_0), which is what the time of one pass depends on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlb_offline.demo.tiny_gguf import _TEMPLATE, vocabulary
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.llama.context import LlamaContext, Row
from mlb_offline.judge.llama.judge import CONTEXT, GgufJudge
from mlb_offline.judge.llama.verdicts import common
from mlb_offline.judge.prompt import shipped_prompt
from mlb_offline.target.llama import load

CRITERIA = 6
SIZES = {"tiny": (64, 2, 4, 4, 192), "half": (896, 24, 14, 2, 4864)}
"""Width, layers, heads, heads of keys and values, inner width."""
SENTENCE = (
    "患者男性，六十岁，突发胸骨后压榨样疼痛三小时，向左肩放射，伴大汗，含服硝酸甘油不缓解，心电图提示下壁导联抬高。"
)


def write_model(path: Path, size: str) -> Path:
    """A model of random weights in 8 bits."""
    import gguf

    width, layers, heads, pairs, inner = SIZES[size]
    tokens = vocabulary()
    writer: Any = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(pairs)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(4)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(_TEMPLATE)
    random = np.random.default_rng(1)

    def matrix(name: str, rows: int, columns: int) -> None:
        weights = (random.standard_normal((rows, columns), dtype=np.float32) * columns**-0.5).astype(np.float32)
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(weights, kind), raw_dtype=kind)

    matrix("token_embd.weight", len(tokens), width)
    writer.add_tensor("output_norm.weight", np.ones(width, dtype=np.float32))
    matrix("output.weight", len(tokens), width)
    for layer in range(layers):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{norm}.weight", np.ones(width, dtype=np.float32))
        matrix(f"{block}.attn_q.weight", width, width)
        for part in ("attn_k", "attn_v"):
            matrix(f"{block}.{part}.weight", width // heads * pairs, width)
        matrix(f"{block}.attn_output.weight", width, width)
        matrix(f"{block}.ffn_gate.weight", inner, width)
        matrix(f"{block}.ffn_up.weight", inner, width)
        matrix(f"{block}.ffn_down.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def criteria(answers: int, characters: int) -> list[list[Criterion]]:
    """Answers of so many characters, with six points each."""
    text = SENTENCE * (characters // len(SENTENCE) + 1)
    return [
        [
            Criterion(
                f"{answer}/{number}", str(answer), "points", "MADiagnosis", "point", "诊断依据",
                f"要点{number}：" + SENTENCE[number * 4 : number * 4 + 16], "",
                f"第{answer}份。" + text[:characters], False,
            )
            for number in range(CRITERIA)
        ]
        for answer in range(answers)
    ]  # fmt: skip


def timed(work: Callable[[], int]) -> tuple[float, int]:
    """Seconds, and what the work says that it read."""
    started = time.perf_counter()
    tokens = work()
    return time.perf_counter() - started, tokens


def high_level(llama: Any, asked: Sequence[Sequence[Criterion]], *, keep: bool) -> int:
    """The loop that llama-cpp-python's users would write; gives the tokens that were read."""
    prompt = shipped_prompt()
    read = 0
    for group in asked:
        for one in group:
            if not keep:
                llama.reset()
            before = list(llama.input_ids[: llama.n_tokens])
            message = [{"role": "user", "content": prompt.render(one)}]
            reply = llama.create_chat_completion(messages=message, max_tokens=1, temperature=0.0)
            total = reply["usage"]["prompt_tokens"]
            now = list(llama.input_ids[: llama.n_tokens])
            read += total - (common([before, now]) if keep and before else 0)
    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="half")
    parser.add_argument("--answers", type=int, default=4)
    parser.add_argument("--characters", type=int, default=400, help="of an answer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    asked = criteria(given.answers, given.characters)
    count = sum(map(len, asked))
    with tempfile.TemporaryDirectory() as folder:
        file = write_model(Path(folder) / "random.gguf", given.size)
        judge = GgufJudge(file, threads=given.threads)
        prompts = [[judge.tokens(one) for one in group] for group in asked]
        least = sum(common(group) + sum(len(one) - common(group) for one in group) for group in prompts)
        judge.weigh(asked[0])

        def engine() -> int:
            before = judge.tokens_read
            for group in asked:
                judge.weigh(group)
            return judge.tokens_read - before

        found = {"engine": timed(engine)}
        judge.close()
        context = LlamaContext(file, tokens=CONTEXT, sequences=1, threads=given.threads)
        flat = [token for group in prompts for one in group for token in one][:2048]

        def full() -> int:
            context.clear()
            for start in range(0, len(flat), 512):
                context.clear()
                context.read([Row((0,), 0, flat[start : start + 512])])
            return len(flat)

        full()
        seconds, tokens = timed(full)
        context.close()
        found["limit"] = (seconds / tokens * least, least)
        settings = {"n_ctx": CONTEXT, "n_batch": CONTEXT, "verbose": False}
        llama = load().Llama(str(file), n_threads=given.threads, n_threads_batch=given.threads, **settings)
        high_level(llama, asked[:1], keep=False)
        found["naive"] = timed(lambda: high_level(llama, asked, keep=False))
        llama.reset()
        found["prefix"] = timed(lambda: high_level(llama, asked, keep=True))
        llama.close()
    result = {
        name: {"criteria_per_second": count / seconds, "seconds": seconds, "tokens_read": tokens}
        for name, (seconds, tokens) in found.items()
    }
    told = {
        "size": given.size,
        "criteria": count,
        "threads": given.threads,
        **result,
        "engine_of_limit": found["limit"][0] / found["engine"][0],
        "engine_to_naive": found["naive"][0] / found["engine"][0],
    }
    if given.json:
        print(json.dumps(told, indent=2))
        return
    for name, one in result.items():
        print(f"{name}: {one['criteria_per_second']:.2f} criteria/s, {one['tokens_read']:,} tokens read")
    print(f"engine: {told['engine_of_limit']:.2f} of the limit, {told['engine_to_naive']:.1f} times the naive loop")


if __name__ == "__main__":
    main()
