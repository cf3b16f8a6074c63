"""Criteria a second and peak memory of each embedded judge, each in a process of its own.

``python -m bench.judge_speed [--models DIR] [--json]``: 400 criteria of the test sets, in the order of their answers.
The judges are those of DIR by name, listed or not: they are measured before they are released.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from mlb_offline.judge.annotation import read_annotations
from mlb_offline.judge.manifest import JudgeRecord
from mlb_offline.judge.speed import measure

SETS = Path("tests/data/judge")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--machine", default=f"{platform.machine()}, {os.cpu_count()} cores")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    criteria = [one for part in ("natural", "hard") for one in read_annotations(SETS / f"{part}.jsonl")][:400]
    found: dict[str, Any] = {"threads": given.threads, "machine": given.machine}
    for name, file in (("a", "mlb-judge-a.gguf"), ("b", "mlb-judge-b.onnx")):
        speed = measure(given.models / file, JudgeRecord(file, "", 0, None), criteria, threads=given.threads)
        found[name] = speed.to_json()
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
