"""One-sided lower confidence bounds that hold at every sample size; gates use nothing else.

Assumption of all: items are drawn independently from the population that the score is about. No normal
approximation, no randomness: the same histogram gives the same bound. Formulas and sources: docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ALPHA = 0.05
"""One-sided error of every gate."""
GRID = 10_000
"""Betting bounds are multiples of 1/GRID: thresholds are tried from below, the last one rejected is the bound."""

_BLOCK = 100
_LARGEST_STAKE = 0.95
_MEAN_LADDER = (1.0, 2.0)
_RATIO_LADDER = (1.0, 2.0, 4.0, 8.0)

Counts = Sequence[tuple[int, int, int, int]]
"""Documents as a histogram: rows (TP, FP, FN, documents)."""


def clopper_pearson_lower(successes: int, n: int, alpha: float = ALPHA) -> float:
    """Exact lower bound of a binomial share (Clopper and Pearson, Biometrika 26, 1934).

    The p at which P(X >= successes | n, p) = alpha, by bisection; absolute error below 1e-9 for n up to 1e5.

    Args:
        successes: 0 to n.
        n: number of independent trials, at least 1.
        alpha: one-sided error, in (0, 0.5].

    Returns:
        A share in [0, 1); 0 where there is no success.

    Raises:
        ValueError: an argument is out of range.
    """
    _check(alpha)
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} successes of {n}")
    if successes == 0:
        return 0.0
    if successes == n:
        return math.exp(math.log(alpha) / n)
    # The median of a binomial with a whole mean is that mean: the tail at successes / n is at least 1/2.
    low, high = 0.0, successes / n
    target = math.log(alpha)
    for _ in range(60):
        middle = (low + high) / 2
        if _log_upper_tail(successes, n, middle) < target:
            low = middle
        else:
            high = middle
    return low


def _log_upper_tail(successes: int, n: int, p: float) -> float:
    """log P(X >= successes) for p <= successes / n: terms fall from the first on, so they are summed from there."""
    first = (
        math.lgamma(n + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(n - successes + 1)
        + successes * math.log(p)
        + (n - successes) * math.log1p(-p)
    )
    odds = p / (1 - p)
    terms, term = [1.0], 1.0
    for count in range(successes, n):
        term *= (n - count) / (count + 1) * odds
        terms.append(term)
        if term < 1e-18:
            break
    return first + math.log(math.fsum(terms))


@dataclass(frozen=True)
class Rows:
    """Weighted pairs for one betting test.

    Attributes:
        gain: what an item adds, in [0, 1]; never above ``size``.
        size: what it could have added, in [0, 1]; 1 for a mean.
        items: how many items have this pair.

    The test at t is of H0: E[gain] <= t * E[size].
    """

    gain: Floats
    size: Floats
    items: Floats


def log_capital(rows: Rows, thresholds: Floats, alpha: float, ladder: Sequence[float]) -> Floats:
    """Log of the final capital against each threshold: an e-value, so P(capital >= 1/alpha) <= alpha under H0.

    An item multiplies a bettor's capital by 1 + c * (gain / t - size), which is at least 1 - c > 0 and has a
    mean of at most 1 under H0. Stakes c are fixed before the data from n, t and alpha alone: the fixed-sample
    stake of Waudby-Smith and Ramdas (JRSS B 86, 2024, sections 3 and 4) for the largest variance t(1 - t), and
    multiples of it; the capital is the mean over these stakes. With fixed stakes the product does not depend
    on the order of items, so that a histogram is enough and no permutation has to be drawn.

    Returns:
        An array as long as ``thresholds``, each of which lies in (0, 1).
    """
    import numpy as np

    stakes = stakes_at(thresholds, rows.items.sum(), alpha, ladder)
    edge = rows.gain / thresholds[:, None] - rows.size
    logs = np.stack([(np.log1p(stakes[:, [column]] * edge) * rows.items).sum(axis=1) for column in range(len(ladder))])
    top = logs.max(axis=0)
    return np.asarray(top + np.log(np.exp(logs - top).mean(axis=0)))


def stakes_at(thresholds: Floats, n: Floats | float, alpha: float, ladder: Sequence[float]) -> Floats:
    """The stakes of ``log_capital``: one row a threshold, one column a rung; ``n`` items, one number or one a row."""
    import numpy as np

    base = np.sqrt(2 * math.log(1 / alpha) / n * thresholds / (1 - thresholds))
    return np.asarray(np.minimum(_LARGEST_STAKE, np.outer(base, ladder)))


def _lower(rows: Rows, alpha: float, ladder: Sequence[float]) -> float:
    if rows.items.sum() == 0 or not rows.gain.any():
        return 0.0
    return last_rejected(lambda thresholds: log_capital(rows, thresholds, alpha, ladder), alpha)


def last_rejected(capital: Callable[[Floats], Floats], alpha: float) -> float:
    """The last of 1/GRID, 2/GRID, … up to which every threshold is rejected; 0 where none is.

    If the true value is v, a bound above v needs the smallest grid point not below v to be rejected, and H0
    holds there: the error is at most alpha, whether or not the capital is monotone in the threshold.
    """
    import numpy as np

    needed = math.log(1 / alpha)
    for start in range(1, GRID, _BLOCK):
        points = np.arange(start, min(start + _BLOCK, GRID))
        kept = np.flatnonzero(~(capital(points / GRID) >= needed))
        if kept.size:
            return float(points[kept[0]] - 1) / GRID
    return (GRID - 1) / GRID


def betting_lower(values01: Sequence[float], alpha: float = ALPHA) -> float:
    """Lower bound of the mean of independent values in [0, 1] of any distribution.

    Args:
        values01: at least one value, each in [0, 1].
        alpha: one-sided error, in (0, 0.5].

    Returns:
        A multiple of 1e-4 in [0, 1).

    Raises:
        ValueError: no value, or one outside [0, 1] (NaN too).
    """
    import numpy as np

    _check(alpha)
    if not values01 or not all(0 <= value <= 1 for value in values01):
        raise ValueError("values must lie in [0, 1], at least one")
    gain, items = np.unique(np.asarray(values01, dtype=np.float64), return_counts=True)
    return _lower(Rows(gain, np.ones_like(gain), items.astype(np.float64)), alpha, _MEAN_LADDER)


def micro_f1_lower(counts: Counts, *, alpha: float = ALPHA, size_cap: int) -> float:
    """Lower bound of the capped micro-F1 of the population of documents; 0 where an answer ran away.

    The size of a document is 2TP + FP + FN. One above ``size_cap`` is cut to that size by dropping true
    positives first: 2TP becomes max(0, size_cap - FP - FN), and errors beyond the cap are not counted further.
    The estimand is E[2TP] / E[size] after this rule, and the bound holds for it at every sample size. Where no
    document of the population has more than ``size_cap`` errors the estimand is at most micro-F1 itself. No
    bound of micro-F1 without a cap exists: sizes are unbounded.

    Two safeguards only ever lower the bound. The same bound is made with the effective cap, under which no
    document of this sample loses an error, and the lower of the two counts. And where a document has more errors
    than even that, the bound is 0 (``runaways``).

    Args:
        counts: rows (TP, FP, FN, documents).
        alpha: one-sided error, in (0, 0.5].
        size_cap: largest size, fixed without looking at items or answers; at least 2 (one right entity).

    Returns:
        A share in [0, 1), never above the sample's own micro-F1; 0 where nothing was found.

    Raises:
        ValueError: an argument is out of range.
    """
    _check(alpha)
    if size_cap < 2:
        raise ValueError(f"size cap {size_cap}")
    if not micro_f1(counts) or runaways(counts, size_cap):
        return 0.0
    caps = {size_cap, effective_cap(counts, size_cap)}
    return min(_lower(capped_rows(counts, cap), alpha, _RATIO_LADDER) for cap in caps)


def effective_cap(counts: Counts, size_cap: int) -> int:
    """The cap under which no document of a sample may lose errors: never below twice its largest reference.

    Twice the reference, TP + FN, is the size of a perfect answer: so neither a perfect nor an unreadable answer is
    ever cut, and an answer may invent as much as the largest document holds. References are fixed by the bundle,
    so no answer can move it.
    """
    return max([size_cap, *(2 * (tp + fn) for tp, _, fn, _ in counts)])


def runaways(counts: Counts, size_cap: int) -> int:
    """How many documents have more errors, FP + FN, than the effective cap."""
    cap = effective_cap(counts, size_cap)
    return sum(items for _, fp, fn, items in counts if fp + fn > cap)


def capped_rows(counts: Counts, size_cap: int) -> Rows:
    """Documents in units of the cap, those above it cut to it by dropping true positives before errors."""
    import numpy as np

    table = np.asarray(sorted(counts), dtype=np.int64).reshape(-1, 4)
    errors = table[:, 1] + table[:, 2]
    size = np.minimum(2 * table[:, 0] + errors, size_cap)
    gain = np.maximum(size - errors, 0)  # 2TP where nothing is cut
    return Rows(gain / size_cap, size / size_cap, table[:, 3].astype(np.float64))


def micro_f1(counts: Counts) -> float | None:
    """2TP / (2TP + FP + FN) over all documents; None where the denominator is 0.

    Raises:
        ValueError: a count is negative.
    """
    if any(part < 0 for row in counts for part in row):
        raise ValueError("counts must not be negative")
    gain = sum(2 * tp * items for tp, _, _, items in counts)
    size = gain + sum((fp + fn) * items for _, fp, fn, items in counts)
    return gain / size if size else None


def _check(alpha: float) -> None:
    if not 0 < alpha <= 0.5:
        raise ValueError(f"alpha {alpha}")
