"""llama.cpp in this process: its log, and the variant of its CPU backend that fits this machine.

The CPU backend is compiled in several variants (requirements/llama.cmake), of which llama.cpp loads the best that the
processor can run. The Python bindings never ask it to: ``load`` does, before anything else is called.
"""

from __future__ import annotations

import ctypes
import re
from collections import deque
from pathlib import Path
from typing import Any, ClassVar

_VARIANT = re.compile(r"/libggml-cpu-([a-z0-9_.]+)\.so$", re.MULTILINE)
_loaded: list[Any] = []


class LlamaLog:
    """Keeps llama.cpp off stderr, and its last words for an error message; one for the process.

    llama.cpp holds one log callback a process and calls it from any thread, so ours is never freed.
    """

    _lines: ClassVar[deque[str]] = deque(maxlen=20)
    _callback: ClassVar[Any] = None

    @classmethod
    def capture(cls) -> None:
        """Send llama.cpp's log here from now on; to be called again after a ``Llama`` has been made."""
        import llama_cpp

        cls._lines.clear()
        if cls._callback is None:

            def keep(level: int, text: bytes, _user_data: Any) -> None:
                if level in {3, 4} or b"error" in text:  # warning and error moved places between releases
                    cls._lines.append(text.decode("utf-8", "replace").strip())

            cls._callback = llama_cpp.llama_log_callback(keep)
        llama_cpp.llama_log_set(cls._callback, ctypes.c_void_p(0))

    @classmethod
    def last(cls) -> str:
        """The last line that tells of an error; empty if there is none."""
        lines = [line for line in cls._lines if line]
        return lines[0][:300] if lines else ""


def load() -> Any:
    """The module ``llama_cpp``, with the CPU backend loaded and its log captured; the work is done once."""
    import llama_cpp

    LlamaLog.capture()
    if not _loaded:
        library = llama_cpp.llama_cpp._lib
        folder = str(Path(llama_cpp.__file__).parent / "lib").encode()
        # By the handle of libllama, so that it is the registry of the libggml that libllama itself uses.
        library.ggml_backend_load_all_from_path(ctypes.c_char_p(folder))
        _loaded.append(library)
    return llama_cpp


def cpu_variant() -> str:
    """The variant in use, such as ``haswell`` (AVX2) or ``icelake`` (AVX-512 with VNNI); ``""`` before ``load``.

    A build without variants is called ``native``.
    """
    if not _loaded:
        return ""
    found = _VARIANT.search(Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace"))
    return found[1] if found else "native"
