"""Where the data that comes beside the package stands: ``models/`` and ``bundles/``."""

from __future__ import annotations

import os
from pathlib import Path

from mlb_offline.errors import InputError
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
