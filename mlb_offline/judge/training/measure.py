"""Judges side by side on labelled sets: a document of figures, and its tables and diagrams for a model card.

The document is plain JSON, so that a card can be made again without the judges::

    {judges: [name], sets: {name: {n, answers, judges: {name: {overall: F, families: {family: F}}},
                                   pairs: [{judges: [a, b], overall: P, families: {family: P}}]}}}

F holds what ``agreement.Agreement`` and ``agreement.Confidence`` give, ``by_kind`` in ``overall`` only; P what
``agreement.PairAgreement`` gives. Raises ``ValueError`` where a judge does not give one probability a criterion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Protocol

from mlb_offline.judge.agreement import agreement, confidence, pair_agreement
from mlb_offline.language import tr

if TYPE_CHECKING:
    from mlb_offline.judge.annotation import Criterion

Said = Sequence[float | None]
Places = Sequence[int]
Document = dict[str, Any]

_NONE = "–"
_SIDE, _LEFT, _TOP = 200, 44, 12  # of the plot in a diagram, in its user units
_LARGEST_DOT = 9.0


class Judge(Protocol):
    """Anything that answers criteria."""

    def probabilities(self, criteria: Sequence[Criterion]) -> Said:
        """The probability of 是 for each criterion, in order; None where the judge abstains."""
        ...


def measure(judges: Mapping[str, Judge], sets: Mapping[str, Sequence[Criterion]]) -> Document:
    """The document of all judges on all sets; each judge is asked once a set."""
    return {"judges": list(judges), "sets": {name: _set(name, judges, criteria) for name, criteria in sets.items()}}


def _set(name: str, judges: Mapping[str, Judge], criteria: Sequence[Criterion]) -> Document:
    said = {judge: _asked(f"{judge} / {name}", judges[judge], criteria) for judge in judges}
    whole, families = range(len(criteria)), _families(criteria)
    return {
        "n": len(criteria),
        "answers": len({one.answer_id for one in criteria}),
        "judges": {
            judge: {
                "overall": _figures(criteria, found, whole, kinds=True),
                "families": {family: _figures(criteria, found, places) for family, places in families.items()},
            }
            for judge, found in said.items()
        },
        "pairs": [
            {
                "judges": [first, second],
                "overall": _pair(criteria, said[first], said[second], whole),
                "families": {f: _pair(criteria, said[first], said[second], places) for f, places in families.items()},
            }
            for first, second in combinations(judges, 2)
        ],
    }


def _asked(what: str, judge: Judge, criteria: Sequence[Criterion]) -> Said:
    said = judge.probabilities(criteria)
    if len(said) != len(criteria):
        raise ValueError(f"{what}: {len(said)} probabilities for {len(criteria)} criteria")
    return said


def _families(criteria: Sequence[Criterion]) -> dict[str, list[int]]:
    """Places by family, in the order in which families appear."""
    found: dict[str, list[int]] = {}
    for place, one in enumerate(criteria):
        found.setdefault(one.family, []).append(place)
    return found


def _figures(criteria: Sequence[Criterion], said: Said, places: Places, *, kinds: bool = False) -> Document:
    labels, clusters = _labels(criteria, places)
    chosen = [said[place] for place in places]
    found = agreement(labels, chosen, clusters, [criteria[place].kind for place in places] if kinds else None)
    return {**found.to_json(), **confidence(labels, chosen).to_json()}


def _pair(criteria: Sequence[Criterion], first: Said, second: Said, places: Places) -> Document:
    labels, clusters = _labels(criteria, places)
    return pair_agreement(labels, [first[p] for p in places], [second[p] for p in places], clusters).to_json()


def _labels(criteria: Sequence[Criterion], places: Places) -> tuple[list[bool], list[str]]:
    return [criteria[place].label for place in places], [criteria[place].answer_id for place in places]


def tables(document: Document) -> str:
    """The document as Markdown, in the language in use: one section a set, one row a judge."""
    return "\n".join(line for name, found in document["sets"].items() for line in _section(name, found))


def _section(name: str, found: Document) -> Iterator[str]:
    n, answers = found["n"], found["answers"]
    size = tr(f"{n} 条判据，{answers} 份回答；附 95 % 区间", f"{n} criteria on {answers} answers; 95 % intervals.")
    yield from (f"### {_cell(name)}", "", size, "")
    judges = {judge: figures["overall"] for judge, figures in found["judges"].items()}
    yield from _figure_table(judges)
    families = list(dict.fromkeys(family for one in found["judges"].values() for family in one["families"]))
    for family in families if len(families) > 1 else []:
        yield from (f"#### {family}", "")
        yield from _figure_table({judge: one["families"][family] for judge, one in found["judges"].items()})
    yield from _kind_table(judges)
    yield from _coverage_table(judges)
    yield from _reliability_table(judges)
    yield from _pair_table(found["pairs"])


def _figure_table(judges: Mapping[str, Document]) -> Iterator[str]:
    shown = ("accuracy", "precision", "recall", "f1", "specificity", "kappa", "ac1")
    head = [
        tr("裁判", "judge"),
        "n",
        tr("弃权", "abstained"),
        tr("准确率", "accuracy"),
        tr("精确率", "precision"),
        tr("召回率（灵敏度）", "recall (sensitivity)"),
        "F1",
        tr("特异度", "specificity"),
        "κ",
        "AC1",
        "AUC",
        "ECE",
    ]
    rows = []
    for judge, one in judges.items():
        figures = [*(rate(one[name]) for name in shown), *_plain(one["auc"], one["ece"])]
        rows.append([judge, str(one["n"]), str(one["abstained"]), *figures])
    yield from table(head, rows)


def _kind_table(judges: Mapping[str, Document]) -> Iterator[str]:
    kinds = {kind: one["n"] for figures in judges.values() for kind, one in figures.get("by_kind", {}).items()}
    if kinds:
        yield from (tr("**按类别的准确率**", "**Accuracy by kind**"), "")
        accuracy = {kind: [rate(one["by_kind"][kind]["accuracy"]) for one in judges.values()] for kind in kinds}
        rows = [[kind, str(n), *accuracy[kind]] for kind, n in sorted(kinds.items())]
        yield from table([tr("类别", "kind"), "n", *judges], rows)


def _coverage_table(judges: Mapping[str, Document]) -> Iterator[str]:
    yield from (tr("**只取最有把握者时的准确率**", "**Accuracy on the most confident share**"), "")
    shares = list(dict.fromkeys(point["coverage"] for one in judges.values() for point in one["coverage"]))
    rows = [[judge, *_plain(*(point["accuracy"] for point in one["coverage"]))] for judge, one in judges.items()]
    yield from table([tr("裁判", "judge"), *(f"{100 * share:.0f} %" for share in shares)], rows)


def _reliability_table(judges: Mapping[str, Document]) -> Iterator[str]:
    title = tr("**可靠性：平均概率 → 实为“是”的比例（n）**", "**Reliability: mean probability → share that is 是 (n)**")
    yield from (title, "")
    width = max((len(one["reliability"]) for one in judges.values()), default=0)
    rows = []
    for judge, one in judges.items():
        cells = [f"{b['probability']:.3f} → {b['observed']:.3f} ({b['n']})" for b in one["reliability"]]
        rows.append([judge, *cells, *[_NONE] * (width - len(cells))])
    yield from table([tr("裁判", "judge"), *(str(number + 1) for number in range(width))], rows)


def _pair_table(pairs: Sequence[Document]) -> Iterator[str]:
    if pairs:
        yield from (tr("**两个裁判一致时**", "**Where two judges agree**"), "")
        head = [tr("裁判", "judges"), tr("一致", "agreed"), tr("占比", "share"), tr("一致时的准确率", "accuracy there")]
        every = [(pair["judges"], pair["overall"]) for pair in pairs]
        rows = [
            [" + ".join(names), f"{one['agreed']} / {one['n']}", rate(one["share"]), rate(one["accuracy"])]
            for names, one in every
        ]
        yield from table(head, rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A Markdown table, and an empty line."""
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(_cell(one) for one in row)} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def rate(found: Mapping[str, float] | None) -> str:
    """A rate with its interval."""
    return _NONE if found is None else f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _plain(*values: float | None) -> list[str]:
    return [_NONE if value is None else f"{value:.3f}" for value in values]


