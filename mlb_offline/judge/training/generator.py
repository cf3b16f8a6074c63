"""Criteria without end, made from what was written: every one is a pure function of material, seed and number.

Sources, mixed by the weights of the configuration:

* ``cases``: the labelled points as they are, some with another name of a concept put in (the label stays);
* ``conduct``: the labelled answers to questions of safety and ethics;
* ``groups``: answers put together from groups of statements, with criteria that they contain, half contain or lack;
* ``lexicon``: lists of terms, with criteria by alias, more general concept, or one that is mistaken for it;
* ``corpora``: passages of the corpora, with clauses of theirs as criteria, edited in ways that keep or break them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.evidence import Answer, coverage
from mlb_offline.judge.lexicon import Lexicon
from mlb_offline.judge.rendering import POINT_CHARACTERS
from mlb_offline.judge.training.corpora import Document
from mlb_offline.judge.training.edits import TOPICS, edited, renamed
from mlb_offline.judge.training.lesson import Lesson, differing, everywhere, point
from mlb_offline.judge.training.material import Group, Material
from mlb_offline.judge.wording import plain

Batch = list[Lesson]
SOURCES = ("cases", "conduct", "groups", "lexicon", "corpora")
FIXED_QUESTIONS = 3
"""Of an ethics answer's six criteria so many are taught at a time: they share nearly all of their tokens."""
LONG_EVERY = 12
"""Every so many batches one has few answers, each far longer than most: several put together."""
LONG_ANSWERS = 3
LONGEST = 3500
"""Characters that such an answer has at most, or a little more."""
REVEALED = 0.2
"""A point that was missing may be there once its answer is longer: with this much more coverage it is left out."""


