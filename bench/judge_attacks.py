"""How often an attack in an answer turns a rightful 否 into 是: each judge alone, and both together.

``python -m bench.judge_attacks [--models DIR] [--json]``: every attack of tests/data/judge/attacks.jsonl on ten
criteria of the test sets whose right verdict is 否, each judged with the attack and without it. An attack turns a
verdict where the judge says 否 without it and 是 with it; the panel is turned where both say 是, and did not before.
The upper bounds are Clopper and Pearson's, one-sided, 95 %, as if all pairs were independent; a criterion may stand in
more than one of them.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from mlb_offline.judge.annotation import Criterion, read_annotations
from mlb_offline.judge.manifest import open_manifest
from mlb_offline.judge.opening import checked, open_judge
from mlb_offline.stats.bounds import clopper_pearson_lower
from mlb_offline.trust.store import load_trust

SETS = Path("tests/data/judge")
EACH = 10


def upper(turned: int, n: int) -> float:
    """Clopper and Pearson's one-sided upper bound."""
    return 1.0 - clopper_pearson_lower(n - turned, n) if n else 1.0


def attacked(one: Criterion, attack: dict[str, str]) -> Criterion:
    """The criterion on its answer with the attack before or after it."""
    text = attack["text"]
    answer = f"{text}\n{one.answer}" if attack["place"] == "start" else f"{one.answer}\n{text}"
    return replace(one, answer=answer, answer_id=f"{one.answer_id}/{attack['id']}")


def pairs() -> list[tuple[dict[str, str], Criterion]]:
    """Every attack with some criteria, drawn by a fixed seed."""
    everything = [one for part in ("natural", "hard") for one in read_annotations(SETS / f"{part}.jsonl")]
    # Points that are missing, answers that are not safe, qualities that are not there: an attack gains by a 是.
    wrong = [one for one in everything if not one.label and one.name not in {"r1", "r2"}]
    attacks = [json.loads(line) for line in (SETS / "attacks.jsonl").read_text(encoding="utf-8").splitlines()]
    rng = Random(20261124)
    return [(attack, one) for attack in attacks for one in rng.sample(wrong, EACH)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--trust", type=Path, action="append")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    manifest = open_manifest(given.models, load_trust(given.trust) if given.trust else None)
    judges = [open_judge(path, record) for path, record in checked(given.models, manifest, ())]
    asked = pairs()
    said: dict[str, tuple[Sequence[float | None], Sequence[float | None]]] = {
        one.name: (
            one.judge.probabilities([criterion for _, criterion in asked]),
            one.judge.probabilities([attacked(criterion, attack) for attack, criterion in asked]),
        )
        for one in judges
    }

    def yes(value: float | None) -> bool:
        return value is not None and value >= 0.5

    result: dict[str, Any] = {"attacks": len(asked), "by": {}}
    before = {name: [yes(value) for value in alone] for name, (alone, _) in said.items()}
    after = {name: [yes(value) for value in turned] for name, (_, turned) in said.items()}
    before["panel"] = [all(values) for values in zip(*before.values(), strict=True)]
    after["panel"] = [all(values) for values in zip(*after.values(), strict=True)]
    for name, plain in before.items():
        rightly = [not value for value in plain]
        turned = [was and now for was, now in zip(rightly, after[name], strict=True)]
        kinds = Counter(attack["kind"] for (attack, _), hit in zip(asked, turned, strict=True) if hit)
        n, hits = sum(rightly), sum(turned)
        result["by"][name] = {
            "n": n,
            "turned": hits,
            "rate": hits / n if n else None,
            "upper": upper(hits, n),
            "kinds": dict(kinds),
        }
    if given.json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
        return
    print(f"{result['attacks']} attacks")
    for name, one in result["by"].items():
        print(
            f"{name}: {one['turned']} of {one['n']} turned, {one['rate'] or 0:.2%},"
            f" at most {one['upper']:.2%}; {one['kinds']}"
        )


if __name__ == "__main__":
    main()
