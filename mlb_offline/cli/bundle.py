"""``mlb-offline bundle``: import items, build a sealed bundle, show it, verify it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlb_offline.cli.bundle_import import import_command
from mlb_offline.cli.bundle_lint import lint_command
from mlb_offline.cli.keys import unlock
from mlb_offline.cli.kit import JsonFlag, PassphraseOption, TrustOption, emit
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.bundle.manifest import Manifest

app = typer.Typer(
    no_args_is_help=True, help=tr("数据包：导入、制作、查看、验证", "bundles: import, build, show, verify")
)
app.command("import")(import_command)
app.command("lint", help=tr("检查源文件夹中的条目", "look for faults in the items of a source folder"))(lint_command)

BundleArgument = Annotated[
    Path, typer.Argument(metavar="F.mlbb", readable=False, help=tr("数据包文件", "the bundle file"))
]

_CLAIMS = {
    "publisher-key": ("发布者公钥在可信之列", "the publisher's key is trusted"),
    "signature": ("签名有效", "the signature is valid"),
    "validity": ("在有效期内，本工具版本足够，数据集均已知", "in force, this tool is new enough, all datasets known"),
    "payload-length": ("内容长度相符", "the payload's length is the signed one"),
    "payload-sha256": ("内容的 SHA-256 相符", "the payload's SHA-256 is the signed one"),
    "recipient": ("此密钥可打开", "this key opens it"),
    "commitment": ("密钥承诺相符", "the key commitment matches"),
    "chunks": ("每一块均通过校验", "every chunk is authentic"),
    "content-sha256": ("解密内容的 SHA-256 相符", "the SHA-256 of the opened content is the signed one"),
    "content": ("记录与清单完全一致", "the records are exactly what the manifest says"),
    "no-rollback": ("未曾用过更新的版本（运行时检查）", "no newer version was used here (checked by a run)"),
}


@app.command("build", help=tr("检查源文件夹，封装并签名", "check a source folder, seal it for its recipients, sign it"))
def build(
    *,
    source: Annotated[Path, typer.Argument(metavar="SRC", readable=False, help=tr("源文件夹", "the source folder"))],
    sign_key: Annotated[
        Path,
        typer.Option(metavar="PATH", readable=False, help=tr("发布者私钥文件", "the publisher's private key file")),
    ],
    out: Annotated[
        Path, typer.Option(metavar="F.mlbb", readable=False, help=tr("要写的数据包文件", "the bundle file to write"))
    ],
    recipient: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PUB",
            readable=False,
            help=tr(
                "医院的 *.recipient.json（可多次给出）；发布者自己总能打开",
                "a hospital's *.recipient.json (repeatable); the publisher can always open it",
            ),
        ),
    ] = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Check a source folder, seal it for its recipients and sign it."""
    from mlb_offline.bundle.build import build_bundle
    from mlb_offline.bundle.source import read_source
    from mlb_offline.trust.keys import KeyKind, load_recipient_public, load_signing_key

    key = load_signing_key(sign_key, unlock(sign_key, passphrase_file), KeyKind.PUBLISHER)
    recipients = [load_recipient_public(path) for path in recipient or []]
    manifest = build_bundle(read_source(source), key, recipients, out, now=datetime.now(UTC))
    lines = [
        tr(f"已写出 {out}", f"written: {out}"),
        *_lines(manifest),
        tr("签名公钥指纹：", "fingerprint of the signing key: ") + key.verify_key.fingerprint,
    ]
    result = {
        "file": str(out),
        "manifest": manifest.model_dump(),
        "publisher": {"keyid": key.keyid, "fingerprint": key.verify_key.fingerprint},
    }
    emit(result, as_json=as_json, lines=lines)


@app.command("show", help=tr("查看数据包自述（不验证）", "show what a bundle says of itself; nothing is verified"))
def show(file: BundleArgument, as_json: JsonFlag = False) -> None:
    """Show what a bundle says of itself. Nothing is verified: see ``bundle verify``."""
    from mlb_offline.bundle.opening import show_bundle

    manifest = show_bundle(file)
    warning = tr(
        "以下为数据包自述，未经验证（验证用 bundle verify）",
        "what the bundle says of itself, unverified (to verify: bundle verify)",
    )
    result = {"file": str(file), "verified": False, "manifest": manifest.model_dump()}
    emit(result, as_json=as_json, lines=[warning, *_lines(manifest)])


@app.command("verify", help=tr("验证数据包；给出私钥则连内容一并验证", "verify a bundle; with a key, its content too"))
def verify(
    *,
    file: BundleArgument,
    trust: TrustOption,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            readable=False,
            help=tr(
                "接收私钥文件；给出则连内容一并检查", "recipient private key file; with it the content is checked too"
            ),
        ),
    ] = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Check everything about a bundle that can be checked with, or without, a recipient key."""
    from mlb_offline.bundle.opening import verify_bundle
    from mlb_offline.trust.keys import load_recipient_key
    from mlb_offline.trust.store import load_trust

    recipient = None if key is None else load_recipient_key(key, unlock(key, passphrase_file))
    found = verify_bundle(file, load_trust(trust), key=recipient, now=datetime.now(UTC))
    lines = [
        tr(f"{file}：验证通过", f"{file}: verified"),
        *(f"  ✓ {tr(*_CLAIMS[claim])}" for claim in found.proved),
        *(tr("  – 未检查：", "  – not checked: ") + tr(*_CLAIMS[claim]) for claim in found.unproved),
        *_lines(found.manifest),
        tr("签名公钥指纹：", "fingerprint of the signing key: ") + found.publisher.fingerprint,
    ]
    result = {
        "file": str(file),
        "verified": True,
        "proved": list(found.proved),
        "unproved": list(found.unproved),
        "file_sha256": found.file_sha256,
        "publisher": {"keyid": found.publisher.keyid, "fingerprint": found.publisher.fingerprint},
        "manifest": found.manifest.model_dump(),
    }
    emit(result, as_json=as_json, lines=lines)


def _lines(manifest: Manifest) -> list[str]:
    core: Any = manifest.core
    lines = [
        tr("标题：", "title: ") + core.title,
        tr("发布者：", "publisher: ") + core.publisher,
        tr(f"系列 {core.series} 版本 {core.version}", f"series {core.series} version {core.version}"),
        tr(f"数据包 {core.bundle}", f"bundle {core.bundle}"),
        tr(f"有效期 {core.issued} 至 {core.expires}", f"in force from {core.issued} until {core.expires}"),
        tr(f"接收方 {len(manifest.recipients)} 个", f"recipients: {len(manifest.recipients)}"),
    ]
    if core.demonstration:
        lines.append(tr("仅供演示", "for demonstration only"))
    for entry in core.datasets:
        about = f"  {entry.id}: {entry.items} × {entry.metric}"
        lines.append(about + tr(f"（{entry.licence}；{entry.source}）", f" ({entry.licence}; {entry.source})"))
        if entry.judge_prompt:
            told = f"own/{entry.judge_prompt[:12]}"
            lines.append(tr(f"    自带裁判提示词 {told}", f"    its own judge prompt {told}"))
    return lines
