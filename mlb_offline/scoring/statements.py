"""Finding the places where a text states its answer: ``答案：B``, ``故选C``, ``\\boxed{A,C}``, ``the answer is D``.

Rules C10 to C12 of docs/scoring.md. A kernel (答案, 选, answer …) is found first; what stands before it tells how
final the statement is or denies it, what stands after it announces letters. Letters without a kernel are never
read here. All patterns are bounded, so that the search takes linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlb_offline.scoring.answer_text import Unreadable
from mlb_offline.scoring.letters import Group, Options, read_group, without_end_marks
from mlb_offline.scoring.remarks import opening_letter

# Every branch begins with a literal character, which lets the search skip over the rest of a text quickly.
_KERNEL = re.compile(
    r"答案|答(?=(?:如下)? ?:)|选(?:择|项|(?![题取中出用定拔]))|应该[是为]|应[是为]|更正 ?(?=[为:])|修正 ?(?=[为:])"
    r"|改[为成]"
    r"|输出(?=(?:如下)? ?:)|回答(?=(?:如下)? ?:)|结[果论](?=(?:如下)? ?:)|判断(?=(?:如下)? ?:)|<(?:answer|ANSWER)>"
    r"|\\f?boxed"
    r"|answers?\b|Answers?\b|ANSWERS?\b|options?\b|Options?\b|choices?\b|Choices?\b|choose\b|Choose\b|select\b"
    r"|Select\b"
    r"|pick\b|Pick\b|output ?(?=:)|Output ?(?=:)|correction ?(?=:)|Correction ?(?=:)"
)
_BEFORE_OPTION = re.compile(r"(?:正确|最佳|最优|最(?:合适|恰当|适合|符合|可能|适宜|准确)|符合题意)的?$")
_BEFORE_CHOICE = re.compile(r"\b(?:correct|right|best|final) $", re.IGNORECASE)
_THEREFORE = re.compile(
    r"(?:故|因此|所以|因而|综上所述|综上|于是|最终|最后),? ?(?:我们|我|本题|此题|该题)?(?:应该|应当|应|最终|宜"
    r"|只能|就)?$"
)
_OUGHT = re.compile(r"(?:应该|应当|应|改)$")
_OPENS_CLAUSE = re.compile(
    r"(?:^|[\s,。;:!?\"'(\[])(?:(?:我们?|本题|此题|该题)?(?:只能|需|会|选择)?|I (?:would |will )?)$"
)
_FINAL = re.compile(
    r"最终|最后|综上|总之|[更修]正|改[为成选]|\b(?:final|overall|in conclusion|correction)\b", re.IGNORECASE
)
_CONCLUDES = re.compile(r"故|因此|所以|因而|于是|\b(?:therefore|thus|hence|so)\b", re.IGNORECASE)
_LINK = re.compile(
    r"(?:[\s\"'”’)\]】>:=]|-->|→|应该|应当|应|就|只能|分别|依次|即|只|仅|是|为|有|选择|选项(?= ?[是为:])|选(?!项)"
    r"|如下|改[为成]"
    r"|(?:is|are|must be|should be|choice|option|letter|the|both|only|definitely)\b){0,12}",
    re.IGNORECASE,
)
_ANNOUNCING = re.compile(r"[:=是为选]|改|\bis\b|\bare\b|\bbe\b")
_MODAL = (
    r"能|可以|可|应该|应|该|要|会|宜|得|建议|推荐|考虑|必|需|再|是|予|认为|同意|赞成|认同|the\b|an?\b|be\b|think\b|\s"
)
_NOT = r"不|(?<![分特个区类级辨鉴])别|勿|没有?|未|莫|非|无|是否|能否|不同意|not|n't|never"
_NO_CHOICE = re.compile(rf"(?:{_NOT})(?:{_MODAL}){{0,6}}$", re.IGNORECASE)
_NO_TRUE_ANSWER = re.compile(
    rf"(?:{_NOT}|误|错|排除|干扰|原|怀疑|难道|incorrect|wrong|[❌✗✘×])(?:{_MODAL}|误|选|择|正确|最佳|最优|最合适"
    rf"|对的|符合题意|的|给出|参考|标准){{0,6}}$",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"如果|若|假如|假设|假定|要是|倘若|即使|除非|为什么|为何|(?:有|有些|有的|很多|许多|不少|一些)(?:人|学)|考生"
    r"|同学|学生|家属|专家|GPT"
    r"|教材|课本|书上|网上|数据包|题目(?:所|中)?给|他人|别人|以为|误认|初步|暂定|第一印象|否则|看似|乍看|第一反应"
    r"|[上前下]一?题|类似|变式|例题|例如|示例|格式"
    r"|备选|候选|次选|次佳|次优|其次|替代|易错|常见|第二(?:可能|佳|选择)"
    r"|\b(?:if|unless|whether|why|students?|your|alternat\w{1,6}|previous|second (?:best|most|choice)|example"
    r"|common|would be|initially|tentative|otherwise|first glance)\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"如果|若|假如|假设|假定|倘若|除非|(?:例如|示例|格式)[^。\n]{0,8}$|\b(?:if|unless|e\.g\.)", re.IGNORECASE
)
_CLAUSE_MARKS = re.compile(r"[。,;:!?\n]")
_SENTENCE_MARKS = re.compile(r"[。;!?\n]")
_CLAUSE = 60  # characters before a kernel in which a negation or a supposition is looked for

_AFTERWARDS = re.compile(
    r"是(?:本题|该题|此题)?的?(?:最?正确|最佳|最终|标准)?的?(?:答案|选项)(?=[\s。,;:!)\]】]|$)"
    r"|为(?:本题|该题|此题)?的?(?:最?正确|最佳|最终|标准)?的?(?:答案|选项)(?=[\s。,;:!)\]】]|$)"
    r"|is the (?:correct|right|best|final) (?:answer|option|choice)\b|are the (?:correct|right|best"
    r"|final) (?:answer|option|choice)s?\b"
)
_LETTERS_AT_END = re.compile(
    r"(?<![A-Za-z0-9])[A-Z](?:(?:,| |、|和|与|及|and|or|或|/"
    r"|选项){0,6}[A-Z]){0,25}[ )\]\"'”’】]{0,3}(?:选?项)?[都均才就即]? ?$"
)
_NO_ANSWER = re.compile(
    r"无(?![A-Za-z])|不确定|不知|不能|不详|未知|没有|以上(?:选项)?[都均]不|除|非|none\b|unknown\b|cannot\b"
    r"|unclear\b|not\b|neither\b|all\b"
    r"|except\b",
    re.IGNORECASE,
)
MOST_STATEMENTS = 200
MOST_KERNELS = 2_000
_QUESTION = re.compile(r"[ )\]】\"']{0,3}(?:吗|呢|么|\?)")


@dataclass(frozen=True)
class Statement:
    """One place where an answer is stated.

    Attributes:
        start: where it begins in the cleaned text.
        group: the letters read there; fault ``unread`` where something else was announced.
        rank: 0 a choice (``选B``), 1 an answer (``答案：B``), 2 a conclusion (``故选B``), 3 a final word
            (``最终答案：B``, ``更正：B``).
        lone: whether the letters stand alone on a line rather than behind a marker (rule C13).
    """

    start: int
    group: Group
    rank: int
    lone: bool = False


def statements(text: str, options: Options) -> list[Statement]:
    """All statements of an answer, in the order of the text; negated and supposed ones are left out.

    Raises:
        Unreadable: ``too-many-statements``, from a model that repeats itself without end (rule C15).
    """
    found: list[Statement] = []
    for number, mark in enumerate(_KERNEL.finditer(text)):
        if number > MOST_KERNELS or len(found) > MOST_STATEMENTS:
            raise Unreadable("too-many-statements")
        rank = _rank(text, mark)
        if rank is not None and (statement := _announced(text, mark, rank, options)) is not None:
            found.append(statement)
    for mark in _AFTERWARDS.finditer(text):
        statement = _said_before(text, mark, options)
        if statement is not None:
            found.append(statement)
    return sorted(found, key=lambda statement: statement.start)


def _rank(text: str, mark: re.Match[str]) -> int | None:
    """How final a kernel is by what stands before it; None where it is none or is denied."""
    kernel = mark[0].lower()
    before = text[max(0, mark.start() - _CLAUSE) : mark.start()]
    denial, rank = _NO_TRUE_ANSWER, 1
    if kernel in {"选", "选择"}:
        if _THEREFORE.search(before):
            return _finality(before, 2)
        denial, rank = _NO_CHOICE, int(_OUGHT.search(before) is not None)
        if not rank and _BEFORE_OPTION.search(before):
            denial, rank = _NO_TRUE_ANSWER, 1
        elif not rank and not _OPENS_CLAUSE.search(before):
            return None
    elif kernel == "选项" or kernel.startswith(("option", "choice")):
        if not (_BEFORE_OPTION if kernel == "选项" else _BEFORE_CHOICE).search(before):
            return None
    elif not kernel.startswith(("答案", "answer", "<answer", "\\", "更", "修", "改", "correction")):
        denial, rank = _NO_CHOICE, 0
        if not _OPENS_CLAUSE.search(before) and not _FINAL.search(before[-4:]):
            return None
    if _is_denied(before, denial):
        return None
    rank = _finality(before + kernel, rank)
    return None if rank < 2 and _CONDITION.search(_SENTENCE_MARKS.split(before)[-1]) else rank


def _finality(before: str, rank: int) -> int:
    sentence = _SENTENCE_MARKS.split(before)[-1]
    if _FINAL.search(sentence):
        return 3
    return 2 if _CONCLUDES.search(sentence) else rank


def _is_denied(before: str, denial: re.Pattern[str]) -> bool:
    """Whether the clause before a kernel negates it (不选A), supposes it (如果答案是A) or is another's (rule C12)."""
    clause = _CLAUSE_MARKS.split(before)[-1]
    return bool(denial.search(clause[-24:]) or _SUPPOSED.search(clause))


