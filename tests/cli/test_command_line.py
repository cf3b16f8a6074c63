"""The command line as a whole: light to load, documented, in two languages, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = {
    "aiohttp",
    "cryptography",
    "gguf",
    "jinja2",
    "llama_cpp",
    "numpy",
    "openpyxl",
    "pydantic",
    "rfc8785",
    "sqlite3",
    "sqlite_utils",
    "zstandard",
}


def mlb(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlb_offline", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"} | environment,
    )


def loaded_modules(*arguments: str) -> set[str]:
    code = (
        "import sys, contextlib, io\n"
        "from mlb_offline.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    main({list(arguments)!r})\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    # Measured without coverage, which would load sqlite3 itself.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=plain
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    assert loaded_modules(*arguments) & HEAVY == set()


@pytest.mark.parametrize("arguments", [["run", "--help"], ["bundle", "build", "--help"], ["demo", "--help"]])
def test_help_of_a_command_loads_no_more_than_typer_does(arguments: list[str]) -> None:
    assert loaded_modules(*arguments) & HEAVY <= {"pydantic"}


def test_the_check_for_heavy_libraries_can_fail(tmp_path: Path) -> None:
    assert {"cryptography", "pydantic"} <= loaded_modules("verify", __file__, "--trust", str(tmp_path)) & HEAVY


def test_help_comes_in_the_language_asked_for() -> None:
    assert "signed report" in mlb("--help").stdout
    assert "签名报告" in mlb("--lang", "zh", "--help").stdout
    assert "签名报告" in mlb("--help", LC_ALL="zh_CN.UTF-8").stdout


def test_an_unknown_language_command_or_option_is_a_usage_error() -> None:
    for arguments in (["--lang", "fr", "keys"], ["evaluate"], ["run", "--frobnicate"]):
        done = mlb(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_version_is_printed() -> None:
    done = mlb("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("mlb-offline 0.")


def test_the_command_reference_is_what_the_commands_say() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlb_offline.cli.reference"], capture_output=True, text=True, check=True, timeout=60
    )
    assert (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8") == done.stdout, "run `make docs`"


def test_every_command_and_option_has_a_help_text() -> None:
    for line in (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            assert line.split("|")[2].strip(), line
