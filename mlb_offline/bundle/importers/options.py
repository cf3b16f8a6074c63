"""Find the options that stand inside a question's text, or refuse: never guess.

A reading is a run of marks A, B, C, … that goes on to the end of the text in one pattern
(``option_markers``). The rules, in order:

1. A text that ends with a list of quoted strings is that list (``option_lists``).
2. If every line from some line to the end begins with the next letter, those lines are the options.
3. Else every run of marks in every pattern is a reading; there must be exactly one. Where readings differ only
   in where A stands, the one A that follows the end of a sentence or white space is meant (``维生素A、D``).

A reading is then refused where it shows that something else may be meant: a further option in the last one,
a bracket opened in one option and closed in another, text after the last option.

What no reader can see, because the text would be the same: an option whose own text holds the next mark in the
same pattern as the last of the list (four options, the last ``类癌E.印戒``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlb_offline.benchmark.items import LETTERS
from mlb_offline.bundle.importers.option_lists import looks_quoted, read_list
from mlb_offline.bundle.importers.option_markers import PATTERNS, Mark, Pattern, begins, lettered
from mlb_offline.bundle.importers.refusal import RowError
from mlb_offline.language import tr

_LEAD_IN = re.compile(r"(?:(?<=[\s。？?！!）)}\]])|^)(?:以下)?选项(?:如下)?\s*[:：]?\s*$")
_PAIRS = {")": "(", "）": "（", "]": "[", "】": "【", "”": "“", "》": "《", "」": "「"}
_MOST_READINGS = 8


@dataclass(frozen=True)
class Split:
    """A text taken apart: what stands before the options, and their texts without letters, A first."""

    question: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class _Reading:
    pattern: Pattern
    marks: tuple[Mark, ...]

    def split(self, text: str) -> Split:
        ends = [*(mark.start for mark in self.marks[1:]), len(text)]
        options = tuple(text[mark.end : end].strip() for mark, end in zip(self.marks, ends, strict=True))
        return Split(text[: self.marks[0].start], options)


def split_question(text: str) -> Split:
    """Take the options out of a question; a lead-in such as ``选项：`` before them goes too.

    Raises:
        RowError: there are no options, no question before them, or more than one way to read them.
    """
    found = _split(text)
    question = _LEAD_IN.sub("", found.question.rstrip()).strip()
    if not question:
        raise RowError(tr("选项之前没有题干", "there is no question before the options"))
    return Split(question, found.options)


def split_block(text: str) -> tuple[str, ...]:
    """The options of a text that holds nothing else, such as a column of a table.

    Raises:
        RowError: as ``split_question``, or something stands before option A.
    """
    found = _split(text)
    if found.question.strip():
        raise RowError(
            tr(
                f"选项 A 之前有其他文字：“{found.question.strip()[:40]}”",
                f"other text stands before option A: {found.question.strip()[:40]!r}",
            )
        )
    return found.options


def _split(text: str) -> Split:
    text = text.rstrip()
    listed = read_list(text)
    if listed is not None:
        return Split(text[: listed[0]], listed[1])
    return _by_lines(text) or _by_marks(text)


def _by_lines(text: str) -> Split | None:
    """Options one a line, up to the end of the text; None where the text is not so."""
    lines = text.split("\n")
    pattern: Pattern | None = None
    wanted: int | None = None
    options: list[str] = []
    for number in range(len(lines) - 1, -1, -1):
        if not lines[number].strip():
            continue
        found = lettered(lines[number])
        if found is None or wanted not in (None, found[1]) or pattern not in (None, found[0]):
            return None
        pattern, index, body = found
        options.insert(0, body)
        if index == 0:
            return _checked_lines(Split("\n".join(lines[:number]), tuple(options)), pattern)
        wanted = index - 1
    return None


def _checked_lines(split: Split, pattern: Pattern) -> Split | None:
    if len(split.options) < 2:
        return None
    last = split.options[-1]
    # Lines "A. …", "B. …" of the question followed, on the last of them, by the options in one line.
    if _readings(last):
        raise _ambiguous()
    _refuse_run_on(pattern, split.options)
    return split


def _by_marks(text: str) -> Split:
    readings = _readings(text)
    if not readings:
        raise _no_options(text)
    if len(readings) > 1:
        raise _ambiguous()
    reading = readings[0]
    split = reading.split(text)
    if looks_quoted(text, reading.marks[0].start):
        raise RowError(
            tr("像是加引号的选项列表，但引号不配对", "it looks like a quoted list, but the quotes do not pair")
        )
    if "\n" in split.options[-1]:
        raise _goes_on(split.options)
    _refuse_run_on(reading.pattern, split.options)
    _refuse_split_brackets(split)
    return split


def _no_options(text: str) -> RowError:
    found = lettered(text.split("\n", 1)[0])
    if found is not None and found[1] > 0:
        first = LETTERS[found[1]]
        return RowError(tr(f"选项从 {first} 开始，缺少 A", f"the options begin with {first}: A is missing"))
    return RowError(
        tr("找不到直到结尾的 A、B、C… 选项", "no options A, B, C, … that go on to the end of the text were found")
    )


def _goes_on(options: tuple[str, ...]) -> RowError:
    last, following = LETTERS[len(options) - 1], options[-1].split("\n", 1)[1]
    found = lettered(following.split("\n", 1)[0])
    if found is not None:
        after = LETTERS[found[1]]
        return RowError(tr(f"选项 {last} 之后是 {after}", f"option {last} is followed by {after}"))
    return RowError(tr(f"选项 {last} 之后还有换行的文字", f"text follows option {last} on a further line"))


def _ambiguous() -> RowError:
    return RowError(tr("选项有不止一种读法", "the options can be read in more than one way"))


def _readings(text: str) -> list[_Reading]:
    """The ways in which the text ends with options; at most one a pattern is A by rule 3."""
    readings = []
    for pattern in PATTERNS:
        runs = [run for run in _runs(text, list(pattern.marks(text))) if not _is_bracketed(text, pattern, run)]
        readings += [_Reading(pattern, marks) for marks in _one_beginning(text, runs)]
    return readings


def _runs(text: str, marks: Sequence[Mark]) -> list[tuple[Mark, ...]]:
    """Every run A, B, … (two at least) that no further mark continues; a few are enough to know of several."""
    places: dict[int, list[Mark]] = {}
    for mark in marks:
        if text[mark.end :].strip():
            places.setdefault(mark.index, []).append(mark)

    def extend(run: tuple[Mark, ...]) -> Iterator[tuple[Mark, ...]]:
        last = run[-1]
        following = [
            mark
            for mark in places.get(last.index + 1, ())
            if mark.start > last.end and text[last.end : mark.start].strip()
        ]
        for mark in following:
            yield from extend((*run, mark))
        if not following and len(run) > 1:
            yield run

    found: list[tuple[Mark, ...]] = []
    for first in places.get(0, ()):
        for run in extend((first,)):
            found.append(run)
            if len(found) == _MOST_READINGS:
                return found
    return found


def _is_bracketed(text: str, pattern: Pattern, run: tuple[Mark, ...]) -> bool:
    """Whether the run begins with the ``A)`` of an ``(A)``, which is a pattern of its own."""
    opener = _PAIRS.get(pattern.name[-1]) if len(pattern.name) == 2 else None
    return opener is not None and text[: run[0].start].endswith(opener)


def _one_beginning(text: str, runs: list[tuple[Mark, ...]]) -> list[tuple[Mark, ...]]:
    """Of runs that differ only in A, the one whose A stands where options may begin, if there is just one."""
    if len(runs) < 2 or len(runs) == _MOST_READINGS or len({run[1:] for run in runs}) > 1:
        return runs
    fitting = [run for run in runs if begins(text, run[0].start)]
    return fitting if len(fitting) == 1 else runs


def _refuse_run_on(pattern: Pattern, options: tuple[str, ...]) -> None:
    """Refuse if one of the next two letters is marked inside an option: the list may go on there.

    In the last option the next letter counts in every pattern, in the others only in the pattern of the item.
    """
    count = len(options)
    for number, option in enumerate(options):
        is_last = number == count - 1
        for other in PATTERNS if is_last else (pattern,):
            beyond = {count, count + 1} if other is pattern and is_last else {count}
            for mark in other.marks(option):
                if mark.index in beyond and option[: mark.start].strip() and option[mark.end :].strip():
                    raise _holds(number, mark.index)
    if pattern.spaced and count < len(LETTERS) and re.search(rf"\S{LETTERS[count]}\s+\S", options[-1]):
        raise _holds(count - 1, count)


def _holds(number: int, index: int) -> RowError:
    holder, held = LETTERS[number], LETTERS[index]
    return RowError(tr(f"选项 {holder} 中似乎还有选项 {held}", f"option {holder} seems to hold an option {held}"))


def _refuse_split_brackets(split: Split) -> None:
    """Refuse if a bracket opens before an option and closes inside it: the mark may stand within the brackets."""
    opened: set[str] = set()
    for part in (split.question, *split.options):
        if part.rstrip().endswith(tuple(_PAIRS.values())) and part is not split.options[-1]:
            raise RowError(tr("选项标记之前有未闭合的括号", "a bracket opens just before the mark of an option"))
        stack: list[str] = []
        for character in part:
            if character in _PAIRS.values():
                stack.append(character)
            elif character in _PAIRS:
                opener = _PAIRS[character]
                if opener in stack:
                    stack.remove(opener)
                elif opener in opened:
                    raise RowError(
                        tr(
                            f"括号“{opener}”跨越了两个选项",
                            f"a bracket {opener!r} opens before an option and closes in it",
                        )
                    )
        opened.update(stack)
