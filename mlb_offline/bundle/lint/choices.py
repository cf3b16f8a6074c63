"""Rules for the items of a dataset that is answered by choosing: nothing but knowledge may find the answer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from mlb_offline.benchmark.catalogue import Dataset, Form
from mlb_offline.benchmark.items import LETTERS, Item
from mlb_offline.language import tr

LEVEL = 0.01
"""Letters are uneven where chance gives a table as uneven less often than this."""
LEAST_EXPECTED = 5.0
"""Of each letter, for χ² to mean something (Cochran 1954)."""
FEWEST = 20
"""Items from which strategies are tried."""
MARGIN = 0.05
"""By how much a strategy may beat chance: shares of items."""
Strategy = Callable[[Item], frozenset[int]]


def right(dataset: Dataset, item: Item) -> frozenset[int]:
    """The places of the right options, from 0."""
    if dataset.form is Form.TERMS:
        return frozenset([item.options.index(item.answer)])
    return frozenset(LETTERS.index(letter) for letter in item.answer.split(","))


def letters(dataset: Dataset, items: Sequence[Item]) -> Iterator[str]:
    """The letters of right options are even, apart for items with one and with several, by number of options.

    Of an item with k right of n options each letter is right with probability k/n, and letters exclude one another:
    over items their counts have the covariance c(I − J/n), c = Σ k(n − k)/(n(n − 1)), so Σ(o − e)²/c is about χ² with
    n − 1 degrees of freedom. For k = 1 that is Pearson's statistic.
    """
    if dataset.form is not Form.CHOICE:
        return
    for several in (False, True):
        statistic, degrees, told = 0.0, 0, []
        some = [item for item in items if (len(right(dataset, item)) > 1) == several]
        for size in sorted({len(item.options) for item in some}):
            keys = [right(dataset, item) for item in some if len(item.options) == size]
            spread = sum(len(key) * (size - len(key)) for key in keys) / (size * (size - 1))
            expected = sum(map(len, keys)) / size
            if expected < LEAST_EXPECTED or not spread:
                continue
            seen = Counter(place for key in keys for place in key)
            statistic += sum((seen[place] - expected) ** 2 for place in range(size)) / spread
            degrees += size - 1
            told += [", ".join(f"{LETTERS[place]} {seen[place]}" for place in range(size))]
        if degrees and chi_square_tail(statistic, degrees) < LEVEL:
            kind = tr("多选", "several right") if several else tr("单选", "one right")
            counts = "; ".join(told)
            yield tr(f"答案字母不均匀（{kind}）：{counts}", f"uneven letters ({kind}): {counts}")


def guessable(dataset: Dataset, items: Sequence[Item]) -> Iterator[str]:
    """No strategy without knowledge is right more often than one letter drawn at random, plus five points."""
    if dataset.form not in {Form.CHOICE, Form.TERMS} or len(items) < FEWEST:
        return
    chance = sum(1 / len(item.options) for item in items if len(right(dataset, item)) == 1) / len(items)
    for name, share in shares(dataset, items).items():
        if share > chance + MARGIN + 1e-9:
            yield tr(
                f"“{name}”答对 {share:.1%}，随机 {chance:.1%}", f"{name!r} is right in {share:.1%}, chance {chance:.1%}"
            )


def shares(dataset: Dataset, items: Sequence[Item]) -> dict[str, float]:
    """How often each strategy is right, 0 to 1."""
    return {
        name: sum(strategy(item) == right(dataset, item) for item in items) / len(items)
        for name, strategy in strategies(dataset, items).items()
    }


def strategies(dataset: Dataset, items: Sequence[Item]) -> Mapping[str, Strategy]:
    """What a model that knows nothing could do, by name."""
    most = max(len(item.options) for item in items)
    found: dict[str, Strategy] = {f"always option {place + 1}": _always(place) for place in range(most)}
    found["longest option"] = lambda item: _first(item, key=lambda text: -len(text))
    found["shortest option"] = lambda item: _first(item, key=len)
    found["all options"] = lambda item: frozenset(range(len(item.options)))
    usual = Counter(right(dataset, item) for item in items).most_common(1)[0][0]
    found["the most frequent answer"] = lambda _item: usual
    found["most terms"] = lambda item: _first(item, key=lambda text: -text.count("##"))
    return found


def chi_square_tail(statistic: float, degrees: int) -> float:
    """P(χ² ≥ statistic), for whole degrees of freedom from 1 (Abramowitz and Stegun 26.4.4 and 26.4.5)."""
    if statistic <= 0:
        return 1.0
    half = statistic / 2
    if degrees % 2 == 0:
        return math.exp(-half) * sum(half**k / math.factorial(k) for k in range(degrees // 2))
    tail = math.erfc(math.sqrt(half))
    return tail + math.exp(-half) * sum(
        half**k / math.sqrt(half) / math.gamma(k + 0.5) for k in range(1, degrees // 2 + 1)
    )


def _always(place: int) -> Strategy:
    return lambda item: frozenset([min(place, len(item.options) - 1)])


def _first(item: Item, *, key: Callable[[str], int]) -> frozenset[int]:
    return frozenset([min(range(len(item.options)), key=lambda place: key(item.options[place]))])
