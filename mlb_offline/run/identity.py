"""What makes a run this run: fixed before the first request, and the same at every resume.

The identity is one canonical JSON object. It names everything that could change an answer or a score; what
cannot (concurrency, the place of a file) stays out of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785

from mlb_offline import __version__
from mlb_offline.airgap.guard import current
from mlb_offline.bundle.opening import OpenedBundle
from mlb_offline.errors import UsageError
from mlb_offline.installation import check_image
from mlb_offline.language import tr
from mlb_offline.run.declaration import Declaration
from mlb_offline.run.plan import Plan

FORMAT = "mlb-offline/run/v1"
_SHOWN = 8
"""Differences that a message lists; one change of the bundle or the selection makes many."""


@dataclass(frozen=True)
class Difference:
    """One field in which a resume differs from the run; values are as in the identity, None where absent."""

    field: str
    stored: Any
    offered: Any

    def text(self) -> str:
        """``field: old → new``, in one line."""
        return f"{self.field}: {_shown(self.stored)} → {_shown(self.offered)}"


def make_identity(
    *,
    bundle: OpenedBundle,
    plan: Plan,
    target: Mapping[str, Any],
    judges: Sequence[Mapping[str, Any]],
    answers_file: bool,
    policy_sha256: str,
    declaration: Declaration,
    demonstration_key: bool,
) -> dict[str, Any]:
    """The identity of a run.

    Args:
        bundle: the opened bundle.
        plan: what is asked of it.
        target: the target's description, read after its probe.
        judges: what tells each judge; none where no dataset needs one.
        answers_file: the answers' origin cannot be vouched for.
        policy_sha256: digest of the policy fixed with the run.
        declaration: what the hospital declares.
        demonstration_key: the recipient key is a demonstration key.

    Returns:
        a JSON object; docs/run-store.md lists its keys.

    Raises:
        TrustError: files of the image are not those that were built into it.
    """
    parameters = target.get("parameters")
    seed = parameters.get("seed") if isinstance(parameters, Mapping) else None
    image = check_image()
    return {
        "answers_file": answers_file,
        "bundle": _bundle(bundle),
        "declaration": declaration.to_json(),
        "declaration_sha256": declaration.digest,
        "demonstration": {"bundle": bundle.manifest.core.demonstration, "keys": demonstration_key},
        "format": FORMAT,
        "guard_mode": current().mode.value,
        "image": None if image is None else image.manifest_sha256,
        "items_sha256": plan.items_sha256(),
        "judges": [dict(judge) for judge in judges],
        "policy_sha256": policy_sha256,
        "prompts_sha256": plan.prompts_sha256(),
        "repeats": plan.repeats,
        "seeds": [] if seed is None else [seed + repeat for repeat in range(plan.repeats)],
        "selection": plan.selection(),
        "target": dict(target),
        "tool_version": __version__,
    }


def _bundle(bundle: OpenedBundle) -> dict[str, Any]:
    core = bundle.manifest.core
    return {
        "core_sha256": bundle.manifest.core_digest().hex(),
        "demonstration": core.demonstration,
        "expires": core.expires,
        "file_sha256": bundle.file_sha256,
        "issued": core.issued,
        "publisher": {"fingerprint": bundle.publisher.fingerprint, "keyid": bundle.publisher.keyid},
        "series": core.series,
        "title": core.title,
        "uuid": core.bundle,
        "version": core.version,
    }


def target_fingerprint(target: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of what a target is, without where it is reached and how it was asked.

    By this its attempts are counted; the address stays out of it, for one server has many spellings.
    """
    named = {key: target[key] for key in ("kind", "model", "sha256") if key in target}
    return hashlib.sha256(rfc8785.dumps(named)).hexdigest()


def identity_digest(identity: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON of an identity."""
    return hashlib.sha256(rfc8785.dumps(dict(identity))).hexdigest()


def differences(stored: Mapping[str, Any], offered: Mapping[str, Any]) -> list[Difference]:
    """Every field, by its dotted path, in which two identities differ, in order."""
    old, new = dict(_flat(stored)), dict(_flat(offered))
    # Compared as canonical JSON: in Python True == 1, and an absent field is not a null.
    names = sorted(name for name in old.keys() | new.keys() if _canonical(old, name) != _canonical(new, name))
    return [Difference(name, old.get(name), new.get(name)) for name in names]


def require_same(stored: Mapping[str, Any], offered: Mapping[str, Any]) -> None:
    """Refuse to resume what is not the same run.

    Raises:
        UsageError: something differs; the message names each field with its old and new value.
    """
    found = differences(stored, offered)
    if found:
        lines = "\n".join(f"  {difference.text()}" for difference in found[:_SHOWN])
        if len(found) > _SHOWN:
            lines += tr(f"\n  ……另有 {len(found) - _SHOWN} 处", f"\n  … and {len(found) - _SHOWN} more")
        raise UsageError(
            tr(
                f"这不是同一次运行，不能继续；不同之处：\n{lines}", f"this is not the same run; it differs in:\n{lines}"
            ),
            remedy=tr("恢复原来的设置后再继续，或开始一次新的运行", "restore what it was, or start a new run"),
        )


def require_same_models(stored: Mapping[str, Any], offered: Mapping[str, Any]) -> None:
    """Refuse to resume where the target now offers other models than in the first session.

    Args:
        stored: what the probe of the first session said.
        offered: what the probe says now.

    Raises:
        UsageError: ``models`` (in any order) or ``model`` differs, and is named with its old and new value.
    """
    require_same({"probe": _models(stored)}, {"probe": _models(offered)})


def _models(probe: Mapping[str, Any]) -> dict[str, Any]:
    names = probe.get("models")
    return {"models": sorted(names, key=str) if isinstance(names, list) else names, "model": probe.get("model")}


def _flat(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        value = dict(enumerate(value, start=1))
    if isinstance(value, Mapping) and value:
        return [pair for key, inner in value.items() for pair in _flat(inner, f"{path}.{key}" if path else str(key))]
    return [(path, value)]


def _canonical(fields: Mapping[str, Any], name: str) -> bytes | None:
    return rfc8785.dumps(fields[name]) if name in fields else None


def _shown(value: Any) -> str:
    text = tr("（无）", "(none)") if value is None else rfc8785.dumps(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}…"
