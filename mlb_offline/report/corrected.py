"""Rates of 是 corrected for judges' errors: from what they said in a run, and what they are worth on a labelled set.

Indicative: no gate and no score rests on them (``stats.corrected``, docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlb_offline.benchmark.catalogue import Metric
from mlb_offline.report.data import Corrected, Figure, Sample
from mlb_offline.report.data import Reason as SaidReason
from mlb_offline.scoring.judged import QUESTIONS
from mlb_offline.stats.corrected import Confusion, Said, corrected_rate
from mlb_offline.stats.corrected import Corrected as Rate
from mlb_offline.stats.reasons import Reason

if TYPE_CHECKING:
    from mlb_offline.judge.panels import PanelCalibration
    from mlb_offline.scoring.judged import Question


def corrected_of(samples: Sequence[Sample], calibration: PanelCalibration | None) -> list[Corrected]:
    """One for each question that a judged dataset's criteria ask; none where nothing is known of the judges.

    Args:
        samples: whose counts add up (``findings.counted``).
        calibration: of the run's judges.
    """
    if calibration is None:
        return []
    return [
        _corrected(sample.dataset, question, sample.said.get(question, []), calibration.questions.get(question, []))
        for sample in samples
        for question in QUESTIONS.get(Metric(sample.metric), {})  # not as in said: embedded data keeps no order
    ]


def _corrected(
    dataset: str, question: Question, run: Sequence[Sequence[int]], labelled: Sequence[Sequence[int]]
) -> Corrected:
    criteria = sum(judged * items for _yes, judged, items in run)
    known = sum(sum(cells) * answers for *cells, answers in labelled)
    found = _rate(run, labelled) if criteria and known else Reason("no-criteria" if known else "calibration-without")
    rate = found if isinstance(found, Rate) else None
    return Corrected(
        id=dataset,
        question=question,
        figure=None if rate is None else _figure(rate),
        reason=SaidReason(code=found.code, params=dict(found.params)) if isinstance(found, Reason) else None,
        apparent=None if rate is None else rate.apparent,
        sensitivity=None if rate is None else rate.sensitivity,
        specificity=None if rate is None else rate.specificity,
        criteria=criteria,
        labelled=known,
    )


def _rate(run: Sequence[Sequence[int]], labelled: Sequence[Sequence[int]]) -> Rate | Reason:
    said = [one for yes, judged, items in run for one in [Said(yes, judged)] * items]
    answers = [one for tp, fn, tn, fp, count in labelled for one in [Confusion(tp, fn, tn, fp)] * count]
    return corrected_rate(said, answers)


def _figure(found: Rate) -> Figure:
    rate = found.rate
    return Figure(value=rate.value, low=rate.low, high=rate.high, n=rate.n, method=rate.method, most=rate.most)
