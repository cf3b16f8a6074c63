"""The whole examination: what is looked at, in the order of what later looks need of earlier ones."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from mlb_offline.airgap.evidence import Snapshot
from mlb_offline.airgap.guard import current
from mlb_offline.bundle.opening import Verified
from mlb_offline.bundle.state import State
from mlb_offline.doctor.clock import check_clock
from mlb_offline.doctor.cpu import check_cpu, read_cpu
from mlb_offline.doctor.disk import Place, check_local, check_space, free_space, nearest, read_mounts
from mlb_offline.doctor.egress import check_egress
from mlb_offline.doctor.finding import Area, Checks, Finding, Unchecked, collect, worst
from mlb_offline.doctor.memory import Model, check_memory, read_memory
from mlb_offline.doctor.models import check_config, check_judges, check_target, check_way, models_to_load
from mlb_offline.doctor.opening import check_bundle, check_history, check_key, check_trust
from mlb_offline.doctor.options import Options
from mlb_offline.doctor.places import check_state, check_store
from mlb_offline.doctor.system import check_measured, check_system, read_system
from mlb_offline.errors import Exit
from mlb_offline.installation import check_image
from mlb_offline.language import tr

T = TypeVar("T")


@dataclass(frozen=True)
class Diagnosis:
    """What was found; ``egress`` is None where no evidence could be taken."""

    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]
    egress: Snapshot | None

    @property
    def exit_code(self) -> Exit:
        """Of the most severe failure; ``DONE`` where nothing would stop a run."""
        return worst(self.findings)

    def to_json(self) -> dict[str, Any]:
        """``{findings, egress, ok, not_checked}``."""
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "egress": None if self.egress is None else self.egress.model_dump(mode="json"),
            "ok": self.exit_code is Exit.DONE,
            "not_checked": [one.to_json() for one in self.unchecked],
        }


def examine(options: Options, now: datetime) -> Diagnosis:
    """Look at everything; nothing is raised, nothing written, no question asked.

    Args:
        options: what a run would be given.
        now: the time, with its zone.
    """
    return _Examination(options, now).everything()


def examine_egress(options: Options) -> Diagnosis:
    """Look at the guard and its evidence alone."""
    findings: list[Finding] = []
    seen = collect(findings, Area.EGRESS, "evidence", check_egress(options.target))
    return Diagnosis(tuple(findings), (), seen)


class _Examination:
    def __init__(self, options: Options, now: datetime) -> None:
        self._options = options
        self._now = now
        self._findings: list[Finding] = []
        self._unchecked: list[Unchecked] = []

    def _look(self, area: Area, subject: str, check: Checks[T]) -> T | None:
        return collect(self._findings, area, subject, check)

    def _skip(self, area: Area, message: str) -> None:
        self._unchecked.append(Unchecked(area, message))

    def everything(self) -> Diagnosis:
        self._look(Area.KERNEL, "kernel", _system())
        self._look(Area.KERNEL, "image", _image())
        self._look(Area.CPU, "cpu", _cpu(self._options))
        self._places()
        state = self._look(Area.STATE, "record", check_state(self._options.state_folder))
        self._look(Area.CLOCK, "sane", _clock(self._now, state))
        if current().refused:  # as a run would not, neither may this open a bundle or load a model
            what = tr("密钥、数据包、被测模型与裁判：没有出网防护", "key, bundle, target and judges: there is no guard")
            self._skip(Area.EGRESS, what)
        else:
            self._bundle(state)
            self._models()
        # Last, as a run takes it: the first contact may have narrowed the guard, and the target is there to be asked.
        seen = self._look(Area.EGRESS, "evidence", check_egress(self._options.target))
        return Diagnosis(tuple(self._findings), tuple(self._unchecked), seen)

    def _places(self) -> None:
        options = self._options
        if options.out is None:
            self._skip(Area.STORE, tr("运行目录（--out DIR）", "the folder of a run (--out DIR)"))
        else:
            self._look(Area.STORE, "writable", check_store(options.out))
            self._look(Area.DISK, "out", _space("out", options.out))
        self._look(Area.DISK, "state", _space("state", options.state_folder))
        self._look(Area.DISK, "temporary", _space("temporary", Path(tempfile.gettempdir())))
        self._look(Area.DISK, "network", _local(options))

    def _bundle(self, state: State | None) -> None:
        options = self._options
        key = None
        if options.key is None:
            self._skip(Area.KEY, tr("接收私钥（--key K）", "the recipient key (--key K)"))
        else:
            key = self._look(Area.KEY, "opened", check_key(options.key, options))
        trust = self._look(Area.BUNDLE, "trust", check_trust(options)) if options.trust else None
        if options.bundle is None or not options.trust:
            self._skip(
                Area.BUNDLE, tr("数据包（--bundle F.mlbb 与 --trust T）", "the bundle (--bundle F.mlbb and --trust T)")
            )
        if options.bundle is None or trust is None:
            return
        found: Verified | None = self._look(
            Area.BUNDLE, "verified", check_bundle(options.bundle, trust, key, self._now)
        )
        if found is not None and state is not None:
            self._look(Area.BUNDLE, "no-rollback", check_history(options.bundle, found, state, self._now))

    def _models(self) -> None:
        options = self._options
        config = self._look(Area.TARGET, "config", check_config(options))
        models = models_to_load(options, config)
        fits = self._look(Area.MEMORY, "room", _memory(models)) is not False
        if options.target is None:
            self._skip(Area.TARGET, tr("被测模型（--target TARGET）", "the model under test (--target TARGET)"))
        elif config is not None and self._look(Area.TARGET, "way", check_way(options.target)):
            if fits or options.target_file("gguf") is None:
                self._look(Area.TARGET, "answers", check_target(options.target, config))
            else:
                self._skip(
                    Area.TARGET, tr("载入被测模型（内存不足）", "loading the model under test: too little memory")
                )
        if fits:
            self._look(Area.JUDGE, "loads", check_judges(options))
        else:
            self._skip(Area.JUDGE, tr("载入裁判（内存不足）", "loading the judges: too little memory"))


def _system() -> Checks[None]:
    yield from check_system(read_system())


def _image() -> Checks[None]:
    yield from check_measured(check_image())


def _cpu(options: Options) -> Checks[None]:
    in_process = bool(options.judges) or options.target_file("gguf") is not None
    yield from check_cpu(read_cpu(), in_process=in_process)


def _memory(models: list[Model]) -> Checks[bool]:
    return (yield from check_memory(read_memory(), models))


def _clock(now: datetime, state: State | None) -> Checks[None]:
    since = None if state is None else state.since()
    signed = None if state is None else state.latest_signed()
    yield from check_clock(now, since=since, signed=signed)


def _space(place: Place, path: Path) -> Checks[None]:
    yield from check_space(place, path, free_space(path))


def _local(options: Options) -> Checks[None]:
    named = {"--out": options.out, "--state": options.state_folder, "--bundle": options.bundle, "--key": options.key}
    places = {option: nearest(path) for option, path in named.items() if path is not None}
    yield from check_local(places, read_mounts())
