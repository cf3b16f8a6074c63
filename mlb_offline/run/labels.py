"""What physicians have settled: the labels of all reviewers, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlb_offline.run.changes import Criterion

YES, NO, OPEN = "是", "否", "?"
_MARKS = {YES: "y", NO: "n"}


@dataclass(frozen=True)
class Labels:
    """What one reviewer said of one packet: 是, 否 or ? by criterion."""

    packet: str
    reviewer: str
    saved: str
    verdicts: Mapping[Criterion, str]


@dataclass(frozen=True)
class Adjudication:
    """All that physicians had to do with a run.

    Attributes:
        seed: hash of the event that made the run: the draw follows from it.
        shares: chance of an item to be drawn, by dataset.
        labels: of each reviewer and packet, in the order in which they came back.
        packets: packets given out.
        exports: of these, in plaintext.
    """

    seed: str
    shares: Mapping[str, float]
    labels: tuple[Labels, ...]
    packets: int
    exports: int

    def said(self) -> dict[Criterion, list[str]]:
        """What each reviewer says of each criterion. The first 是 or 否 of one counts: a second look changes nothing,
        or the better of two would be taken."""
        first: dict[Criterion, dict[str, str]] = {}
        for one in self.labels:
            for criterion, verdict in one.verdicts.items():
                said = first.setdefault(criterion, {})
                if said.get(one.reviewer, OPEN) == OPEN:
                    said[one.reviewer] = verdict
        return {criterion: list(verdicts.values()) for criterion, verdicts in first.items()}

    @property
    def unreturned(self) -> int:
        """Packets of which no labels came back."""
        return self.packets - len({one.packet for one in self.labels})

    def labelled(self) -> dict[str, int]:
        """Criteria that each reviewer has labelled, by key id."""
        criteria: dict[str, set[Criterion]] = {}
        for one in self.labels:
            criteria.setdefault(one.reviewer, set()).update(one.verdicts)
        return {reviewer: len(labelled) for reviewer, labelled in sorted(criteria.items())}

    def marks(self) -> dict[Criterion, str]:
        """What holds of each criterion that somebody has looked at (``scoring.judged``)."""
        return {criterion: settle(verdicts) for criterion, verdicts in self.said().items()}


def settle(verdicts: Sequence[str]) -> str:
    """The mark of a criterion: what more than half of those who looked at it say, else ``?``.

    Two who differ settle nothing; a third decides.
    """
    for verdict, mark in _MARKS.items():
        if 2 * sum(one == verdict for one in verdicts) > len(verdicts):
            return mark
    return OPEN


def double_reviewed(adjudication: Adjudication) -> tuple[tuple[int, ...], ...]:
    """How far two physicians agree: sorted rows (both 是, the first alone, the second alone, both 否, answers), over
    criteria that at least two have decided; the first two count."""
    answers: dict[tuple[str, str, int], Counter[tuple[bool, bool]]] = {}
    for (dataset, item, repeat, _name), verdicts in adjudication.said().items():
        decided = [one == YES for one in verdicts if one != OPEN][:2]
        if len(decided) == 2:
            answers.setdefault((dataset, item, repeat), Counter())[decided[0], decided[1]] += 1
    cells = ((True, True), (True, False), (False, True), (False, False))
    rows = Counter(tuple(counts[cell] for cell in cells) for counts in answers.values())
    return tuple(sorted((*row, count) for row, count in rows.items()))
