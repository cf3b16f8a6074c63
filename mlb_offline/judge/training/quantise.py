"""Quantisation of GGUF files by llama.cpp."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from mlb_offline.errors import InputError
from mlb_offline.judge.training.writing import replacing
from mlb_offline.language import tr
from mlb_offline.target.llama import LlamaLog, load

FILE_TYPES = {"Q8_0": "LLAMA_FTYPE_MOSTLY_Q8_0", "Q4_K_M": "LLAMA_FTYPE_MOSTLY_Q4_K_M"}


def quantise(exported: Path, path: Path, kind: str) -> None:
    """Write the quantised file.

    Args:
        exported: a GGUF file in float32, float16 or bfloat16.
        path: the file to make; replaced if it is there.
        kind: one of ``FILE_TYPES``.

    Raises:
        InputError: llama.cpp cannot do it, or the disk is full; what was written is removed.
    """
    llama_cpp = load()
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, FILE_TYPES[kind])
    parameters.nthread = os.cpu_count() or 1
    with replacing(path) as partial:
        LlamaLog.capture()
        status = llama_cpp.llama_model_quantize(os.fsencode(exported), os.fsencode(partial), ctypes.byref(parameters))
        if status != 0:
            free = shutil.disk_usage(path.parent).free >> 20
            raise InputError(
                tr(
                    f"llama.cpp 无法量化：{LlamaLog.last()}（剩余空间 {free} MiB）",
                    f"llama.cpp cannot quantise it: {LlamaLog.last()} ({free} MiB free)",
                ),
                file=path,
                remedy=tr(
                    "核对剩余空间后再次给出同一命令；检查点与未量化的文件均已保留",
                    "check the free space and give the same command again; checkpoint and unquantised file are kept",
                ),
            )
