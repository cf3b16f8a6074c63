"""Opening judge models: each checked against the signed list first, then by the kind of model it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlb_offline.errors import UsageError
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.manifest import JudgeRecord, Manifest, check_judge
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.judge.installed import InstalledJudge
    from mlb_offline.judge.prompt import Prompt
    from mlb_offline.judge.small_judge import SmallJudge

MOST = 2
"""Judges of a panel."""


class Judge(Protocol):
    """Anything that answers criteria."""

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float | None]:
        """The probability of 是 for each criterion, in order; None where the judge abstains."""
        ...


@dataclass(frozen=True)
class OpenedJudge:
    """A judge, ready, the record of its file, and what frees it."""

    record: JudgeRecord
    judge: Judge
    close: Callable[[], None]

    @property
    def name(self) -> str:
        """As ``JudgeRecord.name``."""
        return self.record.name


def checked(
    folder: Path,
    manifest: Manifest,
    given: Sequence[Path],
    *,
    accept_unlisted: bool = False,
    installed: Mapping[str, InstalledJudge] | None = None,
) -> list[tuple[Path, JudgeRecord]]:
    """The judges to use, each with the record of its file: those given, or else the two of the list.

    Args:
        folder: of the list.
        manifest: the list, its signature checked.
        given: files.
        accept_unlisted, installed: as in ``check_judge``.

    Raises:
        UsageError: more than two, or two of one content or one name.
        InputError: a file cannot be read.
        TrustError: one is not the listed one, or not listed and not accepted, or trained on other evidence.
    """
    paths = list(given) or [folder / judge.file for judge in sorted(manifest.judges, key=lambda one: one.role)]
    found = [
        (path, check_judge(path, manifest, accept_unlisted=accept_unlisted, installed=installed)) for path in paths
    ]
    same = {record.sha256 for _, record in found}, {record.name for _, record in found}
    if len(found) > MOST or min(map(len, same)) < len(found):
        raise UsageError(
            tr("裁判应为一个或两个不同的模型", "a panel has one or two judges, of different content and name"),
            field="--judge",
            remedy=tr("给出两个不同的模型文件", "give two different model files"),
        )
    return found


def open_judge(
    path: Path, record: JudgeRecord, *, threads: int = 2, prompts: Mapping[str, Prompt] | None = None
) -> OpenedJudge:
    """Open a model that was checked.

    Args:
        path: the file.
        record: of it.
        threads: that it may use.
        prompts: a publisher's own wording by dataset, for judges that read text; the small ones ignore it.

    Raises:
        InputError: it cannot be loaded, or is no judge that this version can ask.
        UsageError: onnxruntime is not installed.
    """
    from mlb_offline.judge.calibrated import Calibrated
    from mlb_offline.judge.lexicon import embedded

    calibration = {} if record.judge is None else record.judge.calibration
    told = {family: (one.scale, one.shift) for family, one in calibration.items()}
    form = path.suffix.removeprefix(".") if record.judge is None else record.judge.format
    if form == "onnx":
        from mlb_offline.judge.onnx_judge import OnnxJudge

        small: SmallJudge = OnnxJudge(path, embedded(), threads=threads)
        return OpenedJudge(record, Calibrated(small, told), small.close)
    from mlb_offline.judge.llama.context import metadata_of
    from mlb_offline.judge.llama.judge import CONTEXT, GgufJudge
    from mlb_offline.judge.llama_judge import RENDERING, LlamaJudge
    from mlb_offline.target.trial import require_loadable

    if record.judge is None:  # llama.cpp aborts on some damaged files, which must not end a run
        require_loadable(path, context=CONTEXT, threads=threads)
    if metadata_of(path, RENDERING) is not None:
        small = LlamaJudge(path, embedded(), threads=threads)
        return OpenedJudge(record, Calibrated(small, told), small.close)
    large = GgufJudge(path, prompts=prompts, threads=threads, calibration=told)
    return OpenedJudge(record, large, large.close)
