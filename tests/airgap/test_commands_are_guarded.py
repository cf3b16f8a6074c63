"""Every command runs under the guard, and the guard stands before anything heavy is imported."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

import pytest
import typer
from guarded_child import told

from mlb_offline.cli import UNGUARDED, UNTOUCHED
from mlb_offline.cli.app import app

HEAVY = ("aiohttp", "asyncio", "cryptography", "jinja2", "llama_cpp", "numpy", "onnxruntime", "pydantic", "typer")

# One process forks for each command, so that each meets a Python that has imported nothing yet.
EVERY_COMMAND = """
import json, os, sys
from mlb_offline.airgap import guard
from mlb_offline.cli import program

heavy, commands = json.loads(sys.argv[1]), json.loads(sys.argv[2])
real, seen = guard.install, {}

def install(mode, **options):
    seen["imported"] = [name for name in heavy if name in sys.modules]
    real(mode, **options)
    from typer.core import TyperCommand
    TyperCommand.parse_args = parsed

def parsed(command, context, words):
    seen["mode"], seen["command"] = guard.current().mode.value, context.command_path
    raise SystemExit(0)

guard.install = install
found = {}
for words in commands:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        sys.argv = ["mlb-offline", *words]
        try:
            program()
        except SystemExit:
            pass
        status = open("/proc/self/status").read()
        seen["seccomp"] = "Seccomp:\\t2" in status
        os.write(writing, json.dumps(seen).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        found[" ".join(words)] = json.loads(said.read())
    os.waitpid(child, 0)
print(json.dumps(found))
"""


def leaves(command: Any, *path: str) -> list[tuple[str, ...]]:
    if not hasattr(command, "commands"):
        return [path]
    return [leaf for name, inner in command.commands.items() for leaf in leaves(inner, *path, name)]


COMMANDS = [leaf for leaf in leaves(typer.main.get_command(app)) if leaf[0] not in UNGUARDED]


@cache
def started(*before: str, last: int = len(COMMANDS)) -> dict[str, Any]:
    """What each command, or a few, were started with, these words before it."""
    words = [[*before, *command] for command in COMMANDS[-last:]]
    found = told("-c", EVERY_COMMAND, json.dumps(HEAVY), json.dumps(words))
    return {name.removeprefix(" ".join(before)).strip(): seen for name, seen in found.items()}


def test_all_commands_are_looked_at() -> None:
    assert {("run",), ("demo",), ("verify",), ("keys", "new"), ("bundle", "build"), ("report", "build")} <= {*COMMANDS}
    assert len(COMMANDS) >= 13


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_runs_under_the_guard_without_being_told(command: tuple[str, ...]) -> None:
    seen = started()[" ".join(command)]
    assert seen["command"] == " ".join(("mlb-offline", *command))
    assert seen["mode"] == "unix-only"
    assert seen["seccomp"] is True


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_heavy_was_imported_when_the_guard_was_installed(command: tuple[str, ...]) -> None:
    assert started()[" ".join(command)]["imported"] == []


@pytest.mark.parametrize(
    ("before", "mode"),
    [
        (("--guard=none",), "none"),
        (("--guard", "loopback"), "loopback"),
        (("--lang", "en"), "unix-only"),
        (("--",), "unix-only"),
        (("--json",), "unix-only"),
    ],
)
def test_only_the_word_guard_changes_the_guard(before: tuple[str, ...], mode: str) -> None:
    for seen in started(*before, last=2).values():
        assert seen["mode"] == mode
        assert seen["seccomp"] is (mode != "none")


def test_only_the_bridge_has_a_guard_of_its_own() -> None:
    assert {"bridge"} == UNGUARDED
    assert not {"run", "demo", "bundle", "report"} & UNTOUCHED


def test_a_name_that_is_heavy_is_one_that_can_be_imported() -> None:
    """The list above must not go stale: a misspelt name would never be found among the imported."""
    import importlib.util

    assert [name for name in HEAVY if importlib.util.find_spec(name) is None] == []
    assert sys.modules.keys() >= {"typer"}
