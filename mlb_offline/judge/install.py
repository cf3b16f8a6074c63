"""Installing a judge of one's own: examined, hashed, copied into the state folder, and recorded there."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydantic

from mlb_offline.bundle.manifest import format_time
from mlb_offline.bundle.state import open_state
from mlb_offline.bundle.state_files import locked, sync_folder
from mlb_offline.configuration import explain
from mlb_offline.errors import InputError, UsageError
from mlb_offline.judge.installed import (
    FOLDER,
    Calibration,
    InstalledJudge,
    Measured,
    installed_judges,
    now_asked,
    save,
)
from mlb_offline.language import tr
from mlb_offline.regular_file import measured, open_regular

_PIECE = 4 << 20


def install(
    file: Path,
    folder: Path | None,
    *,
    name: str | None = None,
    licence: str | None = None,
    reasons: bool = False,
    in_place: bool = False,
    threads: int = 2,
) -> InstalledJudge:
    """Install a GGUF model as a judge.

    Args:
        file: the model.
        folder: the state folder; None: the default one.
        name: None: what the file says, or how it is called.
        licence: None: what the file says.
        reasons: let it reason before its verdict.
        in_place: record where the file is instead of copying it.
        threads: that llama.cpp may use for the trial.

    Raises:
        InputError: it cannot be read or cannot be a judge, it changed meanwhile, or the folder cannot be written.
        UsageError: no licence is known, the name cannot be one, or the judge or another of its name is installed.
        TrustError: the folder's record is damaged.
    """
    state = open_state(folder).folder
    found = _examined(file, name, licence, reasons=reasons, threads=threads)
    _refuse_known(installed_judges(state), found)
    place = str(file.resolve()) if in_place else f"{FOLDER}/{found.sha256}.gguf"
    if not in_place:
        _copy(file, state / place, found.sha256)
    return _record(state, found.model_copy(update={"file": place}), lock=True)


def bake(
    file: Path, *, name: str | None = None, licence: str | None = None, reasons: bool = False, threads: int = 2
) -> InstalledJudge:
    """Record a model in ``judges.json`` beside it: a folder that is to become part of an image.

    Raises:
        InputError, UsageError, TrustError: as ``install``.
    """
    found = _examined(file, name, licence, reasons=reasons, threads=threads)
    _refuse_known(installed_judges(file.parent), found)
    return _record(file.parent, found, lock=False)


def remove(name: str, folder: Path | None) -> InstalledJudge:
    """Forget an installed judge, and delete the state folder's copy of it; a file left in its place stays.

    Raises:
        UsageError: none of that name is installed there.
        InputError: the folder cannot be written.
        TrustError: its record is damaged.
    """
    state = open_state(folder).folder
    with locked(state):
        judges = installed_judges(state)
        found = next((one for one in judges if one.name == name), None)
        if found is None:
            names = ", ".join(one.name for one in judges) or tr("无", "none")
            raise UsageError(
                tr(f"没有安装名为“{name}”的裁判", f"no judge named {name!r} is installed"),
                field="--remove",
                remedy=tr(f"已安装：{names}（状态目录 {state}）", f"installed: {names} (state folder {state})"),
            )
        save(state, [one for one in judges if one is not found])
        if found.copied:
            with _told(found.path):
                found.path.unlink(missing_ok=True)
    return found


def keep_calibration(
    judge: InstalledJudge, folder: Path | None, figures: dict[str, Any], labelled: Path
) -> InstalledJudge:
    """Keep what a judge was found to be worth in the state folder; one baked into an image is recorded there from now.

    Args:
        judge: as ``known_judges`` gave it.
        folder: the state folder; None: the default one.
        figures: of this judge alone, as ``calibration.calibrate`` gives them under ``judges``.
        labelled: the file of the labelled set.

    Raises:
        InputError: the set cannot be read or the folder cannot be written.
        TrustError: the folder's record is damaged.
    """
    state = open_state(folder).folder
    with _told(labelled):
        digest = measured(labelled)[0]
    calibration = Calibration(
        set_sha256=digest,
        measured=_now(),
        prompt=now_asked(judge.prompt),
        overall=Measured.of(figures),
        by_family={family: Measured.of(found) for family, found in figures["by_family"].items()},
    )
    with locked(state):
        judges = installed_judges(state)
        kept = next((one for one in judges if one.sha256 == judge.sha256), None)
        others = [one for one in judges if one is not kept]
        base = kept or judge.model_copy(update={"file": str(judge.path.resolve())})
        new = base.model_copy(update={"calibration": calibration})
        save(state, [*others, new])
    return new


def _examined(file: Path, name: str | None, licence: str | None, *, reasons: bool, threads: int) -> InstalledJudge:
    """The model's entry, its ``file`` the bare name."""
    from mlb_offline.judge.llama.examine import examine

    with _told(file):
        sha256, size = measured(file)
    found = examine(file, reasons=reasons, threads=threads)
    known = licence or found.licence
    if not known:
        raise UsageError(
            tr("模型文件未写明许可证", "the model file does not say under which licence it is"),
            field="--licence",
            remedy=tr("用 --licence 写明其许可证", "name its licence with --licence"),
        )
    try:
        return InstalledJudge(
            name=name or found.name or file.stem,
            file=file.name,
            sha256=sha256,
            size=size,
            architecture=found.architecture,
            quantisation=found.quantisation,
            parameters=found.parameters,
            context=found.context,
            licence=known,
            installed=_now(),
            prompt=found.prompt,
            reasons=reasons,
        )
    except pydantic.ValidationError as error:
        field, message = explain(error)
        option = {"name": "--name", "licence": "--licence"}.get(field or "")
        raise InputError(
            tr(f"无法记录该模型：{message}", f"the model cannot be recorded: {message}"),
            file=file,
            field=field,
            remedy=tr(f"用 {option} 另行写明", f"name it with {option}")
            if option
            else tr("换用另一份模型文件", "use another file of the model"),
        ) from None


