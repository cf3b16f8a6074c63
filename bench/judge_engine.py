"""Verdicts a second of the llama.cpp engine beside the naive loop, calls that reuse a prefix, and the limit.

``python -m bench.judge_engine [--size tiny|half] [--embedded] [--answers N] [--characters N] [--rounds N] [--json]``,
one process, one model, five ways in turn in every round, medians of the rounds:

* naive: a call of llama-cpp-python for each criterion from an empty context: ``create_chat_completion`` of one token;
* prefix: the same calls, the context kept, so that llama-cpp-python reads anew only what differs from the call before;
* engine: ``judge.llama``: the criteria of an answer share what they have in common, and go together;
* batches, text: the limit, that is the tokens that must be read at least (what the criteria of an answer share, once,
  and what each has of its own), read by the same model: in full batches of 512 from an empty context, the cheapest way
  to read tokens, which reads no text; and as one text an answer, or texts of the model's context where that is shorter.

Work is counted beside time: tokens that each way reads. The model has random weights: ``half`` has the shape of a model
of about half a billion parameters (Q8_0), which is what the time of one pass depends on. ``--embedded`` takes judge A
instead: its prompts are lists of evidence without a chat template, so the calls are ``Llama.eval`` and
``Llama.generate``. Rendering, tokenising and finding the evidence count, in every way but the limits.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from mlb_offline.demo.tiny_gguf import _TEMPLATE, vocabulary
from mlb_offline.installation import data_folder
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.evidence import Answer
from mlb_offline.judge.lexicon import embedded
from mlb_offline.judge.llama.context import LlamaContext, Row, metadata_of
from mlb_offline.judge.llama.judge import CONTEXT, GgufJudge
from mlb_offline.judge.llama.verdicts import common
from mlb_offline.judge.llama_judge import RENDERING, LlamaJudge
from mlb_offline.judge.prompt import shipped_prompt
from mlb_offline.judge.rendering import decoder_ids
from mlb_offline.judge.speed import synthetic
from mlb_offline.target.llama import load

CRITERIA = 6
BATCH = 512
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


def chat(llama: Any, asked: Sequence[Sequence[Criterion]], *, keep: bool) -> int:
    """The loop that llama-cpp-python's users would write; gives the tokens that were read."""
    prompt = shipped_prompt()
    read = 0
    for one in (one for group in asked for one in group):
        if not keep:
            llama.reset()
        before = list(llama.input_ids[: llama.n_tokens])
        message = [{"role": "user", "content": prompt.render(one)}]
        reply = llama.create_chat_completion(messages=message, max_tokens=1, temperature=0.0)
        total = reply["usage"]["prompt_tokens"]
        now = list(llama.input_ids[: llama.n_tokens])
        read += total - (common([before, now]) if keep and before else 0)
    return read


def evaluate(llama: Any, judge: LlamaJudge, asked: Sequence[Sequence[Criterion]], *, keep: bool) -> int:
    """The same loop for judge A."""
    read = 0
    for one in (prompt for group in asked for prompt in prompts_of(judge, group)):
        before = list(llama.input_ids[: llama.n_tokens])
        if keep:
            next(llama.generate(one, temp=0.0))
        else:
            llama.reset()
            llama.eval(one)
        read += len(one) - (common([before, one]) if keep and before else 0)
    return read


def unique(prompts: Sequence[Sequence[int]]) -> list[int]:
    """What the prompts of one answer have in common, once, and what each has of its own."""
    shared = common(prompts) if len(prompts) > 1 else 0
    return [*prompts[0][:shared], *(token for one in prompts for token in one[shared:])]


def at_once(context: LlamaContext, texts: Sequence[Sequence[int]], longest: int) -> int:
    """Read each text from an empty context, in pieces of so many tokens."""
    for text in texts:
        for start in range(0, len(text), longest):
            context.clear()
            context.read([Row((0,), 0, text[start : start + longest])])
    return sum(map(len, texts))


