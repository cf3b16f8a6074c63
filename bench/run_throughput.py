"""Items a second and peak memory of a run against an instant local server: ``make bench``.

The server answers every prompt at once, so what is measured is the evaluator: prompts, HTTP, scoring, encryption,
the event chain and its commits. Every repetition runs under the egress guard and once without it, in turn, so that
the guard's cost shows as a ratio. Prints one line a run and one JSON object at the end; times are wall seconds of the
whole command, start and opening of the bundle included.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlb_offline.bundle.build import build_bundle
from mlb_offline.bundle.source import Source, SourceDataset, read_source
from mlb_offline.demo.scripted import scripted_server
from mlb_offline.installation import data_folder
from mlb_offline.trust.keys import KeyKind, load_recipient_public, load_signing_key, new_key


def many(source: Source, items: int) -> Source:
    """The source's 16 judge-free datasets with their items repeated under new names up to this number."""
    plain = {name: entry for name, entry in source.datasets.items() if not entry.dataset.metric.judged}
    share = -(-items // len(plain))
    grown: dict[str, SourceDataset] = {}
    left = items
    for name, entry in plain.items():
        count = min(share, left)
        left -= count
        copies = [
            entry.items[n % len(entry.items)].model_copy(
                update={"id": f"{n}", "question": f"{entry.items[n % len(entry.items)].question}（{n}）"}
            )
            for n in range(count)
        ]
        grown[name] = dataclasses.replace(entry, items=tuple(copies))
    return dataclasses.replace(source, datasets=grown)


GUARDS = ("unix-only", "none")


def one_run(folder: Path, target: str, number: int, concurrency: int, guard: str) -> dict[str, Any]:
    """One whole ``mlb-offline run`` in a process of its own."""
    words = [
        sys.executable,
        "-m",
        "mlb_offline",
        "--guard",
        guard,
        "run",
        "--bundle",
        folder / "b.mlbb",
        "--trust",
        folder / "keys",
    ]
    words += ["--key", folder / "keys" / "hospital.key.json", "--target", target, "--out", folder / f"{guard}{number}"]
    words += ["--state", folder / "state", "--concurrency", str(concurrency), "--json"]
    began = time.perf_counter()
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    _pid, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"the run ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "guard": guard,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
    }


def main() -> None:
    """Make a bundle, start the server, run a few times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in (KeyKind.PUBLISHER, KeyKind.HOSPITAL):
            new_key(kind, folder / "keys", None)
        source = many(read_source(data_folder() / "bundles" / "src" / "demo"), options.items)
        signing = load_signing_key(folder / "keys" / "publisher.key.json", None)
        recipient = load_recipient_public(folder / "keys" / "hospital.recipient.json")
        build_bundle(source, signing, [recipient], folder / "b.mlbb", now=datetime.now(UTC))
        (folder / "replies.json").write_text('{"replies": {}, "default": "A"}', encoding="utf-8")
        with scripted_server(folder / "replies.json", unix=folder / "s", log=folder / "server.log") as server:
            runs = []
            for number in range(options.repetitions):
                for guard in GUARDS:
                    runs.append(one_run(folder, server.target, number, options.concurrency, guard))
                    print(runs[-1], flush=True)
    guarded, free = (statistics.median(run["seconds"] for run in runs if run["guard"] == guard) for guard in GUARDS)
    seconds = guarded
    runs = [run for run in runs if run["guard"] == GUARDS[0]]
    result = {
        "guarded_to_unguarded": round(guarded / free, 3),
        "items": options.items,
        "concurrency": options.concurrency,
        "items_per_second_median": round(options.items / seconds, 1),
        "seconds_median": seconds,
        "cpu_seconds_median": statistics.median(run["cpu_seconds"] for run in runs),
        "peak_mib_max": max(run["peak_mib"] for run in runs),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
