"""``mlb-offline adjudicate``: what physicians must settle of a finished run, on which page, and taking it in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_offline.cli.keys import unlock
from mlb_offline.cli.kit import JsonFlag, KeyOption, PassphraseOption, StateOption, TrustOption, emit
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.adjudication.desk import Desk, Which
    from mlb_offline.adjudication.packet import Packet
    from mlb_offline.adjudication.shares import DatasetPlan
    from mlb_offline.trust.store import TrustSet

app = typer.Typer(no_args_is_help=True)

RunArgument = Annotated[
    Path, typer.Argument(metavar="DIR", readable=False, help=tr("已完成的运行目录", "folder of a finished run"))
]
BundleOption = Annotated[
    Path,
    typer.Option("--bundle", metavar="PATH", readable=False, help=tr("该运行所用的数据包", "the bundle that it asked")),
]
WhichOption = Annotated[
    str,
    typer.Option(
        "--only",
        metavar="sample|disputes|all",
        help=tr(
            "随机抽样（默认）、其余争议，或两者（医生可从次序看出哪些有争议）",
            "the random sample (default), the other disputes, or both (their place then shows which are disputed)",
        ),
    ),
]
AgainFlag = Annotated[
    bool,
    typer.Option("--again", help=tr("包括已评定的（请另一位医生复评）", "what is settled too, for a second opinion")),
]
MostOption = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help=tr("至多 N 条判据", "at most N criteria")),
]


@app.callback()
def group() -> None:
    """Physicians settle criteria."""


@app.command(
    "plan",
    help=tr(
        "为判定各门槛，医生须评定多少、哪些判据；--fix 将抽样比例一次性写入运行日志",
        "how many criteria a physician must settle to decide each gate; --fix writes the shares into the run's log",
    ),
)
def plan(
    directory: RunArgument,
    *,
    bundle: BundleOption,
    trust: TrustOption,
    key: KeyOption,
    share: Annotated[
        list[str] | None,
        typer.Option(
            "--share",
            metavar="DATASET=P",
            help=tr("该数据集的抽样比例，0–1（可多次给出）", "share of a dataset's items, 0 to 1 (repeatable)"),
        ),
    ] = None,
    fix: Annotated[
        bool,
        typer.Option("--fix", help=tr("确定抽样比例，此后不能更改", "fix the shares; they cannot be changed later")),
    ] = False,
    passphrase_file: PassphraseOption = None,
    state: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the plan of each judged dataset; fix the shares if told to."""
    from mlb_offline.adjudication.shares import chosen_shares

    named = _shares(share or [], fix=fix)
    shares: dict[str, float] = {}
    with _desk(directory, bundle, trust, key, passphrase_file=passphrase_file, state=state) as (desk, _):
        plans = desk.plans()
        if fix:
            shares = chosen_shares(plans, named)
            desk.fix(shares)
    emit(
        {
            "datasets": [
                {
                    "dataset": one.dataset,
                    "items": one.items,
                    "criteria": one.criteria,
                    "open": one.still_open,
                    "gates": {gate: found.to_json() for gate, found in one.plans},
                    "advised": one.advised,
                    "share": shares.get(one.dataset) if fix else one.share,
                }
                for one in plans
            ],
            "fixed": fix or any(one.share is not None for one in plans),
        },
        as_json=as_json,
        lines=_plan_lines(plans, shares, fixed=fix),
    )


def _shares(given: list[str], *, fix: bool) -> dict[str, float]:
    from mlb_offline.errors import UsageError
    from mlb_offline.stats.powered import SHARES

    if given and not fix:
        raise UsageError(
            tr("--share 只与 --fix 同用", "--share goes with --fix"),
            field="--share",
            remedy=tr("加 --fix 以确定比例", "add --fix to fix the shares"),
        )
    found: dict[str, float] = {}
    for one in given:
        name, _, text = one.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if value not in SHARES or name in found:
            raise UsageError(
                tr(
                    f"--share 应为 数据集=比例（0.05 的倍数，至 1），不是“{one}”",
                    f"--share is DATASET=P, P a multiple of 0.05 up to 1, not {one!r}",
                ),
                field="--share",
                remedy=tr("例如 --share MADiagnosis=0.5", "for example --share MADiagnosis=0.5"),
            )
        found[name] = value
    return found


