"""``mlb-offline judge``: which judge models there are, whether their files are the signed ones, and making new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlb_offline.cli.judge_bench import bench_command
from mlb_offline.cli.judge_calibrate import calibrate_command
from mlb_offline.cli.judge_install import install_command
from mlb_offline.cli.judge_options import (
    ModelsOption,
    PublisherOption,
    known_here,
    opened_list,
)
from mlb_offline.cli.judge_table import as_json as table_as_json
from mlb_offline.cli.judge_table import check, lines
from mlb_offline.cli.kit import JsonFlag, StateOption, UnlistedFlag, complain, emit, finish
from mlb_offline.errors import Exit, TrustError
from mlb_offline.language import tr

app = typer.Typer(no_args_is_help=True)


@app.callback()
def group() -> None:
    """Judge models."""


@app.command(
    "info", help=tr("查看裁判模型清单并核验其文件", "show the signed list of judge models, and verify their files")
)
def info(
    *,
    models: ModelsOption = None,
    trust: PublisherOption = None,
    judge: Annotated[
        list[Path] | None,
        typer.Option(
            "--judge",
            metavar="FILE",
            readable=False,
            help=tr("另要核验的裁判模型文件（可多次给出）", "another judge model file to verify (repeatable)"),
        ),
    ] = None,
    accept_unlisted: UnlistedFlag = False,
    state: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the list; exit 4 if a file is not the signed one, 3 if one cannot be read, 7 if there is no list."""
    folder, manifest = opened_list(models, trust)
    known = known_here(folder, state)
    found = check(folder, manifest, judge or (), accept_unlisted=accept_unlisted, known=known)
    emit(table_as_json(found), as_json=as_json, lines=lines(found))
    for fault in found.faults:
        complain(fault, as_json=False)  # on stderr; the result on stdout holds them too
    if found.faults:
        finish(Exit.TRUST if any(isinstance(fault, TrustError) for fault in found.faults) else Exit.BAD_INPUT)


app.command(
    "install",
    help=tr(
        "安装自己的裁判模型（GGUF）：检查、复制到状态目录并登记",
        "install a judge of one's own (GGUF): examine it, copy it into the state folder, record it",
    ),
)(install_command)
app.command("bench", help=tr("测量裁判在本机的速度与内存", "measure the speed and memory of judges on this machine"))(
    bench_command
)


@app.command("train", help=tr("训练裁判模型（需 train 扩展）", "train judge models (needs the train extra)"))
def train(
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            readable=False,
            help=tr(
                "输出文件夹；再次给出同一命令会从检查点继续",
                "output folder; the same command goes on from its checkpoints",
            ),
        ),
    ],
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            help=tr(
                "cpu、gpu、large 或一个 .toml 文件；默认 cpu，有 --base 时为 large",
                "cpu, gpu, large, or a .toml file; default cpu, with --base large",
            ),
        ),
    ] = None,
    corpora: Annotated[
        Path | None,
        typer.Option(
            "--corpora",
            metavar="DIR",
            readable=False,
            help=tr("训练语料文件夹", "folder of the corpora to train on"),
        ),
    ] = None,
    material: Annotated[
        Path | None,
        typer.Option(
            "--material",
            metavar="DIR",
            readable=False,
            help=tr(
                "训练数据文件夹（标注与语句组）；默认 models/src/criteria",
                "folder of the training data (annotations and groups); default models/src/criteria",
            ),
        ),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option("--judge", metavar="a|b", help=tr("只训练其中一个", "train only one of the two")),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            "--base",
            metavar="DIR",
            readable=False,
            help=tr("微调该 Hugging Face 检查点（LoRA）", "fine-tune this Hugging Face checkpoint (LoRA)"),
        ),
    ] = None,
    annotations: Annotated[
        list[Path] | None,
        typer.Option(
            "--annotations",
            metavar="FILE",
            readable=False,
            help=tr("与 --base 同用：训练用标注（可多次给出）", "with --base: annotations to train on (repeatable)"),
        ),
    ] = None,
    development: Annotated[
        list[Path] | None,
        typer.Option(
            "--development",
            metavar="FILE",
            readable=False,
            help=tr("与 --base 同用：评测用标注（可多次给出）", "with --base: annotations to measure on (repeatable)"),
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Train both small judges, or fine-tune a large base; figures of the development side are printed."""
    from mlb_offline.judge.training.command import (
        Job,
        Large,
        as_text,
        configuration,
        names_of,
        refuse_unused,
        train_large,
        train_small,
    )
    from mlb_offline.judge.training.display import showing

    small = {"--corpora": corpora, "--material": material, "--judge": judge}
    large = {"--annotations": annotations, "--development": development}
    refuse_unused(small if base is not None else large, base_given=base is not None)
    file = configuration(config or ("cpu" if base is None else "large"))
    with showing() as progress:
        if base is not None:
            result = train_large(Large(file, base, tuple(annotations or ()), tuple(development or ()), out), progress)
        else:
            job = Job(file, corpora, material or Path("models/src/criteria"), out, names_of(judge))
            result = train_small(job, progress)
    emit(result, as_json=as_json, lines=list(as_text(result)))


app.command(
    "calibrate",
    help=tr(
        "在有标注的判据上测量裁判（默认为内置的一对）",
        "measure judges on labelled criteria (default: the built-in pair)",
    ),
)(calibrate_command)
