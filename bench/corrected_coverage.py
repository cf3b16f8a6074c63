"""Coverage of the interval of corrected rates, by simulation: the figures of docs/statistics.md.

    python -m bench.corrected_coverage [--trials 1000] [--seed 1]

Every cell is a run and a labelled set, drawn anew in each trial: whether the interval holds the true rate. Criteria
come in answers of 1 to 9, in which with a chance of ``within`` a label, and what the judges make of it, is drawn once
for all of them. Labelled sets have 60 % of 是, whatever the run has. A judge that came out at chance has no interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product

import numpy as np

from mlb_offline.stats.corrected import Confusion, Corrected, Said, corrected_rate

WITHIN = (0.0, 0.4, 1.0)
RUNS = (100, 300)
LABELLED = (100, 450)
JUDGES = ((0.6, 0.6), (0.6, 0.95), (0.95, 0.6), (0.8, 0.8), (0.95, 0.95))
RATES = (0.02, 0.1, 0.5, 0.9, 1.0)
IN_LABELLED = 0.6
CRITERIA = 5
"""Of an answer, on average, where criteria are not independent."""


def answers(
    random: np.random.RandomState, criteria: int, rate: float, judge: tuple[float, float], within: float
) -> list[Confusion]:
    """About so many labelled criteria with this rate of 是, as the judge answers them; one count an answer."""
    clusters = max(2, round(criteria / CRITERIA)) if within else criteria
    sizes = random.randint(1, 2 * CRITERIA, clusters) if within else np.ones(clusters, dtype=int)
    owner = np.repeat(np.arange(clusters), sizes)

    def uniform() -> np.ndarray:
        shared = random.random_sample(len(owner)) < within
        return np.where(shared, random.random_sample(clusters)[owner], random.random_sample(len(owner)))

    labels = uniform() < rate
    yes = uniform() < np.where(labels, judge[0], 1 - judge[1])
    cells = (labels & yes, labels & ~yes, ~labels & ~yes, ~labels & yes)
    counts = [np.bincount(owner, cell, clusters).astype(int) for cell in cells]
    return [Confusion(*(int(one) for one in row)) for row in zip(*counts, strict=True)]


def said(found: list[Confusion]) -> list[Said]:
    """What is known of a run: no labels."""
    return [Said(one.tp + one.fp, one.positives + one.negatives) for one in found]


def coverage(
    random: np.random.RandomState,
    trials: int,
    *,
    criteria: int,
    labelled: int,
    judge: tuple[float, float],
    rate: float,
    within: float,
) -> tuple[int, int, float]:
    """Trials with an interval, those in which it holds the rate, and its mean width."""
    given = held = 0
    width = 0.0
    for _ in range(trials):
        run = said(answers(random, criteria, rate, judge, within))
        found = corrected_rate(run, answers(random, labelled, IN_LABELLED, judge, within))
        if isinstance(found, Corrected):
            given += 1
            held += found.rate.low <= rate <= found.rate.high
            width += found.rate.high - found.rate.low
    return given, held, width / max(1, given)


def table(trials: int, seed: int) -> Iterator[str]:
    yield f"{trials} trials a cell, seed {seed}; {len(RUNS) * len(LABELLED) * len(RATES)} cells a row.\n"
    yield "| sensitivity, specificity | within an answer | lowest coverage of a cell | mean coverage | mean width |"
    yield "|---|---|---|---|---|"
    for judge, within in product(JUDGES, WITHIN):
        random = np.random.RandomState(seed)
        cells = [
            coverage(random, trials, criteria=run, labelled=labelled, judge=judge, rate=rate, within=within)
            for run, labelled, rate in product(RUNS, LABELLED, RATES)
        ]
        shares = [held / given for given, held, _ in cells if given]
        width = sum(width for *_, width in cells) / len(cells)
        yield (
            f"| {judge[0]}, {judge[1]} | {within} | {100 * min(shares):.1f} % "
            f"| {100 * sum(shares) / len(shares):.1f} % | {width:.2f} |"
        )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--trials", type=int, default=1000)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    for line in table(chosen.trials, chosen.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
