"""Reading the answer to a choice item out of a model's raw text.

The rules are numbered in docs/scoring.md (P1 to P4, C1 to C17). They never take "the first capital letter
anywhere": letters are read where they are the whole answer, stand alone on the first or last line, or follow an
explicit marker. What cannot be read is unreadable, with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlb_offline.scoring.answer_text import Unreadable, after_thinking, was_cut
from mlb_offline.scoring.letters import END_PUNCTUATION, Group, Options, clean, read_group, without_end_marks
from mlb_offline.scoring.statements import Statement, is_retracted, statements

LONGEST_READ = 65_536
"""Characters read, from the end, of an answer without its reasoning block (rule P4)."""

_FENCE_LINE = re.compile(
    r"^[ \t]*(?:```|~~~)[ \t]*(?:json|text|txt|plaintext|markdown|md|latex|tex)?[ \t]*$", re.MULTILINE | re.IGNORECASE
)
_TEX = re.compile(r"\\(?:text|mathrm|mathbf|textbf|rm|bf) {0,2}\{")
_TEX_BRACKET = re.compile(r"\\([()\[\]])")
_BREAK_TAG = re.compile(r"<(?:br ?/?|/?p|/?div|/answer)>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:b|strong|i|em|u|span)>", re.IGNORECASE)
_LINE_PREFIX = re.compile(r"^ {0,3}(?:#{1,6} |> ?|[-•] )", re.MULTILINE)
_BLANK_LINES = re.compile(r"\s*\n\s*\n\s*")
_STRICT = re.compile(r"[A-Z](?:,[A-Z]){0,25}")
_STATED_PREFIX = re.compile(
    r"(?:最终|最后|正确|参考)?(?:答案|选项)(?:应该?)?(?:[是为选]|:)[: \n]{0,3}"
    r"|(?:the )?(?:correct |final )?answer(?: is|:)[ \n]?",
    re.IGNORECASE,
)
_LONE_LETTER_LINE = re.compile(r"^ {0,4}[(\[]?([A-Z])[)\]]?[.、:]? ?$", re.MULTILINE)
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
            ``text-of-another-option``.
    """
    known = Options.of(options)
    raw = after_thinking(text)
    whole = len(raw) <= LONGEST_READ
    body = _prepared(raw[-LONGEST_READ:])
    if not body:
        raise Unreadable("empty")
    reading, end = (_read_whole(body, known) if whole else None) or _read_stated(body, known, whole=whole)
    if was_cut(finish_reason) and end >= len(body):
        raise Unreadable("truncated")
    return reading


def _prepared(text: str) -> str:
    """Cleaned text without fences, TeX wrappers, emphasis tags, heading and quotation prefixes (rule C1)."""
    text = _FENCE_LINE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _TAG.sub("", _BREAK_TAG.sub("\n", clean(text)))
    text = _TEX_BRACKET.sub(r"\1", _TEX.sub("{", text))
    return _BLANK_LINES.sub("\n\n", _LINE_PREFIX.sub("", text)).strip()


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
    """The answer that is stated somewhere in the text (rules C10 to C16)."""
    found = [*statements(body, options), *_lone_lines(body, options, whole=whole)]
    chosen = _last_explicit(found) or _agreed(found)
    if is_retracted(body, chosen.group.end):
        raise Unreadable("retracted")
    assert chosen.group.letters is not None
    how = "final-answer" if chosen.explicit else "stated"
    return ChoiceReading(chosen.group.letters, how), chosen.group.end


def _last_explicit(found: list[Statement]) -> Statement | None:
    """The last explicit statement, unless a weaker one after it says something else (rule C15)."""
    explicit = [statement for statement in found if statement.explicit]
    if not explicit:
        return None
    last = max(explicit, key=lambda statement: statement.start)
    if last.group.letters is None:
        raise Unreadable(last.group.fault)
    later = [other for other in found if other.start > last.start and other.group.letters is not None]
    if any(other.group.letters != last.group.letters for other in later):
        raise Unreadable("contradictory")
    return last


def _agreed(weak: list[Statement]) -> Statement:
    """The one answer that all weak statements agree on (rule C16)."""
    if not weak:
        raise Unreadable("no-statement")
    for statement in weak:
        if statement.group.letters is None:
            raise Unreadable(statement.group.fault)
    if len({statement.group.letters for statement in weak}) > 1:
        raise Unreadable("contradictory")
    return max(weak, key=lambda statement: statement.group.end)


_OPENING = re.compile(r"[。.,;:、] ?(?:[因由]|解析|解释|理由|原因|分析|说明)|。")


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
            found.append(Statement(start, Group(group.letters, start + group.end), explicit=False))
    return found
