"""Do the facts of a report about its judges fit each other? Each claim raises ``TrustError``, as in ``facts``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlb_offline.benchmark.catalogue import Metric
from mlb_offline.judge.panel import ASIDE, FAILED, SIGNS
from mlb_offline.report.canonical import refuse
from mlb_offline.report.data import ReportData, Sample
from mlb_offline.scoring.judged import QUESTIONS

CRITERIA: Mapping[str, tuple[int, int]] = {
    Metric.JUDGE_POINTS: (1, 1000),
    Metric.JUDGE_SAFETY: (1, 1),
    Metric.JUDGE_ETHICS: (6, 6),
}
"""Least and most criteria of an answer, by metric."""


def judged_facts_agree(data: ReportData, file: str | Path) -> None:
    """All claims of this module.

    Raises:
        TrustError: a claim does not hold.
    """
    said_fits_the_marks(data, file)
    answers_set_aside_are_open(data, file)
    calibration_is_of_the_judges(data, file)


def said_fits_the_marks(data: ReportData, file: str | Path) -> None:
    """What the judges said of items is told for each question of a dataset, of as many criteria as its answers have,
    and adds up to what they make of all criteria."""
    for sample in data.samples:
        if not _said_fits(sample, data.run.identity.repeats):
            refuse(
                f"报告自相矛盾：{sample.dataset} 的裁判对各题所说与判据计数不符",
                f"the report contradicts itself: {sample.dataset}: what the judges said of items is not what is counted"
                " of criteria",
                file,
                "data.samples",
            )


def _said_fits(sample: Sample, repeats: int) -> bool:
    asked = QUESTIONS.get(Metric(sample.metric), {})
    if sample.said.keys() != asked.keys():
        return False
    least, most = CRITERIA.get(sample.metric, (0, 0))
    judged = sample.tally["judged"]
    for question, place in asked.items():
        fewest, largest = len(range(least)[place]), len(range(most)[place])
        rows = sample.said[question]
        criteria = sum(row[1] * row[-1] for row in rows)
        if not judged * fewest <= criteria <= judged * largest or any(row[1] > largest * repeats for row in rows):
            return False
    every = [row for rows in sample.said.values() for row in rows]
    yes, criteria = (sum(row[place] * row[-1] for row in every) for place in (0, 1))
    return (yes, criteria) == (sample.criteria.get("y", 0), sum(sample.criteria.values()))


def answers_set_aside_are_open(data: ReportData, file: str | Path) -> None:
    """Answers are set aside for known reasons, no more than were judged, and nothing is agreed on in any of them."""
    for sample in data.samples:
        if not _aside_fits(sample):
            refuse(
                f"报告自相矛盾：{sample.dataset} 未交裁判的回答数与判据计数不符",
                f"the report contradicts itself: {sample.dataset}: the answers set aside are not what is counted of"
                " criteria",
                file,
                "data.samples",
            )


def _aside_fits(sample: Sample) -> bool:
    aside = sample.aside
    if sample.metric not in CRITERIA:
        return not aside
    if aside.keys() != {"any", *ASIDE}:
        return False
    least, most = CRITERIA[sample.metric]
    signs = [aside[code] for code in SIGNS]
    judged, abstained = sample.tally["judged"], sample.criteria["a"]
    fewest, largest = aside[FAILED] + max(signs), aside[FAILED] + sum(signs)
    others = sum(sample.criteria.values()) - abstained
    return (
        fewest <= aside["any"] <= largest
        and aside["any"] * least <= abstained
        and others <= (judged - aside["any"]) * most
    )


def calibration_is_of_the_judges(data: ReportData, file: str | Path) -> None:
    """What is known of judges is known of those of the run, asked and corrected as there."""
    known = data.calibration
    if known is not None and not known.of_judges([judge.model_dump() for judge in data.run.identity.judges]):
        refuse(
            "报告自相矛盾：标定的不是这次运行的裁判",
            "the report contradicts itself: the calibration is not of the run's judges",
            file,
            "data.calibration",
        )
