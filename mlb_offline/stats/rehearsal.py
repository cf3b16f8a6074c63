"""Many imagined runs at once against one threshold: what planning and simulations need of the powered bound."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlb_offline.stats.bounds import ALPHA, GRID, stakes_at
from mlb_offline.stats.powered import LADDER, PLAIN_LADDER, TRUST, powered_values, value_range

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mlb_offline.stats.bounds import Floats

    Bools = NDArray[np.bool_]


def grid_point(threshold: float) -> float:
    """The least multiple of 1/GRID that is not below a threshold: the one that a bound must reach for the gate.

    A bound reaches it where every grid point up to it is rejected; that it is rejected itself is needed, and all but
    always enough, for capital falls as thresholds rise.
    """
    return math.ceil(threshold * GRID - 1e-9) / GRID


def powered_reached(
    judged: Floats, labels: Floats, drawn: Bools, share: float, threshold: float, *, alpha: float = ALPHA
) -> Bools:
    """In which of many runs the capital of ``powered.powered_capital`` rejects the threshold.

    Args:
        judged: the judges' scores, runs × items, or items where all runs share them; in [0, 1].
        labels: the physician's, runs × items; those of items that were not drawn do not matter.
        drawn: runs × items.
        share: chance of being drawn, in (0, 1].
        threshold: in (0, 1).
        alpha: one-sided error.

    Returns:
        One a run; false where nothing was drawn.
    """
    import numpy as np

    least, width = value_range(share)
    logs = [_plain(labels, drawn, threshold, alpha)]
    for trust in TRUST:
        values = powered_values(trust * judged, labels, drawn, share)
        logs.append(_capital((values - least) / width, (threshold - least) / width, alpha))
    stacked = np.stack(logs)
    top = stacked.max(axis=0)
    whole = top + np.log(np.exp(stacked - top).mean(axis=0))
    return np.asarray((whole >= math.log(1 / alpha)) & drawn.any(axis=1))


def plain_reached(labels: Floats, drawn: Bools, threshold: float, *, alpha: float = ALPHA) -> Bools:
    """The same for the betting bound of the drawn labels alone (``bounds.betting_lower``)."""
    import numpy as np

    return np.asarray((_plain(labels, drawn, threshold, alpha) >= math.log(1 / alpha)) & drawn.any(axis=1))


def _plain(labels: Floats, drawn: Bools, threshold: float, alpha: float) -> Floats:
    import numpy as np

    stakes = stakes_at(np.array([threshold]), np.maximum(1.0, drawn.sum(axis=1)), alpha, PLAIN_LADDER)
    return _grown(np.where(drawn, labels / threshold - 1, 0.0), stakes)


def _capital(values: Floats, threshold: float, alpha: float) -> Floats:
    import numpy as np

    stakes = stakes_at(np.array([threshold]), values.shape[1], alpha, LADDER)
    return _grown(np.clip(values, 0.0, 1.0) / threshold - 1, stakes)


def _grown(edge: Floats, stakes: Floats) -> Floats:
    """Log of the mean over rungs of each run's capital; edge: runs × items, stakes: runs × rungs, or 1 × rungs."""
    import numpy as np

    logs = np.stack([np.log1p(stakes[:, [rung]] * edge).sum(axis=1) for rung in range(stakes.shape[1])])
    top = logs.max(axis=0)
    return np.asarray(top + np.log(np.exp(logs - top).mean(axis=0)))
