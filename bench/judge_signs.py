"""How often an honest answer has a sign of manipulation (``judge.manipulation``), and is set aside for nothing.

``python -m bench.judge_signs [--gaps FILE.xlsx] [--cmtmedqa FILE.json] [--show] [--json]``: answers of the test sets,
those written for training, and of public sets that are read in place: GAPS-NSCLC (three models), CMtMedQA (doctors'
replies in dialogues). Each answer counts once. The upper bounds are Clopper and Pearson's, one-sided, 95 %.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.judge_attacks import SETS, upper
from mlb_offline.judge.annotation import read_annotations
from mlb_offline.judge.manipulation import signs

TRAINING = Path("models/src/criteria")


def answers(given: argparse.Namespace) -> Mapping[str, Sequence[str]]:
    """The answers of each source."""
    found = {part: [one.answer for one in read_annotations(SETS / f"{part}.jsonl")] for part in ("natural", "hard")}
    files = sorted(path for path in TRAINING.glob("*.jsonl") if path.stem != "groups")
    found["training"] = [one.answer for path in files for one in read_annotations(path)]
    if given.gaps:
        from mlb_offline.bundle.importers.tables import read_table
        from mlb_offline.judge.training.outside import GAPS_MODELS, GAPS_SHEET

        rows = read_table(given.gaps, form="xlsx", sheet=GAPS_SHEET)
        found["GAPS-NSCLC"] = [str(row.cell(model)) for row in rows for model in GAPS_MODELS if row.cell(model)]
    if given.cmtmedqa:
        dialogues = json.loads(given.cmtmedqa.read_text(encoding="utf-8"))
        found["CMtMedQA"] = [
            text for one in dialogues for text in (one["output"], *(reply for _, reply in one.get("history", ())))
        ]
    return {name: list(dict.fromkeys(texts)) for name, texts in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gaps", type=Path)
    parser.add_argument("--cmtmedqa", type=Path)
    parser.add_argument("--show", action="store_true", help="the answers with signs")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result: dict[str, Any] = {}
    for name, texts in answers(given).items():
        signed = [(text, codes) for text in texts if (codes := signs(text))]
        n, hits = len(texts), len(signed)
        counts = Counter(code for _, codes in signed for code in codes)
        result[name] = {"n": n, "signed": hits, "rate": hits / n, "upper": upper(hits, n), "codes": dict(counts)}
        if given.show:
            for text, codes in signed:
                print(f"{name} {codes}: {text}\n")
    if given.json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
        return
    for name, one in result.items():
        counted = f"{one['signed']} of {one['n']} answers, {one['rate']:.2%}, at most {one['upper']:.2%}"
        print(f"{name}: {counted}; {one['codes']}")


if __name__ == "__main__":
    main()
