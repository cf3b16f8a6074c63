"""Normalisation answers (CHIP-CDN): one whole candidate line, its terms joined by ``##``.

Rules T1 to T8 of docs/scoring.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlb_offline.scoring.answer_text import Unreadable, after_thinking, nfkc, unit_text, was_cut

LONGEST_READ = 65_536
"""Characters of an answer, without its reasoning block, above which it is not read (rule P4)."""

_FENCE_LINE = re.compile(r"```\w*")
_STATED = re.compile(
    r"(?:归一化(?:后的?)?(?:术语|结果|词)|标准词|答案|输出|结果)[\"'”’*\]】 ]{0,4}"
    r"(?:(?:应|应该)?[为是])?[\"'”’* ]{0,4}:"
)
_BULLET = re.compile(r"(?:[-*•>] |\d{1,2}[.、)] )\s*")
_WRAPPING = " \t*`\"'“”‘’「」『』{}"
_DENIED = re.compile(
    r"不(?:是|选|应|能|可|宜|正确|符|合|属|匹配|对|考虑|采用)|并?非(?=标准|正确|最|[:\s]|$)|错|误|排除|除外|没有"
    r"|无法|无(?:关|需|匹配)"
    r"|原(?:词|诊断|文)(?=[:是为])|候选|备选|其他|其它|或者?|wrong|incorrect|\bnot?\b|n't|\bother",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"更正|修正|改为|应为|应该?是|实际|错误|有误|不对|不正确|不准确|抱歉|correction|sorry|wrong", re.IGNORECASE
)
_REASON = re.compile(r"(?:理由|说明|解释|依据|原因|解析|分析|备注|注)[为是如:（(]")
_HEADING = re.compile(r".{0,40}(?::|如下|下面|以下|[一这该]行)[。.]?")
_NO_TERMS = re.compile(
    r"不是|不对|有误|不选|不应|不正确|不符|并非|错误|排除|而不|还是|或者| 或 |以上|候选|答案|无法|抱歉|\bor\b|\bnot\b"
)
_SENTENCE = re.compile(r"[。？！；：?!:]")


@dataclass(frozen=True)
class TermsReading:
    """The terms and how they were read: ``strict``, ``line`` or ``stated``, each perhaps ``+single-hash``."""

    terms: frozenset[str]
    how: str


def reference_terms(answer: str) -> frozenset[str]:
    """The terms of a reference line."""
    return frozenset(term for part in answer.split("##") if (term := unit_text(part)))


def read_terms(text: str, candidates: list[str], *, finish_reason: str | None = None) -> TermsReading:
    """Read the one line that a model chose.

    Args:
        text: the model's raw text.
        candidates: the candidate lines of the item.
        finish_reason: as the server gave it; ``length`` marks a cut answer.

    Raises:
        Unreadable: ``empty``, ``unclosed-think``, ``too-long``, ``truncated``, ``several-lines`` (more than one
            candidate line, or lines that are neither heading nor reason), ``denied`` (a line that negates or
            offers something else) or ``no-statement`` (a sentence, not terms).
    """
    raw = after_thinking(text).strip()
    if not raw:
        raise Unreadable("empty")
    if len(raw) > LONGEST_READ:
        raise Unreadable("too-long")
    known = {unit_text(candidate) for candidate in candidates}
    if unit_text(raw) in known and not was_cut(finish_reason):
        return TermsReading(reference_terms(raw), "strict")
    lines = [line for part in nfkc(raw).splitlines() if (line := part.strip()) and not _FENCE_LINE.fullmatch(line)]
    if not lines:
        raise Unreadable("empty")
    line, how = _chosen_line(lines, known)
    if was_cut(finish_reason) and lines[-1].endswith(line):
        raise Unreadable("truncated")
    separator = "##" if "##" in line or line in known else "#"
    terms = frozenset(term for part in line.split(separator) if (term := part.strip()))
    if not terms:
        raise Unreadable("no-statement")
    return TermsReading(terms, how + ("+single-hash" if separator == "#" and "#" in line else ""))


def _chosen_line(lines: list[str], known: set[str]) -> tuple[str, str]:
    stated: dict[str, int] = {}
    others: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        mark = _last_mark(line)
        if mark is None:
            others.append((number, line))
        elif _DENIED.search(line[: mark.start()]):
            raise Unreadable("denied")
        elif announced := _bare(line[mark.end() :], known):
            stated[announced] = number
    if not stated:
        return _only_line(others, known), "line"
    answer = _only(set(stated))
    _check_form(answer, known)
    for number, line in others:
        said_of_another = any(name in line for name in known if name and name not in answer)
        if number > stated[answer] and (said_of_another or _TAKEN_BACK.search(line)):
            raise Unreadable("several-lines")
    return answer, "stated"


def _only_line(lines: list[tuple[int, str]], known: set[str]) -> str:
    """The one candidate, else the one line of several terms, else the one line there is (rules T4, T5)."""
    bare = {_bare(line, known) for _, line in lines} - {""}
    answer = _only(bare & known or {line for line in bare if "##" in line} or bare)
    place = next(number for number, line in lines if _bare(line, known) == answer)
    for number, line in lines:
        if _bare(line, known) in {answer, ""}:
            continue
        allowed = _HEADING.fullmatch(line) if number < place else _REASON.match(line.lstrip(_WRAPPING))
        if _DENIED.search(line):
            raise Unreadable("denied")
        if not allowed:
            raise Unreadable("several-lines")
    _check_form(answer, known)
    return answer


def _check_form(line: str, known: set[str]) -> None:
    """A line that is no candidate is terms, not a sentence or a choice between terms (rule T5)."""
    if line not in known and (_SENTENCE.search(line) or _NO_TERMS.search(line)):
        raise Unreadable("no-statement")


def _last_mark(line: str) -> re.Match[str] | None:
    """What announces an answer on a line (``归一化术语：…``), or None."""
    marks = list(_STATED.finditer(line))
    return marks[-1] if marks else None


def _bare(line: str, known: set[str]) -> str:
    """A line without bullet, quotes, emphasis and final punctuation, unless it is a candidate as it stands."""
    line = line.strip()
    if line in known:
        return line
    unmarked = _BULLET.sub("", line, count=1) if _BULLET.match(line) else line
    unwrapped = unmarked.strip(_WRAPPING)
    ended = unwrapped.rstrip("。,;.").strip(_WRAPPING)
    return ended if unwrapped not in known and (ended in known or "##" in ended) else unwrapped


def _only(lines: set[str]) -> str:
    if len(lines) != 1:
        raise Unreadable("several-lines")
    return next(iter(lines))
