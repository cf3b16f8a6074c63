"""Judges that know nothing: what a trained judge must beat.

Each learns from labelled criteria (``fit``, which raises ``ValueError`` on none) and then gives the probability of 是
for others (``probabilities``, ``RuntimeError`` before ``fit``). None abstains. Equal input gives equal output.
"""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlb_offline.judge.annotation import Criterion

Concepts = Callable[[str], set[str]]

_MOST_GRAMS = 100_000  # of each part of a text; keeps the memory of a large training set within bounds
_HARDLY_ANY_PENALTY = 100.0  # one or two features between 0 and 1 need none


class Majority:
    """The share of 是 among the training criteria with the same key; of all where the key is new.

    Args:
        key: of a criterion; the family unless given.
    """

    def __init__(self, key: Callable[[Criterion], str] = lambda criterion: criterion.family) -> None:
        self._key = key
        self._shares: dict[str, float] = {}
        self._overall: float | None = None

    def fit(self, train: Sequence[Criterion]) -> None:
        """Count."""
        if not train:
            raise ValueError("no training criteria")
        labels: dict[str, list[bool]] = defaultdict(list)
        for one in train:
            labels[self._key(one)].append(one.label)
        self._shares = {key: sum(found) / len(found) for key, found in labels.items()}
        self._overall = sum(one.label for one in train) / len(train)

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float]:
        """The share of each criterion's key."""
        if self._overall is None:
            raise RuntimeError("fit before probabilities")
        return [self._shares.get(self._key(one), self._overall) for one in criteria]


class Overlap(ABC):
    """Logistic regression on how much of a point stands in the answer; a majority for criteria of fixed wording.

    The fixed wording of safety and ethics criteria never stands in an answer, so there the majority is that of the
    criterion's name; so too for points whose training labels are all the same.
    """

    def __init__(self) -> None:
        self._majority = Majority(lambda criterion: criterion.name)
        self._model: Any = None

    @abstractmethod
    def features(self, criterion: Criterion) -> list[float]:
        """Shares in [0, 1], the same number for every criterion."""

    def fit(self, train: Sequence[Criterion]) -> None:
        """Learn the threshold."""
        self._majority.fit(train)
        points = [one for one in train if one.family == "points"]
        labels = [one.label for one in points]
        self._model = None
        if len(set(labels)) == 2:
            from sklearn.linear_model import LogisticRegression

            self._model = LogisticRegression(C=_HARDLY_ANY_PENALTY)
            self._model.fit([self.features(one) for one in points], labels)

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float]:
        """Those of the regression for points, of the majority for the rest."""
        found = self._majority.probabilities(criteria)
        points = [place for place, one in enumerate(criteria) if one.family == "points"]
        if self._model is not None and points:
            said = self._model.predict_proba([self.features(criteria[place]) for place in points])[:, 1]
            for place, probability in zip(points, said, strict=True):
                found[place] = float(probability)
        return found


class BigramOverlap(Overlap):
    """The share of the point's character bigrams that the answer holds."""

    def features(self, criterion: Criterion) -> list[float]:
        """That share."""
        return [bigram_share(criterion.text, criterion.answer)]


class ConceptOverlap(Overlap):
    """The same after mapping terms to concepts, so that 腹痛 meets 肚子痛; bigrams still count for the rest.

    Args:
        concepts: the concepts that a text names, by a lexicon.
    """

    def __init__(self, concepts: Concepts) -> None:
        super().__init__()
        self._concepts = concepts

    def features(self, criterion: Criterion) -> list[float]:
        """Share of the point's concepts that the answer names (of its bigrams where it names none), and of bigrams."""
        asked = self._concepts(criterion.text)
        bigrams = bigram_share(criterion.text, criterion.answer)
        if not asked:
            return [bigrams, bigrams]
        return [len(asked & self._concepts(criterion.answer)) / len(asked), bigrams]


class TfidfRegression:
    """TF-IDF of character 1- to 3-grams and logistic regression, one for each criterion name.

    Three texts are weighed side by side: the criterion, the answer, and the characters of the criterion that the
    answer lacks. One regression a name, since one for all could not weigh the same words of an answer differently
    for each fixed criterion. A name that is new, or whose training labels are all the same, gets its majority.
    """

    def __init__(self) -> None:
        self._majority = Majority(lambda criterion: criterion.name)
        self._models: dict[str, tuple[list[Any], Any]] = {}

    def fit(self, train: Sequence[Criterion]) -> None:
        """Learn vocabularies and weights."""
        self._majority.fit(train)
        self._models = {}
        for name, places in _by_name(train).items():
            if len({train[place].label for place in places}) == 2:
                self._models[name] = _regression([train[place] for place in places])

    def probabilities(self, criteria: Sequence[Criterion]) -> list[float]:
        """Those of the regression of each criterion's name."""
        found = self._majority.probabilities(criteria)
        for name, places in _by_name(criteria).items():
            if name in self._models:
                vectorizers, model = self._models[name]
                said = model.predict_proba(_stacked(vectorizers, [criteria[place] for place in places]))[:, 1]
                for place, probability in zip(places, said, strict=True):
                    found[place] = float(probability)
        return found


def bigram_share(text: str, answer: str) -> float:
    """Share of the distinct character bigrams of a text that an answer holds, in [0, 1]; 0 for an empty text.

    Width, case, spaces and punctuation are ignored. A text of one character is its own bigram.
    """
    wanted, given = _letters(text), _letters(answer)
    bigrams = {wanted[start : start + 2] for start in range(max(1, len(wanted) - 1))} - {""}
    return sum(bigram in given for bigram in bigrams) / len(bigrams) if bigrams else 0.0


def _letters(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKC", text).lower() if one.isalnum())


def _by_name(criteria: Sequence[Criterion]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(criteria):
        places[one.name].append(place)
    return dict(places)


def _regression(train: Sequence[Criterion]) -> tuple[list[Any], Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    parts = zip(*(_parts(one) for one in train), strict=True)
    vectorizers = [
        TfidfVectorizer(analyzer="char", ngram_range=(1, 3), max_features=_MOST_GRAMS, sublinear_tf=True).fit(part)
        for part in parts
    ]
    model = LogisticRegression(max_iter=1_000)
    model.fit(_stacked(vectorizers, train), [one.label for one in train])
    return vectorizers, model


def _stacked(vectorizers: Sequence[Any], criteria: Sequence[Criterion]) -> Any:
    from scipy.sparse import hstack

    parts = zip(*(_parts(one) for one in criteria), strict=True)
    return hstack([vectorizer.transform(part) for vectorizer, part in zip(vectorizers, parts, strict=True)], "csr")


def _parts(criterion: Criterion) -> tuple[str, str, str]:
    """Criterion, answer, and what the answer lacks; each begins with a mark, since scikit-learn refuses no grams."""
    wanted, given = _letters(criterion.text), _letters(criterion.answer)
    return "^" + wanted, "^" + given, "^" + "".join(one for one in wanted if one not in given)
