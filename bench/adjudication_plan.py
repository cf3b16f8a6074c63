"""Errors of gates on judged datasets, and the labels that judges save, by simulation: tables of docs/statistics.md.

    python -m bench.adjudication_plan [--trials 20000] [--seed 1] [--quick]

Prints Markdown. Two judges guess where they do not know, and guess leniently; what they do not know they share with
each other and across the criteria of an item (``correlated``). An error is a gate met although the true mean is the
threshold, or what lies above it by less than the bounds' grid. It is counted for every share of the plan's ladder, and
for all together: met by any of the shares, whichever a plan would have chosen, and even by trying one after the other.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product, starmap

import numpy as np
from numpy.typing import NDArray

from mlb_offline.adjudication.planning import LADDER, POWER
from mlb_offline.scoring.judged import EthicsWeights
from mlb_offline.stats.bounds import clopper_pearson_lower
from mlb_offline.stats.rehearsal import grid_point, plain_reached, powered_reached

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

KAPPAS = (0.0, 0.4, 0.8)
SIZES = (100, 200)
LENIENT = 0.95
"""Chance that a judge who does not know says what raises the score."""
BETWEEN = 0.6
"""Share of what a judge does not know, or guesses, that the other judge does as well."""
WITHIN = 0.5
"""Share of that which holds for all criteria of an item."""
SPREAD = 4.0
"""Of items' quality: a beta distribution whose parameters add up to this."""
NO_RISK = 0.95
"""Share of the ethics answers without any risk."""
POINTS = (4, 12)
TRUE_MEAN, THRESHOLDS = 0.9, (0.75, 0.8, 0.85)
"""Of the gates for which labels are counted."""
AT_ONCE = 250
QUICK, OF_SAVINGS = 200, 1_000


@dataclass(frozen=True)
class Setting:
    """What runs are made of: the kind of score, the judges' kappa, items, and the true mean score."""

    kind: str
    kappa: float
    n: int
    mean: float


@dataclass(frozen=True)
class Runs:
    """Simulated runs: scores are runs × items; ``criteria`` is how many an item has on average."""

    judged: Floats
    labels: Floats
    kappa: float
    criteria: float


@dataclass(frozen=True)
class Criteria:
    """Whether each criterion speaks for the answer, runs × items × criteria; ``there`` masks what does not exist."""

    truth: Bools
    there: Bools
    rates: Floats
    score: Callable[[Bools], Floats]


def points(random: np.random.RandomState, runs: int, n: int, mean: float) -> Criteria:
    most = POINTS[1]
    there = np.arange(most) < random.randint(POINTS[0], most + 1, (runs, n, 1))
    quality = random.beta(SPREAD * mean, SPREAD * (1 - mean), (runs, n, 1))
    truth = random.random_sample(there.shape) < quality
    return Criteria(
        truth, there, np.full(most, mean), lambda good: np.asarray((good & there).sum(axis=2) / there.sum(axis=2))
    )


def safety(random: np.random.RandomState, runs: int, n: int, mean: float) -> Criteria:
    truth = random.random_sample((runs, n, 1)) < mean
    return Criteria(truth, np.ones_like(truth), np.array([mean]), lambda good: good[:, :, 0].astype(np.float64))


def ethics(random: np.random.RandomState, runs: int, n: int, mean: float) -> Criteria:
    safe, quality_mean = NO_RISK**0.5, mean / NO_RISK
    quality = random.beta(SPREAD * quality_mean, SPREAD * (1 - quality_mean), (runs, n, 1))
    risks = random.random_sample((runs, n, 2)) < safe
    truth = np.concatenate([risks, random.random_sample((runs, n, 4)) < quality], axis=2)
    weights = np.array(EthicsWeights().all)
    rates = np.array([safe] * 2 + [quality_mean] * 4)

    def score(good: Bools) -> Floats:
        return np.minimum(1.0, good[:, :, :2].all(axis=2) * (good[:, :, 2:] @ weights))

    return Criteria(truth, np.ones_like(truth), rates, score)


KINDS = {"points": points, "safety": safety, "ethics": ethics}


def knowing(kappa: float, rate: float) -> float:
    """How often a judge must know the truth, guessing otherwise, to agree with it beyond chance by ``kappa``."""

    def reached(known: float) -> float:
        says = known * rate + (1 - known) * LENIENT
        expected = rate * says + (1 - rate) * (1 - says)
        observed = known + (1 - known) * (rate * LENIENT + (1 - rate) * (1 - LENIENT))
        return (observed - expected) / (1 - expected)

    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < kappa else (low, middle)
    return low


