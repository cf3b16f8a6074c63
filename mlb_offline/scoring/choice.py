"""Reading the answer to a choice item out of a model's raw text.

The rules are numbered in docs/scoring.md (P1 to P5, C1 to C20). They never take "the first capital letter
anywhere": letters are read where they are the whole answer, stand alone on the first or last line, or follow an
explicit marker. What cannot be read is unreadable, with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mlb_offline.scoring.answer_text import Unreadable, after_thinking, was_cut
from mlb_offline.scoring.cleaning import prepared
from mlb_offline.scoring.letters import END_PUNCTUATION, Group, Options, read_group, without_end_marks
from mlb_offline.scoring.named import is_denied, names_another
from mlb_offline.scoring.remarks import EXPLANATION, is_overruled, is_taken_back, more_on_the_line
from mlb_offline.scoring.statements import Statement, statements

LONGEST_READ = 65_536
"""Characters read, from the end, of an answer without its reasoning block (rule P4)."""

_STRICT = re.compile(r"[A-Z](?:,[A-Z]){0,25}")
_STATED_PREFIX = re.compile(
    r"(?:最终|最后|正确|参考)?(?:答案|选项)(?:应该?)?(?:[是为选]|:)[: \n]{0,3}"
    r"|(?:the )?(?:correct |final )?answer(?: is|:)[ \n]?",
    re.IGNORECASE,
)
_LONE_LETTER_LINE = re.compile(r"^ {0,4}[(\[]?([A-Z])[)\]]?[.、:]? ?$", re.MULTILINE)
_OPENING = re.compile(r"[。.,;:、] ?(?:[因由]|解析|解释|理由|原因|分析|说明)|。")
_NEW_QUESTION = re.compile(
    r"变式|例题|[类相]似题|[下另]一题|第 ?\d{1,3} ?题|(?:问题|题目|问) ?\d{0,3} ?:|\b(?:question|human"
    r"|user)(?: \d{1,3})? ?:",
    re.IGNORECASE,
)
_ENUMERATED_LINE = re.compile(r"^ {0,4}[(\[]?([A-Z]) ?[.、:)]", re.MULTILINE)


@dataclass(frozen=True)
class ChoiceReading:
    """The letters read and how.

    Attributes:
        letters: option letters, at least one.
        how: ``strict`` (the benchmark's own form), ``bare``, ``option-text``, ``final-answer`` (an explicit
            statement) or ``stated`` (a weaker one, or a lone first or last line).
    """

    letters: frozenset[str]
    how: str


def read_choice(text: str, options: list[str], *, finish_reason: str | None = None) -> ChoiceReading:
    """Read which options an answer chooses.

    Args:
        text: the model's raw text, of any length and content.
        options: texts of the item's options, A first; 2 to 26.
        finish_reason: as the server gave it; ``length`` marks a cut answer.

    Raises:
        Unreadable: ``empty``, ``unclosed-think``, ``no-statement``, ``contradictory``, ``retracted``,
            ``ambiguous``, ``echo``, ``truncated``, ``outside-options``, ``alternatives``, ``not-letters`` or
            ``text-of-another-option``, ``no-answer`` or ``too-many-statements``.
    """
    known = Options.of(options)
    raw = after_thinking(text)
    whole = len(raw) <= LONGEST_READ
    body = prepared(raw[-LONGEST_READ:])
    if not body:
        raise Unreadable("empty")
    reading, end = (_read_whole(body, known) if whole else None) or _read_stated(body, known, whole=whole)
    if was_cut(finish_reason) and end >= len(body):
        raise Unreadable("truncated")
    return reading


def _read_whole(body: str, options: Options) -> tuple[ChoiceReading, int] | None:
    """The answer that is the whole text: letters, or one option's text (rules C2 to C4)."""
    if _STRICT.fullmatch(body) and (letters := frozenset(body.split(","))) <= set(options.letters):
        return ChoiceReading(letters, "strict"), len(body)
    prefix = _STATED_PREFIX.match(body)
    answer = body[prefix.end() :] if prefix else body
    by_text = options.with_text(without_end_marks(answer))
    group = _whole_group(answer, options)
    letters = group.letters if group is not None and group.letters is not None else frozenset()
    if by_text is not None and len(letters) > 1:
        raise Unreadable("ambiguous")
    if by_text is not None and not letters:
        return ChoiceReading(frozenset(by_text), "option-text"), len(body)
    if prefix is not None or group is None:
        return None
    if group.letters is None:
        raise Unreadable(group.fault)
    if group.with_text == len(options.letters):
        raise Unreadable("echo")
    return ChoiceReading(group.letters, "bare"), group.end


