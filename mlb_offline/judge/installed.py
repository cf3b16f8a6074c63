"""A hospital's own judges: ``judges.json`` in the state folder, or beside the models that are baked into an image.

An installed judge is known by its content: a file with its SHA-256 is used without ``--accept-unlisted``. Nobody's
signature stands behind it, and every record of it says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Self

import pydantic
from pydantic import ConfigDict, Field, PrivateAttr

from mlb_offline.bundle.manifest import Digest, Positive, Text, Time
from mlb_offline.bundle.state_files import read_record, write_record
from mlb_offline.configuration import explain
from mlb_offline.errors import InputError, TrustError
from mlb_offline.judge.annotation import Family
from mlb_offline.language import tr
from mlb_offline.regular_file import measured

FORMAT: Final = "mlb-offline/installed-judges/v1"
NAME = "judges.json"
FOLDER = "judges"
"""In the state folder: the copies of installed models, each named by its SHA-256."""
RATES = ("accuracy", "precision", "recall", "f1", "kappa", "ac1", "sensitivity", "specificity")

Count = Annotated[int, Field(ge=0, le=2**53 - 1)]


class _Strict(pydantic.BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class AskedWith(_Strict):
    """What a judge is asked with: version and SHA-256 of the prompt, or, for a small judge, of what it is shown."""

    version: Text
    sha256: Digest


class Interval(_Strict):
    """A rate with its 95 % interval."""

    value: float
    low: float
    high: float


class Measured(_Strict):
    """Agreement with labels: counts of criteria, and rates over those answered; null where one is not defined."""

    n: Positive
    answered: Count
    abstained: Count
    rates: dict[Text, Interval | None]

    @classmethod
    def of(cls, figures: dict[str, Any]) -> Self:
        """From the answer of ``judge calibrate --json``."""
        rates = {name: None if figures[name] is None else Interval(**figures[name]) for name in RATES}
        return cls(n=figures["n"], answered=figures["answered"], abstained=figures["abstained"], rates=rates)


class Calibration(_Strict):
    """What a judge was worth on one labelled set, known by the SHA-256 of its file, asked with this prompt."""

    set_sha256: Digest
    measured: Time
    prompt: AskedWith
    overall: Measured
    by_family: dict[Family, Measured]


class InstalledJudge(_Strict):
    """One judge, as it was when it was installed.

    Attributes:
        name: no other of the folder has it.
        file: where the model is, from the folder of the record; absolute where the file was left in its place.
        sha256, size: of the file, in bytes.
        architecture, quantisation, parameters, context: as the model says; tokens of the longest text.
        licence: as the model says, or whoever installed it.
        installed: when, RFC 3339, UTC.
        prompt: that of this program at that time.
        reasons: whether it writes its reasons before its verdict, instead of saying 是 or 否 at once.
        calibration: the last one; None: never calibrated.
    """

    name: Text
    file: Text
    sha256: Digest
    size: Positive
    architecture: Text
    quantisation: Text
    parameters: Positive
    context: Positive
    licence: Text
    installed: Time
    prompt: AskedWith
    reasons: bool = False
    calibration: Calibration | None = None

    _folder: Path = PrivateAttr(default=Path())

    @property
    def path(self) -> Path:
        """The model file."""
        return self._folder / self.file

    @property
    def copied(self) -> bool:
        """Whether the state folder holds a copy of its own."""
        return Path(self.file).parent == Path(FOLDER)

    @property
    def calibrated(self) -> bool:
        """Whether it was calibrated with the prompt with which this program asks it now."""
        return self.calibration is not None and self.calibration.prompt == now_asked(self.prompt)

    def to_json(self) -> dict[str, Any]:
        """For records: what it is, and the counts and rates of its calibration; no path."""
        return self.model_dump(mode="json", exclude={"file"}) | {"calibrated": self.calibrated}


class _File(_Strict):
    format: str
    judges: Annotated[list[InstalledJudge], Field(max_length=1000)] = []


def installed_judges(folder: Path) -> tuple[InstalledJudge, ...]:
    """The judges that a state folder, or a folder of models, records; none where it has no record.

    Raises:
        InputError: the record cannot be read.
        TrustError: it is damaged.
    """
    path = folder / NAME
    content = read_record(path, FORMAT, _damaged)
    try:
        judges = _File.model_validate(content).judges
    except pydantic.ValidationError as error:
        field, message = explain(error)
        raise _damaged(path, field, message) from None
    for what in ("name", "sha256"):
        values = [getattr(one, what) for one in judges]
        if len(set(values)) < len(values):
            raise _damaged(path, what, tr("重复", "occurs twice"))
    for one in judges:
        one._folder = folder
    return tuple(judges)


def known_judges(*folders: Path) -> dict[str, InstalledJudge]:
    """The judges recorded in folders, by SHA-256; what a later folder says of one counts.

    Raises:
        InputError, TrustError: as ``installed_judges``.
    """
    return {one.sha256: one for folder in folders for one in installed_judges(folder)}


def save(folder: Path, judges: Iterable[InstalledJudge]) -> None:
    """Write the record; the caller holds the lock, where others may write too.

    Raises:
        InputError: it cannot be written.
    """
    content = {"format": FORMAT, "judges": [one.model_dump(mode="json") for one in judges]}
    write_record(folder / NAME, content)


def check_installed(judge: InstalledJudge) -> None:
    """Hash the file of an installed judge.

    Raises:
        InputError: it cannot be read.
        TrustError: it is not what was installed.
    """
    try:
        sha256, size = measured(judge.path)
    except OSError as error:
        raise InputError(
            tr(f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}"),
            file=judge.path,
            remedy=tr("恢复该文件，或移除后重新安装", "restore the file, or remove the judge and install it again"),
        ) from None
    if (sha256, size) != (judge.sha256, judge.size):
        raise TrustError(
            tr(
                f"与安装时不同：{sha256}，安装时为 {judge.sha256}",
                f"not the file that was installed: {sha256}, it was {judge.sha256}",
            ),
            file=judge.path,
            field="sha256",
            remedy=tr("恢复该文件，或移除后重新安装", "restore the file, or remove the judge and install it again"),
        )


def now_asked(prompt: AskedWith) -> AskedWith:
    """What this program asks a judge with that was installed when it asked with ``prompt``."""
    from mlb_offline.judge.lexicon import embedded_sha256
    from mlb_offline.judge.prompt import shipped_prompt
    from mlb_offline.judge.rendering import VERSION

    if prompt.version.split("/")[0] == VERSION.split("/")[0]:
        return AskedWith(version=VERSION, sha256=embedded_sha256())
    large = shipped_prompt()
    return AskedWith(version=large.version, sha256=large.sha256)


def _damaged(path: Path, field: str | None = None, message: str = "") -> TrustError:
    more = f": {message}" if message else ""
    return TrustError(
        tr(f"已安装裁判的记录已损坏{more}", f"the record of installed judges is damaged{more}"),
        file=path,
        field=field,
        remedy=tr(
            "从备份恢复该文件；或移走它并重新安装裁判", "restore it from a backup, or remove it and install again"
        ),
    )
