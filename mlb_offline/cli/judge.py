"""``mlb-offline judge``: which judge models there are, whether their files are the signed ones, and making new ones."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_offline.cli.kit import JsonFlag, UnlistedFlag, complain, counting, emit, finish
from mlb_offline.errors import Exit, MlbError, TrustError, UsageError
from mlb_offline.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlb_offline.judge.manifest import Judge, JudgeRecord, Manifest, OtherFile

app = typer.Typer(no_args_is_help=True)

ModelsOption = Annotated[
    Path | None,
    typer.Option(
        "--models",
        metavar="DIR",
        readable=False,
        help=tr("裁判模型文件夹；默认 $MLB_DATA/models", "folder of the judge models; default $MLB_DATA/models"),
    ),
]
PublisherOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust",
        metavar="PATH",
        readable=False,
        help=tr(
            "模型发布者的可信公钥或其文件夹（可多次给出）；默认为程序内置的公钥",
            "trusted public key of the models' publisher, or folder (repeatable); default: the one built in",
        ),
    ),
]


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
    as_json: JsonFlag = False,
) -> None:
    """Print the list; exit 4 if a file is not the signed one, 3 if one cannot be read, 7 if there is no list."""
    folder, manifest = _opened(models, trust)
    checks = _check(folder, manifest, judge or (), accept_unlisted)
    emit(_as_json(folder, manifest, checks), as_json=as_json, lines=_lines(folder, manifest, checks))
    faults = [one.fault for one in checks if one.fault is not None]
    for fault in faults:
        complain(fault, as_json=False)  # on stderr; the result on stdout holds them too
    if faults:
        finish(Exit.TRUST if any(isinstance(fault, TrustError) for fault in faults) else Exit.BAD_INPUT)


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


@app.command(
    "calibrate",
    help=tr(
        "在有标注的判据上测量裁判（默认为内置的一对）",
        "measure judges on labelled criteria (default: the built-in pair)",
    ),
)
def calibrate(
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
    threads: Annotated[
        int, typer.Option("--threads", min=1, help=tr("处理器线程数", "CPU threads that a judge may use"))
    ] = 2,
    as_json: JsonFlag = False,
) -> None:
    """Print agreement with the labels; exit 3 for a bad file, 4 for a judge that is not the signed one."""
    from mlb_offline.judge.calibration import calibrate as measured
    from mlb_offline.judge.calibration import read_set, table
    from mlb_offline.judge.opening import checked, open_judge
    from mlb_offline.judge.published import figures

    criteria, replies = read_set(labelled)
    if replies:
        _refuse_judges(judge, models)
        result = figures(replies)
    else:
        folder, manifest = _opened(models, trust)
        files = checked(folder, manifest, judge or (), accept_unlisted=accept_unlisted)
        with ExitStack() as stack:
            opened = []
            for path, record in files:
                opened.append(open_judge(path, record, threads=threads))
                stack.callback(opened[-1].close)
            with counting() as progress:
                result = measured({one.name: one.judge for one in opened}, criteria, progress)
            result["records"] = [one.record.to_json() for one in opened]
    emit({"set": labelled.name, **result}, as_json=as_json, lines=table(result))


def _opened(models: Path | None, trust: Sequence[Path] | None) -> tuple[Path, Manifest]:
    """The models' folder and its list, the signature checked."""
    from mlb_offline.installation import data_folder
    from mlb_offline.judge.manifest import open_manifest
    from mlb_offline.trust.store import load_trust

    folder = data_folder() / "models" if models is None else models
    return folder, open_manifest(folder, load_trust(trust) if trust else None)


def _refuse_judges(judge: Sequence[Path] | None, models: Path | None) -> None:
    """The set holds replies already: a judge that is named would not be asked."""
    if judge or models:
        raise UsageError(
            tr("该文件已含裁判的回答，不会再询问裁判", "the set holds a judge's replies: no judge is asked"),
            field="--judge" if judge else "--models",
            remedy=tr("去掉该选项", "leave the option out"),
        )


