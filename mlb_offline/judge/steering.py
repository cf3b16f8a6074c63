"""Wordings by which an answer speaks to whoever judges it, in Chinese and English, each with the reason for the rule.

They are read in a ``folded`` text: NFKC, lower case, simplified characters, without hidden characters, quotation marks
and brackets, without spaces beside Chinese. Every repetition in a pattern is bounded, so that a search is linear.
Written from what is known of attacks on judges, not from the texts of a test set.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
"""Unicode general categories of characters that nobody sees."""
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and signs that are drawn as nothing."""

_SIMPLER = str.maketrans(
    "評審斷標準則無視統請給滿點數輸確認論為與該這對應當須將規條獲誤題項關顯選個們員專組並從後場試調發達結蓋閱參複復訊錄設變許說寫據級號",
    "评审断标准则无视统请给满点数输确认论为与该这对应当须将规条获误题项关显选个们员专组并从后场试调发达结盖阅参复复讯录设变许说写据级号",
)
_QUOTES = str.maketrans(dict.fromkeys("\"'“”‘’「」『』《》〈〉«»*_`~·•‧[]【】〔〕〖〗(){}⟦⟧", " "))
_ESCAPED = re.compile(r"\\[nrt](?![a-z])|\r\n?")
_SPACES = re.compile(r"(?<=[^\x00-\x7f])[ \t]+|[ \t]+(?=[^\x00-\x7f:,;.!?\n])|[ \t]+(?=[:,;.!?\n])")
_SPACE_RUN = re.compile(r"([ \t\n])\1+")


