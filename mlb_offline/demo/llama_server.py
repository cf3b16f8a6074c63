"""A real llama.cpp server (``llama_cpp.server``'s app under uvicorn) on a Unix socket or a loopback port.

``python -m mlb_offline.demo.llama_server --model F --unix PATH`` runs one; ``llama_server`` runs it as a child.
Each request starts from an empty context, so that answers do not depend on the order of requests.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlb_offline.demo.child import Child, add_arguments, listen, serving
from mlb_offline.errors import UsageError
from mlb_offline.language import tr

_NEEDED = ("llama_cpp", "uvicorn", "fastapi", "sse_starlette", "starlette_context", "pydantic_settings")

_THREADS = 1  # a tiny model gains nothing from more, and loses much on a busy machine


@contextmanager
def llama_server(
    model: Path, *, log: Path, unix: Path | None = None, alias: str = "tiny", context: int = 8192
) -> Iterator[Child]:
    """A llama.cpp server for as long as the block lasts.

    Args:
        model: a GGUF file with a chat template.
        log: file for the server's output.
        unix: path for its socket; None for a free loopback port.
        alias: the name under which it offers the model.
        context: tokens of context.

    Raises:
        UsageError: the ``demo`` extra is not installed.
        TargetError: the server did not start; with the tail of its log.
    """
    require_extra()
    arguments = ["--model", str(model), "--alias", alias, "--context", str(context)]
    with serving(__name__, arguments, unix=unix, log=log) as child:
        yield child


def require_extra() -> None:
    """Check that what the server needs is installed.

    Raises:
        UsageError: it is not; the message names what is missing.
    """
    missing = _missing()
    if missing:
        raise UsageError(
            tr(
                f"未安装 demo 扩展（缺少 {', '.join(missing)}）",
                f"the demo extra is not installed ({', '.join(missing)})",
            ),
            remedy=tr("运行 make setup，或安装 mlb-offline[demo]", "run make setup, or install mlb-offline[demo]"),
        )


def has_extra() -> bool:
    """Whether what the server needs is installed."""
    return not _missing()


def _missing() -> list[str]:
    return [name for name in _NEEDED if find_spec(name) is None]


def make_app(model: Path, alias: str, context: int) -> Any:
    """The FastAPI app that serves the model; nothing of its settings comes from the environment."""
    from mlb_offline.target.llama import load

    llama_cpp = load()
    os.environ.pop("CONFIG_FILE", None)

    class FreshLlama(llama_cpp.Llama):  # type: ignore[misc, name-defined]
        def create_chat_completion(self, *arguments: Any, **options: Any) -> Any:
            self.reset()
            return super().create_chat_completion(*arguments, **options)

    llama_cpp.Llama = FreshLlama  # the app makes its models by this name
    from llama_cpp.server.app import create_app
    from llama_cpp.server.settings import ModelSettings, ServerSettings

    settings = ModelSettings(
        model=str(model),
        model_alias=alias,
        n_ctx=context,
        n_threads=_THREADS,
        n_threads_batch=_THREADS,
        logits_all=False,
        verbose=False,
    )
    return create_app(server_settings=ServerSettings(api_key=None, root_path=""), model_settings=[settings])


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve one model until terminated."""
    parser = argparse.ArgumentParser(prog="python -m mlb_offline.demo.llama_server", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--alias", default="tiny")
    parser.add_argument("--context", type=int, default=8192)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    require_extra()
    import uvicorn

    bound = listen(options)
    app = make_app(options.model, options.alias, options.context)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
