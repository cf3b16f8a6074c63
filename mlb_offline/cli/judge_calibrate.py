"""``mlb-offline judge calibrate``: what judges are worth on labelled criteria, and keeping it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_offline.cli.judge_options import ModelsOption, PublisherOption, ThreadsOption, known_here, opened_list
from mlb_offline.cli.kit import JsonFlag, StateOption, UnlistedFlag, counting, emit
from mlb_offline.errors import UsageError
from mlb_offline.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence


def calibrate_command(
    *,
    labelled: Annotated[
        Path,
        typer.Option(
            "--set",
            metavar="FILE",
            readable=False,
            help=tr(
                "标注文件（JSONL）；也接受 messages、labels、response 格式",
                "annotations (JSONL); also with messages, labels, response",
            ),
        ),
    ],
    judge: Annotated[
        list[Path] | None,
        typer.Option(
            "--judge",
            metavar="FILE",
            readable=False,
            help=tr("裁判模型文件（可给出两个）", "judge model file (two may be given)"),
        ),
    ] = None,
    models: ModelsOption = None,
    trust: PublisherOption = None,
    accept_unlisted: UnlistedFlag = False,
    threads: ThreadsOption = 2,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help=tr(
                "保存这两个裁判的混淆计数，供报告校正：存入状态目录；给出 --models 而无 --state 时存入该文件夹",
                "keep what the two judges are worth, for reports to correct by: in the state folder, or, with --models "
                "and without --state, beside those models",
            ),
        ),
    ] = False,
    labelled_by: Annotated[
        str | None,
        typer.Option(
            "--labelled-by",
            metavar="TEXT",
            help=tr("与 --keep 同用：标注者是谁，写入报告", "with --keep: who labelled the set; reports say so"),
        ),
    ] = None,
    state: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Print agreement with the labels, and keep it with an installed judge, or with --keep that of the pair; exit 3
    for a bad file, 4 for a judge that is not the signed one."""
    from mlb_offline.judge.calibration import calibrate as measured
    from mlb_offline.judge.calibration import read_set, table
    from mlb_offline.judge.install import keep_calibration
    from mlb_offline.judge.opening import checked, open_judge, seat_of
    from mlb_offline.judge.panels import keep as keep_panel
    from mlb_offline.judge.panels import measured_panel
    from mlb_offline.judge.published import figures

    place = _place_of_panel(models, state, judge, labelled_by, keep=keep)
    kept: list[str] = []
    criteria, replies = read_set(labelled)
    if replies:
        _refuse_judges(judge, models, keep=keep)
        result = figures(replies)
    else:
        folder, manifest = opened_list(models, trust)
        known = known_here(folder, state)
        files = checked(folder, manifest, judge or (), accept_unlisted=accept_unlisted, installed=known)
        with ExitStack() as stack:
            opened = []
            for path, record in files:
                opened.append(open_judge(path, record, threads=threads))
                stack.callback(opened[-1].close)
                seat_of(path, record).require_unchanged()
            with counting() as progress:
                result = measured({one.name: one.judge for one in opened}, criteria, progress)
        for record in (one.record for one in opened):
            if record.installed is not None:
                keep_calibration(record.installed, state, result["judges"][record.name], labelled)
                kept.append(record.name)
        result |= {"records": [one.record.to_json() for one in opened], "kept": kept}
        if place is not None and labelled_by is not None:
            seats = [seat_of(path, record).to_json() for path, record in files]
            panel = measured_panel(seats, labelled, labelled_by, result["confusion"])
            result["kept_panel"] = str(keep_panel(place, panel, lock=place != models))
    told = [tr(f"结果已存入状态目录：{name}", f"kept in the state folder: {name}") for name in kept]
    if "kept_panel" in result:
        told.append(tr(f"两个裁判的标定已存入：{result['kept_panel']}", f"the pair is kept in {result['kept_panel']}"))
    emit({"set": labelled.name, **result}, as_json=as_json, lines=[*table(result), *told])


def _place_of_panel(
    models: Path | None, state: Path | None, judge: Sequence[Path] | None, labelled_by: str | None, *, keep: bool
) -> Path | None:
    """The folder that is to hold what the pair is worth; None where nothing is to be kept."""
    from mlb_offline.bundle.state import open_state

    if keep != (labelled_by is not None):
        raise UsageError(
            tr("--keep 与 --labelled-by 须同时给出", "--keep and --labelled-by go together"),
            field="--labelled-by",
            remedy=tr("写明标注者，例如“两名主治医师”", "say who labelled the set, such as: two attending physicians"),
        )
    if keep and judge and len(judge) < 2:
        raise UsageError(
            tr("运行用两个裁判，--keep 须两个一同测量", "a run has two judges: --keep wants both measured together"),
            field="--judge",
            remedy=tr("再给出另一个裁判的文件", "name the file of the other judge too"),
        )
    if not keep:
        return None
    return models if models is not None and state is None else open_state(state).folder


def _refuse_judges(judge: Sequence[Path] | None, models: Path | None, *, keep: bool) -> None:
    """The set holds replies already: a judge that is named would not be asked, nor is there a pair to keep."""
    if judge or models or keep:
        raise UsageError(
            tr("该文件已含裁判的回答，不会再询问裁判", "the set holds a judge's replies: no judge is asked"),
            field="--judge" if judge else "--models" if models else "--keep",
            remedy=tr("去掉该选项", "leave the option out"),
        )
