"""A lower bound of a mean from judges' scores of all items and a physician's of some: prediction-powered, by betting.

Every item of a run has the judges' score f in [0, 1]. Each is drawn for a physician with the same chance, one by one
and apart from all else, and those drawn get the physician's score y. For an item the value

    f + (y - f) / share   if it was drawn,   f   if not

has the mean of y, whatever the judges are worth; it varies less the better they are (Angelopoulos et al. 2023, Science
382:669; drawn item by item as in Zrnic and Candès 2024, arXiv 2403.03208). A betting bound on it (``bounds``) therefore
holds for any judges, and for any agreement between them, and is sharp with good ones. Capital is spread over that bet,
one that trusts the judges half, and one on the drawn items alone, so that bad judges cost little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlb_offline.stats.bounds import ALPHA, Rows, last_rejected, log_capital

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mlb_offline.stats.bounds import Floats

TRUST = (1.0, 0.5)
LADDER = (1.0, 2.0, 4.0, 8.0, 16.0)
PLAIN_LADDER = (1.0, 2.0)


SMALLEST_SHARE = 1e-4
SHARES = tuple(step / 20 for step in range(1, 21))
"""Shares that a sample may have. Whoever fixes one can see what it would draw: the error at *any* of them is what
``bench.adjudication_plan`` holds below 5 %."""


def allowed_share(share: float) -> float:
    """The share, if a sample may have it.

    Raises:
        ValueError: it is none of ``SHARES``.
    """
    if share not in SHARES:
        raise ValueError("a share is a multiple of 0.05, up to 1")
    return share


@dataclass(frozen=True)
class Powered:
    """An item: the judges' score, whether it was drawn for a physician, and then the physician's score; in [0, 1].

    Raises:
        ValueError: it was drawn and has no score, or the other way round: an item that nobody settled is not one that
            was not drawn.
    """

    judged: float
    drawn: bool
    settled: float | None = None

    def __post_init__(self) -> None:
        if self.drawn != (self.settled is not None):
            raise ValueError("an item has a physician's score if and only if it was drawn")


def powered_lower(scores: Sequence[Powered], share: float, alpha: float = ALPHA) -> float:
    """Lower bound of the mean of the physicians' scores over the population that the items are drawn from.

    Args:
        scores: of every item of the run.
        share: the chance with which each was drawn, apart from all others, in [1e-4, 1]; fixed before the first label.
            A sample of a fixed size is drawn otherwise, and not covered.
        alpha: one-sided error, in (0, 0.5].

    Returns:
        A share in [0, 1), a multiple of 1/GRID; 0 where no item was drawn.

    Raises:
        ValueError: an argument is out of range; at a share of 1 an item was not drawn.
    """
    capital = powered_capital(scores, share, alpha)
    return 0.0 if capital is None else last_rejected(capital, alpha)


def powered_capital(scores: Sequence[Powered], share: float, alpha: float = ALPHA) -> Callable[[Floats], Floats] | None:
    """Log of the final capital against each of some thresholds in (0, 1), as in ``bounds.log_capital``; None where no
    item was drawn. Arguments and errors as in ``powered_lower``."""
    import numpy as np

    if not SMALLEST_SHARE <= share <= 1 or not 0 < alpha <= 0.5:
        raise ValueError(f"share {share}, alpha {alpha}")
    judged = np.array([one.judged for one in scores], dtype=np.float64)
    drawn = np.array([one.drawn for one in scores], dtype=bool)
    labels = np.array([one.settled or 0.0 for one in scores], dtype=np.float64)
    for values in (judged, labels):
        if values.size and not (values.min() >= 0 and values.max() <= 1):
            raise ValueError("scores must be in [0, 1]")
    if share == 1 and not drawn.all():
        raise ValueError("at a share of 1 every item is drawn")
    if not drawn.any():
        return None
    least, width = value_range(share)
    bets: list[Callable[[Floats], Floats]] = [_bet(labels[drawn], alpha, PLAIN_LADDER)]
    for trust in TRUST:
        values = powered_values(trust * judged, labels, drawn, share)
        bets.append(_moved(_bet((values - least) / width, alpha, LADDER), least, width))

    def capital(thresholds: Floats) -> Floats:
        logs = np.stack([bet(thresholds) for bet in bets])
        top = logs.max(axis=0)
        return np.asarray(top + np.log(np.exp(logs - top).sum(axis=0)) - math.log(len(bets)))

    return capital


def powered_values(judged: Floats, labels: Floats, drawn: NDArray[np.bool_], share: float) -> Floats:
    """The values that have the mean of the labels, in ``value_range``; arrays of one shape, or of shapes that fit."""
    import numpy as np

    return np.asarray(judged + np.where(drawn, (labels - judged) / share, 0.0))


def value_range(share: float) -> tuple[float, float]:
    """The least that a powered value can be, and how far the most lies above it."""
    return 1 - 1 / share, 2 / share - 1


def _bet(values: Floats, alpha: float, ladder: Sequence[float]) -> Callable[[Floats], Floats]:
    import numpy as np

    clipped = np.clip(values, 0.0, 1.0)  # of rounding only
    rows = Rows(clipped, np.ones_like(clipped), np.ones_like(clipped))
    return lambda thresholds: log_capital(rows, thresholds, alpha, ladder)


def _moved(bet: Callable[[Floats], Floats], least: float, width: float) -> Callable[[Floats], Floats]:
    """The bet on values that were moved from [least, least + width] to [0, 1]."""
    return lambda thresholds: bet((thresholds - least) / width)