def _plan_lines(plans: list[DatasetPlan], shares: dict[str, float], *, fixed: bool) -> list[str]:
    lines = []
    for one in plans:
        lines.append(
            tr(
                f"{one.dataset}：{one.items} 题，{one.criteria} 条判据，其中未决 {one.still_open} 条",
                f"{one.dataset}: {one.items} items, {one.criteria} criteria, {one.still_open} of them open",
            )
        )
        if not one.plans:
            lines.append(tr("  策略对它没有门槛：无须抽样", "  no gate of the policy concerns it: no sample is needed"))
        for gate, found in one.plans:
            step = found.chosen or found.best
            told = tr(
                f"  {gate} ≥ {found.threshold}：抽取 {step.share:.0%}（约 {step.items:.0f} 题、"
                f"{step.criteria:.0f} 条判据），达到门槛的机会约 {step.chance:.0%}",
                f"  {gate} >= {found.threshold}: draw {step.share:.0%} (about {step.items:.0f} items, "
                f"{step.criteria:.0f} criteria); the chance to meet it is about {step.chance:.0%}",
            )
            beyond = tr("；即使全部评定也难以达到", "; even all of them would hardly do")
            lines.append(told + ("" if found.chosen else beyond))
        value = one.share if one.share is not None else shares.get(one.dataset) if fixed else None
        if value is not None:
            lines.append(tr(f"  抽样比例已确定：{value:g}", f"  the share is fixed: {value:g}"))
    if not fixed and all(one.share is None for one in plans):
        lines.append(
            tr(
                "机会是预测，门槛的判定不依赖它。确定比例：加 --fix（可用 --share 更改），此后才能发出任务包。",
                "The chances are forecasts on which no gate rests. To fix the shares add --fix (and --share to choose "
                "others); packets can be given out only then.",
            )
        )
    return lines


