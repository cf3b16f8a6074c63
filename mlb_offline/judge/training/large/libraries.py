"""The training libraries, kept off the network and off the terminal."""

from __future__ import annotations

import importlib
import os
from typing import Any

from mlb_offline.errors import UsageError
from mlb_offline.language import tr

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime, should a library import it
}


def library(name: str) -> Any:
    """A module of the extra ``train``, imported with every hub switched off.

    Raises:
        UsageError: it is not installed.
    """
    os.environ.update(_OFFLINE)
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        missing = (error.name or name).partition(".")[0]
        raise UsageError(
            tr(f"未安装 train 扩展（缺少 {missing} 包）", f"the train extra is not installed (no package {missing})"),
            remedy=tr("安装 mlb-offline[train]", "install mlb-offline[train]"),
        ) from None
    if name == "transformers":
        module.utils.logging.set_verbosity_error()
        module.utils.logging.disable_progress_bar()
    return module
