"""The tree of commands. Every module named here imports nothing heavy until one of its commands runs."""

from __future__ import annotations

from typing import Annotated

import typer

from mlb_offline import __version__
from mlb_offline.cli import adjudicate, bundle, judge, keys, log, policy, report
from mlb_offline.cli.bridge import bridge_command
from mlb_offline.cli.demo import demo_command
from mlb_offline.cli.doctor import doctor_command
from mlb_offline.cli.run import run_command
from mlb_offline.cli.verify import verify_command
from mlb_offline.language import tr

app = typer.Typer(
    help=tr(
        "在医院自己的硬件上离线评测医疗大模型（MLB 基准），并出具签名报告。",
        "Evaluate a medical language model on the hospital's own hardware, offline, and write a signed report.",
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mlb-offline {__version__}")
        raise typer.Exit


@app.callback()
def options(
    lang: Annotated[
        str | None, typer.Option("--lang", metavar="zh|en", help=tr("消息语言", "message language"))
    ] = None,
    guard: Annotated[
        str | None,
        typer.Option(
            "--guard",
            metavar="MODE",
            help=tr(
                "出网防护：unix-only（默认）、loopback、internal；none 表示不强制断网，报告会写明",
                "egress guard: unix-only (default), loopback, internal; none: not enforced, and the report says so",
            ),
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help=tr("显示版本", "show the version")),
    ] = False,
) -> None:
    """Options that may stand before the command or anywhere after it."""


app.command("demo", help=tr("用内置样例完成整个流程", "the whole job on the embedded default"))(demo_command)
app.command("doctor", help=tr("什么会使运行无法进行，如何处理", "what would stop a run here, and what to do about it"))(
    doctor_command
)
app.add_typer(keys.app, name="keys", help=tr("生成与查看密钥", "make and show keys"))
app.add_typer(
    bundle.app,
    name="bundle",
    help=tr("导入、构建、查看与核验数据包", "import, build, show and verify bundles"),
)
app.command("run", help=tr("评测一个目标模型", "evaluate a target model"))(run_command)
app.add_typer(log.app, name="log", help=tr("核验运行日志", "verify a run's log"))
app.add_typer(judge.app, name="judge", help=tr("查看与核验裁判模型", "show and verify judge models"))
app.add_typer(
    adjudicate.app,
    name="adjudicate",
    help=tr("请医生评定：计划、任务页、导入", "let physicians settle criteria: plan, page, import"),
)
app.add_typer(policy.app, name="policy", help=tr("查看与检查判定策略", "show and check policies"))
app.add_typer(report.app, name="report", help=tr("生成签名报告", "build a signed report"))
app.command("verify", help=tr("核验报告的真实性", "verify that a report is authentic"))(verify_command)
app.command("bridge", help=tr("把模型服务的 TCP 端口接到 Unix 套接字", "carry a server's TCP port to a Unix socket"))(
    bridge_command
)
