"""Which native libraries could speak to a network, by the symbols that they import: a table for ``docs/``.

``python tests/airgap/network_symbols.py > docs/native-libraries.md``

Reads the dynamic symbol table (ELF-64, System V gABI chapter 4) of every shared object of the packages that
``requirements/runtime.txt`` names. What is linked in statically (OpenSSL in cryptography, libcurl in onnxruntime) shows
by what it calls in turn: nobody reaches a network without the C library or a system call.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TABLE = REPOSITORY / "docs" / "native-libraries.md"

_SOCKETS = "socket socketpair connect bind listen accept accept4 shutdown send sendto sendmsg sendmmsg recv recvfrom "
_SOCKETS += "recvmsg recvmmsg setsockopt getsockopt getpeername getsockname getifaddrs if_nametoindex inet_pton "
_NAMES = "getaddrinfo freeaddrinfo getnameinfo gethostbyname gethostbyname2 gethostbyname_r gethostbyaddr "
_NAMES += "gethostbyaddr_r getservbyname getservbyport getprotobyname"
SYMBOLS = frozenset((_SOCKETS + _NAMES).split())
PREFIXES = ("res_", "__res_", "ns_", "curl_", "SSL_", "BIO_", "nghttp2_", "ares_", "uv_", "event_", "io_uring_", "zmq_")

WHY = {
    "cryptography/hazmat/bindings/_rust": "OpenSSL, linked in whole, brings its own sockets (BIO); the evaluator uses "
    "its ciphers and signatures and never opens one of them",
    "onnxruntime/capi/onnxruntime_pybind11_state": "Microsoft's telemetry client (libcurl, linked in); it is switched "
    "off by ORT_DISABLE_TELEMETRY before the import, and denied whatever it tries",
    "onnxruntime/capi/libonnxruntime": "the same library for callers in C; nothing here loads it, and the image is "
    "without it",
}
"""Library → why it imports such symbols. A row without a reason fails a test: somebody has to have looked."""


@dataclass(frozen=True)
class Library:
    """A shared object, named without platform and version, and the network symbols that it imports."""

    package: str
    name: str
    symbols: tuple[str, ...]


def imported(content: bytes) -> set[str]:
    """Names of the undefined symbols of an ELF-64 file, without versions; empty for any other file."""
    if content[:6] != b"\x7fELF\x02\x01":
        return set()
    (start,) = struct.unpack_from("<Q", content, 0x28)
    size, count = struct.unpack_from("<HH", content, 0x3A)
    # Elf64_Shdr: name, type, flags, address, offset, size, link, info, alignment, entry size
    sections = [struct.unpack_from("<IIQQQQIIQQ", content, start + size * place) for place in range(count)]
    names = set()
    for section in sections:
        if section[1] != 11:  # SHT_DYNSYM
            continue
        strings = sections[section[6]][4]
        for at in range(section[4], section[4] + section[5], 24):
            # Elf64_Sym: name, info, other, section (0: undefined), …
            name, _info, _other, where = struct.unpack_from("<IBBH", content, at)
            if not where and name:
                end = content.index(b"\0", strings + name)
                names.add(content[strings + name : end].decode("ascii", "replace"))
    return names


def about_networks(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if name in SYMBOLS or name.startswith(PREFIXES)))


def packages() -> list[str]:
    """What the evaluator needs at run time, by name."""
    text = (REPOSITORY / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)) - {"pip"})


def libraries() -> Iterator[Library]:
    """Every shared object of the packages that are installed."""
    for package in packages():
        try:
            listed = files(package) or []
        except PackageNotFoundError:
            continue  # for another platform
        for file in sorted(listed, key=str):
            if re.search(r"\.so(\.\d+)*$", file.name):
                content = Path(str(file.locate())).read_bytes()
                yield Library(package, _plain(str(file)), about_networks(imported(content)))


def _plain(path: str) -> str:
    """Without what differs between platforms and versions: ``.cpython-311-x86_64-linux-gnu.so``, ``-0f1e2d3c``."""
    return re.sub(r"(-[0-9a-f]{8,})?(\.abi3|\.cpython-[^/]*?)?\.so(\.\d+)*$", "", path)


HEAD = """\
# Native libraries and the network

Made by `python tests/airgap/network_symbols.py > docs/native-libraries.md`; a test compares it with what is installed.

Shared objects of the evaluator's run-time dependencies whose dynamic symbol table imports something that speaks to a
network. All the others of these packages, llama.cpp's among them (built without its downloader, ADR 1), import nothing
of the kind. onnxruntime runs judge B; its telemetry is what the guard was tried against
(`tests/airgap/test_onnxruntime_is_silent.py`). Python's own `_socket` and `_ssl` come with the interpreter and serve
the connection to the target.

The guard does not depend on this list. Under `unix-only` the kernel denies `socket` for every family but Unix
sockets to each of them, however it is called, to its threads and its children; under `loopback` and `internal` it
lets plain TCP streams through, and Landlock fixes the port.

| package | library | network symbols it imports | why they are there | under `unix-only` |
| --- | --- | --- | --- | --- |
"""
DENIED = "denied (`socket` gives EACCES)"


def row(library: Library) -> str:
    symbols = ", ".join(f"`{symbol}`" for symbol in library.symbols)
    return f"| {library.package} | `{library.name}` | {symbols} | {WHY.get(library.name, '?')} | {DENIED} |\n"


def table() -> Mapping[str, set[str]]:
    """Library → symbols, as the committed table names them."""
    rows = [line.split(" | ") for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return {
        cells[1].strip("`"): {word.strip("`") for word in cells[2].split(", ")} for cells in rows if "`" in cells[1]
    }


if __name__ == "__main__":
    sys.stdout.write(HEAD + "".join(row(library) for library in libraries() if library.symbols))
