"""Whether a text denies what it names: 无发热, 否认药物过敏史, 未见骨折, 墨菲征阴性.

A cue reaches to the right as far as its clause, but not over a word that starts something new (无诱因出现胸痛). It is a
rule for evidence, not a parser: after NegEx (Chapman et al. 2001, J Biomed Inform 34:301), with Chinese cues.
"""

from __future__ import annotations

import re

REACH = 14
"""Characters that a cue reaches over at most."""

_CUE = re.compile(
    r"否认|未(?!来|婚|育|足月|成年|分化|破)|没有|没(?!药)|并非|"
    r"无(?!力|痛|菌|创|症状|精打采|名指|神|效|尿|汗)|"
    r"不(?!全|稳|适|良|足|齐|规则|典型|振|清|孕|宁|安|平衡|等|均|自主|完全|详|同|止|断|大|能|明原因)|"
    r"非(?!甾|小细胞|典型|霍奇金|结核|洛|那|诺|布|格)|(?:可|予以?|已|基本)排除|排除|除外"
)
_NEW = re.compile(
    r"[。;!?\n,:()]|出现|(?<![不无未])伴|但|而|有|则|后|时|并|示|提示|(?<!不)考虑|诊断|引起|所致|诱因|缓解|好转|转为|改为"
)
_NEGATIVE = re.compile(r"[^。;!?\n,:]{0,3}(?:阴性|\(-\)|均阴|未引出|未见|未及|未触及|已?排除|不支持|不存在)")

_ONLY_A_TASK = ("不能", "未", "无法", "不可", "难以", "待", "建议", "需", "需要", "应", "为", "以")
"""Before a cue: 不能排除, 待排除, 建议排除 deny nothing."""


def cue_at(text: str, position: int) -> int:
    """The length of the cue that starts here; 0 if none does."""
    match = _CUE.match(text, position)
    return len(match[0]) if match else 0


def denied(text: str, start: int, end: int) -> bool:
    """Whether the ``plain`` text denies what its characters ``start`` to ``end`` (exclusive) name."""
    cues = [match for match in _CUE.finditer(text, max(0, start - REACH), end) if match.end() <= start]
    if cues and not _NEW.search(text, cues[-1].end(), start):
        return not text[: cues[-1].start()].endswith(_ONLY_A_TASK)
    return bool(_NEGATIVE.match(text, end))
