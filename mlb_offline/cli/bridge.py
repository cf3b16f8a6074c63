"""``mlb-offline bridge``: carry a vendor's TCP port to a Unix socket."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from mlb_offline.cli.kit import JsonFlag, emit
from mlb_offline.language import tr


def bridge_command(
    *,
    listen: Annotated[
        str, typer.Option("--listen", metavar="unix:PATH", help=tr("要建立的 Unix 套接字", "Unix socket to make"))
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="HOST:PORT", help=tr("模型服务的地址与端口", "address and port of the model server")
        ),
    ],
    socket_mode: Annotated[
        str,
        typer.Option(
            "--socket-mode",
            metavar="OCTAL",
            help=tr("套接字的权限，默认 660", "permissions of the socket, default 660"),
        ),
    ] = "660",
    public_address: Annotated[
        bool,
        typer.Option(
            "--public-address",
            help=tr(
                "允许公网地址（仅当院内使用公网号段时）", "allow a public address (only if the house uses such numbers)"
            ),
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Carry a TCP port to a Unix socket until stopped; hold no key and no bundle."""
    from mlb_offline.airgap.bridge import run_bridge
    from mlb_offline.airgap.bridge_ends import find, parse_listen
    from mlb_offline.errors import UsageError

    def say(line: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads it any more: no reason to carry nothing
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    try:
        mode = int(socket_mode, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise UsageError(
            tr(f"--socket-mode 应为八进制权限，不是“{socket_mode}”", f"--socket-mode is octal, not {socket_mode!r}"),
            field="--socket-mode",
            remedy=tr("例如 660", "for example 660"),
        )
    path, destination = parse_listen(listen), find(to, public=public_address)
    carried = run_bridge(path, destination, socket_mode=mode, say=say)
    line = tr(
        f"已结束：{carried.connections} 个连接（{carried.failed} 个未接通），送出 {carried.sent} 字节，"
        f"收到 {carried.received} 字节",
        f"ended: {carried.connections} connections ({carried.failed} failed), {carried.sent} bytes to the server, "
        f"{carried.received} from it",
    )
    emit(asdict(carried), as_json=as_json, lines=[line])
