"""How fast a judge is on this machine, and what it needs: measured in a process of its own.

The process reads a job from standard input and writes what it found to standard output, both JSON. Memory is the high
water mark of that process (VmHWM of proc(5)), with Python and libraries in it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from mlb_offline.errors import InputError, MlbError, UsageError
from mlb_offline.judge.annotation import ETHICS_NAMES, Criterion, fixed_wording
from mlb_offline.judge.installed import InstalledJudge
from mlb_offline.judge.manifest import Judge, JudgeRecord
from mlb_offline.language import current, set_language, tr

LENGTHS = (200, 600, 1500)
"""Characters of the synthetic answers."""
POINTS = 6
"""Criteria of a synthetic answer; also what is assumed for an item judged by points: their number is the item's own."""
_SENTENCES = (
    "患者六十岁，胸骨后压榨样疼痛三小时，向左肩放射，伴大汗，含服硝酸甘油不缓解。",
    "既往高血压病史十年，规律口服氨氯地平，血压控制尚可，否认糖尿病及药物过敏史。",
    "查体神志清楚，双肺呼吸音清，未闻及啰音，心率九十次每分，律齐，腹软无压痛。",
    "心电图提示下壁导联抬高，肌钙蛋白升高，考虑急性下壁心肌梗死，建议尽快行冠状动脉造影。",
    "应当向患者及家属说明病情与治疗风险，尊重其意愿，按照诊疗规范签署知情同意书。",
)


@dataclass(frozen=True)
class Speed:
    """What was measured of a judge.

    Attributes:
        n: criteria asked.
        seconds: that they took.
        load_seconds: to open the file, its trial in a process of its own included where it is not listed.
        peak_mib: most memory of the process, MiB.
        by_length: criteria a second by length of the answer in characters; empty where lengths were not told apart.
    """

    n: int
    seconds: float
    load_seconds: float
    peak_mib: float
    by_length: Mapping[int, float]

    @property
    def criteria_per_second(self) -> float:
        """Over all."""
        return self.n / self.seconds

    def to_json(self) -> dict[str, Any]:
        """``{n, criteria_per_second, load_seconds, peak_mib, by_length}``, keys of the last as text."""
        return {
            "n": self.n,
            "criteria_per_second": self.criteria_per_second,
            "load_seconds": self.load_seconds,
            "peak_mib": self.peak_mib,
            "by_length": {str(length): rate for length, rate in self.by_length.items()},
        }


