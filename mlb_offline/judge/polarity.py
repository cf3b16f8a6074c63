"""Whether a text denies what it names: 无发热, 否认药物过敏史, 未见骨折, 墨菲征阴性.

A cue reaches to the right as far as its clause, but not over a word that starts something new (无诱因出现胸痛), unless
that word adjoins it (否认有, 未出现). 不 and 未 are cues only before words that make them so: 不伴, 未见; not in 不良,
未控制. It is a rule for evidence, not a parser: after NegEx (Chapman et al. 2001, J Biomed Inform 34:301), with cues of
Chinese.
"""

from __future__ import annotations

import re

REACH = 14
"""Characters that a cue reaches over at most."""

_CUE = re.compile(
    r"否认|没有|没(?=发|咳|痛|疼|吐|出|见|吃|用|做)|并非|排除|除外|"
    r"未(?=见|闻|触|及|扪|诉|出|发|提示|示|引|行|做|服|用|使用|接种|合并|伴|有|吸|饮|检|探)|"
    r"不(?=伴|考虑|支持|觉|诉|吸|抽|饮|喝|发热|发烧|咳|吐|痛|疼|痒|需|宜|建议|符合|存在|合并)|"
    r"无(?!力|痛|菌|创|症状|精打采|名指|神|效|尿|汗|法|论|关|意|需)"
)
_ADJOINING = re.compile(r"(?:伴有?|有|合并|出现|发现|发生|提示|示|诊断|考虑|支持|见到?|闻及|触及|及|行|做|需|建议|过)+")
_NEW = re.compile(r"[。;!?\n,:()]|出现|伴|但|而|有|则|后|时|并|示|考虑|诊断|引起|所致|诱因|缓解|好转|转为|改为")
_NEGATIVE = re.compile(
    r"[^。;!?\n,:]{0,3}(?:阴性|\(-\)|均阴|未引出|(?:未见|未及|未触及|已?排除|不支持|不存在)(?=[。;!?\n,)、]|$))"
)
_ONLY_A_TASK = ("不能", "未", "无法", "不可", "难以", "待", "建议", "需", "需要", "应", "为", "以")
"""Before 排除 or 除外: 不能排除, 待排除, 建议排除 deny nothing."""


def cue_at(text: str, position: int) -> int:
    """The length of the cue that starts here; 0 if none does."""
    match = _CUE.match(text, position)
    return len(match[0]) if match else 0


def denied(text: str, start: int, end: int) -> bool:
    """Whether the ``plain`` text denies what its characters ``start`` to ``end`` (exclusive) name."""
    cues = [match for match in _CUE.finditer(text, max(0, start - REACH), end) if match.end() <= start]
    if cues:
        adjoining = _ADJOINING.match(text, cues[-1].end(), start)
        reaches = not _NEW.search(text, adjoining.end() if adjoining else cues[-1].end(), start)
        if reaches and not _is_open(text[: cues[-1].start()], cues[-1][0]):
            return True
    return bool(_NEGATIVE.match(text, end))


def _is_open(before: str, cue: str) -> bool:
    """Whether what stands before a cue leaves open what it would deny: 有无发热, 待排除."""
    return before.endswith("有") or (cue in {"排除", "除外"} and before.endswith(_ONLY_A_TASK))
