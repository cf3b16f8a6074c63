"""What every command shares: the way in (language), the way out (JSON, errors, exit code), common options."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from mlb_offline.errors import Exit, MlbError
from mlb_offline.language import tr

JsonFlag = Annotated[
    bool,
    typer.Option("--json", help=tr("在标准输出上给出机器可读的结果", "give a machine-readable result on stdout")),
]
TrustOption = Annotated[
    list[Path],
    typer.Option(
        "--trust",
        help=tr("可信公钥、证书或其文件夹（可多次给出）", "trusted public key, certificate or folder (repeatable)"),
    ),
]
KeyOption = Annotated[
    Path, typer.Option("--key", help=tr("医院的接收私钥文件", "the hospital's recipient private key file"))
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help=tr("存有口令的文件", "file that holds the passphrase of private keys")),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help=tr(
            "状态目录（回滚记录、尝试次数）；默认 $MLB_STATE",
            "state folder (rollback, attempts); default $MLB_STATE",
        ),
    ),
]


def emit(result: dict[str, Any], *, as_json: bool, lines: list[str]) -> None:
    """Print the result: one JSON object, or the lines for a person."""
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    else:
        for line in lines:
            sys.stdout.write(line + "\n")
    sys.stdout.flush()


def stop(error: MlbError, *, as_json: bool) -> NoReturn:
    """The only way out for an error: say it, then exit with its code."""
    if as_json:
        sys.stdout.write(json.dumps(error.to_json(), ensure_ascii=False) + "\n")
        sys.stdout.flush()
    sys.stderr.write(tr("错误：", "error: ") + error.diagnostics() + "\n")
    raise SystemExit(int(error.exit_code))


def finish(code: Exit) -> NoReturn:
    """Exit with a code that is no error but says something, such as gates failed."""
    raise SystemExit(int(code))