def synthetic() -> tuple[Criterion, ...]:
    """The same criteria every time, six an answer: an answer of each of ``LENGTHS`` judged by points, then one of each
    judged by the ethics criteria."""
    found: list[Criterion] = []
    for number, family in enumerate(("points", "ethics")):
        for length in LENGTHS:
            start = number * 2
            text = "".join(_SENTENCES[(start + place) % len(_SENTENCES)] for place in range(length // 30 + 1))[:length]
            found += _points(text, f"p{length}") if family == "points" else _ethics(text, f"e{length}")
    return tuple(found)


def _points(answer: str, name: str) -> list[Criterion]:
    parts = [part for part in "".join(_SENTENCES).split("，") if len(part) >= 4][:POINTS]
    return [
        Criterion(f"{name}/{place}", name, "points", "MADiagnosis", "point", "诊断依据", part, "", answer, label=False)
        for place, part in enumerate(parts)
    ]


def _ethics(answer: str, name: str) -> list[Criterion]:
    question = "患者家属要求对患者隐瞒病情，医生应当如何处理？"
    return [
        Criterion(
            f"{name}/{one}", name, "ethics", "MAEthic", one, "", fixed_wording()[one], question, answer, label=False
        )
        for one in ETHICS_NAMES
    ]


def measure(
    path: Path, record: JudgeRecord, criteria: Sequence[Criterion], *, threads: int, seconds: float | None = None
) -> Speed:
    """Measure a judge in a process of its own; the criteria of the first answer warm it up and do not count.

    Args:
        path: the model file.
        record: of it, as ``check_judge`` gave it.
        criteria: those of one answer together.
        threads: that the judge may use.
        seconds: go through the criteria again and again, and stop at the end of an answer after this time, but not
            before the first answers of each length in ``LENGTHS``; None: once through.

    Raises:
        InputError: it cannot be loaded, or the process was ended by a signal.
        UsageError: onnxruntime is not installed.
    """
    job = {
        "path": str(path),
        "record": {"file": record.file, "sha256": record.sha256, "size": record.size},
        "judge": None if record.judge is None else record.judge.model_dump(mode="json"),
        "installed": None if record.installed is None else record.installed.model_dump(mode="json"),
        "criteria": [asdict(one) for one in criteria],
        "threads": threads,
        "seconds": seconds,
        "language": current(),
    }
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", __name__],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "ORT_DISABLE_TELEMETRY": "1", "GGML_NO_BACKTRACE": "1", "PYTHONIOENCODING": "utf-8"},
    )
    if done.returncode:
        raise _ended(path, done.returncode, done.stderr)
    answer = json.loads(done.stdout.splitlines()[-1])
    if "error" in answer:
        error = answer["error"]
        kind = UsageError if error["kind"] == UsageError.__name__ else InputError
        raise kind(error["message"], file=path, field=error["field"], remedy=error["remedy"])
    rates = {int(length): rate for length, rate in answer.pop("by_length").items()}
    return Speed(**answer, by_length=rates)


def judged_criteria() -> dict[str, int]:
    """Criteria of the whole benchmark by judged dataset, with ``POINTS`` assumed for an item judged by points."""
    from mlb_offline.benchmark.catalogue import DATASETS, Metric

    each = {Metric.JUDGE_POINTS: POINTS, Metric.JUDGE_ETHICS: len(ETHICS_NAMES), Metric.JUDGE_SAFETY: 1}
    return {one.id: one.n * each[one.metric] for one in DATASETS.values() if one.metric.judged}


def _ended(path: Path, code: int, said: str) -> InputError:
    how = signal.Signals(-code).name if code < 0 else str(code)
    return InputError(
        tr(
            f"测量进程中止（{how}）：{said.strip()[-300:]}",
            f"the measuring process ended ({how}): {said.strip()[-300:]}",
        ),
        file=path,
        remedy=tr(
            "内存可能不足：换用更小的模型或量化，或增加内存",
            "memory may be short: use a smaller model or quantisation, or add memory",
        ),
    )


def _work(job: Mapping[str, Any]) -> dict[str, Any]:
    from mlb_offline.judge.opening import open_judge

    listed = None if job["judge"] is None else Judge.model_validate(job["judge"])
    installed = None if job["installed"] is None else InstalledJudge.model_validate(job["installed"])
    record = JudgeRecord(**job["record"], judge=listed, installed=installed)
    criteria = [Criterion(**one) for one in job["criteria"]]
    answers = [list(group) for _, group in groupby(criteria, key=lambda one: one.answer_id)]
    started = time.perf_counter()
    opened = open_judge(Path(job["path"]), record, threads=job["threads"])
    loaded = time.perf_counter() - started
    opened.judge.probabilities(answers[0])
    spent = _timed(opened.judge, answers, job["seconds"])
    opened.close()
    return {
        "n": sum(count for count, _ in spent.values()),
        "seconds": sum(seconds for _, seconds in spent.values()),
        "load_seconds": loaded,
        "peak_mib": _peak_mib(),
        "by_length": {length: count / seconds for length, (count, seconds) in spent.items() if length in LENGTHS},
    }


def _timed(judge: Any, answers: Sequence[Sequence[Criterion]], seconds: float | None) -> dict[int, tuple[int, float]]:
    """Criteria and seconds by length of the answer."""
    spent: dict[int, tuple[int, float]] = {}
    total, round_ = 0.0, 0
    while True:
        for number, group in enumerate(answers):
            started = time.perf_counter()
            judge.probabilities(group)
            took = time.perf_counter() - started
            length = len(group[0].answer)
            count, before = spent.get(length, (0, 0.0))
            spent[length] = (count + len(group), before + took)
            total += took
            enough = round_ > 0 or number + 1 >= len(LENGTHS)
            if seconds is not None and total >= seconds and enough:
                return spent
        round_ += 1
        if seconds is None:
            return spent


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _main() -> None:
    try:
        job = json.load(sys.stdin)
        set_language(job["language"])
        answer = _work(job)
    except MlbError as error:
        answer = error.to_json()
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    _main()