def correlated(random: np.random.RandomState, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Uniform numbers of both judges, many of them one and the same, some of those for a whole item."""
    of_item, of_both = random.random_sample((*shape[:2], 1)), random.random_sample(shape)
    both = np.where(random.random_sample(shape) < WITHIN, of_item, of_both)
    first, second = (
        np.where(random.random_sample(shape) < BETWEEN, both, random.random_sample(shape)) for _ in range(2)
    )
    return first, second


def draw(random: np.random.RandomState, setting: Setting, runs: int) -> Runs:
    """Runs whose items have the true mean, and judges of about this kappa against the physician."""
    made = KINDS[setting.kind](random, runs, setting.n, setting.mean)
    known = np.array([knowing(setting.kappa, rate) for rate in made.rates])
    knows, guesses = correlated(random, made.truth.shape), correlated(random, made.truth.shape)
    first, second = (
        np.where(know < known, made.truth, guess < LENIENT) for know, guess in zip(knows, guesses, strict=True)
    )
    judged = (made.score(first & second) + made.score(first | second)) / 2  # the middle of what disputes leave open
    criteria = float(made.there.sum()) / (runs * setting.n)
    return Runs(judged, made.score(made.truth), cohen(made.truth[made.there], first[made.there]), criteria)


def cohen(truth: Bools, said: Bools) -> float:
    chance = truth.mean() * said.mean() + (1 - truth.mean()) * (1 - said.mean())
    return float(((truth == said).mean() - chance) / (1 - chance))


def blocks(random: np.random.RandomState, setting: Setting, trials: int) -> Iterator[Runs]:
    for start in range(0, trials, AT_ONCE):
        yield draw(random, setting, min(AT_ONCE, trials - start))


@dataclass(frozen=True)
class Errors:
    """Gates met of ``trials`` whose true mean is the threshold."""

    trials: int
    kappa: float
    by_share: tuple[int, ...]
    by_any: int


def errors(random: np.random.RandomState, setting: Setting, trials: int) -> Errors:
    by_share, by_any, kappas = np.zeros(len(LADDER), dtype=int), 0, []
    point = grid_point(setting.mean)
    for runs in blocks(random, setting, trials):
        places = random.random_sample(runs.judged.shape)
        met = np.stack([powered_reached(runs.judged, runs.labels, places < share, share, point) for share in LADDER])
        by_share, by_any = by_share + met.sum(axis=1), by_any + int(met.any(axis=0).sum())
        kappas.append(runs.kappa)
    return Errors(trials, float(np.mean(kappas)), tuple(int(one) for one in by_share), by_any)


def upper(count: int, trials: int) -> float:
    """What the true rate of errors is below, with 95 % confidence (Clopper and Pearson)."""
    return 1 - clopper_pearson_lower(trials - count, trials)


def error_table(trials: int, seed: int) -> Iterator[str]:
    yield f"{trials} runs a row, seed {seed}; in brackets what the rate lies below with 95 % confidence.\n"
    yield "| score | κ | n | true mean = threshold | errors, worst single share | errors, any of all shares |"
    yield "|---|---|---|---|---|---|"
    for row in starmap(Setting, product(KINDS, KAPPAS, SIZES, (0.6, 0.9))):
        found = errors(np.random.RandomState(seed), row, trials)
        rates = [
            f"{100 * one / trials:.2f} % ({100 * upper(one, trials):.2f} %)"
            for one in (max(found.by_share), found.by_any)
        ]
        yield f"| {row.kind} | {round(found.kappa, 2) + 0.0:.2f} | {row.n} | {row.mean} | {rates[0]} | {rates[1]} |"


@dataclass(frozen=True)
class Needed:
    """Smallest shares that meet the gate with ``POWER``, None where not even all labels do; and criteria of an item.

    ``exact`` is Clopper and Pearson's bound of the drawn labels alone, where scores are 0 or 1.
    """

    powered: float | None
    plain: float | None
    exact: float | None
    criteria: float


def labels_needed(random: np.random.RandomState, setting: Setting, threshold: float, trials: int) -> Needed:
    powered, plain, exact, criteria = np.zeros(len(LADDER)), np.zeros(len(LADDER)), np.zeros(len(LADDER)), 0.0
    enough = _enough(setting.n, threshold) if setting.kind == "safety" else np.full(setting.n + 1, np.inf)
    for runs in blocks(random, setting, trials):
        places = random.random_sample(runs.judged.shape)
        for step, share in enumerate(LADDER):
            drawn = places < share
            powered[step] += powered_reached(runs.judged, runs.labels, drawn, share, threshold).sum()
            plain[step] += plain_reached(runs.labels, drawn, threshold).sum()
            exact[step] += ((runs.labels * drawn).sum(axis=1) >= enough[drawn.sum(axis=1)]).sum()
        criteria = runs.criteria
    return Needed(*(_smallest(met / trials) for met in (powered, plain, exact)), criteria)


def _enough(n: int, threshold: float) -> Floats:
    """For 0 to n labels, the fewest 是 at which the exact bound reaches the threshold; infinite where none do."""
    found = np.full(n + 1, np.inf)
    for labels in range(1, n + 1):
        reached = (k for k in range(labels + 1) if clopper_pearson_lower(k, labels) >= threshold)
        found[labels] = next(reached, np.inf)
    return found


def _smallest(chances: Floats) -> float | None:
    return next((share for share, chance in zip(LADDER, chances, strict=True) if chance >= POWER), None)


def saving_table(trials: int, seed: int) -> Iterator[str]:
    yield f"{trials} runs a row, seed {seed}; items (criteria) to label for a chance of {100 * POWER:.0f} %.\n"
    yield "| score | true mean | threshold | n | κ | with judges | labels alone | saved | exact, labels alone |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for kind, threshold, n, kappa in product(KINDS, THRESHOLDS, SIZES, KAPPAS):
        found = labels_needed(np.random.RandomState(seed), Setting(kind, kappa, n, TRUE_MEAN), threshold, trials)
        powered, plain, exact = (_told(one, n, found.criteria) for one in (found.powered, found.plain, found.exact))
        exact = exact if kind == "safety" else "–"
        saved = f"{100 * (1 - found.powered / found.plain):.0f} %" if found.powered and found.plain else "–"
        yield f"| {kind} | {TRUE_MEAN} | {threshold} | {n} | {kappa} | {powered} | {plain} | {saved} | {exact} |"


def _told(share: float | None, n: int, criteria: float) -> str:
    return "not with all" if share is None else f"{share * n:.0f} ({share * n * criteria:.0f})"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--trials", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--quick", action="store_true", help="200 runs a row")
    chosen = options.parse_args()
    trials = QUICK if chosen.quick else chosen.trials
    for table in (error_table(trials, chosen.seed), saving_table(min(trials, OF_SAVINGS), chosen.seed)):
        for line in table:
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
