"""Two judges and a physician: what holds of a criterion, and the opinions of judges on all criteria of an answer.

Where both judges say the same, that holds for the benchmark's score; where they differ, or one abstains, a physician
decides; until then it is open. A physician's verdict holds in any case. Certification asks for more: DESIGN, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlb_offline.scoring.judged import Verdict

How = Literal["agreed", "disputed", "abstained", "settled"]
_MARKS = {("agreed", True): "y", ("agreed", False): "n", ("disputed", None): "d", ("abstained", None): "a"}
HALF = 0.5
"""是 is said at this probability and above."""

SIGNS = (
    "claim",
    "control-token",
    "fence",
    "hidden",
    "instruction",
    "length",
    "listing",
    "repetition",
    "verdict",
)
"""Codes of all that speaks to a judge in an answer (``judge.manipulation``, docs/judge.md)."""
FAILED = "judge-failed"
"""Why an answer was set aside: a judge failed at it, but can judge another. It has no sign then."""
ASIDE = tuple(sorted((*SIGNS, FAILED)))
"""All reasons why an answer is set aside: no judge's verdict on it counts."""


def kept(said: Sequence[float | None]) -> tuple[float | None, ...]:
    """Probabilities as a run keeps them, to six decimals."""
    return tuple(None if value is None else round(value, 6) for value in said)


@dataclass(frozen=True)
class Finding:
    """What holds of a criterion (None: open), and why."""

    verdict: Verdict
    how: How


def find(said: Sequence[float | None], physician: Verdict = None) -> Finding:
    """What holds of a criterion.

    Args:
        said: each judge's probability of 是, None where it abstains; one or two.
        physician: the verdict of a physician, where there is one.

    Raises:
        ValueError: no judge.
    """
    if not said:
        raise ValueError("no judge")
    if physician is not None:
        return Finding(physician, "settled")
    verdicts = [None if value is None else value >= HALF for value in said]
    if None in verdicts:
        return Finding(None, "abstained")
    return Finding(verdicts[0], "agreed") if len(set(verdicts)) == 1 else Finding(None, "disputed")


@dataclass(frozen=True)
class Opinions:
    """What the judges said of one answer.

    Attributes:
        names: of its criteria, none twice: ``001`` … for evaluation points, ``safe``, or ``r1`` … ``q4``.
        said: for each judge the probability of 是 for each criterion, None where it abstained.
        signs: why it was set aside, of ``ASIDE``, sorted, each once; with any, every judge abstains.

    Raises:
        ValueError: no criterion, no judge, a name twice, probabilities that are none or of another number, signs that
            are none, or a verdict on an answer with signs.
    """

    names: tuple[str, ...]
    said: tuple[tuple[float | None, ...], ...]
    signs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        whole = bool(self.names and self.said) and len(set(self.names)) == len(self.names)
        fits = all(len(row) == len(self.names) for row in self.said)
        known = all(value is None or 0 <= value <= 1 for row in self.said for value in row)
        aside = not self.signs or all(value is None for row in self.said for value in row)
        told = list(self.signs) == sorted(set(self.signs).intersection(ASIDE))
        if not (whole and fits and known and aside and told):
            raise ValueError("no opinions on an answer")

    @classmethod
    def set_aside(cls, names: tuple[str, ...], judges: int, signs: tuple[str, ...]) -> Opinions:
        """Those on an answer that is set aside: every judge abstains, and a physician decides."""
        return cls(names, ((None,) * len(names),) * judges, signs)

    def findings(self, settled: Mapping[str, bool] | None = None) -> tuple[Finding, ...]:
        """What holds of each criterion, given a physician's verdicts by name."""
        physician = settled or {}
        return tuple(
            find([row[place] for row in self.said], physician.get(name)) for place, name in enumerate(self.names)
        )

    @property
    def marks(self) -> str:
        """What the judges together make of each criterion, as ``scoring.judged`` spells it."""
        return "".join(_MARKS[finding.how, finding.verdict] for finding in self.findings())

    def to_json(self) -> dict[str, Any]:
        """``{"names": […], "said": [[…] a judge]}``, and ``"signs": […]`` where there are any."""
        found: dict[str, Any] = {"names": list(self.names), "said": [list(row) for row in self.said]}
        return {**found, "signs": list(self.signs)} if self.signs else found

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Opinions:
        """What ``to_json`` wrote.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        said = tuple(tuple(row) for row in value["said"])
        return cls(tuple(value["names"]), said, tuple(map(str, value.get("signs", ()))))