def ways(
    file: Path, asked: Sequence[Sequence[Criterion]], threads: int, stack: ExitStack
) -> dict[str, Callable[[], int]]:
    """The five ways, opened; each gives the tokens that it read."""
    own = metadata_of(file, RENDERING) is not None
    judge = LlamaJudge(file, embedded(), threads=threads) if own else GgufJudge(file, threads=threads)
    stack.callback(judge.close)
    prompts = [prompts_of(judge, group) for group in asked]

    def engine() -> int:
        before = judge.context.tokens_read
        for group in asked:
            judge.probabilities(group) if isinstance(judge, GgufJudge) else judge.logits(group)
        return judge.context.tokens_read - before

    context = LlamaContext(file, tokens=CONTEXT, sequences=1, threads=threads)
    stack.callback(context.close)
    settings = {
        "n_ctx": CONTEXT,
        "n_batch": CONTEXT,
        "n_threads": threads,
        "n_threads_batch": threads,
        "verbose": False,
    }
    llama = load().Llama(str(file), **settings)
    stack.callback(llama.close)

    def anew(*, keep: bool) -> int:
        llama.reset()
        if isinstance(judge, LlamaJudge):
            return evaluate(llama, judge, asked, keep=keep)
        return chat(llama, asked, keep=keep)

    return {
        "naive": lambda: anew(keep=False),
        "prefix": lambda: anew(keep=True),
        "engine": engine,
        "batches": lambda: at_once(context, [[token for group in prompts for token in unique(group)]], BATCH),
        "text": lambda: at_once(context, [unique(group) for group in prompts], min(CONTEXT, context.trained_context)),
    }


def prompts_of(judge: LlamaJudge | GgufJudge, group: Sequence[Criterion]) -> list[list[int]]:
    """What the judge reads for the criteria of one answer."""
    if isinstance(judge, GgufJudge):
        return [judge.tokens(one) for one in group]
    answer = Answer(group[0].answer, embedded())
    return [list(decoder_ids(one, answer, judge.vocabulary)) for one in group]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="half")
    parser.add_argument("--embedded", action="store_true", help="judge A instead, on the criteria of `judge bench`")
    parser.add_argument("--answers", type=int, default=1)
    parser.add_argument("--characters", type=int, default=400, help="of an answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.embedded:
        asked = [list(group) for _, group in groupby(synthetic(), key=lambda one: one.answer_id)]
    else:
        asked = criteria(given.answers, given.characters)
    count = sum(map(len, asked))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = (
            data_folder() / "models" / "mlb-judge-a.gguf"
            if given.embedded
            else write_model(folder / "r.gguf", given.size)
        )
        found = ways(file, asked, given.threads, stack)
        found["engine"]()
        rounds = [{name: timed(work) for name, work in found.items()} for _ in range(given.rounds)]
    seconds = {name: median(one[name][0] for one in rounds) for name in found}
    told = {
        "model": file.name if given.embedded else given.size,
        "criteria": count,
        "threads": given.threads,
        "rounds": given.rounds,
        **{
            name: {
                "criteria_per_second": count / seconds[name],
                "seconds": seconds[name],
                "tokens_read": rounds[0][name][1],
            }
            for name in found
        },
        "engine_of_batches": median(one["batches"][0] / one["engine"][0] for one in rounds),
        "engine_of_text": median(one["text"][0] / one["engine"][0] for one in rounds),
        "engine_to_naive": median(one["naive"][0] / one["engine"][0] for one in rounds),
    }
    if given.json:
        print(json.dumps(told, indent=2))
        return
    for name in found:
        print(f"{name}: {told[name]['criteria_per_second']:.2f} criteria/s, {told[name]['tokens_read']:,} tokens read")
    batches, text, naive = (told[f"engine_{what}"] for what in ("of_batches", "of_text", "to_naive"))
    print(
        f"engine: {batches:.2f} of the limit in batches, {text:.2f} of that as text, {naive:.1f} times the naive loop"
    )


if __name__ == "__main__":
    main()
