"""Clauses of a passage as criteria, edited in ways that keep what they say or break it in one detail."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from mlb_offline.judge.lexicon import Lexicon, Span
from mlb_offline.judge.polarity import cue_at, denied
from mlb_offline.judge.training.lesson import Lesson, differing, everywhere, point

_CLAUSES = re.compile(r"[。;！!?？,，\n]+")
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
TOPICS = ("诊断", "诊断依据", "推荐检查", "解释依据", "现病史", "既往史", "主诉")
_SIDED = "侧眼耳肺膝肩手足乳肾腿臂髋踝腹胸颈颊腰"
_OPPOSITES = (
    (re.compile(f"左(?=[{_SIDED}])"), "右"),
    (re.compile(f"(?<!左)右(?=[{_SIDED}])"), "左"),
    (re.compile("上(?=[肢腹段叶极颌睑])"), "下"),
    (re.compile("(?<!上)下(?=[肢腹段叶极颌睑])"), "上"),
    (re.compile("升高|增高"), "降低"),
    (re.compile("降低|下降"), "升高"),
    (re.compile("增加"), "减少"),
    (re.compile("减少"), "增加"),
    (re.compile("急性"), "慢性"),
    (re.compile("慢性"), "急性"),
    (re.compile("阳性"), "阴性"),
    (re.compile("阴性"), "阳性"),
    (re.compile("近端"), "远端"),
    (re.compile("加重"), "减轻"),
    (re.compile("减轻"), "加重"),
    (re.compile("良性"), "恶性"),
    (re.compile("男性"), "女性"),
    (re.compile("女性"), "男性"),
    (re.compile("父亲"), "母亲"),
    (re.compile("母亲"), "父亲"),
    (re.compile("轻度"), "重度"),
    (re.compile("重度"), "轻度"),
)
_DENIABLE = {"disease": ("无", "否认"), "symptom": ("无", "否认", "没有"), "sign": ("未见", "无")}
_SWAPPED = {"disease", "symptom", "sign", "finding", "test", "drug", "procedure"}
_FREE = re.compile(r"(?:^|[、有伴]|出现)$")
"""Before a term that may be denied where it stands; elsewhere it may be part of a longer word."""


def renamed(text: str, lexicon: Lexicon, rng: Random) -> str:
    """The text with one term replaced by another name of the same concept."""
    spans = [span for span in lexicon.spans(text) if not text[span.start : span.end].isascii()]
    spans = [span for span in spans if lexicon[span.concept].category not in {"phrase", "person", "body"}]
    if not spans:
        return text
    span = rng.choice(spans)
    return text[: span.start] + rng.choice(lexicon[span.concept].names) + text[span.end :]


def edited(passage: str, other: str, lexicon: Lexicon, rng: Random) -> list[Lesson]:
    """Criteria on a passage: clauses of its own, kept or broken, and clauses of another passage."""
    clauses = [clause for clause in _CLAUSES.split(passage) if 6 <= len(clause) <= 40]
    foreign = [clause for clause in _CLAUSES.split(other) if 6 <= len(clause) <= 40 and clause not in passage]
    made: list[tuple[str, bool, str, tuple[int, ...] | None]] = []
    for clause in rng.sample(clauses, min(3, len(clauses))):
        short = _trimmed(clause, rng)
        made.append((renamed(short, lexicon, rng) if rng.random() < 0.7 else clause, True, "paraphrase", ()))
        broken = _broken(short, lexicon, rng)
        if broken and broken[0] not in passage and broken[0] != short:
            made.append((broken[0], False, broken[1], differing(broken[0], short)))
    made += [(clause, False, "omission", everywhere(clause)) for clause in foreign[:1]]
    if clauses and len(foreign) > 1:
        text = f"{rng.choice(clauses)},{foreign[-1]}"
        made.append((text, False, "half", everywhere(text)[-len(foreign[-1]) :]))
    dataset = rng.choice(("MADiagnosis", "MAInspection", "MARecord"))
    return [point(passage, dataset, rng.choice(TOPICS), *one) for one in made]


def _trimmed(clause: str, rng: Random) -> str:
    """The clause without words that carry nothing; hedges stay, for they mean something."""
    for word in rng.sample(("您好", "你好", "您", "你", "的"), 3):
        clause = clause.replace(word, "", 1) if len(clause) > 8 else clause
    return clause


def _broken(clause: str, lexicon: Lexicon, rng: Random) -> tuple[str, str] | None:
    """The clause with one detail changed, and the kind of change; None where there is nothing to change."""
    spans = lexicon.spans(clause)
    ways: list[Callable[[], tuple[str, str]]] = []
    numbers = [match for match in _DIGITS.finditer(clause) if len(match[0]) < 6]
    if numbers:
        ways.append(lambda: (_other_number(clause, rng.choice(numbers), rng), "number"))
    swaps = [(match, new) for old, new in _OPPOSITES for match in old.finditer(clause)]
    if swaps:
        match, new = rng.choice(swaps)
        ways.append(lambda: (clause[: match.start()] + new + clause[match.end() :], "side"))
    deniable = [span for span in spans if lexicon[span.concept].category in _DENIABLE]
    if deniable:
        turned = _turned(clause, rng.choice(deniable), lexicon, rng)
        if turned:
            ways.append(lambda: (turned, "negation"))
    mistaken = [
        span for span in spans if lexicon[span.concept].category in _SWAPPED and lexicon.confusable(span.concept)
    ]
    if mistaken:
        span = rng.choice(mistaken)
        name = lexicon[rng.choice(lexicon.confusable(span.concept))].term
        ways.append(lambda: (clause[: span.start] + name + clause[span.end :], "disease"))
    return rng.choice(ways)() if ways else None


def _turned(clause: str, span: Span, lexicon: Lexicon, rng: Random) -> str | None:
    """The clause with what it affirms denied, or what it plainly denies affirmed."""
    before, after = clause[: span.start], clause[span.start :]
    cues = [index for index in range(len(clause)) if cue_at(clause, index)]
    if not cues and _FREE.search(before) and not denied(clause, span.start, span.end):
        cue = rng.choice(_DENIABLE[lexicon[span.concept].category])
        return re.sub(r"(?:伴?有|出现|伴)$", "", before) + cue + after
    if len(cues) == 1 and cues[0] + cue_at(clause, cues[0]) == span.start:
        return clause[: cues[0]] + "有" + after
    return None


def _other_number(clause: str, match: re.Match[str], rng: Random) -> str:
    value = float(match[0])
    new = rng.choice((value * 2, value + 1, value * 10, value / 2, value + 5))
    text = f"{new:.1f}" if "." in match[0] else str(int(new) if int(new) != value else int(value) + 3)
    return clause[: match.start()] + text + clause[match.end() :]
