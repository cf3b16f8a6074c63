"""Does what a report tells of physicians fit: who labelled how much, and what came of it?

Labels themselves stand in no report. These are the bounds that every honest count keeps; who can write the items file
too can still count packets otherwise, or name the reviewers of a criterion otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from mlb_offline.report.data import Adjudication, ReportData, Sample
from mlb_offline.report.items import Record
from mlb_offline.trust.fingerprint import fingerprint


def sample_was_seen(data: ReportData) -> bool:
    """Whether a sample was drawn where a share was fixed, of a finished run, and every label was given by somebody."""
    adjudication, samples = data.adjudication, {sample.dataset: sample for sample in data.samples}
    audited = [sample for sample in data.samples if sample.audit is not None]
    if adjudication is None:
        return not audited
    return (
        {sample.dataset for sample in audited} == adjudication.shares.keys()
        and all(samples[name].criteria for name in adjudication.shares)
        and data.run.finished is not None
        and (adjudication.seed != data.run.event_head)
        and all(_could_be_drawn(sample, adjudication.shares[sample.dataset]) for sample in audited)
        and all(map(_scores_have_labels, audited))
        and _reviewers_are_named(adjudication)
        and _reviewers_saw_enough(adjudication, data.samples)
    )


def _could_be_drawn(sample: Sample, share: float) -> bool:
    """Whether the number drawn is one that the share gives: Hoeffding's bound at one in 10^9."""
    drawn = 0 if sample.audit is None else sum(row[-1] for row in sample.audit.drawn)
    return abs(drawn - share * sample.n) <= math.sqrt(sample.n * math.log(2e9) / 2)


def _scores_have_labels(sample: Sample) -> bool:
    """Whether every item drawn that scores more than nothing has an answer of which something was decided."""
    if sample.audit is None:
        return True
    return sum(row[-1] for row in sample.audit.judges) >= sum(row[-1] for row in sample.audit.drawn if row[1])


def items_were_seen(data: ReportData, records: Iterable[Record]) -> bool:
    """Whether the marks of physicians in the items file are as many as their labels can have made."""
    marked = sum(len(record.physicians) - record.physicians.count("-") for record in records)
    adjudication = data.adjudication
    if adjudication is None:
        return not marked
    numbers = [one.criteria for one in adjudication.reviewers]
    return max(numbers, default=0) <= marked <= sum(numbers) - _twice(adjudication)


def _reviewers_are_named(adjudication: Adjudication) -> bool:
    keys = [one.keyid for one in adjudication.reviewers]
    return (
        keys == sorted(set(keys))
        and all(one.fingerprint == fingerprint(bytes.fromhex(one.keyid)) for one in adjudication.reviewers)
        and max(adjudication.plaintext, adjudication.unreturned) <= adjudication.packets
        and (adjudication.packets > adjudication.unreturned) == bool(keys)
        and (adjudication.packets > 0 or not keys)
    )


def _reviewers_saw_enough(adjudication: Adjudication, samples: Iterable[Sample]) -> bool:
    samples = list(samples)
    criteria = sum(sum(sample.criteria.values()) for sample in samples)
    numbers = [one.criteria for one in adjudication.reviewers]
    seen, twice = sum(map(_decided, samples)), _twice(adjudication)
    return (
        max(numbers, default=0) <= criteria
        and sum(numbers) >= max(seen, twice) + twice
        and twice <= sum(numbers) - max(numbers, default=0)
        and not (any(map(_has_score, samples)) and not seen)
    )


def _twice(adjudication: Adjudication) -> int:
    """Criteria that two have decided."""
    return sum(sum(row[:4]) * row[4] for row in adjudication.physicians)


def _decided(sample: Sample) -> int:
    """Criteria of the items drawn that a physician has decided."""
    return 0 if sample.audit is None else sum(sum(row[:5]) * row[5] for row in sample.audit.judges)


def _has_score(sample: Sample) -> bool:
    """Whether an item drawn scores more than nothing, which takes labels."""
    return sample.audit is not None and any(row[1] for row in sample.audit.drawn)
