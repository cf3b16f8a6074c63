"""``mlb-offline bundle import``: foreign files of items into a source folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_offline.cli.kit import JsonFlag, emit, finish
from mlb_offline.errors import Exit, InputError
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.bundle.importers.result import Imported

_SHOWN = 20


def import_command(
    *,
    importer: Annotated[str, typer.Argument(metavar="mlb|cmexam|cblue|table", help=tr("导入器", "the importer"))],
    path: Annotated[
        Path, typer.Argument(metavar="IN", readable=False, help=tr("要读的文件或文件夹", "the file or folder to read"))
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="SRC", readable=False, help=tr("源文件夹：新建或追加", "the source folder, new or to be added to")
        ),
    ],
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help=tr("数据集", "the dataset"))] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(metavar="F.toml", readable=False, help=tr("table 的映射文件", "the mapping, for table")),
    ] = None,
    accept_refusals: Annotated[
        bool,
        typer.Option(
            "--accept-refusals",
            help=tr("有行无法读取时仍写出其余各行", "write the other rows although some could not be read"),
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Import items. A row that cannot be read is refused with its reason; nothing is then written unless accepted."""
    from mlb_offline.bundle.importers.landing import import_named, land

    imported = import_named(importer, path, dataset=dataset, mapping=mapping)
    if imported.refused and not accept_refusals:
        _stop(imported, as_json=as_json)
    refusals = land(imported, out, importer)
    lines = [*_counts(imported), tr(f"已写入 {out}", f"written to {out}")]
    if refusals is not None:
        lines.append(tr(f"拒收的行列于 {refusals}", f"the refused rows are listed in {refusals}"))
    result = _result(imported) | {"out": str(out), "refusals": None if refusals is None else str(refusals)}
    emit(result, as_json=as_json, lines=lines)


def _stop(imported: Imported, *, as_json: bool) -> None:
    error = InputError(
        tr(
            f"{len(imported.refused)} 行无法读取，未写出任何内容",
            f"{len(imported.refused)} rows could not be read; nothing was written",
        ),
        file=imported.refused[0].file,
        line=imported.refused[0].row,
        remedy=tr(
            "修正这些行；或用 --accept-refusals 只导入其余各行",
            "correct them; or import the others with --accept-refusals",
        ),
    )
    emit(_result(imported) | {"out": None} | error.to_json(), as_json=as_json, lines=_counts(imported))
    sys.stderr.write(tr("错误：", "error: ") + error.diagnostics() + "\n")
    finish(Exit.BAD_INPUT)


def _result(imported: Imported) -> dict[str, Any]:
    return {
        "read": imported.read,
        "refused": [refusal.to_json() for refusal in imported.refused],
        "datasets": {name: len(entry.items) for name, entry in imported.datasets.items()},
        "notes": list(imported.notes),
    }


def _counts(imported: Imported) -> list[str]:
    refused = imported.refused
    lines = [
        tr(f"读入 {imported.read} 行，拒收 {len(refused)} 行", f"{imported.read} rows read, {len(refused)} refused")
    ]
    lines += [f"  {name}: {len(entry.items)}" for name, entry in imported.datasets.items()]
    lines += [f"  {note}" for note in imported.notes]
    lines += [f"  {refusal.file}:{refusal.row}: {refusal.reason}" for refusal in refused[:_SHOWN]]
    if len(refused) > _SHOWN:
        more = len(refused) - _SHOWN
        lines.append(tr(f"  另有 {more} 行，见 --json", f"  and {more} more; --json lists them all"))
    return lines
