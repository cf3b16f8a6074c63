"""Patterns of personal data in what an item says: numbers, addresses of mail, names of people.

Patterns find the usual spellings, and no more: whoever publishes a bundle made from records reads it as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from mlb_offline.benchmark.items import Item
from mlb_offline.bundle.lint.texts import strings
from mlb_offline.language import tr

_SURNAMES = (
    "王李张刘陈杨黄赵吴徐孙朱胡郭林罗郑梁谢宋唐邓冯韩曹彭萧蔡潘田董袁蒋杜苏魏吕丁沈姚卢崔谭廖陆贾韦夏邱侯邹熊孟秦阎薛尹"
    "雷黎龙陶贺顾郝龚邵覃武莫周何许高马"
)
"""The most common but those that often end another word before a title: 课程老师, 千万, 其余某些."""
_NO_NAME = "(?<!一|每|上|下|本|几|两|任|也|或|允|提|立|谢)"
_TITLES = "某|先生|女士|小姐|大爷|大妈|阿姨|师傅|医生|医师|大夫|主任|教授|护士长|护士|院长|律师|老师"
_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_BORN_18, _BORN_15 = rf"(?:19|20)\d\d ?{_DAY} ?\d{{3}}[\dXx]", rf"\d\d{_DAY}\d{{3}}"
_NUMBERS = "住院号|门诊号|病历号|病案号|床号|医保卡号|就诊卡号|身份证号?"
_NONE = "不详|未知|略|无|保密|[Xx*某]"
PATTERNS = (
    ("identity number", "身份证号", re.compile(rf"(?<!\d)[1-9]\d{{5}} ?(?:{_BORN_18}|{_BORN_15})(?!\d)")),
    ("mobile number", "手机号", re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)")),
    ("telephone number", "电话号码", re.compile(r"(?<![\d.])0[1-9]\d{1,2}[- ]?[2-9]\d{6,7}(?!\d)")),
    ("mail address", "电子邮箱", re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}\.\w", re.ASCII)),
    ("record number", "编号", re.compile(rf"(?:{_NUMBERS})\s*[:：]?\s*[A-Za-z]?\d{{2,}}")),
    ("date of birth", "出生日期", re.compile(r"(?:出生日期|生于|出生于)\s*[:：]?\s*(?:19|20)\d{2}\s*[-年/.]")),
    ("name", "姓名", re.compile(rf"姓名\s*[:：]\s*(?!{_NONE})[\u4e00-\u9fff]")),
    ("name", "姓名", re.compile(rf"{_NO_NAME}[{_SURNAMES}](?:{_TITLES})(?![些种个年月日项类院市县])")),
    ("name", "姓名", re.compile(rf"(?:患者|病人|^|[。\n])[{_SURNAMES}][\u4e00-\u9fff]{{1,2}}[,，]\s*[男女]性?[,，。]")),
)  # fmt: skip


def personal(item: Item) -> Iterator[tuple[str, str]]:
    """Field and kind of what looks like personal data, in all texts that a model or a reviewer sees."""
    texts = {"question": item.question, "scenario": item.scenario or "", "note": item.note or ""}
    texts |= {f"options.{place}": text for place, text in enumerate(item.options)}
    texts |= {
        f"evaluation_points.{place}": f"{one.topic}\n{one.point}" for place, one in enumerate(item.evaluation_points)
    }
    texts["answer"] = "\n".join(strings(item.answer))
    for field, text in texts.items():
        read = unicodedata.normalize("NFKC", text)
        for en, zh, pattern in PATTERNS:
            if found := pattern.search(read):
                yield field, tr(f"疑似{zh}：“{found[0].strip()}”", f"looks like a {en}: {found[0].strip()!r}")
