"""What a GGUF file is, and whether it can be a judge at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlb_offline.errors import UsageError
from mlb_offline.judge.installed import AskedWith
from mlb_offline.judge.lexicon import embedded, embedded_sha256
from mlb_offline.judge.llama.context import LlamaContext, metadata_of
from mlb_offline.judge.llama.judge import CONTEXT, GgufJudge
from mlb_offline.judge.llama_judge import RENDERING, LlamaJudge
from mlb_offline.judge.rendering import VERSION
from mlb_offline.language import tr
from mlb_offline.target.trial import require_loadable


@dataclass(frozen=True)
class Examined:
    """What the file says of itself (None: nothing), and what this program would ask it with.

    Attributes:
        name, licence: ``general.name`` and ``general.license``.
        architecture, quantisation, parameters: of the weights.
        context: tokens of the longest text that it was trained on.
    """

    name: str | None
    licence: str | None
    architecture: str
    quantisation: str
    parameters: int
    context: int
    prompt: AskedWith


def examine(path: Path, *, reasons: bool = False, threads: int = 2) -> Examined:
    """Open a file as a judge: first in a process of its own, then here.

    Args:
        path: the model.
        reasons: whether it is to reason before its verdict.
        threads: that llama.cpp may use.

    Raises:
        UsageError: a small judge is to reason.
        InputError: it cannot be loaded, crashes llama.cpp, has no usable chat template, its tokenizer cannot tell 是
            from 否, or it is a small judge of another version.
    """
    require_loadable(path, context=CONTEXT, threads=threads)
    judge: LlamaJudge | GgufJudge
    if metadata_of(path, RENDERING) is not None:
        if reasons:
            raise UsageError(
                tr("该小型裁判不会先写推理", "this small judge cannot reason"),
                field="--reasons",
                remedy=tr("去掉该选项", "leave the option out"),
            )
        judge = LlamaJudge(path, embedded(), threads=threads)
        prompt = AskedWith(version=VERSION, sha256=embedded_sha256())
    else:
        judge = GgufJudge(path, reasons=reasons, threads=threads)
        wording = judge.prompt_of("")
        prompt = AskedWith(version=wording.version, sha256=wording.sha256)
    try:
        return _described(judge.context, prompt)
    finally:
        judge.close()


def _described(context: LlamaContext, prompt: AskedWith) -> Examined:
    return Examined(
        name=context.metadata("general.name"),
        licence=context.metadata("general.license"),
        architecture=context.metadata("general.architecture") or "?",
        quantisation=context.quantisation,
        parameters=context.parameters,
        context=context.trained_context,
        prompt=prompt,
    )