class Generator:
    """Answers with some criteria each.

    Args:
        material: one side of the split; the other side's cases and groups are never used.
        documents: of the corpora.
        lexicon: names of concepts.
        weights: of the five sources.
        seed: another seed gives other examples.
    """

    def __init__(
        self,
        material: Material,
        documents: Sequence[Document],
        lexicon: Lexicon,
        weights: Mapping[str, float],
        seed: int,
    ) -> None:
        self._lexicon, self._seed = lexicon, seed
        lessons = [_lesson(one) for one in material.criteria]
        self._cases = _by_answer([one for one in lessons if one.family == "points"])
        self._conduct = _by_answer([one for one in lessons if one.family != "points"])
        self._near = _by_specialty(lessons)
        self._groups = material.groups
        self._by_place: dict[tuple[str, str], list[Group]] = defaultdict(list)
        for group in material.groups:
            self._by_place[group.dataset, group.specialty].append(group)
        self._passages = [
            passage for document in documents for passage in document.passages if 60 <= len(passage) <= 500
        ]
        self._terms = [index for index, concept in enumerate(lexicon.concepts, start=1) if concept.aliases]
        makers: dict[str, tuple[Callable[[Random], Batch], bool]] = {
            "cases": (self._case, bool(self._cases)),
            "conduct": (self._judged, bool(self._conduct)),
            "groups": (self._composed, bool(self._groups)),
            "lexicon": (self._listed, len(self._terms) > 20),
            "corpora": (self._edited, bool(self._passages)),
        }
        usable = [(makers[name][0], weight) for name, weight in weights.items() if makers[name][1] and weight > 0]
        self._makers = [maker for maker, _ in usable]
        self._weights = [weight for _, weight in usable]

    def batch(self, number: int, answers: int) -> Batch:
        """The criteria of ``answers`` answers; the same for the same number."""
        rng = Random(f"{self._seed}/{number}")  # noqa: S311 - not for secrets
        long = number % LONG_EVERY == LONG_EVERY - 1
        made: Batch = []
        while not made:
            for index in range(min(answers, LONG_ANSWERS) if long else answers):
                some = rng.choices(self._makers, self._weights)[0](rng)
                if long and self._groups and some and some[0].family == "points":
                    some = self._lengthened(some, rng)
                made += [replace(one, answer_id=f"{number}/{index}") for one in some]
        return made

    def _lengthened(self, lessons: Batch, rng: Random) -> Batch:
        """The lessons on an answer of which their own is only a part."""
        first, length = lessons[0].answer, rng.randint(len(lessons[0].answer), LONGEST)
        answers = [first]
        while sum(map(len, answers)) < length:
            more = self._composed(rng)
            answers += [more[0].answer] if more else []
        rng.shuffle(answers)
        whole = "\n".join(answers)
        before, after = Answer(first, self._lexicon), Answer(whole, self._lexicon)

        def revealed(one: Lesson) -> bool:
            return coverage(after.pieces(one.text)) - coverage(before.pieces(one.text)) > REVEALED

        kept = [one for one in lessons if one.label or not revealed(one)]
        return _without_contradictions([replace(one, answer=whole) for one in kept])

    # cases

    def _case(self, rng: Random) -> Batch:
        lessons = rng.choice(self._cases)
        answer = renamed(lessons[0].answer, self._lexicon, rng) if rng.random() < 0.25 else lessons[0].answer
        made = [replace(self._reworded(one, rng), answer=answer) for one in lessons]
        return made + [self._foreign(made[0], rng) for _ in range(rng.choice((0, 1, 1, 2)))]

    def _reworded(self, one: Lesson, rng: Random) -> Lesson:
        """Sometimes the point with another name of a concept; where it fails is then unknown, for places move."""
        if rng.random() >= 0.25:
            return one
        return replace(one, text=plain(renamed(one.text, self._lexicon, rng)), faults=() if one.label else None)

    def _foreign(self, like: Lesson, rng: Random) -> Lesson:
        """A point of another case that this answer does not have: its characters are mostly not there."""
        answer = Answer(like.answer, self._lexicon)
        pool = self._near[like.dataset, like.specialty] if rng.random() < 0.7 else self._near[like.dataset, ""]
        for _ in range(8):
            one = rng.choice(pool)
            if one.concept != like.concept and coverage(answer.pieces(one.text)) < 0.4 and "不详" not in one.text:
                faults = everywhere(one.text)
                return replace(one, answer=like.answer, label=False, kind="omission", faults=faults)
        return like

    # conduct

    def _judged(self, rng: Random) -> Batch:
        lessons = rng.choice(self._conduct)
        return rng.sample(lessons, min(FIXED_QUESTIONS, len(lessons)))

    # groups

    def _composed(self, rng: Random) -> Batch:
        first = rng.choice(self._groups)
        pool = self._by_place[first.dataset, first.specialty]
        count = min(rng.randint(3, 9), len(pool))
        chosen = list({one.component: one for one in (*rng.sample(pool, count), first)}.values())
        said = [_Said(group, rng) for group in chosen]
        rng.shuffle(said)
        answer = _written(first.dataset, [one.statement for one in said], rng)
        made = [lesson for one in said for lesson in one.criteria(answer, rng)]
        made = rng.sample(made, min(len(made), 6))
        if len(said) > 1 and rng.random() < 0.4:
            made += _conjoined(answer, said, rng)
        there = {group.component for group in chosen}
        absent = [one for one in rng.sample(self._groups, min(4, len(self._groups))) if one.component not in there]
        near = [one for one in pool if one.component not in there]
        for group in ([rng.choice(near)] if near else []) + absent[:1]:
            text = rng.choice((*group.same, *group.less))
            made.append(_of_group(answer, group, text, False, "omission", everywhere(text)))
        return _without_contradictions(made)

    # lexicon

    def _listed(self, rng: Random) -> Batch:
        first = self._lexicon[rng.choice(self._terms)]
        numbers = rng.sample(self._terms, 30)
        alike = [number for number in numbers if self._lexicon[number].category == first.category]
        chosen = (alike or numbers)[: rng.randint(1, 5)]
        names = [rng.choice(self._lexicon[number].names) for number in chosen]
        dataset = "MAInspection" if first.category in {"test", "procedure"} else rng.choice(("MADiagnosis", "MARecord"))
        answer = _written(dataset, [_framed(name, rng) for name in names], rng)
        made = []
        for number in chosen:
            made.append((rng.choice(self._lexicon[number].names), True, "alias"))
            for parent in self._lexicon.parents(number)[:1]:
                made.append((self._lexicon[parent].term, True, "entailed"))
            others = [other for other in self._lexicon.confusable(number) if other not in chosen]
            others = [other for other in others if not self._implied(other, chosen)]
            if others:
                made.append((rng.choice(self._lexicon[rng.choice(others)].names), False, "disease"))
            children = [other for other in numbers if number in self._lexicon.parents(other) and other not in chosen]
            made += [(self._lexicon[children[0]].term, False, "certainty")] if children else []
        lacking = [number for number in numbers if number not in chosen and not self._implied(number, chosen)]
        made += [(rng.choice(self._lexicon[number].names), False, "omission") for number in lacking[: len(chosen)]]
        rng.shuffle(made)
        lessons = [
            point(answer, dataset, rng.choice(TOPICS), text, label, kind, None if label else everywhere(text))
            for text, label, kind in made[:6]
        ]
        return _without_contradictions(lessons)

    def _implied(self, number: int, chosen: Sequence[int]) -> bool:
        return any(number == one or number in self._lexicon.parents(one) for one in chosen)

    # corpora

    def _edited(self, rng: Random) -> Batch:
        passage, other = rng.choice(self._passages), rng.choice(self._passages)
        return _without_contradictions(edited(passage, other, self._lexicon, rng))


def _lesson(one: Criterion) -> Lesson:
    text = plain(one.text) if one.family == "points" else one.text
    return Lesson(**{**vars(one), "text": text}, faults=() if one.label else None)


def _without_contradictions(criteria: Sequence[Lesson]) -> Batch:
    """Those that are not called 否 although their very words stand in the answer, by another group or a longer term."""
    answers = {one.answer: plain(one.answer) for one in criteria}
    return [one for one in criteria if one.label or one.text not in answers[one.answer]]