def reliability_svg(bins: Sequence[Mapping[str, Any]]) -> str:
    """A reliability diagram: mean probability across, share that is 是 up, the diagonal of a calibrated judge.

    Args:
        bins: as under ``reliability`` in the document. The area of a dot is in proportion to its ``n``.

    Returns:
        A static SVG without script, style sheet or reference, to stand alone or within a page.
    """
    across, up = tr("给出的“是”的概率", "probability of 是"), tr("实为“是”的比例", "share that is 是")
    largest = max((one["n"] for one in bins), default=1)
    width, height = _LEFT + _SIDE + 16, _TOP + _SIDE + 44
    centre, foot = _LEFT + _SIDE / 2, _TOP + _SIDE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="11">',
        f"<title>{tr('可靠性图', 'Reliability diagram')}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#888"/>',
        f'<path d="M{_LEFT} {foot}L{_LEFT + _SIDE} {_TOP}" stroke="#888" stroke-dasharray="4 3"/>',
        *_ticks(),
        *(_dot(one, largest) for one in bins),
        f'<text x="{centre}" y="{foot + 34}" text-anchor="middle">{across}</text>',
        f'<text transform="translate(12 {_TOP + _SIDE / 2}) rotate(-90)" text-anchor="middle">{up}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _ticks() -> Iterator[str]:
    for tick in (0.0, 0.5, 1.0):
        x, y = _LEFT + tick * _SIDE, _TOP + (1 - tick) * _SIDE
        yield f'<text x="{x:.0f}" y="{_TOP + _SIDE + 16}" text-anchor="middle">{tick:g}</text>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{tick:g}</text>'


def _dot(one: Mapping[str, Any], largest: int) -> str:
    x, y = _LEFT + one["probability"] * _SIDE, _TOP + (1 - one["observed"]) * _SIDE
    radius = _LARGEST_DOT * (one["n"] / largest) ** 0.5
    label = f"{one['probability']:.3f} → {one['observed']:.3f} (n = {one['n']})"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#2563a8" fill-opacity="0.7">'
        f"<title>{label}</title></circle>"
    )
