"""Opening judge models: each checked against the signed list first, then by the kind of model it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlb_offline.errors import JudgeError, TrustError, UsageError
from mlb_offline.installation import data_folder
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.installed import InstalledJudge, known_judges
from mlb_offline.judge.manifest import JudgeRecord, Manifest, check_judge, measured_model, open_manifest
from mlb_offline.judge.manipulation import signs
from mlb_offline.judge.panel import FAILED, Opinions, kept
from mlb_offline.judge.prompt import Prompt, shipped_prompt
from mlb_offline.judge.protocol import names_of
from mlb_offline.judge.rendering import VERSION
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.judge.small_judge import SmallJudge

MOST = 2
"""Judges of a panel."""


REASONING = " +reasons"
"""Behind the version of what a judge is asked: it is let reason first."""
FAILURES = (RuntimeError, MemoryError, ValueError)
MOST_FAILED = 3
"""Answers in a row at which a judge may fail: then it is the judge."""
_SENTENCE = "患者三天前受凉后咳嗽、发热，胸部CT示右肺下叶炎症，考虑社区获得性肺炎，予抗感染治疗后好转。"
LARGEST_SMALL = 2
"""Threads that a small judge can use; more only get in each other's way."""


class Judge(Protocol):
    """Anything that answers criteria."""

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float | None]:
        """The probability of 是 for each criterion, in order; None where the judge abstains."""
        ...


@dataclass(frozen=True)
class OpenedJudge:
    """A judge, ready, the record of its file, what frees it, and what makes it give up the criteria at hand."""

    record: JudgeRecord
    judge: Judge
    close: Callable[[], None]
    abort: Callable[[], None] = lambda: None

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
        own = LlamaJudge(path, embedded(), threads=threads)
        return OpenedJudge(record, Calibrated(own, told), own.close, own.abort)
    large = GgufJudge(path, prompts=prompts, threads=threads, reasons=record.reasons, calibration=told)
    return OpenedJudge(record, large, large.close, large.abort)


@dataclass(frozen=True)
class Seat:
    """A judge's place in a panel: its file, checked, and what it is shown or asked (version → SHA-256)."""

    path: Path
    record: JudgeRecord
    asked: Mapping[str, str]

    @property
    def large(self) -> bool:
        """Whether it reads text, rather than evidence."""
        return VERSION not in self.asked

    def require_unchanged(self) -> None:
        """Hash the file once more, now that it is open: what was checked must be what was loaded.

        Raises:
            TrustError: it changed in between.
            InputError: it cannot be read.
        """
        if measured_model(self.path)[0] != self.record.sha256:
            raise TrustError(
                tr("裁判文件在核验与载入之间被改动", "the judge changed between its check and its loading"),
                file=self.path,
                remedy=tr("确认无其他程序写入后重试", "see that nothing writes to it, and try again"),
            )

    def to_json(self) -> dict[str, Any]:
        """All that a verdict of it depends on, for a run's identity: ``{asked, calibration, file, installed, listed,
        name, sha256, size}``."""
        judge = self.record.judge
        return {
            "asked": dict(self.asked),
            "calibration": {} if judge is None else {k: v.model_dump() for k, v in sorted(judge.calibration.items())},
            "file": self.record.file,
            "installed": self.record.installed is not None,
            "listed": self.record.listed,
            "name": self.record.name,
            "sha256": self.record.sha256,
            "size": self.record.size,
        }


@dataclass(frozen=True)
class Seats:
    """The judges of a run, not opened yet; none where no dataset needs them. ``prompts`` are a bundle's own."""

    seats: tuple[Seat, ...]
    prompts: Mapping[str, Prompt] = field(default_factory=dict)

    def to_json(self) -> list[dict[str, Any]]:
        """Each, in order."""
        return [seat.to_json() for seat in self.seats]

    def open(self) -> Panel:
        """Open them all.

        Raises:
            InputError, UsageError: as ``open_judge``.
            TrustError: a file is no longer what was checked.
        """
        opened: list[OpenedJudge] = []
        cores = os.cpu_count() or 1
        try:
            for seat in self.seats:
                threads = cores if seat.large else min(LARGEST_SMALL, cores)
                opened.append(open_judge(seat.path, seat.record, threads=threads, prompts=self.prompts))
                seat.require_unchanged()
        except BaseException:
            for judge in opened:
                judge.close()
            raise
        return Panel(tuple(opened))


