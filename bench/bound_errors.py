"""One-sided error and sharpness of every gate bound, by simulation: the tables of docs/statistics.md.

    python bench/bound_errors.py [--trials 20000] [--seed 1]

Prints Markdown. An error is a bound above the true value; the share of errors must be at most 5 % within sampling
noise, for micro-F1 against the capped value always, and against micro-F1 itself where no document has more errors than
the cap. Where some have, no bound can hold for all n: the last column shows how often it does not.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np

from mlb_offline.stats.bounds import betting_lower, clopper_pearson_lower, micro_f1_lower

Row = tuple[str, str, int, float, float, float, float | None, float | None]
BLOCK = 2_000_000


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--trials", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    random = np.random.RandomState(chosen.seed)
    print(f"{chosen.trials} trials a row for 0/1 outcomes, {chosen.trials // 20} for the others, seed {chosen.seed}.\n")
    print("| bound | population | n | value estimated | mean bound | errors (nominal 5 %) | true micro-F1 | errors |")
    print("|---|---|---|---|---|---|---|---|")
    for rows in (exact(random, chosen.trials), means(random, chosen.trials // 20), ratios(random, chosen.trials // 20)):
        for bound, population, n, truth, mean, error, uncapped, worse in rows:
            last = "| |" if uncapped is None or worse is None else f"| {uncapped:.4f} | {100 * worse:.2f} % |"
            print(f"| {bound} | {population} | {n} | {truth:.4f} | {mean:.4f} | {100 * error:.2f} % {last}", flush=True)


def exact(random: np.random.RandomState, trials: int) -> Iterator[Row]:
    lower = cache(clopper_pearson_lower)
    for n in (20, 100, 300):
        for p in (0.02, 0.5, 0.8, 0.95, 0.99):
            bounds = np.array([lower(int(k), n) for k in random.binomial(n, p, trials)])
            yield "Clopper–Pearson", "0/1", n, p, bounds.mean(), (bounds > p).mean(), None, None


def means(random: np.random.RandomState, trials: int) -> Iterator[Row]:
    kinds: dict[str, Callable[[float, int], np.ndarray]] = {
        "3 repeats, items differ": lambda p, n: random.binomial(3, random.beta(2 * p, 2 * (1 - p), n)) / 3,
        "same value, 0 once in 33": lambda p, n: np.where(random.random_sample(n) < 0.03, 0.0, p / 0.97),
    }
    for name, draw in kinds.items():
        for n in (20, 200):
            for p in (0.02, 0.5, 0.8, 0.96):
                bounds = np.array([betting_lower(draw(p, n).tolist()) for _ in range(trials)])
                yield "betting, mean", name, n, p, bounds.mean(), (bounds > p).mean(), None, None


Documents = tuple[np.ndarray, np.ndarray, np.ndarray]


def documents(random: np.random.RandomState, n: int, quality: float, runaway: float) -> Documents:
    """TP, FP, FN: 6 entities on average, documents differ in difficulty, a share of answers runs away."""
    reference = 1 + random.poisson(5, n)
    share = random.beta(4 * quality, 4 * (1 - quality), n)
    tp, fp = random.binomial(reference, share), random.binomial(reference, 1 - share)
    return tp, np.where(random.random_sample(n) < runaway, fp + 500, fp), reference - tp


def two_kinds(
    random: np.random.RandomState, n: int, good: tuple[int, int, int], bad: tuple[int, int, int], share: float
) -> Documents:
    """A share of documents is of the bad kind, the others of the good one; each (TP, FP, FN)."""
    kind = (random.random_sample(n) < share)[:, None]
    tp, fp, fn = np.where(kind, bad, good).T
    return tp, fp, fn


def populations(
    random: np.random.RandomState,
) -> Iterator[tuple[int, str, tuple[int, ...], Callable[[int], Documents]]]:
    for cap in (16, 32):
        for runaway in (0.0, 0.02):
            for quality in (0.05, 0.6, 0.9, 0.99):
                name = f"cap {cap}" + (f", {100 * runaway:.0f} % run away" if runaway else "")
                yield cap, name, (20, 100, 200), partial(documents, random, quality=quality, runaway=runaway)
    for cap, good, bad, share in (
        (16, (5, 0, 0), (0, 0, 8), 0.1),
        (32, (5, 0, 0), (0, 0, 100), 0.1),
        (8, (3, 0, 0), (0, 10, 10), 0.1),
        (32, (6, 0, 0), (0, 500, 6), 0.02),
        (32, (6, 0, 0), (0, 500, 6), 0.001),
        (32, (0, 0, 3), (60, 0, 0), 0.05),
    ):
        name = f"cap {cap}, {good}, {100 * share:g} % {bad}"
        yield cap, name, (20, 100, 200, 300), partial(two_kinds, random, good=good, bad=bad, share=share)


def ratios(random: np.random.RandomState, trials: int) -> Iterator[Row]:
    for cap, name, sizes, draw in populations(random):
        tp, fp, fn = draw(BLOCK)
        size = np.minimum(2 * tp + fp + fn, cap)
        truth = float(np.maximum(size - fp - fn, 0).sum() / size.sum())
        uncapped = float(2 * tp.sum() / (2 * tp + fp + fn).sum())
        for n in sizes:
            bounds = np.array([_ratio(draw(n), cap) for _ in range(trials)])
            yield (
                "betting, micro-F1",
                name,
                n,
                truth,
                bounds.mean(),
                (bounds > truth).mean(),
                uncapped,
                (bounds > uncapped).mean(),
            )


def _ratio(sample: Documents, cap: int) -> float:
    rows, items = np.unique(np.stack(sample, axis=1), axis=0, return_counts=True)
    counts = [(int(tp), int(fp), int(fn), int(n)) for (tp, fp, fn), n in zip(rows, items, strict=True)]
    return math.floor(micro_f1_lower(counts, size_cap=cap) * 1e6) / 1e6


if __name__ == "__main__":
    main()
