"""What judges are worth on labelled criteria, each alone and both as a panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from mlb_offline.errors import InputError
from mlb_offline.judge.agreement import agreement, confidence
from mlb_offline.judge.annotation import Criterion, parse_annotations, read_lines
from mlb_offline.judge.manipulation import signs
from mlb_offline.judge.opening import Judge
from mlb_offline.judge.panel import find, kept
from mlb_offline.judge.panels import confusion
from mlb_offline.judge.published import Reply, is_published, parse_published
from mlb_offline.language import tr

Progress = Callable[[str, int, int], None]
"""Called with the judge's name, criteria done, criteria to do."""
Said = Sequence[float | None]


def read_set(path: Path) -> tuple[tuple[Criterion, ...], tuple[Reply, ...]]:
    """The labelled criteria of a file, or the replies of one in the authors' layout; one of both is empty.

    Raises:
        InputError: it cannot be read, is empty, or a line is of neither layout; names line and field.
    """
    lines = read_lines(path)
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise InputError(
            tr("文件中没有标注", "the file holds no annotations"),
            file=path,
            remedy=tr("标注格式见 docs/judge.md", "the layout is in docs/judge.md"),
        )
    if is_published(first):
        return (), tuple(parse_published(lines, file=path))
    return tuple(parse_annotations(lines, file=path)), ()


def calibrate(judges: Mapping[str, Judge], criteria: Sequence[Criterion], progress: Progress) -> dict[str, Any]:
    """The answer of ``judge calibrate --json``: figures of the panel (of the judge, where there is one only), and under
    ``judges`` those of each. The panel's verdict is what both say; where they differ or one abstains it abstains, and
    so it does on an answer that speaks to judges (``judge.manipulation``). What a judge alone is worth is told of all
    answers: the rule is none of its merits. Of two judges ``confusion`` counts the panel against the labels, an
    abstention as not 是 (``panels.confusion``).

    Args:
        judges: one or two, by name.
        criteria: labelled, at least one.
        progress: told after each answer.
    """
    said = {name: _asked(name, judge, criteria, progress) for name, judge in judges.items()}
    alone = {name: _figures(criteria, found) for name, found in said.items()}
    if len(said) == 1:
        return {**next(iter(alone.values())), "judges": alone}
    first, second = said.values()
    steered = {answer: bool(signs(answer)) for answer in {one.answer for one in criteria}}
    panel = [
        None if steered[one.answer] else find(pair).verdict
        for one, pair in zip(criteria, zip(first, second, strict=True), strict=True)
    ]
    rates = _rates(criteria, [None if one is None else float(one) for one in panel])
    return {**rates, "confusion": confusion(criteria, panel), "judges": alone}


def _asked(name: str, judge: Judge, criteria: Sequence[Criterion], progress: Progress) -> Said:
    found: list[float | None] = []
    for _, group in groupby(criteria, key=lambda one: (one.question, one.answer)):
        found += kept(judge.probabilities(list(group)))
        progress(name, len(found), len(criteria))
    return found


def _figures(criteria: Sequence[Criterion], said: Said) -> dict[str, Any]:
    return {**_rates(criteria, said), **confidence([one.label for one in criteria], said).to_json()}


def _rates(criteria: Sequence[Criterion], said: Said) -> dict[str, Any]:
    def of(places: Sequence[int], *, kinds: bool) -> dict[str, Any]:
        some = [criteria[place] for place in places]
        return agreement(
            [one.label for one in some],
            [said[place] for place in places],
            [one.answer_id for one in some],
            [one.kind for one in some] if kinds else None,
        ).to_json()

    families = sorted({one.family for one in criteria})
    by_family = {
        family: of([place for place, one in enumerate(criteria) if one.family == family], kinds=False)
        for family in families
    }
    return {**of(range(len(criteria)), kinds=True), "by_family": by_family}


def table(result: Mapping[str, Any]) -> list[str]:
    """The result for a person: one line a figure, then what each judge is alone."""
    names = {
        "accuracy": tr("准确率", "accuracy"),
        "precision": tr("精确率", "precision"),
        "recall": tr("召回率（灵敏度）", "recall (sensitivity)"),
        "specificity": tr("特异度", "specificity"),
        "f1": "F1",
        "kappa": "κ",
        "ac1": "AC1",
    }

    def lines(found: Mapping[str, Any], indent: str) -> list[str]:
        told = tr("条判据，弃权", "criteria, abstained")
        head = f"{indent}n = {found['n']} {told} {found['abstained']}"
        rates = [(title, found[name]) for name, title in names.items() if found.get(name)]
        return [
            head,
            *(f"{indent}{title}: {one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]" for title, one in rates),
        ]

    judges = result.get("judges", {})
    both = tr("两名裁判一致之处：", "where both judges agree:")
    found = [both, *lines(result, "  ")] if len(judges) > 1 else [] if judges else lines(result, "")
    for name, alone in judges.items():
        found += [f"{name}:", *lines(alone, "  ")]
    return found