@dataclass(frozen=True)
class Checked:
    """A file, its entry in the list (None: the operator gave it), and what is known of it or is wrong with it."""

    path: Path
    listed: Judge | OtherFile | None
    record: JudgeRecord | None = None
    fault: MlbError | None = None


def _check(folder: Path, manifest: Manifest, given: Sequence[Path], accept_unlisted: bool) -> list[Checked]:
    """Check every listed file and those given; a fault in one hides none in the others."""
    from mlb_offline.judge.manifest import OtherFile, check_file, check_judge

    files: list[tuple[Path, Judge | OtherFile | None]] = [(folder / judge.file, judge) for judge in manifest.judges]
    files += [(folder / other.name, other) for other in manifest.files]
    files += [(path, None) for path in given]
    found = []
    for path, entry in files:
        record = fault = None
        try:
            if isinstance(entry, OtherFile):
                check_file(path, entry)
            else:
                record = check_judge(path, manifest, accept_unlisted=accept_unlisted)
        except MlbError as error:
            fault = error
        found.append(Checked(path, entry, record, fault))
    return found


def _as_json(folder: Path, manifest: Manifest, checks: Sequence[Checked]) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "verified": all(one.fault is None for one in checks),
        "sha256": manifest.sha256,
        "publishers": [{"keyid": key.keyid, "fingerprint": key.fingerprint} for key in manifest.publishers],
        "manifest": manifest.model_dump(mode="json"),
        "checks": [
            {"path": str(one.path), "verified": one.fault is None}
            | ({} if one.record is None else {"record": one.record.to_json()})
            | ({} if one.fault is None else one.fault.to_json())
            for one in checks
        ],
    }


def _lines(folder: Path, manifest: Manifest, checks: Sequence[Checked]) -> list[str]:
    from mlb_offline.judge.manifest import NAME, Judge

    head = [
        tr(f"{folder / NAME}：{manifest.created}，签名有效", f"{folder / NAME}: {manifest.created}, validly signed"),
        *(tr("发布者公钥指纹：", "fingerprint of the publisher: ") + key.fingerprint for key in manifest.publishers),
    ]
    titles = [
        tr("名称", "name"),
        tr("角色", "role"),
        tr("文件", "file"),
        tr("字节", "bytes"),
        tr("SHA-256 核验", "SHA-256 check"),
    ]
    title, *rows = _aligned([titles, *(_row(one) for one in checks)])
    lines = [*head, "", title]
    for one, row in zip(checks, rows, strict=True):
        lines.append(row)
        if isinstance(one.listed, Judge):
            lines += _about(one.listed)
    return lines


def _row(one: Checked) -> list[str]:
    from mlb_offline.judge.manifest import Judge

    if one.fault is not None:
        state = tr("✗ 未通过", "✗ failed")
    elif one.record is not None and one.record.accepted:
        state = tr("! 不在清单中，已接受 ", "! not listed, accepted: ") + one.record.sha256
    else:
        state = tr("✓ 相符", "✓ verified")
    known = one.listed if one.record is None else one.record.judge
    name, role = (known.name, known.role) if isinstance(known, Judge) else ("–", "–")
    size = one.record or one.listed
    return [name, role, one.path.name, "–" if size is None else f"{size.size:,}", state]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows with their columns padded; a Chinese character is two wide."""
    from rich.cells import cell_len, set_cell_size

    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(map(set_cell_size, row, widths)).rstrip() for row in rows]


def _about(judge: Judge) -> list[str]:
    lines = [f"    {judge.architecture}, {judge.quantisation}, {judge.parameters:,} " + tr("个参数", "parameters")]
    for name, found in judge.figures.items():
        rates = {"accuracy": found.accuracy, "F1": found.f1, "kappa": found.kappa, "AUC": found.auc}
        told = ", ".join(f"{what} {'–' if rate is None else format(rate, '.3f')}" for what, rate in rates.items())
        lines.append(f"    {name}: n {found.n}, {told}")
    return lines + [tr("    局限：", "    limit: ") + limit for limit in judge.limits]
