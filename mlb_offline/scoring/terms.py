"""Normalisation answers (CHIP-CDN): one whole candidate line, its terms joined by ``##``.

Rules T1 to T7 of docs/scoring.md.
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
            candidate line, or several lines and no candidate) or ``no-statement`` (a sentence, not terms).
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
    stated, others = set[str](), set[str]()
    for line in lines:
        announced = _after_last_mark(line)
        if announced is None:
            others.add(_bare(line, known))
        else:
            stated.add(_bare(announced, known))
    if stated - {""}:
        return _only(stated - {""}), "stated"
    return _only_line(others - {""}, known), "line"


def _only_line(bare: set[str], known: set[str]) -> str:
    """The one candidate, else the one line of several terms, else the one line there is (rules T4, T5)."""
    copied = bare & known or {line for line in bare if "##" in line}
    if copied or len(bare) > 1:
        return _only(copied)
    line = _only(bare)
    if _SENTENCE.search(line):
        raise Unreadable("no-statement")
    return line


def _after_last_mark(line: str) -> str | None:
    """What a line announces as its answer (``归一化术语：…``); empty for a heading, None where it announces none."""
    marks = list(_STATED.finditer(line))
    return line[marks[-1].end() :] if marks else None


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
