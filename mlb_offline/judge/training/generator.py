"""Criteria without end, made from what was written: every one is a pure function of material, seed and number.

Sources, mixed by the weights of the configuration:

* ``cases``: the labelled cases as they are, some with another name of a concept put in (the label stays);
* ``groups``: answers put together from groups of statements, with criteria that they contain, half contain or lack;
* ``lexicon``: lists of terms, with criteria by alias, more general concept, or one that is mistaken for it;
* ``corpora``: passages of the corpora, with clauses of theirs as criteria, edited in ways that keep or break them.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from mlb_offline.judge.annotation import Criterion, Family
from mlb_offline.judge.evidence import Answer, coverage
from mlb_offline.judge.lexicon import Lexicon
from mlb_offline.judge.training.corpora import Document
from mlb_offline.judge.training.material import Group, Material
from mlb_offline.judge.wording import plain

Batch = list[Criterion]
_CLAUSES = re.compile(r"[。;！!?？,，\n]+")
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_TOPICS = ("诊断", "诊断依据", "推荐检查", "解释依据", "现病史", "既往史", "主诉")
_SIDES = (
    ("左", "右"),
    ("右", "左"),
    ("上", "下"),
    ("下", "上"),
    ("双侧", "左侧"),
    ("升高", "降低"),
    ("降低", "升高"),
    ("增加", "减少"),
    ("急性", "慢性"),
    ("慢性", "急性"),
    ("阳性", "阴性"),
    ("阴性", "阳性"),
    ("近端", "远端"),
    ("加重", "减轻"),
    ("良性", "恶性"),
    ("男", "女"),
    ("女", "男"),
    ("父", "母"),
    ("母", "父"),
    ("轻度", "重度"),
)
_AFFIRMED = (("有", "无"), ("可见", "未见"), ("出现", "未出现"), ("伴", "不伴"), ("存在", "不存在"))


class Generator:
    """Answers with some criteria each.

    Args:
        material: one side of the split; the other side's cases and groups are never used.
        documents: of the corpora, of the same side.
        lexicon: names of concepts.
        weights: of the four sources.
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
        self._cases = _by_answer(material.criteria)
        self._near = _by_specialty(material.criteria)
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
        made: Batch = []
        for index in range(answers):
            maker = rng.choices(self._makers, self._weights)[0]
            kept = maker(rng) if maker == self._case else _without_contradictions(maker(rng))
            made += [replace(one, answer_id=f"{number}/{index}") for one in kept]
        return made

    # cases

    def _case(self, rng: Random) -> Batch:
        criteria = list(rng.choice(self._cases))
        if criteria[0].family != "points":
            return criteria
        answer = self._renamed(criteria[0].answer, rng) if rng.random() < 0.25 else criteria[0].answer
        made = [
            replace(one, answer=answer, text=self._renamed(one.text, rng) if rng.random() < 0.25 else one.text)
            for one in criteria
        ]
        made += [self._foreign(made[0], rng) for _ in range(rng.choice((0, 1, 1, 2)))]
        return made

    def _foreign(self, like: Criterion, rng: Random) -> Criterion:
        """A point of another case that this answer does not have: its characters are mostly not there."""
        answer = Answer(like.answer, self._lexicon)
        pool = self._near[like.dataset, like.specialty] if rng.random() < 0.7 else self._near[like.dataset, ""]
        for _ in range(8):
            one = rng.choice(pool)
            if (
                one.concept != like.concept
                and coverage(answer.pieces(plain(one.text))) < 0.5
                and "不详" not in one.text
            ):
                return replace(one, answer=like.answer, answer_id=like.answer_id, label=False, kind="omission")
        return like

    def _renamed(self, text: str, rng: Random) -> str:
        """The text with one term replaced by another name of the same concept."""
        spans = [span for span in self._lexicon.spans(text) if not text[span.start : span.end].isascii()]
        spans = [span for span in spans if self._lexicon[span.concept].category not in {"phrase", "person", "body"}]
        if not spans:
            return text
        span = rng.choice(spans)
        return text[: span.start] + rng.choice(self._lexicon[span.concept].names) + text[span.end :]

    # groups

    def _composed(self, rng: Random) -> Batch:
        first = rng.choice(self._groups)
        pool = self._by_place[first.dataset, first.specialty]
        count = min(rng.randint(3, 9), len(pool))
        chosen = [first, *(one for one in rng.sample(pool, count) if one is not first)]
        said = [_Said(group, rng) for group in chosen]
        rng.shuffle(said)
        answer = _written(first.dataset, [one.statement for one in said], rng)
        made: list[tuple[Group, str, bool, str]] = []
        for one in said:
            made += one.criteria(rng)
        made = rng.sample(made, min(len(made), 6))
        made += [_conjoined(said, rng)] if len(said) > 1 and rng.random() < 0.4 else []
        absent = [group for group in rng.sample(self._groups, min(4, len(self._groups))) if group not in chosen]
        near = [group for group in pool if group not in chosen]
        for group in ([rng.choice(near)] if near else []) + absent[:1]:
            made.append((group, rng.choice((*group.same, *group.less)), False, "omission"))
        return [_point(answer, group.dataset, group.topic, text, label, kind) for group, text, label, kind in made]

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
        return [_point(answer, dataset, rng.choice(_TOPICS), text, label, kind) for text, label, kind in made[:6]]

    def _implied(self, number: int, chosen: Sequence[int]) -> bool:
        return any(number == one or number in self._lexicon.parents(one) for one in chosen)

    # corpora

    def _edited(self, rng: Random) -> Batch:
        passage, other = rng.choice(self._passages), rng.choice(self._passages)
        clauses = [clause for clause in _CLAUSES.split(passage) if 6 <= len(clause) <= 40]
        foreign = [clause for clause in _CLAUSES.split(other) if 6 <= len(clause) <= 40]
        made: list[tuple[str, bool, str]] = []
        for clause in rng.sample(clauses, min(3, len(clauses))):
            kept = self._renamed(_trimmed(clause, rng), rng) if rng.random() < 0.7 else clause
            made.append((kept, True, "paraphrase"))
            broken = self._broken(clause, passage, rng)
            made += [broken] if broken else []
        made += [(clause, False, "omission") for clause in foreign[:1] if clause not in passage]
        if clauses and foreign and foreign[-1] not in passage:
            made.append((f"{rng.choice(clauses)},{foreign[-1]}", False, "half"))
        dataset = rng.choice(("MADiagnosis", "MAInspection", "MARecord"))
        return [_point(passage, dataset, rng.choice(_TOPICS), text, label, kind) for text, label, kind in made]

    def _broken(self, clause: str, passage: str, rng: Random) -> tuple[str, bool, str] | None:
        numbers = [match for match in _DIGITS.finditer(clause) if len(match[0]) < 6]
        swaps = [(old, new, "side") for old, new in _SIDES if old in clause]
        swaps += [(old, new, "negation") for old, new in _AFFIRMED if old in clause and new not in clause]
        spans = [span for span in self._lexicon.spans(clause) if self._lexicon.confusable(span.concept)]
        ways: list[Callable[[], tuple[str, str]]] = []
        if numbers:
            ways.append(lambda: (_other_number(clause, rng.choice(numbers), rng), "number"))
        if swaps:
            old, new, kind = rng.choice(swaps)
            ways.append(lambda: (clause.replace(old, new, 1), kind))
        if spans:
            span = rng.choice(spans)
            name = self._lexicon[rng.choice(self._lexicon.confusable(span.concept))].term
            ways.append(lambda: (clause[: span.start] + name + clause[span.end :], "disease"))
        if not ways:
            return None
        text, kind = rng.choice(ways)()
        return None if text in passage else (text, False, kind)


