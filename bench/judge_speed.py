"""Criteria a second and peak memory of each embedded judge, each in a process of its own.

``python -m bench.judge_speed [--models DIR] [--json]``: 400 criteria of the test sets, in the order of their answers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import time
from pathlib import Path
from typing import Any

from mlb_offline.judge.annotation import read_annotations
from mlb_offline.judge.lexicon import embedded

SETS = Path("tests/data/judge")


def measured(name: str, file: Path, threads: int, queue: Any) -> None:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from mlb_offline.judge.llama_judge import LlamaJudge
    from mlb_offline.judge.onnx_judge import OnnxJudge

    criteria = [one for part in ("natural", "hard") for one in read_annotations(SETS / f"{part}.jsonl")][:400]
    judge = (LlamaJudge if name == "a" else OnnxJudge)(file, embedded(), threads=threads)
    judge.probabilities(criteria[:20])
    started = time.perf_counter()
    judge.probabilities(criteria)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    queue.put({"n": len(criteria), "criteria_per_second": len(criteria) / seconds, "peak_mib": peak})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--machine", default=f"{platform.machine()}, {os.cpu_count()} cores")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    found: dict[str, Any] = {"threads": given.threads, "machine": given.machine}
    for name, file in (("a", "mlb-judge-a.gguf"), ("b", "mlb-judge-b.onnx")):
        queue = context.Queue()
        worker = context.Process(target=measured, args=(name, given.models / file, given.threads, queue))
        worker.start()
        worker.join(600)
        if worker.exitcode:
            raise SystemExit(f"the process that measures {file} ended with {worker.exitcode}")
        found[name] = queue.get(timeout=10)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    for name in "ab":
        one = found[name]
        print(
            f"{name.upper()}: {one['criteria_per_second']:.0f} criteria/s, {one['peak_mib']:.0f} MiB (n = {one['n']})"
        )


if __name__ == "__main__":
    main()
