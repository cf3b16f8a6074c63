"""What comes back to the desk: which packet a file belongs to, and what it says, checked."""

from __future__ import annotations

from pathlib import Path

from mlb_offline.adjudication.desk import Desk
from mlb_offline.adjudication.packet import Packet
from mlb_offline.adjudication.result import MAX_BYTES, ReviewerResult, make_result, open_result, packet_of
from mlb_offline.adjudication.tables import is_table, read_table
from mlb_offline.errors import InputError, TrustError, UsageError
from mlb_offline.language import tr
from mlb_offline.regular_file import read_at_most
from mlb_offline.trust.signing import SigningKey
from mlb_offline.trust.store import TrustSet


def arrived(
    desk: Desk, file: Path, trust: TrustSet, *, packet: str | None = None, signing_key: SigningKey | None = None
) -> tuple[Packet, ReviewerResult]:
    """The packet of a file, and the physician's verdicts on it.

    Args:
        desk: gave it out.
        file: what a page saved, or a table filled in.
        trust: the reviewers whose verdicts count.
        packet: of a table; by default the last one that was given out in plaintext.
        signing_key: the reviewer's, which signs what a table says.

    Raises:
        UsageError: a table without its reviewer's key, or a packet that this run never gave out.
        InputError: the file cannot be read or is malformed.
        TrustError: it is not signed by a trusted reviewer, was edited, or belongs to another run or packet.
    """
    known = desk.packets()
    if is_table(file):
        return _table(desk, file, trust, packet or _last_plaintext(known, file), signing_key)
    try:
        raw = read_at_most(file, MAX_BYTES)
    except OSError as error:
        raise InputError(
            tr(f"文件无法读取：{error.strerror}", f"the file cannot be read: {error.strerror}"),
            file=file,
            remedy=tr("核对路径与权限", "check the path and its permissions"),
        ) from None
    named = packet_of(raw, file=file)
    if named not in known:
        raise TrustError(
            tr("这是另一次运行的任务包的结果", "it belongs to a packet that this run never gave out"),
            file=file,
            field="packet",
            remedy=tr("核对文件与运行目录", "check which run the file belongs to"),
        )
    given, _ = known[named]
    return given, open_result(raw, given, desk.key_of(given), trust, file=file)


def _last_plaintext(known: dict[str, tuple[Packet, bool]], file: Path) -> str:
    exported = [name for name, (_, plaintext) in known.items() if plaintext]
    if not exported:
        raise UsageError(
            tr("该运行没有导出过表格", "this run never gave out a table"),
            file=file,
            remedy=tr("先用 adjudicate export", "first: adjudicate export"),
        )
    return exported[-1]


def _table(
    desk: Desk, file: Path, trust: TrustSet, name: str, signing_key: SigningKey | None
) -> tuple[Packet, ReviewerResult]:
    if signing_key is None:
        raise UsageError(
            tr("表格须由评定医生签署", "a table must be signed by the physician who filled it in"),
            file=file,
            field="--reviewer-key",
            remedy=tr("用 --reviewer-key 给出医生的私钥", "name the physician's private key with --reviewer-key"),
        )
    known = desk.packets()
    if name not in known:
        raise UsageError(
            tr(f"该运行没有任务包 {name}", f"this run never gave out a packet {name}"),
            field="--packet",
            remedy=tr("核对任务包编号", "check the packet's UUID"),
        )
    packet, _ = known[name]
    verdicts, notes = read_table(file, packet)
    key = desk.key_of(packet)
    return packet, open_result(make_result(packet, key, signing_key, verdicts, notes), packet, key, trust, file=file)
