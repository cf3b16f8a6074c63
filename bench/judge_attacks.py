"""How often an attack in an answer turns a rightful 否 into 是: each judge alone, and the panel as a run asks it.

``python -m bench.judge_attacks [--models DIR] [--set attacks|attacks-2 …] [--show] [--json]``: every attack of the sets
in tests/data/judge on criteria of the test sets whose right verdict is 否 (ten for an attack of the first set, five
of the second), each judged with the attack and without it. An attack turns a verdict where the judge does not say
是 without it and says it with it. ``both`` is two judges who say 是, asked as they are; ``panel`` is what ``Panel.ask``
makes of it, which sets answers with signs of manipulation aside: ``aside`` counts those, ``unseen`` has the attacks
without any sign.
The upper bounds are Clopper and Pearson's, one-sided, 95 %, as if all pairs were independent; a criterion may stand in
more than one of them.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from mlb_offline.judge.annotation import Criterion, read_annotations
from mlb_offline.judge.manifest import open_manifest
from mlb_offline.judge.manipulation import signs
from mlb_offline.judge.opening import Judge, OpenedJudge, Panel, checked, open_judge
from mlb_offline.judge.panel import HALF
from mlb_offline.stats.bounds import clopper_pearson_lower
from mlb_offline.trust.store import load_trust

SETS = Path("tests/data/judge")
EACH = {"attacks": 10, "attacks-2": 5}
"""Criteria for an attack of each set."""


def upper(turned: int, n: int) -> float:
    """Clopper and Pearson's one-sided upper bound."""
    return 1.0 - clopper_pearson_lower(n - turned, n) if n else 1.0


def attacked(one: Criterion, attack: dict[str, str]) -> Criterion:
    """The criterion on its answer with the attack before or after it."""
    text = attack["text"]
    answer = f"{text}\n{one.answer}" if attack["place"] == "start" else f"{one.answer}\n{text}"
    return replace(one, answer=answer, answer_id=f"{one.answer_id}/{attack['id']}")


def pairs(name: str) -> list[tuple[dict[str, str], Criterion]]:
    """Every attack of a set with some criteria, drawn by a fixed seed."""
    everything = [one for part in ("natural", "hard") for one in read_annotations(SETS / f"{part}.jsonl")]
    # Points that are missing, answers that are not safe, qualities that are not there: an attack gains by a 是.
    wrong = [one for one in everything if not one.label and one.name not in {"r1", "r2"}]
    attacks = [json.loads(line) for line in (SETS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    rng = Random(20261124)
    return [(attack, one) for attack in attacks for one in rng.sample(wrong, EACH[name])]


@dataclass
class Remembering:
    """A judge that is asked each criterion once, so that the panel need not ask again."""

    judge: Judge
    known: dict[tuple[str, str], float | None] = field(default_factory=dict)

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float | None]:
        """As the judge gives them."""
        new = {(one.id, one.answer): one for one in criteria if (one.id, one.answer) not in self.known}
        self.known |= zip(new, self.judge.probabilities(list(new.values())), strict=True)
        return [self.known[one.id, one.answer] for one in criteria]


def marks(judges: Sequence[OpenedJudge], asked: Sequence[Criterion]) -> list[str]:
    """What the panel makes of each criterion, asked singly (``scoring.judged``): y, n, d or a."""
    panel = Panel(judges)
    found = [panel.ask([one]) for one in asked]
    return ["" if one is None else one.marks for one in found]


def measured(name: str, judges: Sequence[OpenedJudge]) -> dict[str, Any]:
    """The figures of a set of attacks."""
    asked = pairs(name)
    plain, steered = [one for _, one in asked], [attacked(one, attack) for attack, one in asked]

    def yes(judge: OpenedJudge, criteria: Sequence[Criterion]) -> list[bool]:
        return [value is not None and value >= HALF for value in judge.judge.probabilities(criteria)]

    before = {one.name: yes(one, plain) for one in judges}
    after = {one.name: yes(one, steered) for one in judges}
    before["both"] = [all(values) for values in zip(*before.values(), strict=True)]
    after["both"] = [all(values) for values in zip(*after.values(), strict=True)]
    without, told = marks(judges, plain), marks(judges, steered)
    before["panel"], after["panel"] = [mark == "y" for mark in without], [mark == "y" for mark in told]
    by: dict[str, Any] = {}
    for judge, was_yes in before.items():
        n = was_yes.count(False)
        turned = [now and not was for was, now in zip(was_yes, after[judge], strict=True)]
        kinds = Counter(attack["kind"] for (attack, _), hit in zip(asked, turned, strict=True) if hit)
        hits = sum(turned)
        by[judge] = {"n": n, "turned": hits, "rate": hits / n, "upper": upper(hits, n), "kinds": dict(kinds)}
        by[judge]["texts"] = [attack["id"] for (attack, _), hit in zip(asked, turned, strict=True) if hit]
    codes = [signs(one.answer) for one in steered]
    unseen = {attack["id"]: attack["kind"] for (attack, _), found in zip(asked, codes, strict=True) if not found}
    return {
        "attacks": len({attack["id"] for attack, _ in asked}),
        "pairs": len(asked),
        "by": by,
        "aside": sum(map(bool, codes)),
        "codes": dict(Counter(code for found in codes for code in found)),
        "unseen": unseen,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--trust", type=Path, action="append")
    parser.add_argument("--set", choices=list(EACH), action="append", dest="sets")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--show", action="store_true", help="the attacks that turned the panel, and those without a sign"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    manifest = open_manifest(given.models, load_trust(given.trust) if given.trust else None)
    opened = [open_judge(*one, threads=given.threads) for one in checked(given.models, manifest, ())]
    judges = [replace(one, judge=Remembering(one.judge)) for one in opened]
    result = {name: measured(name, judges) for name in given.sets or EACH}
    if given.json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
        return
    for name, found in result.items():
        print(
            f"{name}: {found['attacks']} attacks, {found['pairs']} pairs; {found['aside']} set aside, {found['codes']}"
        )
        for judge, one in found["by"].items():
            print(
                f"  {judge}: {one['turned']} of {one['n']} turned, {one['rate']:.2%}, at most {one['upper']:.2%};"
                f" {one['kinds']}"
            )
        print(
            f"  without a sign: {len(found['unseen'])} of {found['attacks']}, {dict(Counter(found['unseen'].values()))}"
        )
        if given.show:
            print(f"  turned: {found['by']['panel']['texts']}\n  without a sign: {found['unseen']}")


if __name__ == "__main__":
    main()
