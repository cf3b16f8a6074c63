"""Finding the places where a text states its answer: ``答案：B``, ``故选C``, ``\\boxed{A,C}``, ``the answer is D``.

Rules C10 to C14 of docs/scoring.md. A marker announces letters; letters without a marker are never read here.
All patterns are bounded, so that the search takes linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlb_offline.scoring.letters import Group, Options, read_group

_MARKER = re.compile(
    r"""
    (?P<answer>答案|<answer>|\\f?boxed
        |(?:正确|最佳|最优|最(?:合适|恰当|适合|符合|可能|适宜|准确)|符合题意)的?选项
            (?=["'”’)\]】\ ]{0,3}(?:应该?|就|只)?[是为有:])
        |"(?:选项|选择|输出|结果|choices?|options?|output|result)"(?=\ ?:))
    |(?P<therefore>(?:故|因此|所以|因而|综上所述|综上|于是|最终|最后)[,:]?\ ?
        (?:我们|我|本题|此题|该题)?(?:应该|应当|应|最终|宜|只能)?选(?:择|(?![项题]))|改选|更正[为:])
    |(?P<ought>(?:应该|应当|应)选(?:择|(?![项题])))
    |(?P<english>\b(?:answers?|(?:correct|right|best)\ (?:option|choice)s?)\b
        (?:\ (?:choice|option|letter))?["')\]】]{0,3}\ ?(?::|=|>|(?:is|are|must\ be|should\ be)\b))
    |(?P<weak>(?<![^\s,。;:!?"'(\[]) (?:(?:我们?|本题|此题|该题)?(?:只能|需|会)?选(?:择|(?![项题取中出用定]))
            |应该?[是为]|(?:输出|回答|答|结果|结论|output|choice)\ ?(?=:)|(?:I\ )?(?:choose|select|pick)\b))
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LINK = re.compile(
    r"(?:[\s\"'”’)\]】>:=]|-->|→|应该|应当|应|就|只能|分别|即|只|是|为|有|选择|选|如下|改[为成]|the\b|option\b|definitely\b){0,10}",
    re.IGNORECASE,
)
_MODAL = r"能|可以|可|应该|应|该|要|会|宜|得|建议|推荐|考虑|必|需|再|是|予|the\b|an?\b|be\b|\s"
_NOT = r"不|(?<![分特个区类级辨鉴])别|勿|没有?|未|莫|非|无|是否|能否|not|n't|never"
_NO_CHOICE = re.compile(rf"(?:{_NOT})(?:{_MODAL}){{0,6}}$", re.IGNORECASE)
_NO_TRUE_ANSWER = re.compile(
    rf"(?:{_NOT}|误|错|排除|干扰|原|incorrect|wrong)(?:{_MODAL}|误|选|择|正确|对的|符合题意|的){{0,6}}$", re.IGNORECASE
)
_SUPPOSED = re.compile(
    r"如果|若|假如|假设|假定|要是|倘若|即使|为什么|为何|(?:有|有些|有的|很多|许多)(?:人|学)|考生|同学|\b(?:if|whether|why)\b",
    re.IGNORECASE,
)
_CLAUSE_MARKS = re.compile(r"[。,;:!?\n]")
_CLAUSE = 60  # characters before a marker in which a negation or a supposition is looked for

_AFTERWARDS = re.compile(
    r"(?<![A-Za-z0-9])[A-Z](?:[,、 和与及]{0,3}[A-Z]){0,25}[ )\]\"'”’】]{0,3}(?:选?项)?(?:都|均)?(?:才|就|即)?(?:是|为)"
    r"(?:本题|该题|此题)?的?(?:最?正确|最佳|最终|标准)?的?(?:答案|选项)(?=[\s。,;:!)\]】]|$)"
    r"|(?<![A-Za-z0-9])[A-Z](?:(?:,| and|, and)? [A-Z]){0,25}\)? (?:is|are) the (?:correct|right|best|final) "
    r"(?:answer|option|choice)s?\b"
)
_ANNOUNCING = re.compile(r"[:=是为]|is|are")
_NO_ANSWER = re.compile(
    r"无(?![A-Za-z])|不确定|不知|不能|不详|未知|没有|以上(?:选项)?[都均]不|none\b|unknown\b|cannot\b|unclear\b",
    re.IGNORECASE,
)
_RETRACTION = re.compile(
    r"(?:^|[。,;:!?.\n]) ?(?:不对[,。!:]|等等|等一下|等下|更正|我重新|重新分析|wait\b)", re.IGNORECASE
)


@dataclass(frozen=True)
class Statement:
    """One place where an answer is stated.

    Attributes:
        start: where it begins in the cleaned text.
        group: the letters read there.
        explicit: whether its marker announces the final answer (``答案：``, ``故选``) rather than a choice
            (``选B``, ``输出：B``).
    """

    start: int
    group: Group
    explicit: bool


def statements(text: str, options: Options) -> list[Statement]:
    """All statements of an answer, in no particular order; negated and supposed ones are left out."""
    found = [statement for mark in _MARKER.finditer(text) if (statement := _announced(text, mark, options))]
    for mark in _AFTERWARDS.finditer(text):
        group = _letters_before(mark[0], options)
        if group is not None and not _is_denied(text, mark.start(), _NO_CHOICE):
            found.append(Statement(mark.start(), Group(group.letters, mark.end(), group.fault), explicit=True))
    return found


def is_retracted(text: str, end: int) -> bool:
    """Whether the text takes a statement back that ended at ``end``: ``答案：B。等等，重新分析`` (rule C14)."""
    return _RETRACTION.search(text, end) is not None


def _announced(text: str, mark: re.Match[str], options: Options) -> Statement | None:
    if mark["therefore"] is None and _is_denied(text, mark.start(), _denial(mark)):
        return None
    link = _LINK.match(text, mark.end())
    start = mark.end() if link is None else link.end()
    on_next_line = "\n" in text[mark.end() : start]
    announced = text[mark.end() : start].strip()
    if mark["weak"] is None and _ANNOUNCING.search(announced) and (refusal := _NO_ANSWER.match(text, start)):
        return Statement(mark.start(), Group(None, refusal.end(), "no-answer"), explicit=True)
    group = read_group(text, start, options, across_lines=on_next_line)
    if group is None or (mark[0] == "答案" and not (announced or on_next_line or _ends_line(text, group))):
        return None
    if on_next_line and _lines_go_on(text, group):
        group = Group(None, group.end, "not-letters")
    return Statement(mark.start(), group, explicit=mark["weak"] is None)


def _denial(mark: re.Match[str]) -> re.Pattern[str]:
    """What denies a marker: 错误 denies the answer that follows it, but not the choice in ``A错误应选C``."""
    return _NO_CHOICE if mark["ought"] or mark["weak"] else _NO_TRUE_ANSWER


def _is_denied(text: str, start: int, denial: re.Pattern[str]) -> bool:
    """Whether the clause before a marker negates it (不选A) or only supposes it (如果答案是A), rule C12."""
    before = text[max(0, start - _CLAUSE) : start]
    marks = list(_CLAUSE_MARKS.finditer(before))
    clause = before[marks[-1].end() :] if marks else before
    return bool(denial.search(clause[-20:]) or _SUPPOSED.search(clause))


def _ends_line(text: str, group: Group) -> bool:
    """``答案B`` states an answer only at the end of a sentence: ``答案A错误`` and ``答案A,…`` discuss an option."""
    return not group.with_text and text[group.end : group.end + 2].strip(" ")[:1] in {"", "\n", "。", "!"}


_NEXT_LINE = re.compile(r"[^\n]{0,200}\n{1,3} ?[(\[]?([A-Z]) ?[.、:)]")


def _lines_go_on(text: str, group: Group) -> bool:
    """Whether the next line goes on enumerating options: ``答案`` as a heading above an analysis of each."""
    following = _NEXT_LINE.match(text, group.end)
    return following is not None and group.letters is not None and following[1] not in group.letters


def _letters_before(statement: str, options: Options) -> Group | None:
    """The group at the beginning of ``A、C是正确答案``, read without what follows it."""
    letters = re.match(r"[A-Z](?:(?:[,、 和与及]|and){0,5}[A-Z](?![a-z])){0,25}", statement)
    return None if letters is None else read_group(letters[0], 0, options)
