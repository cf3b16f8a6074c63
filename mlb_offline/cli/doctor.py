"""``mlb-offline doctor``: what would stop a run here, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mlb_offline.cli.keys import unlock
from mlb_offline.cli.kit import JsonFlag, PassphraseOption, StateOption, TargetConfigOption, emit, finish
from mlb_offline.errors import Exit
from mlb_offline.language import tr


def doctor_command(
    *,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="F.mlbb", readable=False, help=tr("要检查的数据包", "the bundle to look at")),
    ] = None,
    trust: Annotated[
        list[Path] | None,
        typer.Option(
            "--trust",
            metavar="PATH",
            readable=False,
            help=tr("可信公钥或其文件夹（可多次给出）", "trusted public key or folder of them (repeatable)"),
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", metavar="PATH", readable=False, help=tr("医院的接收私钥文件", "the hospital's recipient key")
        ),
    ] = None,
    passphrase_file: PassphraseOption = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="TARGET",
            help=tr(
                "被测模型，写法同 run；只作首次联系，不提问", "model under test, as for run; it is asked no question"
            ),
        ),
    ] = None,
    target_config: TargetConfigOption = None,
    judge: Annotated[
        list[Path] | None,
        typer.Option(
            "--judge",
            metavar="F.gguf",
            readable=False,
            help=tr("裁判模型（可多次给出）；会试载入", "judge model (repeatable); it is loaded once"),
        ),
    ] = None,
    state: StateOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            readable=False,
            help=tr("新运行的目录；不会写入", "folder of a new run; not written"),
        ),
    ] = None,
    egress: Annotated[
        bool, typer.Option("--egress", help=tr("只看出网防护及其证据", "only the egress guard and its evidence"))
    ] = False,
    support_file: Annotated[
        Path | None,
        typer.Option(
            "--support-file",
            metavar="F.json",
            readable=False,
            help=tr(
                "另写一个可交给支持人员的文件：不含题目、密钥、主机名、地址与目录",
                "also write a file for support: without items, keys, host names, addresses or folders",
            ),
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Look at everything that a run needs; exit 0 if nothing would stop it, else the code it would end with."""
    from mlb_offline.doctor.examine import examine, examine_egress
    from mlb_offline.doctor.finding import Area, collect
    from mlb_offline.doctor.options import Options
    from mlb_offline.doctor.support import check_support
    from mlb_offline.doctor.words import lines

    options = Options(
        bundle=bundle,
        trust=tuple(trust or ()),
        key=key,
        passphrase=lambda: None if key is None else unlock(key, passphrase_file),
        passphrase_file=passphrase_file,
        target=target,
        target_config=target_config,
        judges=tuple(judge or ()),
        state=state,
        out=out,
    )
    found = examine_egress(options) if egress else examine(options, datetime.now(UTC))
    if support_file is not None:
        more = list(found.findings)
        collect(more, Area.SUPPORT, "written", check_support(support_file, found, options))
        found = replace(found, findings=tuple(more))
    emit(found.to_json(), as_json=as_json, lines=lines(found))
    if found.exit_code is not Exit.DONE:
        finish(found.exit_code)