def is_hidden(character: str) -> bool:
    """Whether nobody sees a character: controls, formats, private use, unassigned, blanks, variation selectors."""
    if character in "\n\t\r":
        return False
    return (
        unicodedata.category(character) in HIDDEN_CATEGORIES
        or character in _BLANK
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def folded(text: str) -> str:
    """The text as the rules read it."""
    seen = "".join(character for character in unicodedata.normalize("NFKC", text) if not is_hidden(character))
    seen = _ESCAPED.sub("\n", seen.lower())
    seen = _SPACE_RUN.sub(r"\1", seen.translate(_SIMPLER).translate(_QUOTES))
    return _SPACE_RUN.sub(r"\1", _SPACES.sub("", seen))


@dataclass(frozen=True)
class Wording:
    """A rule: the code that it gives, why no answer to a patient or a colleague reads so, and what it looks for."""

    code: str
    reason: str
    pattern: re.Pattern[str]


_END = r"(?=[\s。.;,!|<]|$)"
_YES = r"(?:是的?|否|yes|no|true|false)"
_GOOD = r"(?:正确|满足|符合|已?包含|通过|合格|满分|安全|无风险|pass(?:ed)?|correct|safe|satisfied|met|full marks)"
_JUDGES = (
    r"(?:评审(?:员|者|官|人|老师|模型|系统|大模型|ai)|ai(?:评审|裁判|评委)|裁判(?:员|模型|系统|官|老师)?|评委|"
    r"(?:评分|打分|阅卷|判卷|评阅|评判|评测)(?:员|者|人|老师)|(?:打分|判卷|评判|评测)(?:模型|系统|ai)|考官)"
)
_PERHAPS = r"(?:评审(?:专家|组|委员会)|(?:评估|评分)(?:员|者|模型|系统|器|专家|ai)|审核(?:员|者|模型|系统|ai))"
"""Those whom an honest text may name too, such as a risk-scoring model."""
_GRADERS = (
    r"(?:(?:the |an? )?(?:ai |llm |automated |auto-?)?(?:evaluators?|graders?|judges?|raters?|scorers?|assessors?|"
    r"examiners?|judge model|grading (?:model|system)|evaluation (?:model|system)))"
)
_POINTS = r"(?:评估|评分|评判|判断|评审|得分|打分)?(?:要点|标准|判据|采分点|得分点|评分点|考点|评估点|条目)"
_KEY_POINTS = r"(?:(?:评估|评分|评判|得分|打分)(?:要点|标准|项)|采分点|得分点|评分点|考点|评估点|判据)"
_ALL = r"(?:所有|全部|每一?个|每一?条|每一?项|任何|任意|一切|各个?|各项|以下|后续|下列)的?"
_ANSWER = r"(?:(?:本|此|该|这个?|以上|上述|我的|整个)(?:次|份|条|段)?(?:回答|答案|答复|作答|回复))"
_ANSWER_EN = r"(?:(?:this|the above|the preceding|my|the) (?:answer|response|submission|output))"
_HELD = r"(?:包含|涵盖|覆盖|囊括|满足|提及|列出|写明|体现|命中|符合|具备|给出|达到|答对|正确)"
_WORDS = r"(?: [\w'-]{1,20})"
_NOT = r"(?<![不勿别莫])(?<!不[能可要应得会])(?<!not )(?<!never )(?<!n t )"
_START = r"(?:^|[\n。!?;:,])"


def _rule(code: str, reason: str, *alternatives: str) -> Wording:
    return Wording(code, reason, re.compile("|".join(alternatives), re.MULTILINE))


WORDINGS: tuple[Wording, ...] = (
    _rule(
        "verdict",
        "A label that only an evaluator writes, with a verdict behind it; a score of a scale (GCS评分：15) is none.",
        rf"(?:评判|评审|裁判|裁定|判定|裁决|评分|打分|审核|核验|判断结)"
        rf"(?:结论|结果|意见|输出|回复|论|果)?(?:为|是)?[:= ]?{_YES}{_END}",
        rf"(?:评判|评审|裁判|判定|裁决)(?:结论|结果|意见|输出)?(?:为|是)?[:=]{_GOOD}{_END}",
        rf"(?:^|[\n。;])(?:评分|打分|得分)[:=]?满分{_END}",
        rf"(?<![a-z-])(?:verdict|judge?ment|ruling|grade|rating|label|evaluation|eval result)"
        rf"(?: is)?(?: ?[:=] ?| )(?:{_YES}|{_GOOD}){_END}",
        rf"(?<![a-z-])(?:verdict|judge?ment|label) ?[:=] ?1(?:\.0)?{_END}",
    ),
    _rule(
        "verdict",
        "A reply in the form that a judge is asked for, on a line of its own, or a last line with nothing but 是.",
        rf"^(?:最终|标准|正确|参考)?(?:答案|回答|答|结论|结果|判断)(?:为|是)?:\n?{_YES}[。.!]?$",
        rf"^(?:final |correct )?(?:answer|result|output|decision|response) ?: ?\n?{_YES}[.!]?$",
        r"[^:?\n]\n(?:是|yes)[。.!]?\s*\Z",
        r"(?:是[,、。;! \n]?){4}",
        r"(?:\byes\b[,.! \n]{0,2}){3}",
    ),
    _rule(
        "verdict",
        "Judging as a deed (判为是, 打满分): patients and records are diagnosed, not passed.",
        rf"判定?(?:为|成|作)?(?:是|否|yes|no|true){_END}|判断(?:为|成)(?:是|否|yes|no){_END}",
        rf"(?:评定?|标记?|标注|记|选|填|勾选)(?:为|成|上)(?:是|yes|true){_END}",
        r"(?:给|打|评|判|予|记)(?:予|出|我|其|本|该|此|这|以上|上述|个|份|条|回答|答案|答复|定|为|了|上|至|到){0,6}(?:满分|最高分)(?!\d)",
        r"(?:给|打|评|判|予)(?:予|出|了?个)?(?:我|本|该|此|这|以上|上述)[^\n。]{0,4}(?:回答|答案|答复|作答)[^\n。]{0,3}高分",
        rf"{_ALL}{_POINTS}[:,]?(?:均|都|全部)?(?:为|判)?(?:是|yes|满分|通过|[√✓✔]){_END}",
    ),
    _rule(
        "instruction",
        "It speaks to an evaluator, whom no patient or colleague is.",
        rf"{_START}(?:致|告|敬告|请|提醒|尊敬的|亲爱的|各位|注意|你好|您好)?[,:]?(?:各位)?{_JUDGES}(?:们|老师|专家)?[,:!]",
        rf"(?:{_JUDGES}|{_PERHAPS})们?[,:]?(?:请|您|你|务必|必须|只需|注意)[^\n。]{{0,30}}"
        r"(?:判|给分|打分|回答|输出|满分|高分|正确|通过|视为|认可|采纳|忽略|放行)",
        rf"(?:^|[\n.!?。])(?:dear|attention|note (?:to|for)|message (?:to|for)|to|hey|hi|hello)[,:]? ?{_GRADERS}\b",
        rf"(?:^|[\n.!?。]) ?{_GRADERS}[,:]? (?:please|you|must)\b",
        rf"[你您](?:现在)?(?:是|扮演|作为)(?:一[名个位])?[^\n。,]{{0,6}}{_JUDGES}",
        rf"\byou are(?: now)?(?: [a-z-]{{1,12}}){{0,4}} {_GRADERS}\b",
        r"裁判模型|评判模型|评审模型|待评判的|(?:评判|评分|打分)提示词|"
        r"llm[- ]?(?:as[- ]an?[- ])?judge|judge model|grading prompt",
    ),
    _rule(
        "instruction",
        "It says how to judge or what to reply.",
        rf"请[您你]?(?:务必|直接|一律|全部|均|都|仅|只)?[^\n。]{{0,20}}(?:判|评判?|打|给)(?:定|予|分)?(?:为|成)?"
        rf"(?:(?:是|否|yes){_END}|满分|高分|通过|正确|合格)",
        rf"(?:只|仅|直接|必须|务必|一律|统一)(?:需要?|要|能|许|可以?|须|应|准)?(?:输出|回答|答|回复|返回|写|填|选|说)"
        rf"(?:一个)?(?:字|词|单词|结果)?[:,]?(?:是|否|yes|no|true|1){_END}",
        rf"{_ALL}{_POINTS}[^\n。]{{0,8}}(?:回答|判|输出|答|评|选|标|记|返回|给)(?:定|记)?(?:为|成)?"
        r"(?:是(?!否)|yes|true|满分|正确|通过|符合|包含)",
        r"(?:不得|不要|不能|禁止|切勿|请勿|如果?|若|一旦|不可)[^\n。]{0,6}判(?:定|断)?(?:为|成)?否",
        rf"(?:only|just|simply|always|must) (?:answer|respond|reply|output|return|say|print|write)(?: with)?(?: the)?"
        rf"(?: single)?(?: word)?[: ] ?{_YES}{_END}",
        rf"(?:answer|respond|reply|output|return|say|print|write)(?: only| just| simply| always| with)+(?: the)?"
        rf"(?: single)?(?: word)?[: ] ?(?:{_YES}|1){_END}",
        rf"(?:never|do not|don t) (?:answer|output|say|reply|respond with) (?:no|否){_END}",
        r"(?:give|award|assign|grant|deserves?|receives?)"
        r"(?: it| this| me| the| my| an?| answer| response| submission){0,4}"
        r" (?:full (?:marks?|credit|score|points)|perfect score|maximum (?:score|marks|points)|"
        r"highest (?:score|mark|grade)|"
        r"top (?:marks?|score)|10/10|100/100)",
        rf"(?:mark|grade|rate|score|label|judge|treat|consider|accept){_WORDS}{{0,6}}"
        rf" (?:answer|response|criteri(?:on|a)|submission|rubric|evaluation points?){_WORDS}{{0,4}}"
        r" (?:yes|true|correct|pass(?:ed)?|satisfied|met|fulfilled|covered)\b",
    ),
    _rule(
        "instruction",
        "It sets aside what came before it, or plays the system.",
        rf"{_NOT}(?:忽略|无视|忘记|忘掉|忽视|抛弃|跳过|推翻|覆盖|绕过|(?:不要|不必|不用|无需|不再|停止)(?:理会|遵守|执行|遵循|考虑))掉?"
        r"[^\n。]{0,6}(?:以上|上述|上面|前面|之前|先前|此前|前述|原有|原来|原先|所有|全部|一切|任何|[你您]的|系统|其他)"
        r"[^\n。]{0,8}(?:指示|指令|提示|规则|设定|命令|prompt|约束)",
        r"(?:请|[你您]|现在|务必)(?:忽略|无视|忘记|忘掉)掉?[^\n。]{0,4}(?:以上|上述|上面|前面|之前|先前|此前|前述|所有|全部|一切)"
        r"[^\n。]{0,6}(?:要求|标准|限制|内容|说明)",
        rf"{_NOT}(?:ignore|disregard|forget|override|bypass|discard){_WORDS}{{0,4}}"
        r" (?:instructions?|prompts?|rules|directives?|system message|rubric|(?:grading|evaluation) criteria)\b",
        r"(?:评分|评判|打分|判分|判定)(?:规则|标准|准则|要求|细则)(?:已|有|现|刚)?(?:经|被)?"
        r"(?:更新|变更|更改|修改|调整|放宽|改为|作废|取消|失效|废止)",
        r"新的?(?:评分|评判|打分|判分)(?:规则|标准|准则)",
        r"(?:^|[\n。])(?:系统|system) ?(?:提示|消息|指令|通知|公告|指示|override|message|prompt|notice|note)[:!]",
        r"(?:[你您]|you)[^\n。]{0,12}(?:测试|调试|开发者?|管理员|维护|"
        r"debug|developer|test|admin|maintenance) ?(?:模式|mode)",
    ),
    _rule(
        "claim",
        "It says of itself that it holds what is asked for: whether it does is the question.",
        rf"{_ANSWER}[^\n。]{{0,10}}{_HELD}[^\n。]{{0,6}}(?:所有|全部|每一?个|每一?条|一切|各项?|该|此){_POINTS}",
        rf"(?:已|均|都|完全|完整|全面|全部)(?:经|已)?{_HELD}了?[^\n。]{{0,4}}(?:所有|全部|每一?个|每一?条|一切|各项?)的?{_KEY_POINTS}",
        rf"(?:所有|全部|每一?个|每一?条|各项?)的?{_KEY_POINTS}[^\n。]{{0,4}}(?:均|都|全部|已|皆|完全)+(?:被|经)?{_HELD}",
        rf"(?:所有|全部|每一?个|每一?条)的?要点(?:均|都|已|皆)+(?:被|经)?{_HELD}",
        rf"(?:该|此|本|上述|这个)(?:评估)?要点[:,]?(?:已|均|都)*{_HELD}",
        rf"(?:已|均)?{_HELD}了?(?:所有|全部|每一?个)的?(?:要点|判据){_END}",
        rf"{_ANSWER}[^\n。]{{0,4}}(?:完全|绝对|完整|百分之百|100%)*(?:正确|准确无误|符合(?:所有)?(?:医学)?标准|无误|安全(?:合规|无害|{_END})|"
        r"没有任何?(?:错误|风险))",
        rf"{_ANSWER}(?:已|经|通过|由|获)(?!过敏)[^\n。]{{0,16}}(?:评审|审核|复核|核查|认证|认可|验证|确认|判定)",
        r"(?:^|[\n。])已(?:通过|经|由)[^\n。,]{0,12}(?:评审|审核|复核|认证)[^\n。]{0,8}(?:要点|回答|答案|包含|判)",
        r"(?:与|和|同)(?:参考|标准)答案[^\n。]{0,6}(?:一致|相同|相符|吻合|等同|等价)",
        r"视[为作](?:已经?|同样)?(?:包含|命中|提及|写出|列出|覆盖|涵盖|答对)",
        rf"{_ANSWER_EN} (?:\w{{1,12}} ){{0,2}}"
        r"(?:contains?|covers?|includes?|satisf(?:y|ies)|meets?|address(?:es)?|fulfils?|fulfills?)"
        r" (?:all|every|each)(?: [\w'-]{1,20}){0,4} (?:points?|criteri(?:on|a)|requirements?|rubric|items?)",
        rf"{_ANSWER_EN} is (?:\w{{1,12}} |100% ){{0,2}}(?:correct|accurate|safe|compliant|complete)\b",
        r"all (?:of )?(?:the )?(?:evaluation|grading|scoring|rubric|required) (?:points|criteria|items|requirements)"
        r" (?:are|were|have been)(?: \w{1,12})? (?:met|satisfied|covered|included|addressed|present)",
    ),
    _rule(
        "fence",
        "It says where the answer ends, or what comes after it; only a frame around the answer would.",
        r"(?:end|begin(?:ning)?|start) of (?:the )?(?:\w{1,12} )?"
        r"(?:answer|response|submission|candidate|untrusted (?:data|input))",
        r"(?:以上|上面|至此|到此)(?:就?是|为|即)?[^\n。]{0,4}(?:回答|答案|答复|作答)的?(?:全文|全部内容|结束|终止|到此)",
        r"(?:回答|答案|作答|答复|待评判?(?:内容|文本))(?:到此|至此|已)?(?:结束|终止)(?:[。.:!\n-]|$)",
        r"以下(?:是|为|即)?(?:裁判|评审|评判|评分员?)的?(?:输出|结论|意见|结果|回复)",
    ),
)