def _whole_group(body: str, options: Options) -> Group | None:
    group = read_group(body, 0, options, across_lines=True)
    return group if group is not None and not body[group.end :].strip(END_PUNCTUATION + " \n") else None


def _read_stated(body: str, options: Options, *, whole: bool) -> tuple[ChoiceReading, int]:
    """The answer that is stated somewhere in the text (rules C10 to C19)."""
    found = [*statements(body, options), *_lone_lines(body, options, whole=whole)]
    found.sort(key=lambda statement: statement.start)
    chosen = _decided(body, [_uncut(body, statement, options) for statement in found])
    group = chosen.group
    if group.letters is None:
        raise Unreadable(group.fault)
    if any(letter not in group.letters for letter in _option_lines(body, options)):
        raise Unreadable("contradictory")
    if is_denied(body, group):
        raise Unreadable("retracted")
    if reason := is_overruled(body, group, options) or names_another(body, group, options):
        raise Unreadable(reason)
    how = "final-answer" if chosen.rank and not chosen.lone else "stated"
    return ChoiceReading(group.letters, how), group.end


def _uncut(body: str, statement: Statement, options: Options) -> Statement:
    """A statement on whose line further letters follow is never read as the shorter set (rule C19)."""
    group = statement.group
    if group.letters is None or not more_on_the_line(body, group, options):
        return statement
    return replace(statement, group=Group(None, group.end, "not-letters"))


def _decided(body: str, found: list[Statement]) -> Statement:
    """The statement that stands: all agree, or a more final one overrules those before it (rules C15, C16)."""
    read = [statement for statement in found if statement.group.fault != "unread"]
    if not read:
        raise Unreadable("not-letters" if found else "no-statement")
    chosen = read[0]
    for later in read[1:]:
        if later.group.letters is not None and later.group.letters == chosen.group.letters:
            chosen = replace(later, rank=max(later.rank, chosen.rank), lone=later.lone and chosen.lone)
        elif _overrules(body, chosen, later):
            chosen = later
        else:
            fault = chosen.group.fault or later.group.fault or "contradictory"
            rank = max(chosen.rank, later.rank)
            chosen = replace(chosen, group=Group(None, later.group.end, fault), rank=rank)
    if found[-1].group.fault == "unread" and found[-1].start >= chosen.group.end:
        raise Unreadable("not-letters")
    return chosen


def _overrules(body: str, chosen: Statement, later: Statement) -> bool:
    if _NEW_QUESTION.search(body, chosen.group.end, later.start + 1):
        return False
    if later.rank and is_taken_back(body, chosen.group.end, later.start):
        return True
    return later.rank > chosen.rank and not EXPLANATION.search(body, chosen.group.end, later.start)


def _option_lines(body: str, options: Options) -> list[str]:
    """The letters of options whose text is all of the first or the last line (rule C13)."""
    lines = body[: body.find("\n") + 1], body[body.rfind("\n") + 1 :]
    return [letter for line in lines if (letter := options.with_text(without_end_marks(line)))]


def _lone_lines(body: str, options: Options, *, whole: bool) -> list[Statement]:
    """Letters that are all of the first or last line, or that open the text before its reason (rule C13)."""
    first_end = body.find("\n")
    last_start = body.rfind("\n") + 1
    spans = [(0, first_end if first_end >= 0 else len(body))] if whole else []
    if last_start:
        spans.append((last_start, len(body)))
    enumerated = {mark[1] for mark in _ENUMERATED_LINE.finditer(body)}
    alone = {mark[1] for mark in _LONE_LETTER_LINE.finditer(body)}
    found = []
    for start, end in spans:
        line = body[start:end]
        group = read_group(line, 0, options)
        if group is None or group.letters is None or (enumerated if group.with_text else alone) - group.letters:
            continue
        rest = line[group.end :]
        if not rest.strip(END_PUNCTUATION + " ") or (start == 0 and _OPENING.match(rest)):
            rank = 0 if start else 2
            found.append(Statement(start, Group(group.letters, start + group.end), rank, lone=True))
    return found
