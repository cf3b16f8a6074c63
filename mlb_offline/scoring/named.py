"""What follows letters without naming another: other options by their text, and denials (rules C20 and C21)."""

from __future__ import annotations

import re

from mlb_offline.scoring.letters import Group, Options, without_end_marks

_BESIDE = re.compile(r" ?[.、:)(,\[]? ?(?:即|也就是|就是)?[:\" ]?")
_AND = re.compile(r" ?(?:[和与及加]|以及) ?")
_CLAIM = re.compile(r"(?:(?:故|所以|因此|应当?)(?:选择?|是|为)?|结论:|→) ?")
_PRAISE = re.compile(r"(?:是|为)(?:最佳|正确)的?(?:答案|选项|选择)")
_ENDS = frozenset("\n。,;:!.、)] ")
_GOES_ON = frozenset("含是因")


_DENIED = re.compile(
    r"[\s。.,;:!()\[\]、-]{0,6}(?:(?:因|由于)[^\n。;A-Za-z]{0,40}[,。])?(?:所以|因此|故)?"
    r"(?:这|此|该|本|其|以上|上面|上述|请|我)?(?:个|些)?(?:选?项|答案|选择)?(?:其?实)?(?:是|属于|为|并|已被?|应|也|都)?"
    r"(?:错误|错(?!误)|不对|不正确|不选|不是正确|不符合|排除|干扰项|作废|撤回|忽略|没有正确|[×❌✗✘]|wrong\b|incorrect\b)"
    r"(?!的|[以之]|\s?[A-Z]|其他|其它|其余)",
    re.IGNORECASE,
)


def is_denied(text: str, group: Group) -> bool:
    """Whether a verdict of denial without a letter of its own follows the letters at once (rule C21)."""
    return _DENIED.match(text, group.end) is not None


def names_another(text: str, group: Group, options: Options) -> str:
    """Why letters are doubtful beside another option's text; empty where none is put forward (rule C20)."""
    if group.letters is None or group.with_text >= len(options.texts):
        return ""
    beside = _BESIDE.match(text, group.end)
    start = group.end if beside is None else beside.end()
    own = _longest(text, start, options)
    ends = _ENDS | _GOES_ON
    if own and not _is_of(own, group, options) and _ended(text, start + len(own), ends):
        return "text-of-another-option"
    joined = _AND.match(text, start + len(own))
    if own and joined and (more := _longest(text, joined.end(), options)) and not _is_of(more, group, options):
        return "text-of-another-option"
    for claim in _CLAIM.finditer(text, group.end):
        claimed = _longest(text, claim.end(), options)
        if claimed and not _is_of(claimed, group, options) and _ended(text, claim.end() + len(claimed), _ENDS):
            return "contradictory"
    others = tuple(own for own in options.texts if own and not _is_of(own, group, options))
    for praise in _PRAISE.finditer(text, group.end):
        before = text[max(group.end, praise.start() - 100) : praise.start()]
        ending = max((own for own in options.texts if own and before.endswith(own)), key=len, default="")
        if ending in others and before[: -len(ending)][-1:] in {"", *_ENDS}:
            return "contradictory"
    lines = text[group.end :].split("\n")[1:]
    return "contradictory" if any(without_end_marks(line) in others for line in lines) else ""


def _longest(text: str, start: int, options: Options) -> str:
    return max((own for own in options.texts if own and text.startswith(own, start)), key=len, default="")


def _ended(text: str, end: int, marks: frozenset[str]) -> bool:
    return end >= len(text) or text[end] in marks


def _is_of(own: str, group: Group, options: Options) -> bool:
    """Whether a text belongs to one of the letters stated."""
    assert group.letters is not None
    return any(options.text_of(letter) == own for letter in group.letters)