def _without_contradictions(criteria: Batch) -> Batch:
    """Those that are not called 否 although their very words stand in the answer, by another group or a longer term."""
    return [one for one in criteria if one.label or plain(one.text) not in plain(one.answer)]


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

    def criteria(self, rng: Random) -> list[tuple[Group, str, bool, str]]:
        group = self.group
        reworded = [one for one in group.same if one != self.statement] or list(group.same)
        if not self.full:
            made = [(group, rng.choice(group.same), False, "half" if self.kind == "less" else self.kind)]
            return [*made, (group, self.statement, True, "verbatim")] if rng.random() < 0.3 else made
        made = [(group, rng.choice(reworded), True, "paraphrase")]
        if group.less and rng.random() < 0.5:
            made.append((group, rng.choice(group.less), True, "entailed"))
        others = [
            one for one in group.other if one[1] != self.statement and not (self.kind == "more" and one[0] == "more")
        ]
        if others and rng.random() < 0.75:
            kind, text = rng.choice(others)
            made.append((group, text, False, "half" if kind == "more" else kind))
        return made


def _conjoined(said: Sequence[_Said], rng: Random) -> tuple[Group, str, bool, str]:
    one, two = rng.sample(list(said), 2)
    joint = rng.choice(("，", "，并", "，且", "；", "、"))
    left, right = rng.choice(one.group.same), rng.choice(two.group.same)
    whole = one.full and two.full
    return one.group, f"{left.rstrip('。')}{joint}{right}", whole, "paraphrase" if whole else "half"


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


def _trimmed(clause: str, rng: Random) -> str:
    """The clause without words that carry nothing."""
    words = ("建议", "应该", "一般", "可以", "需要", "可能", "您好", "你好", "您", "你", "的", "了")
    for word in rng.sample(words, 4):
        clause = clause.replace(word, "", 1) if len(clause) > 8 else clause
    return clause


def _other_number(clause: str, match: re.Match[str], rng: Random) -> str:
    value = float(match[0])
    new = rng.choice((value * 2, value + 1, value * 10, value / 2, value + 5))
    text = f"{new:.1f}" if "." in match[0] else str(int(new) if int(new) != value else int(value) + 3)
    return clause[: match.start()] + text + clause[match.end() :]


def _point(  # noqa: PLR0917 - a row of the annotation layout
    answer: str, dataset: str, topic: str, text: str, label: bool, kind: str
) -> Criterion:
    family: Family = "points"
    return Criterion("", "", family, dataset, "point", topic, text, "", answer, label, kind)


def _by_answer(criteria: Sequence[Criterion]) -> list[list[Criterion]]:
    answers: dict[str, list[Criterion]] = defaultdict(list)
    for one in criteria:
        answers[one.answer_id].append(one)
    return list(answers.values())


def _by_specialty(criteria: Sequence[Criterion]) -> dict[tuple[str, str], list[Criterion]]:
    near: dict[tuple[str, str], list[Criterion]] = defaultdict(list)
    for one in criteria:
        if one.family == "points":
            near[one.dataset, one.specialty].append(one)
            near[one.dataset, ""].append(one)
    return near