@app.command(
    "page",
    help=tr("制作一个加密的网页，供医生离线评定", "make an encrypted page for a physician to work on offline"),
)
def page(
    directory: RunArgument,
    *,
    bundle: BundleOption,
    trust: TrustOption,
    key: KeyOption,
    out: Annotated[
        Path, typer.Option("--out", metavar="F.html", readable=False, help=tr("任务页文件", "the page's file"))
    ],
    page_passphrase_file: Annotated[
        Path,
        typer.Option(
            "--page-passphrase-file",
            metavar="PATH",
            readable=False,
            help=tr("任务页口令（至少 12 个字符），另行告知医生", "the page's passphrase (12 characters or more)"),
        ),
    ],
    only: WhichOption = "sample",
    again: AgainFlag = False,
    limit: MostOption = None,
    passphrase_file: PassphraseOption = None,
    state: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Give out a packet as a page."""
    from mlb_offline.adjudication.page import build_page, check_passphrase
    from mlb_offline.trust.keys import read_passphrase

    passphrase = read_passphrase(page_passphrase_file) or ""
    check_passphrase(passphrase)
    _require_free(out)
    with _desk(directory, bundle, trust, key, passphrase_file=passphrase_file, state=state) as (desk, _):
        pack = partial(desk.pack, _which(only), again=again, most=limit)
        packet = _give_out(pack, out, lambda packet, key: build_page(packet, passphrase, key))
    _given_out(packet, out, as_json)


@app.command(
    "export",
    help=tr("把任务导出为明文表格（XLSX 或 CSV）", "write the tasks to a plaintext table (XLSX or CSV)"),
)
def export(
    directory: RunArgument,
    *,
    bundle: BundleOption,
    trust: TrustOption,
    key: KeyOption,
    out: Annotated[
        Path, typer.Option("--out", metavar="F.xlsx|F.csv", readable=False, help=tr("表格文件", "the table's file"))
    ],
    plaintext: Annotated[
        bool,
        typer.Option(
            "--plaintext",
            help=tr(
                "确认题目与回答将以明文写入磁盘（记入日志，报告会写明）",
                "confirm that questions and answers go to the disk unencrypted (logged; the report says so)",
            ),
        ),
    ] = False,
    only: WhichOption = "sample",
    again: AgainFlag = False,
    limit: MostOption = None,
    passphrase_file: PassphraseOption = None,
    state: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Give out a packet as a table."""
    from mlb_offline.adjudication.tables import require_table, table_of
    from mlb_offline.errors import UsageError

    if not plaintext:
        raise UsageError(
            tr("表格是明文", "a table is plaintext"),
            field="--plaintext",
            remedy=tr("确认后加 --plaintext；或用 adjudicate page", "add --plaintext if that is meant; or use page"),
        )
    require_table(out)
    _require_free(out)
    with _desk(directory, bundle, trust, key, passphrase_file=passphrase_file, state=state) as (desk, _):
        pack = partial(desk.pack, _which(only), again=again, most=limit, plaintext=True)
        packet = _give_out(pack, out, lambda packet, _key: table_of(packet, out))
    _given_out(packet, out, as_json)


@app.command("import", help=tr("导入医生的评定结果", "take in what physicians settled"))
def take_in(
    directory: RunArgument,
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            readable=False,
            help=tr("任务页保存的结果文件，或填好的表格", "files that the page saved, or tables filled in"),
        ),
    ],
    *,
    bundle: BundleOption,
    trust: TrustOption,
    key: KeyOption,
    packet: Annotated[
        str | None,
        typer.Option("--packet", metavar="UUID", help=tr("表格所属的任务包", "packet that the table belongs to")),
    ] = None,
    reviewer_key: Annotated[
        Path | None,
        typer.Option(
            "--reviewer-key",
            metavar="PATH",
            readable=False,
            help=tr("医生的私钥，用来签署表格中的评定", "the physician's private key, which signs a table's verdicts"),
        ),
    ] = None,
    passphrase_file: PassphraseOption = None,
    state: StateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Check every file, then record what they hold; where one is refused nothing is recorded."""
    from mlb_offline.adjudication.arrivals import arrived

    signing = None
    if reviewer_key is not None:
        from mlb_offline.trust.keys import KeyKind, load_signing_key

        signing = load_signing_key(reviewer_key, unlock(reviewer_key, passphrase_file), KeyKind.REVIEWER)
    with _desk(directory, bundle, trust, key, passphrase_file=passphrase_file, state=state) as (desk, trusted):
        found = [(file, *arrived(desk, file, trusted, packet=packet, signing_key=signing)) for file in results]
        desk.take_in(found)
    taken = [
        {"file": str(file), "packet": given.id, "reviewer": result.fingerprint, **_counts(result)}
        for file, given, result in found
    ]
    lines = [
        tr(
            f"已导入 {one['file']}：{one['verdicts']} 条判据（未能判断 {one['undecided']}），评定者 {one['reviewer']}",
            f"taken in {one['file']}: {one['verdicts']} criteria ({one['undecided']} undecided), by {one['reviewer']}",
        )
        for one in taken
    ]
    emit({"imported": taken}, as_json=as_json, lines=lines)


def _counts(result: Any) -> dict[str, int]:
    verdicts = list(result.verdicts.values())
    return {"verdicts": len(verdicts), "undecided": verdicts.count("?")}


@contextmanager
def _desk(
    directory: Path, bundle: Path, trust: list[Path], key: Path, *, passphrase_file: Path | None, state: Path | None
) -> Iterator[tuple[Desk, TrustSet]]:
    from mlb_offline.adjudication.desk import open_desk
    from mlb_offline.trust.keys import load_recipient_key
    from mlb_offline.trust.store import load_trust

    trusted = load_trust(trust)
    recipient = load_recipient_key(key, unlock(key, passphrase_file))
    with open_desk(directory, bundle, trusted, recipient, state=state) as desk:
        yield desk, trusted


def _which(only: str) -> Which:
    from mlb_offline.errors import UsageError

    match only:
        case "all" | "sample" | "disputes":
            return only
    raise UsageError(
        tr(f"--only 不能是“{only}”", f"--only cannot be {only!r}"),
        field="--only",
        remedy="sample / disputes / all",
    )


def _require_free(out: Path) -> None:
    from mlb_offline.errors import InputError

    # Before the log says that a packet was given out.
    if out.exists():
        raise InputError(
            tr("文件已存在，不会覆盖", "the file exists and is not written over"),
            file=out,
            remedy=tr("换一个 --out", "choose another --out"),
        )
    if not out.absolute().parent.is_dir():
        raise InputError(
            tr("文件夹不存在", "its folder does not exist"),
            file=out,
            remedy=tr("先建立该文件夹，或换一个 --out", "make the folder first, or choose another --out"),
        )


def _give_out(pack: Callable[..., Packet], out: Path, render: Callable[[Packet, bytes], bytes]) -> Packet:
    """Make a packet and its file; what cannot be made is not logged as given out."""
    from mlb_offline.trust.files import create

    made: list[bytes] = []
    packet = pack(before=lambda packet, key: made.append(render(packet, key)))
    create(out, made[0], mode=0o600)
    return packet


def _given_out(packet: Packet, out: Path, as_json: bool) -> None:
    groups = len({task.group for task in packet.tasks})
    emit(
        {"packet": packet.id, "file": str(out), "tasks": len(packet.tasks), "answers": groups},
        as_json=as_json,
        lines=[
            tr(
                f"{out}：{groups} 个回答的 {len(packet.tasks)} 条判据，任务包 {packet.id}",
                f"{out}: {len(packet.tasks)} criteria of {groups} answers, packet {packet.id}",
            )
        ],
    )
