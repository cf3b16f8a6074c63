"""What every command shares: the way in (language), the way out (JSON, errors, exit code), common options."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from mlb_offline.errors import Exit, InputError, InternalError, MlbError, UsageError
from mlb_offline.language import current, tr

DEBUG = "MLB_DEBUG"
"""Environment variable: any value shows where a fault of this program arose."""

JsonFlag = Annotated[
    bool,
    typer.Option("--json", help=tr("在标准输出上给出机器可读的结果", "give a machine-readable result on stdout")),
]
TrustOption = Annotated[
    list[Path],
    typer.Option(
        "--trust",
        metavar="PATH",
        readable=False,
        help=tr("可信公钥、证书或其文件夹（可多次给出）", "trusted public key, certificate or folder (repeatable)"),
    ),
]
KeyOption = Annotated[
    Path,
    typer.Option(
        "--key",
        metavar="PATH",
        readable=False,
        help=tr("医院的接收私钥文件", "the hospital's recipient private key file"),
    ),
]
TargetConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--target-config", metavar="PATH", readable=False, help=tr("目标配置（TOML）", "target config (TOML)")
    ),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="PATH",
        readable=False,
        help=tr("存有口令的文件", "file that holds the passphrase of private keys"),
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="PATH",
        readable=False,
        help=tr(
            "状态目录（回滚记录、尝试次数）；默认 $MLB_STATE，否则 ~/.local/state/mlb-offline",
            "state folder (rollback, attempts); default $MLB_STATE, else ~/.local/state/mlb-offline",
        ),
    ),
]

UnlistedFlag = Annotated[
    bool,
    typer.Option(
        "--accept-unlisted",
        help=tr("接受不在清单中的 --judge 文件", "accept files of --judge that are not listed"),
    ),
]


def emit(result: dict[str, Any], *, as_json: bool, lines: list[str]) -> None:
    """Print the result: one JSON object, or the lines for a person."""
    text = json.dumps(result, ensure_ascii=False) if as_json else "\n".join(lines)
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has read enough; what the command found still decides its exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(error: BaseException, *, as_json: bool, words: Sequence[str] = ()) -> Exit:
    """Say what went wrong on stderr, and as JSON on stdout if asked to; the exit code that goes with it.

    What is no ``MlbError`` is a fault of this program: exit code 70; 4 for ``verify``, which has then shown nothing.
    """
    known = error if isinstance(error, MlbError) else _own_fault(error)
    code = Exit(known.exit_code)
    if code is Exit.INTERNAL and "verify" in words[:1]:
        code = Exit.TRUST
    told = known.to_json()
    told["error"]["exit_code"] = int(code)
    with contextlib.suppress(OSError):
        if as_json:
            sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        sys.stderr.write(tr("错误：", "error: ") + known.diagnostics() + "\n")
    return code


def _own_fault(error: BaseException) -> MlbError:
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    if isinstance(error, OSError) and not error.filename:
        return InputError(
            tr(f"无法写出结果：{error.strerror}", f"the result cannot be written: {error.strerror}"),
            remedy=tr("检查输出所去的设备是否已满", "check whether the device that output goes to is full"),
        )
    what = f"{type(error).__name__}: {error}"
    return InternalError(
        tr(f"程序自身出错（{what}）", f"a fault of this program ({what})"),
        remedy=tr(
            f"设置环境变量 {DEBUG}=1 后重试，并把输出交给支持人员；此次没有得出任何结论",
            f"try again with {DEBUG}=1 in the environment and give the output to support; nothing was concluded",
        ),
    )


def usage_error(error: BaseException) -> UsageError | None:
    """The option parser's complaint in the language in use; None for anything else."""
    say = getattr(error, "format_message", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(str(say and say()) + "\n")
        leave(Exit.USAGE)
    if say is None or getattr(error, "exit_code", None) != Exit.USAGE:
        return None
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "mlb-offline"
    said = str(say()).replace("Value error, ", "")
    return UsageError(
        _in_chinese(said) if current() == "zh" else said,
        remedy=tr(f"用法见：{command} --help", f"see: {command} --help"),
    )


_PARSER_IN_CHINESE = (
    (r"Missing (?:option|argument|parameter):? (.+?)\.?", r"缺少 \1"),
    (r"No such option:? (.+?)(?: Did you mean.*|\.)?", r"没有选项 \1"),
    (r"No such command (.+?)\.(?: Did you mean.*)?", r"没有命令 \1"),
    (r"Got unexpected extra arguments? \((.+)\)", r"多余的参数：\1"),
    (r"Option (.+) requires .*", r"选项 \1 需要一个值"),
    (r"Invalid value for (.+?): (.+?)\.?", r"\1 的值无效：\2"),
)


def _in_chinese(said: str) -> str:
    for pattern, chinese in _PARSER_IN_CHINESE:
        found = re.fullmatch(pattern, said, re.DOTALL)
        if found:
            return found.expand(chinese).replace(" is not one of ", " 不在可选值之中：")
    return said


def leave(code: Any) -> NoReturn:
    """Exit; commands give no code of their own when all went well."""
    raise SystemExit(int(code) if isinstance(code, int) else int(Exit.DONE))


def finish(code: Exit) -> NoReturn:
    """End the command with a code that is no error but says something, such as gates failed."""
    raise typer.Exit(int(code))


def interrupted() -> Exit:
    """Say that the operator stopped the command."""
    sys.stderr.write(tr("已中断\n", "interrupted\n"))
    return Exit.INTERRUPTED


@contextlib.contextmanager
def counting() -> Iterator[Callable[[str, int, int], None]]:
    """A display on stderr of (what, done, to do), with the time left; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _what, _done, _all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield show
