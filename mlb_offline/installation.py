"""Where the data that comes beside the package stands (``models/``, ``bundles/``), and whether an image is as built."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mlb_offline.errors import InputError, TrustError
from mlb_offline.language import tr


def data_folder() -> Path:
    """The folder that holds ``models/`` and ``bundles/``: ``$MLB_DATA``, else the source checkout.

    Raises:
        InputError: it does not hold them.
    """
    named = os.environ.get("MLB_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[1]
    if not (folder / "bundles").is_dir():
        raise InputError(
            tr("找不到 bundles/ 目录", "there is no bundles/ folder"),
            file=folder,
            remedy=tr(
                "将环境变量 MLB_DATA 设为含 models/ 与 bundles/ 的目录（映像中为 /opt/mlb-offline）",
                "set MLB_DATA to the folder that holds models/ and bundles/ (/opt/mlb-offline in the image)",
            ),
        )
    return folder


def command_words() -> list[str]:
    """What the operator types to start this program: ``$MLB_COMMAND``, which the script of the image sets."""
    try:
        return shlex.split(os.environ.get("MLB_COMMAND", "")) or ["mlb-offline"]
    except ValueError:
        return ["mlb-offline"]


MANIFEST = "MANIFEST.sha256"
"""In ``$MLB_DATA`` of an image: the digests of all its files, in the form of sha256sum(1)."""

_PROGRAMS = (Path("/usr/bin"), Path("/usr/sbin"), Path("/usr/lib"), Path("/usr/local"))
_SHOWN = 5


@dataclass(frozen=True)
class Image:
    """The image this program runs in: SHA-256 (hex) of its manifest, and the number of files, all of which fit it."""

    manifest_sha256: str
    files: int


@cache
def check_image() -> Image | None:
    """``measure_image``, once a process."""
    return measure_image()


def measure_image() -> Image | None:
    """Measure every file of the image against its manifest; None outside an image.

    Where programs and libraries lie, files that the manifest does not list count as changed too; ``models/`` and
    ``bundles/`` are places where a hospital may mount its own.

    Raises:
        TrustError: files are missing, were changed or were added, or the manifest cannot be read.
    """
    folder = os.environ.get("MLB_DATA")
    manifest = Path(folder) / MANIFEST if folder else None
    if manifest is None or not manifest.is_file():
        return None
    raw = manifest.read_bytes()
    entries = dict(line.split("  ", 1)[::-1] for line in raw.decode("utf-8").splitlines())
    wrong = [path for path, digest in entries.items() if _digest(Path(path)) != digest]
    measured = [top for top in _PROGRAMS if any(path.startswith(f"{top}/") for path in entries)]
    wrong += [path for path in _files(manifest.parent, measured) if path not in entries]
    if wrong:
        names = ", ".join(wrong[:_SHOWN])
        raise TrustError(
            tr(
                f"映像中有 {len(wrong)} 个文件与制作时不同：{names}",
                f"{len(wrong)} files of the image are not as they were built: {names}",
            ),
            file=manifest,
            remedy=tr("从介质重新载入映像并核对 SHA256SUMS", "load the image from the media again; check SHA256SUMS"),
        )
    return Image(hashlib.sha256(raw).hexdigest(), len(entries))


def _files(data: Path, tops: Sequence[Path]) -> Iterator[str]:
    """Every file under these folders and the data folder; a link counts as the file that it leads to."""
    for top in (*tops, data):
        for parent, folders, names in os.walk(top):
            if Path(parent) == data:
                folders[:] = [name for name in folders if name not in {"models", "bundles"}]
            for name in names:
                path = Path(parent, name)
                if name != MANIFEST and path.exists():
                    yield str(path.resolve())


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
