"""From a command's words to an import, and from an import into a source folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlb_offline.bundle.importers.cmexam import import_cmexam
from mlb_offline.bundle.importers.files import parse_json, read_text
from mlb_offline.bundle.importers.mlb import import_mlb
from mlb_offline.bundle.importers.result import Imported
from mlb_offline.bundle.importers.table import import_table
from mlb_offline.bundle.source import UNNAMED_PUBLISHER, Source, write_source
from mlb_offline.errors import InputError, UsageError
from mlb_offline.language import tr

IMPORTERS = ("mlb", "cmexam", "table")


def import_named(importer: str, path: Path, *, dataset: str | None, mapping: Path | None) -> Imported:
    """Run the importer of that name.

    Raises:
        UsageError: there is none, or the options do not go with it.
        InputError: what it is to read cannot be read.
    """
    if importer not in IMPORTERS:
        unfinished = importer == "cblue"
        raise UsageError(
            tr("此版本没有 cblue 导入", "cblue is not in this version")
            if unfinished
            else tr(f"没有名为“{importer}”的导入器", f"there is no importer named {importer!r}"),
            remedy=tr("可用：", "there are: ")
            + ", ".join(IMPORTERS)
            + (
                tr("；标注位置的抽取数据可用 table 导入", "; table reads extraction sets that mark spans")
                if unfinished
                else ""
            ),
        )
    if (mapping is not None) != (importer == "table"):
        raise UsageError(
            tr("--mapping 与 table 须同时使用", "--mapping goes with table, and table needs it"),
            remedy=tr("见 docs/importers.md", "see docs/importers.md"),
        )
    if mapping is not None:
        return import_table(path, mapping, dataset)
    if importer == "mlb":
        return import_mlb(path, dataset)
    if dataset not in {None, "CMExam"}:
        raise UsageError(
            tr("cmexam 只导入 CMExam", "cmexam imports CMExam only"),
            remedy=tr("其他数据集用 table", "for other datasets use table"),
        )
    return import_cmexam(path)


def land(imported: Imported, out: Path, importer: str) -> Path | None:
    """Add what was imported to a source folder, new or existing, and the refusals to ``refused-<importer>.json``.

    Returns:
        The file of refusals; None where there are none.

    Raises:
        InputError: nothing could be read, the folder holds one of the datasets already, or it cannot be written.
    """
    if not imported.datasets:
        raise InputError(
            tr("没有一行可以导入", "not one row could be read"),
            file=imported.refused[0].file if imported.refused else None,
            line=imported.refused[0].row if imported.refused else None,
            remedy=imported.refused[0].reason if imported.refused else "",
        )
    refusals = out / f"refused-{importer}.json"
    earlier = _earlier(refusals)
    source = Source(
        title=tr(f"由 {importer} 导入", f"imported with {importer}"),
        series=uuid4(),
        version=1,
        publisher=UNNAMED_PUBLISHER,
        issued=None,
        expires=None,
        demonstration=False,
        datasets=imported.datasets,
    )
    write_source(source, out, merge=True)
    if not imported.refused:
        return None
    listed = [*earlier, *(refusal.to_json() for refusal in imported.refused)]
    try:
        refusals.write_text(json.dumps(listed, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            tr(f"无法写入：{error.strerror}", f"cannot be written: {error.strerror}"),
            file=refusals,
            remedy=tr("核对权限与剩余空间", "check the permissions and the free space"),
        ) from None
    return refusals


def _earlier(refusals: Path) -> list[Any]:
    """What earlier imports into the same folder refused, which must not be lost."""
    if not refusals.exists():
        return []
    remedy = tr("修正或移走该文件", "correct it, or move it away")
    try:
        value = parse_json(read_text(refusals))
    except ValueError as error:
        raise InputError(
            tr(f"不是有效的 JSON：{error}", f"not valid JSON: {error}"), file=refusals, remedy=remedy
        ) from None
    if not isinstance(value, list):
        raise InputError(tr("应为 JSON 列表", "must be a JSON list"), file=refusals, remedy=remedy)
    return value
