"""Reading a group of option letters at one place of a text: ``B,C``, ``(B)(C)``, ``B.红肉 C.菠菜``, ``["B", "C"]``.

Rules C5 to C9 of docs/scoring.md. A letter counts only where it stands alone or among letters: the ``A`` of
``A patient``, ``A型`` or ``B超`` is none. All patterns are bounded, so that reading takes linear time.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from mlb_offline.scoring.answer_text import nfkc

_OPEN = r"(\[<【『「《\"'“‘〈{✅✔☑👉"
_CLOSE = r")\]}】』」》\"'”’〉"
LEAD = re.compile(rf"(?:[\s{_OPEN}]|选项|[Oo]ptions?\b|[Cc]hoices?\b){{0,8}}")
_RUN = re.compile(r"([A-Za-z]+)(?![A-Za-z0-9])")
_TAIL = re.compile(rf"(?: ?[{_CLOSE}]|\s{{0,3}}[\]}}]){{0,6}}(?: ?选项|[两二三四五]?项)?")
_SEPARATOR = re.compile(r"\s{0,3}(?:[,、;&+·|]|[和与及]|以及|and\b)\s{0,3}(?:[和与及]|and\b)?\s{0,3}|(\s{1,3})")
_TEXT_SEPARATOR = re.compile(r" ?[.、:)(\[\-—–]? ?")
_ENUMERATOR = re.compile(r"(?<![A-Za-z0-9])([A-Z]) ?[.、:)]")
_ALTERNATIVE = re.compile(
    r" ?(?:或|还是|至|到|/|~{1,2}|[-–—−]{1,2}|…{1,2}|\.{2,6}|or\b|to\b|through\b) ?(?:者"
    r"|是)?[ (\[\"']{0,3}[A-Za-z](?![A-Za-z0-9])"
)
_NEGATED = re.compile(
    r" ?[(\[] ?(?:错|不对|不正确|有误|排除|×|✗|❌|✘|wrong\b|incorrect\b)"
    r"| ?(?:×|✗|❌|✘|错误|不对|不正确|(?:is |are )?(?:not\b|wrong\b|incorrect\b|false\b|excluded\b))"
    r"|(?:选?项)?(?:是|为|也|都|均|属于|显然|明显){0,3}(?:错|不|有误|未|除外|以外|之外|(?:应|可|被|要)?排除)"
    r"| ?, ?(?:错|不对|不正确|有误)(?:误|的|了)?(?=[。.,;!)\s]|$)",
    re.IGNORECASE,
)
_COMMENTED = re.compile(r" ?: ?[^\s\])}\"']")
_EXPLAINED = re.compile(
    r" ?(?:[(\[]|解析|解释|理由|原因|因为|由于|因|分析|说明|依据|根据|注[:释]|[都均]?(?:是|为)?正确|[都均]?(?:是"
    r"|为)答案|[都均]?符合题意|吧|而(?:不是|非|不选)|rather than\b|only\b|instead of\b|"
    r"[—–-]{1,2} |because\b|since\b|as it\b|(?:is|are) (?:the )?(?:correct|right|best)\b)",
    re.IGNORECASE,
)
_WORD = re.compile(
    r" ?[.。、]\s?[a-z]{2,}|\.[\d.]|\.[A-Za-z0-9]{2,}| ?[—–-]{1,2} ?(?!because\b|since\b|as\b)[a-z]{2,}"
    r"| ?\([^()\n]{1,12}\) ?(?!最|是|为|正确|符合|更|较|因|属|含|富|项|选)[A-Za-z0-9\u4e00-\u9fff]"
    r"|,? ?(?:以外|之外|除外)"
)
_END_MARKS = frozenset("\n。,;:!.、…|" + ")]}】』」》\"'”’〉")
_CLEANED_AWAY = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad\ufe0f*`$]|__")
END_PUNCTUATION = "。.,;!"
_REST = 2000  # characters of a line that are looked at after a letter
_SPACES = re.compile(r"[^\S\n]+")


def clean(text: str) -> str:
    """NFKC without invisible characters, emphasis marks and repeated spaces (rule C1)."""
    return _SPACES.sub(" ", _CLEANED_AWAY.sub("", nfkc(text)))


def without_end_marks(text: str) -> str:
    """The text without blanks around it and without punctuation at its end."""
    return text.strip().rstrip(END_PUNCTUATION).strip()


@dataclass(frozen=True)
class Options:
    """The options of an item as the scanner needs them.

    Attributes:
        letters: the letters there are, ``ABCDE``.
        texts: cleaned text of each, in the same order.
    """

    letters: str
    texts: tuple[str, ...]

    @staticmethod
    def of(texts: list[str]) -> Options:
        """Options with these texts, A first; at most 26."""
        return Options(string.ascii_uppercase[: len(texts)], tuple(without_end_marks(clean(text)) for text in texts))

    def text_of(self, letter: str) -> str | None:
        """The text of an option, or None where there is no such letter."""
        index = self.letters.find(letter)
        return self.texts[index] if index >= 0 else None

    def with_text(self, text: str) -> str | None:
        """The letter of the only option with exactly this text, or None."""
        found = [letter for letter, own in zip(self.letters, self.texts, strict=True) if own == text]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Group:
    """Letters read at one place.

    Attributes:
        letters: those read, capital; None where letters are stated that cannot be an answer.
        end: where the reading stopped.
        fault: why ``letters`` is None: ``outside-options``, ``alternatives``, ``not-letters`` or
            ``text-of-another-option``.
        with_text: how many letters were followed by their option's own text.
    """

    letters: frozenset[str] | None
    end: int
    fault: str = ""
    with_text: int = 0


@dataclass(frozen=True)
class _Unit:
    letters: str
    end: int
    with_text: bool
    capital: bool


def read_group(text: str, start: int, options: Options, *, across_lines: bool = False) -> Group | None:
    """The group of letters that begins at ``start``, after quotes, brackets and the word 选项.

    Args:
        text: cleaned text.
        start: where to look, an index of ``text``.
        options: of the item.
        across_lines: whether a line break may separate letters.

    Returns:
        None where no letter is stated: there is none, it belongs to a word, or it is negated (``A错误``).
    """
    first = _read_unit(text, start, options)
    if first is None:
        return None
    units = [first]
    while (after := _next_start(text, units[-1], across_lines=across_lines)) is not None:
        unit = _read_unit(text, after, options)
        if unit is None or not _belongs(text, unit, options):
            break
        units.append(unit)
    return _judge(text, units, options)


def _read_unit(text: str, start: int, options: Options) -> _Unit | None:
    lead = LEAD.match(text, start)
    begin = start if lead is None else lead.end()
    if begin and text[begin - 1].isascii() and text[begin - 1].isalnum():
        return None
    run = _RUN.match(text, begin)
    if run is None:
        return None
    word, end = run[1], run.end()
    letters = word.upper()
    if len(word) > 1 and not _is_letter_run(word, letters, options):
        return None
    with_text = False
    tail = _TAIL.match(text, end)
    end = end if tail is None else tail.end()
    if len(word) == 1:
        after_text = _own_text_end(text, end, letters, options)
        if after_text is not None:
            tail = _TAIL.match(text, after_text)
            end, with_text = (after_text if tail is None else tail.end()), True
    return _Unit(letters, end, with_text, word.isupper())


def _is_letter_run(word: str, letters: str, options: Options) -> bool:
    """``BC`` or ``CB`` is a run of letters, and so is ``bc``; ``BB``, ``bad``, ``not`` and ``Be`` are words (C6)."""
    if len(set(word)) != len(word):
        return False
    return word.isupper() or (word.islower() and list(word) == sorted(word) and set(letters) <= set(options.letters))


def _own_text_end(text: str, start: int, letter: str, options: Options) -> int | None:
    own = options.text_of(letter)
    separator = _TEXT_SEPARATOR.match(text, start)
    if not own or separator is None or not text.startswith(own, separator.end()):
        return None
    if len(own) == 1 and own in string.ascii_letters and separator[0].strip() in {"", "、", "-"}:
        return None  # A、B are two letters, even where the text of option A is "B"
    end = separator.end() + len(own)
    following = text[end : end + 1]
    if following.isalnum() and not _ENUMERATOR.match(text, end):
        return None
    return end


def _next_start(text: str, unit: _Unit, *, across_lines: bool) -> int | None:
    """Where the next unit of the group would begin."""
    separator = _SEPARATOR.match(text, unit.end)
    if separator is None:
        adjacent = text[unit.end : unit.end + 1]
        wrapped = bool(adjacent) and text[unit.end - 1] in _CLOSE and adjacent in _OPEN
        return unit.end if wrapped or (unit.with_text and _ENUMERATOR.match(text, unit.end)) else None
    start = separator.end()
    if separator[1] is not None:
        bracket_after_bare = text[start : start + 1] in {"(", "[", "{"} and text[unit.end - 1] not in _CLOSE
        if bracket_after_bare or ("\n" in separator[1] and not across_lines):
            return None
    return start


def _belongs(text: str, unit: _Unit, options: Options) -> bool:
    """Whether what follows a separator is another letter of the group rather than a word (rule C7)."""
    if len(unit.letters) > 1:
        return set(unit.letters) <= set(options.letters) and _ends_statement(text, unit.end)
    if unit.capital or _ends_statement(text, unit.end):
        return True
    separator = _SEPARATOR.match(text, unit.end)
    return separator is not None and separator[1] is None


def _judge(text: str, units: list[_Unit], options: Options) -> Group | None:
    last = units[-1]
    letters = frozenset("".join(unit.letters for unit in units))
    if _is_word(text, units):
        return None if len(units) == 1 else Group(None, last.end, "not-letters")
    fault = _fault(text, units, letters, options)
    if fault:
        return Group(None, last.end, fault)
    return Group(letters, last.end, with_text=sum(unit.with_text for unit in units))


def _is_word(text: str, units: list[_Unit]) -> bool:
    """Whether what follows shows that no answer was stated: a negation, or the rest of a word (rule C7)."""
    last = units[-1]
    if _NEGATED.match(text, last.end) or (len(units) > 1 and _COMMENTED.match(text, last.end)):
        return True
    return not (last.with_text or _ends_statement(text, last.end) or _ALTERNATIVE.match(text, last.end))


def _fault(text: str, units: list[_Unit], letters: frozenset[str], options: Options) -> str:
    """Why letters that are stated cannot be an answer; empty where they can (rule C8)."""
    if _ALTERNATIVE.match(text, units[-1].end):
        return "alternatives"
    if len(units) > 1 and any(len(unit.letters) > 1 for unit in units):
        return "not-letters"
    if not letters <= set(options.letters):
        return "outside-options"
    if _has_text_of_another(text, units[-1], options):
        return "text-of-another-option"
    return ""


def _ends_statement(text: str, end: int) -> bool:
    """Whether letters may end here: end of text, a mark, or the beginning of an explanation (rule C7)."""
    following = text[end : end + 1]
    if not following:
        return True
    if _WORD.match(text, end):
        return False  # E. coli, D - dimer, B(乙)型肝炎
    if following in _END_MARKS or (following == " " and text[end + 1 : end + 2] in {"", "\n"}):
        return True
    return _EXPLAINED.match(text, end) is not None


def _has_text_of_another(text: str, last: _Unit, options: Options) -> bool:
    """Whether a letter is followed by the text of a different option, ``B.菠菜`` (rule C8)."""
    separator = _TEXT_SEPARATOR.match(text, last.end)
    if last.with_text or separator is None:
        return False
    rest = _rest_of_line(text, separator.end()).strip().rstrip(_CLOSE + END_PUNCTUATION).strip()
    return bool(rest) and options.with_text(rest) is not None


def _rest_of_line(text: str, start: int) -> str:
    line_end = text.find("\n", start, start + _REST)
    return text[start : line_end if line_end >= 0 else start + _REST]
