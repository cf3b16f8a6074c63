"""A training's checkpoint: one file that appears whole or not at all, and belongs to one base, recipe and data."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.judge.training.large.fit import State
from mlb_offline.judge.training.large.libraries import library
from mlb_offline.judge.training.writing import replacing
from mlb_offline.language import tr

_FORMAT = "mlb-offline/large-checkpoint/v1"
Identity = dict[str, Any]
"""What the result depends on, as JSON values: base, recipe, prompt, data."""


def save_checkpoint(path: Path, state: State, identity: Identity) -> None:
    """Write a checkpoint in the place of the one before it.

    Raises:
        InputError: it cannot be written; the one before is still there.
    """
    torch = library("torch")
    buffer = io.BytesIO()  # torch hides the reason of a write that failed
    torch.save({"format": _FORMAT, "identity": identity, **vars(state)}, buffer)
    with replacing(path) as partial:
        partial.write_bytes(buffer.getbuffer())


def load_checkpoint(path: Path, identity: Identity) -> State:
    """Read a checkpoint of this very training.

    Raises:
        InputError: it cannot be read, or belongs to another base, recipe, prompt or data; names the difference.
    """
    torch = library("torch")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        if stored.pop("format") != _FORMAT:
            raise ValueError(_FORMAT)
        found = stored.pop("identity")
        state = State(**stored)
    except Exception as error:  # noqa: BLE001 - torch raises what it likes on a damaged file
        raise InputError(
            tr(f"检查点无法读取：{type(error).__name__}", f"the checkpoint cannot be read: {type(error).__name__}"),
            file=path,
            remedy=tr("删除该文件，从头训练", "remove the file and train from the beginning"),
        ) from None
    field = _difference(found, identity)
    if field is not None:
        then, now = _at(found, field), _at(identity, field)
        raise InputError(
            tr(
                f"检查点属于另一次训练：{field} 当时为 {then}，现为 {now}",
                f"the checkpoint belongs to another training: {field} was {then} and is {now}",
            ),
            file=path,
            field=field,
            remedy=tr(
                "以原来的基座、配方与标注恢复，或换一个输出文件夹重新训练",
                "resume with the base, recipe and annotations of then, or train anew into another folder",
            ),
        )
    return state


def _difference(found: Any, wanted: Any, place: str = "") -> str | None:
    """The first dotted key at which two identities differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            inner = _difference(found.get(key), wanted.get(key), f"{place}.{key}".lstrip("."))
            if inner is not None:
                return inner
        return None
    return None if found == wanted else place


def _at(identity: Identity, field: str) -> Any:
    value: Any = identity
    for key in field.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