def _ordinary(length: int) -> str:
    """An ordinary answer of so many characters."""
    return (_SENTENCE * (length // len(_SENTENCE) + 1))[: max(length, 1)]


class Panel:
    """Judges at work; one answer at a time."""

    def __init__(self, judges: Sequence[OpenedJudge]) -> None:
        self._judges = tuple(judges)
        self._aborted = False
        self._failed = 0

    def ask(self, criteria: Sequence[Criterion]) -> Opinions | None:
        """What each judge says of the criteria of one answer; None where it was told to give up.

        An answer that speaks to judges (``judge.manipulation``) is put to none of them: all abstain. So they do on an
        answer at which a judge fails twice that can still judge another: one answer must not end a run for ever.

        Raises:
            JudgeError: a judge failed, and fails at any answer.
        """
        aside = signs(criteria[0].answer) if criteria else ()
        said: list[Sequence[float | None]] = []
        for one in self._judges if not aside else ():
            found = self._asked(one, criteria)
            if self._aborted:
                return None
            if found is None:
                aside = (FAILED,)
                break
            said.append(kept(found))
        if aside:
            return Opinions.set_aside(names_of(criteria), len(self._judges), aside)
        return Opinions(names_of(criteria), tuple(map(tuple, said)))

    def _asked(self, one: OpenedJudge, criteria: Sequence[Criterion]) -> list[float | None] | None:
        """What a judge says; None where it fails at this answer and at no ordinary one as long, or must give up."""
        for _ in range(2):
            try:
                found = one.judge.probabilities(criteria)
            except FAILURES as error:
                failure = error
            else:
                self._failed = 0
                return found
            if self._aborted:
                return None
        self._failed += 1
        try:
            one.judge.probabilities([replace(asked, answer=_ordinary(len(asked.answer))) for asked in criteria])
        except FAILURES as error:
            failure, self._failed = error, MOST_FAILED
        if self._aborted or self._failed < MOST_FAILED:
            return None
        raise JudgeError(
            tr(f"裁判 {one.name} 未能评判（{failure}）", f"the judge {one.name} fails ({failure})"),
            file=one.record.file,
            remedy=tr(
                "回答已保存；释放内存后用 --resume 继续，或换用其他裁判重新运行",
                "answers are kept; free memory and --resume, or start a run with another judge",
            ),
        )

    def abort(self) -> None:
        """From another thread: give up the answer at hand, and every later one."""
        self._aborted = True
        for one in self._judges:
            one.abort()

    def close(self) -> None:
        """Free the judges."""
        for one in self._judges:
            one.close()


def seats_of(
    given: Iterable[Path],
    *,
    accept_unlisted: bool,
    needed: bool,
    state: Path | None = None,
    prompts: Mapping[str, Prompt] | None = None,
) -> Seats:
    """The panel of a run: the embedded pair, of which one judge given replaces the first, and two replace both.

    Args:
        given: files of judges, or names of installed ones.
        accept_unlisted: whether they may be such as no trusted publisher has listed.
        needed: whether any dataset needs judges; if not, nothing is looked at.
        state: state folder that may hold installed judges, beside those of the models' folder.
        prompts: a bundle's own, by dataset.

    Raises:
        NotEvaluableError: there is no list of judges.
        UsageError, InputError, TrustError: as ``checked``.
    """
    if not needed:
        return Seats(())
    folder = data_folder() / "models"
    manifest = open_manifest(folder)
    embedded = [folder / judge.file for judge in sorted(manifest.judges, key=lambda one: one.role)]
    installed = known_judges(folder, *([] if state is None else [state]))
    by_name = {judge.name: judge.path for judge in installed.values()}
    named = [path if path.exists() else by_name.get(str(path), path) for path in given]
    files = [*named, *embedded[len(named) :]]
    found = checked(folder, manifest, files, accept_unlisted=accept_unlisted, installed=installed)
    own = dict(prompts or {})
    return Seats(tuple(seat_of(*one, prompts=own) for one in found), own)


def seat_of(path: Path, record: JudgeRecord, *, prompts: Mapping[str, Prompt] | None = None) -> Seat:
    """The place of a judge that was checked, with what it is shown or asked; ``prompts`` are a bundle's own.

    Raises:
        InputError: it cannot be read.
    """
    if record.judge is not None:
        told = {record.judge.prompt.name: record.judge.prompt.sha256}
    else:
        from mlb_offline.judge.lexicon import embedded_sha256
        from mlb_offline.judge.llama.context import metadata_of
        from mlb_offline.judge.llama_judge import RENDERING

        small = path.suffix == ".onnx" or metadata_of(path, RENDERING) is not None
        prompt = shipped_prompt()
        told = {VERSION: embedded_sha256()} if small else {prompt.version: prompt.sha256}
    if VERSION not in told:
        told |= {f"{prompt.version} {name}": prompt.sha256 for name, prompt in (prompts or {}).items()}
    if record.reasons:
        told = {f"{version}{REASONING}": digest for version, digest in told.items()}
    return Seat(path, record, told)