def _refuse_known(judges: tuple[InstalledJudge, ...], new: InstalledJudge) -> None:
    for one in judges:
        if one.sha256 == new.sha256 or one.name == new.name:
            same = one.sha256 == new.sha256
            raise UsageError(
                tr(f"该裁判已安装，名为“{one.name}”", f"this judge is installed already, as {one.name!r}")
                if same
                else tr(f"已有另一个名为“{one.name}”的裁判", f"another judge named {one.name!r} is installed"),
                field=None if same else "--name",
                remedy=tr(
                    "先用 judge install --remove 移除，或用 --name 另取名称",
                    "remove it first with judge install --remove, or give another --name",
                )
                if not same
                else tr("如需重新安装，先用 --remove 移除", "to install it again, remove it first with --remove"),
            )


def _record(folder: Path, new: InstalledJudge, *, lock: bool) -> InstalledJudge:
    with locked(folder) if lock else nullcontext():
        judges = installed_judges(folder)
        _refuse_known(judges, new)
        save(folder, sorted([*judges, new], key=lambda one: one.name))
    return next(one for one in installed_judges(folder) if one.sha256 == new.sha256)


def _copy(source: Path, target: Path, sha256: str) -> None:
    """Copy a file whose content must be the one that was examined; whole or not at all.

    What an interrupted copy left is overwritten.
    """
    partial = target.with_suffix(".partial")
    with _told(target):
        target.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # another process may be copying the same model
        except OSError:
            os.close(descriptor)
            raise
    try:
        with _told(target), os.fdopen(descriptor, "wb") as writer, open_regular(source) as reader:
            writer.truncate()
            digest = hashlib.sha256()
            while piece := reader.read(_PIECE):
                digest.update(piece)
                writer.write(piece)
            writer.flush()
            os.fsync(writer.fileno())
        if digest.hexdigest() != sha256:
            raise InputError(
                tr("文件在安装过程中被改动", "the file changed while it was installed"),
                file=source,
                remedy=tr("确认无其他程序写入后重试", "see that nothing writes to it, and try again"),
            )
        with _told(target):
            partial.replace(target)
            sync_folder(target.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _now() -> str:
    return format_time(datetime.now(UTC))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            tr(f"无法读写：{error.strerror}", f"cannot be read or written: {error.strerror}"),
            file=path,
            remedy=tr("核对路径、权限与剩余空间", "check the path, the permissions and the free space"),
        ) from None
