"""A GGUF model in this process, through llama-cpp-python (llama.cpp).

The chat template is the one in the file; a file without one is refused, since a guessed template would measure the
guess. Every question starts from an empty context, so that no answer depends on the question before it (llama.cpp's
reuse of a common prefix changes batch shapes and with them the last bits of the logits). Generation runs in a worker
thread; a cancelled question stops llama.cpp within one graph node.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.regular_file import measured, read_at_most
from mlb_offline.target.completion import parse_completion
from mlb_offline.target.config import TargetConfig
from mlb_offline.target.llama import LlamaLog, cpu_variant, load
from mlb_offline.target.trial import require_loadable
from mlb_offline.target.types import ItemFailed, Parameters, Question, Response

_MAGIC = b"GGUF"
_SERVER_ONLY = ("model", "api_key_file", "headers", "ca_file", "path")
_EXTRA = frozenset({"top_k", "min_p", "typical_p", "repeat_penalty", "presence_penalty", "frequency_penalty"})


class GgufTarget:
    """See ``Target``.

    Args:
        file: the model file, for messages.
        sha256: its SHA-256 (hex).
        llama: an opened ``llama_cpp.Llama``.
        parameters: how answers are generated.
        config: for context and threads.
    """

    parallel = False
    indicative = False

    def __init__(self, file: Path, sha256: str, llama: Any, parameters: Parameters, config: TargetConfig) -> None:
        import llama_cpp

        self._file = file
        self._sha256 = sha256
        self._llama: Any = llama
        self._parameters = parameters
        self._threads = config.threads
        self._context: int = llama.n_ctx()
        self._busy = threading.Lock()
        self._stopped = threading.Event()
        stopped = self._stopped
        self._abort = llama_cpp.ggml_abort_callback(lambda _data: stopped.is_set())
        llama_cpp.llama_set_abort_callback(llama.ctx, self._abort, ctypes.c_void_p(0))

    @property
    def description(self) -> Mapping[str, Any]:
        """``{kind, file (name without folder), sha256, engine, cpu, context, threads, parameters}``."""
        import llama_cpp

        return {
            "kind": "gguf",
            "file": self._file.name,
            "sha256": self._sha256,
            "engine": f"llama-cpp-python {llama_cpp.__version__}",
            "cpu": cpu_variant(),
            "context": self._context,
            "threads": self._threads,
            "parameters": self._parameters.to_json(),
        }

    async def probe(self) -> Mapping[str, Any]:
        """What the file says of itself: ``{name, architecture, context}``."""
        metadata = self._llama.metadata
        return {
            "name": metadata.get("general.name"),
            "architecture": metadata.get("general.architecture"),
            "context": self._context,
        }

    async def ask(self, question: Question) -> Response:
        """Generate one answer; waits until the question before it is done.

        Raises:
            ItemFailed: the prompt does not fit into the context (``context-too-long``), or the template or
                llama.cpp refuses it (``engine-error``).
        """
        self._stopped.clear()
        work = asyncio.ensure_future(asyncio.to_thread(self._generate, question))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._stopped.set()
            await asyncio.gather(work, return_exceptions=True)  # the aborted decode fails, as it must
            raise

    def _generate(self, question: Question) -> Response:
        parameters = self._parameters
        started = time.perf_counter()
        with self._busy:
            self._llama.reset()
            try:
                completion = self._llama.create_chat_completion(
                    messages=[{"role": "user", "content": question.prompt}],
                    temperature=parameters.temperature,
                    top_p=parameters.top_p,
                    max_tokens=parameters.max_tokens,
                    seed=parameters.seed + question.repeat,
                    **parameters.extra,
                )
            except Exception as error:  # noqa: BLE001 - bare ValueError, RuntimeError, jinja2's and ctypes' own
                raise self._failed(error) from None
        completion["model"] = None  # llama-cpp-python puts the file's path here
        return parse_completion(completion, seconds=time.perf_counter() - started, endpoint=f"gguf:{self._file.name}")

    def _failed(self, error: Exception) -> ItemFailed:
        if "exceed context window" in str(error):
            return ItemFailed(
                "context-too-long",
                tr(
                    f"题目超出模型的上下文（{self._context} 个 token）",
                    f"the prompt is longer than the model's context of {self._context} tokens",
                ),
            )
        kind = type(error).__name__
        return ItemFailed(
            "engine-error",
            tr(f"llama.cpp 未能回答该条目（{kind}）", f"llama.cpp could not answer this item ({kind})"),
        )

    async def close(self) -> None:
        """Stop what is being generated and free the model."""
        self._stopped.set()
        await asyncio.to_thread(self._free)

    def _free(self) -> None:
        with self._busy:
            if self._llama is not None:
                self._llama.close()
                self._llama = None


def open_gguf(path: Path, config: TargetConfig) -> GgufTarget:
    """Load a GGUF chat model.

    Args:
        path: the model file; of a split model its first part.
        config: ``context`` is lowered to what the model was trained for; keys for servers must be unset.

    Raises:
        InputError: no such file, not GGUF, damaged, not a chat model, too large for this machine, or a config key
            that has no meaning here.
    """
    _check_config(path, config)
    sha256 = _sha256(path)
    require_loadable(path, config.context, config.threads or os.cpu_count() or 1)
    llama = _load(path, config, config.context)
    trained = llama._model.n_ctx_train()
    if trained < config.context:
        llama.close()
        llama = _load(path, config, trained)
    if "tokenizer.chat_template" not in llama.metadata:
        llama.close()
        raise InputError(
            tr("该 GGUF 文件没有对话模板，不是对话模型", "the GGUF file has no chat template: it is no chat model"),
            file=path,
            field="tokenizer.chat_template",
            remedy=tr("使用带对话模板的模型文件", "use a model file that carries its chat template"),
        )
    return GgufTarget(path, sha256, llama, config.parameters(), config)


def _check_config(path: Path, config: TargetConfig) -> None:
    for key in _SERVER_ONLY:
        if getattr(config, key):
            raise InputError(
                tr(f"{key} 对 gguf: 目标没有意义", f"{key} has no meaning for a gguf: target"),
                file=path,
                field=key,
                remedy=tr("从目标配置中删去该键", "take the key out of the target config"),
            )
    for key, value in config.extra.items():
        if key in _EXTRA and isinstance(value, int if key == "top_k" else int | float) and value is not True:
            continue
        raise InputError(
            tr(f"gguf: 目标不接受 extra.{key} = {value!r}", f"a gguf: target does not take extra.{key} = {value!r}"),
            file=path,
            field=f"extra.{key}",
            remedy=tr(f"可用（数值）：{', '.join(sorted(_EXTRA))}", f"numbers it takes: {', '.join(sorted(_EXTRA))}"),
        )


def _sha256(path: Path) -> str:
    """SHA-256 (hex) of the file, after a look at its magic number.

    Raises:
        InputError: it cannot be read or does not begin as GGUF files do.
    """
    try:
        if read_at_most(path, len(_MAGIC) - 1) != _MAGIC:
            raise InputError(
                tr("不是 GGUF 文件", "not a GGUF file"),
                file=path,
                remedy=tr("给出 .gguf 模型文件", "give a .gguf model file"),
            )
        return measured(path)[0]
    except OSError as error:
        raise InputError(
            tr(f"无法读取模型文件：{error.strerror}", f"the model file cannot be read: {error.strerror}"),
            file=path,
            remedy=tr("检查路径与权限", "check the path and its permissions"),
        ) from None


def _load(path: Path, config: TargetConfig, context: int) -> Any:
    llama_cpp = load()
    threads = config.threads or os.cpu_count() or 1
    try:
        llama = llama_cpp.Llama(
            model_path=str(path),
            n_ctx=context,
            n_threads=threads,
            n_threads_batch=threads,
            seed=config.seed,
            verbose=False,
        )
    except Exception as error:  # noqa: BLE001 - ValueError, RuntimeError, AttributeError of a half-made Llama
        said = LlamaLog.last() or type(error).__name__
        raise InputError(
            tr(f"llama.cpp 无法载入该模型：{said}", f"llama.cpp cannot load the model: {said}"),
            file=path,
            remedy=tr(
                "核对文件是否完整（与来源比对 SHA-256）；内存不足时调低 context",
                "check that the file is whole (compare SHA-256 with the source's); lower context if memory is short",
            ),
        ) from None
    LlamaLog.capture()
    return llama
