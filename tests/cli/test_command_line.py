"""The command line as a whole: light to load, documented, in two languages, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlb_offline.cli import main

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


@pytest.mark.parametrize(
    "arguments", [["run", "--help"], ["bundle", "build", "--help"], ["demo", "--help"], ["doctor", "--help"]]
)
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


@pytest.mark.parametrize(
    ("words", "chinese"),
    [
        (["verify"], "缺少 'F.html'"),
        (["verify", "x", "--require", "foo"], "不在可选值之中"),
        (["frobnicate"], "没有命令 'frobnicate'"),
        (["run", "--frobnicate"], "没有选项 --frobnicate"),
        (["keys", "show", "--passphrase-file"], "需要一个值"),
    ],
)
def test_a_usage_error_comes_in_chinese_and_as_json_where_asked_for(words: list[str], chinese: str) -> None:
    done = mlb(*words, "--lang", "zh")
    assert done.returncode == 2
    assert chinese in done.stderr
    assert "处理办法" in done.stderr
    for order in ([*words, "--json"], ["--json", *words]):
        if order[-2] != "--passphrase-file":
            assert json.loads(mlb(*order).stdout)["error"]["exit_code"] == 2


def test_a_terminal_that_lacks_a_character_gets_an_escape(tmp_path: Path) -> None:
    done = mlb("keys", "new", "--kind", "report", "--out", str(tmp_path), "--lang", "zh", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "\\u6307\\u7eb9" in done.stdout


def test_output_that_cannot_be_written_is_no_verdict(tmp_path: Path) -> None:
    assert mlb("keys", "new", "--kind", "report", "--out", str(tmp_path)).returncode == 0
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "mlb_offline", "keys", "show", str(tmp_path / "report.pub.pem")]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_read_enough_is_no_failure() -> None:
    command = f"{sys.executable} -m mlb_offline --help | head -1; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", command], capture_output=True, timeout=60).returncode == 0


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_a_closed_stream_is_as_good_as_one_nobody_reads(tmp_path: Path, closed: str) -> None:
    command = f"{sys.executable} -m mlb_offline verify {tmp_path / 'no.html'} --trust {tmp_path} {closed}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_a_pipe_or_device_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for words in (["policy", "check"], ["bundle", "show"], ["keys", "show"]):
        for name in (str(pipe), "/dev/zero"):
            done = mlb(*words, name)
            assert (done.returncode, "not a regular file" in done.stderr) == (3, True), done.stderr


@pytest.mark.parametrize(("words", "code"), [(["verify", "x", "--trust", "y"], 4), (["keys", "show", "x"], 70)])
def test_a_fault_of_the_program_is_said_and_is_never_a_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("7")

    monkeypatch.setattr("mlb_offline.trust.store.load_trust", broken)
    monkeypatch.setattr("mlb_offline.trust.files.read_small", broken)
    with pytest.raises(SystemExit) as end:
        main([*words, "--json"])
    assert end.value.code == code
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["exit_code"] == code
    assert "ZeroDivisionError: 7" in said.err
    assert "Traceback" not in said.err
    monkeypatch.setenv("MLB_DEBUG", "1")
    with pytest.raises(SystemExit):
        main(words)
    assert "Traceback" in capsys.readouterr().err


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
