"""Key, trusted keys and bundle: would a run open the bundle?"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from mlb_offline.bundle.opening import Verified, verify_bundle
from mlb_offline.bundle.state import State
from mlb_offline.bundle.validity import check_clock, find_rollback, refuse_rollback
from mlb_offline.doctor.finding import Area, Checks, ok, warning
from mlb_offline.doctor.options import Options
from mlb_offline.language import tr
from mlb_offline.trust.keys import RecipientKey, load_recipient_key, needs_passphrase
from mlb_offline.trust.store import TrustSet, load_trust

SOON = timedelta(days=30)
"""A bundle that expires within this time may not last for the runs planned with it."""


def check_key(path: Path, options: Options) -> Checks[RecipientKey]:
    """Open the recipient key, and return it.

    Raises:
        InputError, TrustError, UsageError: as ``load_recipient_key``.
    """
    key = load_recipient_key(path, options.passphrase())
    guarded = (
        tr("有口令", "with a passphrase")
        if needs_passphrase(path)
        else tr("无口令，得到该文件的人即可使用", "without a passphrase: whoever gets the file can use it")
    )
    yield ok(
        Area.KEY,
        "opened",
        tr(
            f"接收私钥可用（{key.public.kind}，{guarded}）",
            f"the recipient key can be used ({key.public.kind}, {guarded})",
        ),
    )
    if key.demonstration:
        yield warning(
            Area.KEY,
            "demonstration",
            tr(
                "这是演示密钥，其报告只能标为“仅供参考”", "this is a demonstration key: its reports are indicative only"
            ),
            tr(
                "正式评测用 keys new --kind hospital 生成的密钥", "evaluate with a key made by keys new --kind hospital"
            ),
        )
    return key


def check_trust(options: Options) -> Checks[TrustSet]:
    """Read the trusted public keys, and return them.

    Raises:
        InputError, TrustError: as ``load_trust``.
    """
    trust = load_trust(options.trust)
    yield ok(Area.BUNDLE, "trust", tr(f"可信公钥 {len(trust.keys)} 个", f"trusted public keys: {len(trust.keys)}"))
    return trust


def check_bundle(path: Path, trust: TrustSet, key: RecipientKey | None, now: datetime) -> Checks[Verified]:
    """Verify the bundle, with the content where there is a key, and return what was proved.

    Raises:
        InputError, TrustError: as ``verify_bundle``.
    """
    found = verify_bundle(path, trust, key=key, now=now)
    core = found.manifest.core
    items = sum(entry.items for entry in core.datasets)
    content = (
        tr("内容可打开", "the content opens")
        if key
        else tr("内容未检查（无可用的 --key）", "content not checked (no key)")
    )
    yield ok(
        Area.BUNDLE,
        "verified",
        tr(
            f"{path}：签名有效，第 {core.version} 版，{len(core.datasets)} 个数据集 {items} 题，{content}",
            f"{path}: signature valid, version {core.version}, datasets {len(core.datasets)}, items {items}; {content}",
        ),
    )
    left = core.expires_at - now
    if left < SOON:
        yield warning(
            Area.BUNDLE,
            "expires",
            tr(
                f"数据包将于 {left.days} 天后过期（{core.expires}）",
                f"the bundle expires in {left.days} days ({core.expires})",
            ),
            tr("向发布者索取新版数据包", "ask the publisher for a new one"),
        )
    else:
        yield ok(Area.BUNDLE, "expires", tr(f"有效期至 {core.expires}", f"good until {core.expires}"))
    if core.demonstration:
        yield warning(
            Area.BUNDLE,
            "demonstration",
            tr(
                "这是演示数据包，其报告只能标为“仅供参考”",
                "this is a demonstration bundle: its reports are indicative only",
            ),
            tr(
                "正式评测用发布者为本院制作的数据包", "evaluate with a bundle that the publisher made for this hospital"
            ),
        )
    return found


def check_history(path: Path, found: Verified, state: State, now: datetime) -> Checks[None]:
    """Compare the bundle with what was seen before.

    Raises:
        TrustError: the clock was set back, or a newer bundle was used here.
    """
    core, publisher = found.manifest.core, found.publisher.keyid
    check_clock(publisher, state, now, file=path)
    rollback = find_rollback(core, publisher, state)
    if rollback is not None:
        raise refuse_rollback(core, rollback, file=path)
    yield ok(Area.BUNDLE, "no-rollback", tr("此前没有用过更新的版本", "no newer version was used here before"))