def _announced(text: str, mark: re.Match[str], rank: int, options: Options) -> Statement | None:
    link = _LINK.match(text, mark.end())
    start = mark.end() if link is None else link.end()
    on_next_line = "\n" in text[mark.end() : start]
    announced = text[mark.end() : start].strip()
    announces = bool(_ANNOUNCING.search(announced)) or mark[0][0] in "<\\" or mark[0][-1] in "为成"
    boxed = mark[0][0] == "\\"
    if not announces and mark[0][0] in "oOcCaA" and mark[0].lower() != "choose":
        return None
    if announces and (refusal := _NO_ANSWER.match(text, start)):
        return Statement(mark.start(), Group(None, refusal.end(), "no-answer"), rank)
    if text[start : start + 1] == "{" and not boxed:
        return Statement(mark.start(), Group(None, start + 1, "not-letters"), rank)
    group = read_group(text, start, options, across_lines=on_next_line)
    if group is None:
        return _unread(text, mark.start(), start, rank, options) if announces and rank else None
    bare = mark[0] == "答案" and not (announced or on_next_line)
    if _QUESTION.match(text, group.end) or (bare and not _ends_line(text, group)):
        return None
    if on_next_line and _lines_go_on(text, group):
        group = Group(None, group.end, "not-letters")
    return Statement(mark.start(), group, rank)