class _Said:
    """What an answer says of a group: one of its statements, and what follows from that."""

    def __init__(self, group: Group, rng: Random) -> None:
        self.group = group
        choice = rng.random()
        plain_others = [one for one in group.other if one[0] != "more"]
        more = [one for one in group.other if one[0] == "more"]
        self.kind = "same"
        self.statement = rng.choice(group.same)
        if choice < 0.16 and plain_others:
            self.kind, self.statement = rng.choice(plain_others)
        elif choice < 0.22 and more:
            self.kind, self.statement = rng.choice(more)
        elif choice < 0.32 and group.less:
            self.kind, self.statement = "less", rng.choice(group.less)

    @property
    def full(self) -> bool:
        """Whether the whole fact is said."""
        return self.kind in {"same", "more"}

    def criteria(self, answer: str, rng: Random) -> Batch:
        """Points on what is said: the same in other words, what follows, what does not."""
        group, said = self.group, self.statement
        reworded = [one for one in group.same if one != said] or list(group.same)
        if not self.full:
            text, kind = rng.choice(group.same), "half" if self.kind == "less" else self.kind
            made = [_of_group(answer, group, text, False, kind, differing(text, said))]
            return [*made, _of_group(answer, group, said, True, "verbatim")] if rng.random() < 0.3 else made
        made = [_of_group(answer, group, rng.choice(reworded), True, "paraphrase")]
        if group.less and rng.random() < 0.5:
            made.append(_of_group(answer, group, rng.choice(group.less), True, "entailed"))
        others = [one for one in group.other if one[1] != said and not (self.kind == "more" and one[0] == "more")]
        if others and rng.random() < 0.75:
            kind, text = rng.choice(others)
            faults = max((differing(text, one) for one in group.same), key=lambda one: -len(one or text))
            made.append(_of_group(answer, group, text, False, "half" if kind == "more" else kind, faults))
        return made


def _of_group(  # noqa: PLR0917 - a row of the annotation layout
    answer: str, group: Group, text: str, label: bool, kind: str, faults: tuple[int, ...] | None = None
) -> Lesson:
    return point(answer, group.dataset, group.topic, text, label, kind, faults)


def _conjoined(answer: str, said: Sequence[_Said], rng: Random) -> Batch:
    """A point of two facts: 是 where both are said in full; none where it is longer than what is shown of one."""
    one, two = rng.sample(list(said), 2)
    joint = rng.choice((",", ",并", ",且", ";", "、"))
    left, right = (plain(rng.choice(part.group.same)).rstrip("。") for part in (one, two))
    text = f"{left}{joint}{right}"
    whole = one.full and two.full
    lesson = _of_group(answer, one.group, text, whole, "paraphrase" if whole else "half")
    return [lesson] if len(lesson.text) <= POINT_CHARACTERS else []


_SHAPES: Mapping[str, Sequence[str]] = {
    "MADiagnosis": ("诊断", "诊断依据"),
    "MAInspection": ("推荐检查和检验", "解释依据"),
    "MARecord": ("主诉", "现病史", "既往史", "个人史", "婚育史", "家族史"),
}


def _written(dataset: str, statements: Sequence[str], rng: Random) -> str:
    """The statements as a model would print them: JSON in one line or several, a list, or prose."""
    style = rng.random()
    if style < 0.5:
        keys = _SHAPES[dataset]
        document: dict[str, Any] = {key: [] for key in keys}
        for index, statement in enumerate(statements):
            document[keys[min(index, 1)] if len(keys) == 2 else rng.choice(keys)].append(statement)
        document = {key: value or ["不详"] for key, value in document.items()}
        text = json.dumps(document, ensure_ascii=False, indent=2 if style < 0.15 else None)
        return f"```json\n{text}\n```" if style < 0.08 else text
    if style < 0.7:
        return "\n".join(f"{index}. {statement}" for index, statement in enumerate(statements, start=1))
    if style < 0.8:
        return "\n".join(f"- {statement}" for statement in statements)
    return rng.choice(("。", "；", "，")).join(statement.rstrip("。") for statement in statements) + "。"


def _framed(name: str, rng: Random) -> str:
    before = rng.choice(("", "", "考虑", "患者", "建议", "符合", "提示", "有", "行", "近期"))
    after = rng.choice(("", "", "", "可能", "相关", "3天", "明确", "为主", "待完善"))
    return f"{before}{name}{after}"


def _by_answer(criteria: Sequence[Lesson]) -> list[Batch]:
    answers: dict[str, Batch] = defaultdict(list)
    for one in criteria:
        answers[one.answer_id].append(one)
    return list(answers.values())


def _by_specialty(criteria: Sequence[Lesson]) -> dict[tuple[str, str], Batch]:
    near: dict[tuple[str, str], Batch] = defaultdict(list)
    for one in criteria:
        if one.family == "points":
            near[one.dataset, one.specialty].append(one)
            near[one.dataset, ""].append(one)
    return near
