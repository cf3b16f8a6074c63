"""What the commands of ``mlb-offline judge`` share: options, and the list and the installed judges that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlb_offline.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlb_offline.judge.installed import InstalledJudge
    from mlb_offline.judge.manifest import Manifest

ModelsOption = Annotated[
    Path | None,
    typer.Option(
        "--models",
        metavar="DIR",
        readable=False,
        help=tr("裁判模型文件夹；默认 $MLB_DATA/models", "folder of the judge models; default $MLB_DATA/models"),
    ),
]
PublisherOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust",
        metavar="PATH",
        readable=False,
        help=tr(
            "模型发布者的可信公钥或其文件夹（可多次给出）；默认为程序内置的公钥",
            "trusted public key of the models' publisher, or folder (repeatable); default: the one built in",
        ),
    ),
]
ThreadsOption = Annotated[
    int, typer.Option("--threads", min=1, help=tr("处理器线程数", "CPU threads that a judge may use"))
]


def opened_list(models: Path | None, trust: Sequence[Path] | None) -> tuple[Path, Manifest]:
    """The models' folder and its list, the signature checked."""
    from mlb_offline.installation import data_folder
    from mlb_offline.judge.manifest import open_manifest
    from mlb_offline.trust.store import load_trust

    folder = data_folder() / "models" if models is None else models
    return folder, open_manifest(folder, load_trust(trust) if trust else None)


def known_here(folder: Path, state: Path | None) -> dict[str, InstalledJudge]:
    """The judges that are installed, by SHA-256: beside the models, and in the state folder."""
    from mlb_offline.bundle.state import default_folder
    from mlb_offline.judge.installed import known_judges

    return known_judges(folder, default_folder() if state is None else state)
