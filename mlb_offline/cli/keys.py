"""``mlb-offline keys``: make keys, and show the fingerprint of any."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mlb_offline.cli.kit import JsonFlag, PassphraseOption, emit
from mlb_offline.language import tr

app = typer.Typer(no_args_is_help=True, help=tr("密钥：生成与查看", "keys: make them, show them"))


class Kind(StrEnum):
    """What a key is for."""

    PUBLISHER = "publisher"
    HOSPITAL = "hospital"
    REPORT = "report"
    REVIEWER = "reviewer"


def unlock(key: Path, passphrase_file: Path | None) -> str | None:
    """The passphrase for a private key: from the file named, else asked for if there is a terminal and need.

    Raises:
        InputError: the passphrase file or the key file cannot be read.
        TrustError: others may read the key file.
    """
    from mlb_offline.trust.keys import needs_passphrase, read_passphrase

    passphrase = read_passphrase(passphrase_file)
    if passphrase is None and sys.stdin.isatty() and sys.stderr.isatty() and needs_passphrase(key):
        question = tr(f"{key} 的口令", f"passphrase of {key}")
        return str(typer.prompt(question, hide_input=True, err=True))
    return passphrase


@app.command("new", help=tr("生成密钥，不覆盖已有文件", "make a key, never over an existing one"))
def new(
    kind: Annotated[
        Kind,
        typer.Option(
            help=tr(
                "publisher：制作数据包；hospital：打开数据包；report：签署报告；reviewer：签署医生的评定",
                "publisher: builds bundles; hospital: opens them; report: signs reports; reviewer: signs a physician's "
                "verdicts",
            )
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="PATH", readable=False, help=tr("存放密钥文件的文件夹", "folder for the key files"))
    ],
    passphrase_file: PassphraseOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a key: a private file (mode 0600) and its public files, never over existing ones."""
    from mlb_offline.trust.keys import KeyKind, new_key, read_passphrase

    passphrase = read_passphrase(passphrase_file)
    files = new_key(KeyKind(kind.value), out, passphrase)
    shown = [_describe(file, None) for file in files[1:]]
    lines = [tr("私钥（勿外传）：", "private, keep it to yourself: ") + str(files[0])]
    for file, about in zip(files[1:], shown, strict=True):
        lines += [tr("公钥：", "public: ") + str(file), _fingerprint_line(about["fingerprint"])]
    if passphrase is None:
        lines.append(
            tr(
                "注意：私钥没有口令保护，得到该文件的人即可使用",
                "note: the private key has no passphrase; whoever gets the file can use it",
            )
        )
    result = {
        "kind": kind.value,
        "files": [str(file) for file in files],
        "passphrase": passphrase is not None,
        "public": shown,
    }
    emit(result, as_json=as_json, lines=lines)


@app.command("show", help=tr("查看密钥文件及其指纹", "show a key file and its fingerprint"))
def show(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", readable=False, help=tr("公钥或私钥文件", "a public or private key file"))
    ],
    passphrase_file: PassphraseOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what a key file is, and its fingerprint to be compared aloud."""
    about = _describe(file, passphrase_file)
    lines = [f"{name}: {value}" for name, value in about.items() if name not in {"fingerprint", "public"}]
    if "fingerprint" in about:
        lines.append(_fingerprint_line(about["fingerprint"]))
    for public in about.get("public", []):
        lines += [f"{public['use']} {public['keyid']}", _fingerprint_line(public["fingerprint"])]
    emit(about, as_json=as_json, lines=lines)


def _fingerprint_line(text: str) -> str:
    return tr("指纹：", "fingerprint: ") + text


def _describe(file: Path, passphrase_file: Path | None) -> dict[str, Any]:
    from mlb_offline.trust.files import read_small
    from mlb_offline.trust.store import load_public_key

    data, _mode = read_small(file)
    if not data.lstrip().startswith(b"{"):
        key = load_public_key(file)
        return {"file": str(file), "use": "verify", "keyid": key.keyid, "fingerprint": key.fingerprint}
    return _describe_json(file, passphrase_file)


def _describe_json(file: Path, passphrase_file: Path | None) -> dict[str, Any]:
    from mlb_offline.trust.files import read_json
    from mlb_offline.trust.hybrid import PUBLIC_FORMAT
    from mlb_offline.trust.keys import load_recipient_public
    from mlb_offline.trust.sealing import read_private

    raw, _mode = read_json(file)
    if isinstance(raw, dict) and raw.get("format") == PUBLIC_FORMAT:
        key = load_recipient_public(file)
        return {
            "file": str(file),
            "use": "seal-for",
            "kind": key.kind,
            "demonstration": key.demonstration,
            "keyid": key.keyid,
            "fingerprint": key.fingerprint,
        }
    private = read_private(file)
    return {
        "file": str(file),
        "use": "private",
        "kind": private.kind,
        "created": private.created,
        "demonstration": private.demonstration,
        "passphrase": private.passphrase,
        "public": _public_halves(file, private.kind, unlock(file, passphrase_file)),
    }


def _public_halves(file: Path, kind: str, passphrase: str | None) -> list[dict[str, str]]:
    from mlb_offline.trust.keys import RECIPIENTS, KeyKind, load_recipient_key, load_signing_key

    halves = []
    if kind != Kind.HOSPITAL:
        signing = load_signing_key(file, passphrase, KeyKind(kind)).verify_key
        halves.append({"use": "verify", "keyid": signing.keyid, "fingerprint": signing.fingerprint})
    if kind in RECIPIENTS:
        recipient = load_recipient_key(file, passphrase).public
        halves.append({"use": "seal-for", "keyid": recipient.keyid, "fingerprint": recipient.fingerprint})
    return halves
