"""What a text says about further options after its answer: ``答案：A。C也对``, ``答案：B。实际上，C更准确``.

Rules C14 and C19 of docs/scoring.md. A further letter must be rejected, or belong to an explanation; otherwise the
statement is not what a careful reader would take for the final answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlb_offline.scoring.letters import LEAD, Group, Options

_LETTERS = re.compile(r"[A-Z]{1,8}(?![A-Za-z0-9])")
_SMALL_LETTER = re.compile(r"(?<![A-Za-z0-9'])[b-h](?![A-Za-z0-9'])")
_TERM_AFTER = re.compile(
    r" ?(?:型|族|群|组|超|细胞|反应|蛋白|肽|链球|球菌|波|臂|cells?\b|-?\d|-(?:二聚|[A-Za-z])|\+|\. ?[a-z]{2}|'s\b)"
)
_TERM_BEFORE = re.compile(
    r"(?:[素酶白原体苷酸醇肽子炎图毒]|[a-z0-9]-|\b(?:vitamins?|hepatitis|protein|type|group|factor|coenzyme|Ig)) ?$",
    re.IGNORECASE,
)
_JOINED = re.compile(r"(?:选?项)?(?: ?\([^()\n]{0,40}\))?(?: ?[,、;和与及&/]| and\b| or\b)? ?(?:选项 ?|\()?")
_SENTENCE_END = re.compile(r"[。;!?\n]")
_VERDICT_NO = re.compile(
    r"(?<![不没无])错(?![误的]?的?说法是)|不(?:对|正确|符|是|选|宜|能(?!排除)|可(?!排除)|属|应|考虑|准确|合|够|如"
    r"|予|成立|恰当|支持|作为)"
    r"|不(?=[)。,;!\s]|$)|非|有误|误(?=[)。,;!\s]|$)|(?<!不)(?<!不能)(?<!无法)排除|除外|之外|以外|无关|[×✗❌✘✕]"
    r"|\b(?:wrong|incorrect|false|excluded|not|never|cannot|distractors?|neither|rejected)\b|n't\b",
    re.IGNORECASE,
)
_NO_BEFORE = re.compile(
    r"(?:不(?:应该?|能|可|宜|再|会)?(?:选择?|是|为|考虑|包括|含)?|(?:而|并)非|(?<!不)(?<!不能)(?<!无法)排除|去掉"
    r"|剔除|减去|删去|错选|误选|除了?|不同于|优于"
    r"|\b(?:not|than|minus|without|instead of|except|excludes?|excluding|rule out|over))[ \"'(]{0,3}(?:选项 ?"
    r"|option )?$",
    re.IGNORECASE,
)
_CLAIM_BEFORE = re.compile(
    r"(?:(?<![不非否而])[是为选]|选择|[更修]正:?|改[为选成]:?|认为|倾向于?|其实|实际|补充:?|还有|以及|包括|所以|因此|因而|故|只有|仅有?|结论:|->|→"
    r"|\b(?:it's|it is|should be|go with|choose|pick|select|correction:|actually,?|with|and also|only)"
    r"|\b(?:so|thus|therefore|hence))"
    r"[ \"'(\[:]{0,3}(?:选项 ?|option )?[\"'(]?$",
    re.IGNORECASE,
)
_CLAIM_AFTER = re.compile(
    r"[)\]\"' ]{0,3}(?:选?项)?(?: ?\([^()\n]{0,40}\))? ?(?:也(?!不|错|非|无|未|排除)|才|更|最|同样|亦(?!不|错)"
    r"|都?可以|也行|入选|当选|胜出|符合题意,当选"
    r"|(?:is|are|was|seems|looks|would be|should be|fits) (?:also|better|more|best|the|actually|right|correct"
    r"|preferable|too)\b"
    r"|(?:also|too|as well)\b)"
)
_PLAINLY_WRONG = re.compile(
    r" ?(?:选?项)?(?:说法|描述)?(?:是|为)?(?:错误|不正确|不对|错(?=[,。;]))| is (?:wrong|incorrect)"
)
_PLAINLY_RIGHT = re.compile(r" ?(?:选?项)?(?:说法|描述)?(?:是|为)?(?:正确|对(?=[,。;]))| is (?:right|correct)")
_BRACKETED = re.compile(r" ?(?:选?项)?(?:[也都均])?(?:对|正确|√|✓|✔|错|错误)[),，。]")
_TURN = re.compile(
    r"但|然而|不过|其实|实际上|事实上|另外|此外|同时|补充|严格来说|准确地?说|\b(?:but|however|actually|although"
    r"|also)\b",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"抱歉|对不起|更正|修正|纠正|弄错|写错|看错|搞错|说错|重新|再看|再想|复核|复查后|反思|收回|sorry\b"
    r"|correction\b|apolog\w{2,6}"
    r"|mistake\b|hmm\b|wait\b|upon re\w{2,12}|on second thought",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"(?:^|[。,;:!?.\n…]) ?(?:哦?不(?:对|是)?[,。!:]|等等|等一下|等下|更正|我重新|重新分析|wait\b|no,)"
    r"|(?:这个|该|此|上述|以上|前面的?|刚才的?|我的|我?之前的|原来?的?|this|that|previous|my|above)\s?(?:初步)?"
    r"(?:答案|选择|回答|结论|判断|answer|choice)[^。\n?!]{0,8}?(?:错|不对|不正确|有误|不准确|不成立|wrong"
    r"|incorrect|not correct|mistake)",
    re.IGNORECASE,
)
EXPLANATION = re.compile(
    r"(?<!\()(?:解析|分析|解释|理由|原因|说明|详解|解答|依据|思路|explanations?|reason(?:s|ing)?|rationale|analysis)"
    r"(?:如下|过程)?[】\])]{0,2} ?(?::|\n|$)|[【\[](?:解析|分析)[】\]]",
    re.IGNORECASE,
)
_JOINED_TEXT = re.compile(r"[,、;和与及。& ]{1,3}(?:还有|以及|和|与|加上|and )?")
_TEXT_CLAIM = re.compile(r"(?:正确的?(?:答案|选项)?(?:应该?)?[是为:]|应该是|应为|其实是|更[正改]为|改为|还是|而是) ?")
_LINE_START = re.compile(r"(?:^|\n)[ |>\d.、(\[✅✔☑❌✗×👉*-]{0,8}$")
_REST = 2000  # characters of a line that are looked at after a statement
_SHORT = 15
_REACH = 60  # characters around a letter in which it is judged


@dataclass(frozen=True)
class _Mention:
    """A letter, or several joined ones, that a text speaks of."""

    start: int
    end: int
    letters: frozenset[str]


def is_taken_back(text: str, start: int, end: int | None = None) -> bool:
    """Whether the text takes back what it has said before ``start``: ``答案：B。等等，重新分析`` (rule C14)."""
    return _TAKEN_BACK.search(text, max(0, start - 1), len(text) if end is None else end) is not None


def opening_letter(text: str, start: int, options: Options) -> str:
    """How an option letter at ``start`` is spoken of: ``rejected``, ``named``, or empty where there is none."""
    lead = LEAD.match(text, start)
    mark = _LETTERS.match(text, start if lead is None else lead.end())
    if mark is None or not _stands_alone(text, mark, mark[0], options):
        return ""
    mention = _Mention(mark.start(), mark.end(), frozenset(mark[0]))
    return "rejected" if _is_rejected(text, mention, len(text)) else "named"


def more_on_the_line(text: str, group: Group, options: Options) -> bool:
    """Whether further letters follow on the line of a statement and are not rejected (rule C19)."""
    assert group.letters is not None
    line_end = text.find("\n", group.end, group.end + _REST)
    end = line_end if line_end >= 0 else min(len(text), group.end + _REST)
    explanation = EXPLANATION.search(text, group.end, end)
    end = end if explanation is None else explanation.start()
    mentions = list(_mentions(text, group.end, end, options, small=text[group.end - 1 : group.end].islower()))
    for index, mention in enumerate(mentions):
        following = mentions[index + 1].start if index + 1 < len(mentions) else end
        if _is_rejected(text, mention, following):
            if mention.letters & group.letters:
                return True
        elif not mention.letters <= group.letters:
            return True
    return False


def is_overruled(text: str, group: Group, options: Options) -> str:
    """What the rest of a text says against a statement, as a reason; empty where it says nothing (rule C19)."""
    assert group.letters is not None
    if is_taken_back(text, group.end):
        return "retracted"
    correction = _CORRECTION.search(text, group.end)
    explanation = EXPLANATION.search(text, group.end)
    mentions = list(_mentions(text, group.end, len(text), options))
    discussed = any(mention.letters & group.letters for mention in mentions)
    denied = praised = False
    for index, mention in enumerate(mentions):
        following = mentions[index + 1].start if index + 1 < len(mentions) else len(text)
        if mention.letters <= group.letters:
            denied = denied or _PLAINLY_WRONG.match(text, mention.end) is not None
            continue
        praised = praised or _PLAINLY_RIGHT.match(text, mention.end) is not None
        corrected = correction is not None and correction.end() <= mention.start
        explained = explanation is not None and explanation.end() <= mention.start + 1
        against = (
            corrected
            or _is_claimed(text, mention)
            or _ends_sentence(text, mention, short=explained)
            or (_starts_line(text, mention) and _heads_line(text, mention, options, explained, discussed))
        )
        if against and not _is_rejected(text, mention, following):
            return "retracted" if corrected else "contradictory"
    return "contradictory" if (denied and praised) or _names_another(text, group, options) else ""


def _names_another(text: str, group: Group, options: Options) -> bool:
    """Whether the text of another option is put forward after the statement: ``正确的应该是菠菜``."""
    assert group.letters is not None
    others = tuple(
        own for letter, own in zip(options.letters, options.texts, strict=True) if own and letter not in group.letters
    )
    position = group.end
    while (joined := _JOINED_TEXT.match(text, position)) is not None:
        named = [own for own in options.texts if own and text.startswith(own, joined.end())]
        position = joined.end() + len(max(named, key=len, default=""))
        if not named or text[position : position + 1] not in {"", *"\n。,;!.、和与及"}:
            break
        if max(named, key=len) in others:
            return True
    return any(text.startswith(others, claim.end()) for claim in _TEXT_CLAIM.finditer(text, group.end))


def _ends_sentence(text: str, mention: _Mention, *, short: bool) -> bool:
    """Whether a letter is the last word of its sentence, as in ``最终：C``; in an explanation only of a short one."""
    after = text[mention.end : mention.end + 12].removeprefix("选项").removeprefix("项")
    if after[:1] == "." and after[1:].strip(" ")[:1] not in {"", "\n"} and _starts_line(text, mention):
        return False  # A. is the beginning of a list entry
    if after.lstrip(" \"'”’)]】")[:1] not in {"", *"。.;!\n"} or after[:2] in {"对)", "错)"}:
        return False
    return not short or len(_sentence_before(text, mention.start)) <= _SHORT


def _mentions(text: str, start: int, end: int, options: Options, *, small: bool = False) -> Iterator[_Mention]:
    """Letters of options that stand as such, joined ones as one; ``维生素C`` and ``B超`` are none."""
    begin, last, letters = -1, -1, frozenset[str]()
    pattern = _SMALL_LETTER if small else _LETTERS
    for mark in pattern.finditer(text, start, end):
        word = mark[0].upper()
        if not _stands_alone(text, mark, word, options):
            continue
        joint = _JOINED.match(text, last) if last >= 0 else None
        if joint is not None and joint.end() == mark.start():
            last, letters = mark.end(), letters | set(word)
            continue
        if last >= 0:
            yield _Mention(begin, last, letters)
        begin, last, letters = mark.start(), mark.end(), frozenset(word)
    if last >= 0:
        yield _Mention(begin, last, letters)


def _stands_alone(text: str, mark: re.Match[str], word: str, options: Options) -> bool:
    previous = text[mark.start() - 1] if mark.start() else " "
    if (previous.isascii() and previous.isalnum()) or not set(word) <= set(options.letters):
        return False
    if len(word) > 1 and list(word) != sorted(set(word)):
        return False
    if _TERM_AFTER.match(text, mark.end()):
        return False
    return len(word) > 1 or not _TERM_BEFORE.search(text[max(0, mark.start() - 12) : mark.start()])


def _sentence_before(text: str, position: int) -> str:
    return _SENTENCE_END.split(text[max(0, position - _REACH) : position])[-1]


def _is_rejected(text: str, mention: _Mention, following: int) -> bool:
    """Whether a letter is named only to be rejected: ``A错误``, ``（B错）``, ``不选C``, ``not D`` (rule C19)."""
    if _NO_BEFORE.search(text[max(0, mention.start - 24) : mention.start]):
        return True
    if _is_claimed(text, mention):
        return False
    end = min(following, mention.end + _REACH)
    said = _SENTENCE_END.split(text[mention.end : end])[0]
    return _VERDICT_NO.search(said) is not None


def _is_claimed(text: str, mention: _Mention) -> bool:
    """Whether a letter is put forward, or stands in a sentence behind a word that turns against what was said."""
    if _CLAIM_AFTER.match(text, mention.end):
        return True
    before = _sentence_before(text, mention.start)
    if _CLAIM_BEFORE.search(before[-20:]):
        return True
    return bool(_TURN.search(before)) and not _BRACKETED.match(text, mention.end)


def _starts_line(text: str, mention: _Mention) -> bool:
    return _LINE_START.search(text[max(0, mention.start - 12) : mention.start]) is not None


def _heads_line(text: str, mention: _Mention, options: Options, explained: bool, discussed: bool) -> bool:
    """Whether a letter is all of its line or, before any explanation, heads one that discusses nothing."""
    line_end = text.find("\n", mention.end, mention.end + 300)
    rest = text[mention.end : line_end if line_end >= 0 else mention.end + 300].strip(" .、:)】]。;,(✅✔☑✓√|")
    return not rest or (not explained and (not discussed or rest in options.texts))
