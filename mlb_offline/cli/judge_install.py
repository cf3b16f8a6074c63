"""``mlb-offline judge install``: a hospital's own judge, known from then on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mlb_offline.cli.judge_options import ThreadsOption
from mlb_offline.cli.judge_table import about_installed
from mlb_offline.cli.kit import JsonFlag, StateOption, emit
from mlb_offline.errors import UsageError
from mlb_offline.language import tr


def install_command(
    *,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE.gguf", readable=False, help=tr("模型文件（GGUF）", "the model file (GGUF)")),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help=tr("名称；默认取自文件", "its name; default: what the file says"),
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            help=tr("许可证；文件未写明时必须给出", "its licence; required where the file does not say"),
        ),
    ] = None,
    reasons: Annotated[
        bool,
        typer.Option(
            "--reasons",
            help=tr(
                "推理型模型：先写推理再给出“是”或“否”（慢得多）",
                "a model that reasons: let it think before it says 是 or 否 (far slower)",
            ),
        ),
    ] = False,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help=tr("不复制，只登记其所在位置", "do not copy it, record where it is")),
    ] = False,
    baked: Annotated[
        bool,
        typer.Option(
            "--baked",
            help=tr(
                "登记在该文件旁的 judges.json 中，供制作映像（docs/image.md）",
                "record it in judges.json beside the file, for an image to be built (docs/image.md)",
            ),
        ),
    ] = False,
    remove: Annotated[
        str | None,
        typer.Option("--remove", metavar="NAME", help=tr("移除已安装的裁判", "remove an installed judge")),
    ] = None,
    threads: ThreadsOption = 2,
    state: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Examine, copy and record a model; exit 3 where it cannot be a judge."""
    from mlb_offline.installation import command_words
    from mlb_offline.judge import install

    given = {
        "--in-place": in_place,
        "--baked": baked,
        "--name": name,
        "--licence": licence,
        "--reasons": reasons,
    }
    if remove is not None:
        _refuse_beside("--remove", {"FILE.gguf": file, **given})
        gone = install.remove(remove, state)
        told = {"removed": gone.to_json(), "path": str(gone.path)}
        emit(told, as_json=as_json, lines=[tr(f"已移除 {gone.name}", f"removed: {gone.name}")])
        return
    if file is None:
        raise UsageError(
            tr("未给出模型文件", "no model file is given"),
            field="FILE.gguf",
            remedy=tr("给出要安装的 GGUF 文件，或 --remove NAME", "name a GGUF file, or --remove NAME"),
        )
    if baked:
        _refuse_beside("--baked", {"--in-place": in_place, "--state": state})
        found = install.bake(file, name=name, licence=licence, reasons=reasons, threads=threads)
    else:
        found = install.install(
            file, state, name=name, licence=licence, reasons=reasons, in_place=in_place, threads=threads
        )
    words = [*command_words(), "judge", "calibrate", "--set", "FILE.jsonl", "--judge", str(found.path)]
    words += [] if state is None or baked else ["--state", str(state)]
    command = shlex.join(words)
    lines = [
        tr(f"已安装裁判 {found.name}：{found.path}", f"judge installed: {found.name}, {found.path}"),
        *about_installed(found),
        tr(f"请先校准再使用：{command}", f"calibration asked for, before it is used: {command}"),
    ]
    emit({"installed": found.to_json(), "path": str(found.path), "next": command}, as_json=as_json, lines=lines)


def _refuse_beside(option: str, others: dict[str, object]) -> None:
    for other, value in others.items():
        if value not in {None, False}:
            raise UsageError(
                tr(f"{option} 与 {other} 不能同时使用", f"{option} and {other} do not go together"),
                field=other,
                remedy=tr("去掉其中一个", "leave one of them out"),
            )