_OF_OPTION = re.compile(r"[A-Z个]$")
_NAMED = re.compile(r"[^\n。;]{0,300}")


def _unread(text: str, begin: int, start: int, rank: int, options: Options) -> Statement | None:
    """A statement that names one option by its text (rule C4), or announces something that is not read."""
    named = _NAMED.match(text, start)
    assert named is not None
    letter = options.with_text(without_end_marks(named[0]))
    if letter is not None:
        return Statement(begin, Group(frozenset(letter), named.end(), with_text=1), rank)
    discussed = opening_letter(text, start, options)
    if discussed == "rejected" or (discussed and "?" in named[0]) or _QUESTION.match(text, start + 1):
        return None
    if text[begin + 2 : start].startswith(")") or _OF_OPTION.search(text[max(0, begin - 3) : begin]):
        return None  # (D错,为本题正确答案)是…; A答案是…
    return Statement(begin, Group(None, named.end(), "not-letters" if discussed else "unread"), rank)


def _ends_line(text: str, group: Group) -> bool:
    """``答案B`` states an answer only at the end of a sentence: ``答案A错误`` and ``答案A,…`` discuss an option."""
    return not group.with_text and text[group.end : group.end + 2].strip(" ")[:1] in {"", "\n", "。", "!"}


_NEXT_LINE = re.compile(
    r"[^\n]{0,200}\n{1,3} {0,4}(?:\d{1,2}[.、] ?)?[^A-Za-z\n\u4e00-\u9fff]{0,4}([A-Z])(?![A-Za-z0-9])"
)


def _lines_go_on(text: str, group: Group) -> bool:
    """Whether the next line goes on enumerating options: ``答案`` as a heading above an analysis of each."""
    following = _NEXT_LINE.match(text, group.end)
    return following is not None and group.letters is not None and following[1] not in group.letters


_OPEN_LIST = re.compile(
    r"(?:[和与及或、&]|\band\b|\bor\b) ?(?:选项 ?)?$|[A-Z] ?(?:选?项)?(?:\([^()\n]{0,40}\))? ?[,;] ?(?:选项 ?)?$"
)


def _said_before(text: str, mark: re.Match[str], options: Options) -> Statement | None:
    """``A、C是正确答案``: the letters stand before their marker, and no other letter before them."""
    before = text[max(0, mark.start() - _CLAUSE) : mark.start()]
    letters = _LETTERS_AT_END.search(before)
    if letters is None or _is_denied(before[: letters.start()], _NO_TRUE_ANSWER):
        return None
    start = mark.start() - len(before) + letters.start()
    group = read_group(letters[0].rstrip("都均才就即"), 0, options)
    if group is None or _OPEN_LIST.search(before[: letters.start()]):
        return Statement(start, Group(None, mark.end(), "not-letters"), 1)
    return Statement(start, Group(group.letters, mark.end(), group.fault), _finality(before[: letters.start()], 1))
