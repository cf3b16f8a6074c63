"""Which native libraries could speak to a network is written down, and a new one is noticed."""

from __future__ import annotations

import _socket
import math
import sys
from pathlib import Path

import pytest
from network_symbols import TABLE, WHY, Library, about_networks, imported, libraries, packages, row, table

FOUND = {library.name: library for library in libraries()}
SPEAKING = {name: library for name, library in FOUND.items() if library.symbols}
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads ELF files")


@linux_only
def test_libraries_are_found_at_all() -> None:
    assert len(packages()) > 30
    packages_with_libraries = {library.package for library in FOUND.values()}
    assert packages_with_libraries >= {
        "aiohttp",
        "cryptography",
        "llama-cpp-python",
        "numpy",
        "onnxruntime",
        "pydantic-core",
    }
    assert len(FOUND) > 30


@linux_only
def test_the_table_names_every_library_that_imports_a_network_symbol() -> None:
    assert sorted(SPEAKING.keys() - table().keys()) == []


@linux_only
@pytest.mark.parametrize("name", SPEAKING)
def test_the_table_names_every_network_symbol_of_it(name: str) -> None:
    assert sorted(set(SPEAKING[name].symbols) - table()[name]) == []
    assert WHY.get(name), "nobody has said why it imports them"


@linux_only
def test_the_table_names_nothing_else() -> None:
    installed = {library.package for library in FOUND.values()}
    stale = {name for name in table() if name not in SPEAKING}
    assert {name for name in stale if name.partition("/")[0] in installed} == set()
    assert set(WHY) == set(table())


def test_llama_cpp_was_built_without_its_downloader() -> None:
    assert not [name for name in SPEAKING if name.startswith("llama_cpp/")]


@linux_only
def test_the_reader_of_elf_files_sees_what_is_there() -> None:
    """Its control: Python's own socket module imports what the table looks for, and its mathematics does not."""
    modules = {module: Path(str(module.__file__)) for module in (_socket, math) if getattr(module, "__file__", None)}
    if len(modules) < 2:
        pytest.skip("this Python has its modules linked in")
    assert {"socket", "connect", "getaddrinfo", "sendmsg"} <= set(
        about_networks(imported(modules[_socket].read_bytes()))
    )
    assert about_networks(imported(modules[math].read_bytes())) == ()
    assert "sin" in imported(modules[math].read_bytes())


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(60)])
def test_what_is_no_elf_64_file_imports_nothing(content: bytes) -> None:
    assert imported(content) == set()


def test_a_new_library_would_have_no_row_and_no_reason() -> None:
    new = Library("requests-native", "requests_native/_http", ("connect", "socket"))
    assert new.name not in table()
    assert "| ? |" in row(new)
    assert TABLE.read_text(encoding="utf-8").count("| ? |") == 0
