"""Patterns of personal data in what an item says: numbers, addresses of mail, names of people."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlb_offline.benchmark.items import Item
from mlb_offline.bundle.lint.texts import strings
from mlb_offline.language import tr

_SURNAMES = (
    "王李张刘陈杨黄赵周吴徐孙朱胡郭何林罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭"
    "廖范汪陆金石戴贾韦夏邱侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武莫孔向汤"
)
_TITLES = "某某|某|先生|女士|小姐|大爷|大妈|阿姨|师傅|医生|大夫|主任|教授|护士长|护士|院长|律师|老师"
_DAY = r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_NUMBERS = "住院号|门诊号|病历号|病案号|床号|医保卡号|就诊卡号"
PATTERNS = (
    ("identity number", "身份证号", re.compile(rf"(?<!\d)[1-9]\d{{5}}{_DAY}\d{{3}}[\dXx](?!\d)")),
    ("mobile number", "手机号", re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")),
    ("telephone number", "电话号码", re.compile(r"(?<![\d.])0\d{2,3}[- ]\d{7,8}(?!\d)")),
    ("mail address", "电子邮箱", re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+", re.ASCII)),
    ("record number", "病历号", re.compile(rf"(?:{_NUMBERS})\s*[:：]?\s*[A-Za-z]?\d{{4,}}")),
    ("date of birth", "出生日期", re.compile(r"(?:出生日期|生于)\s*[:：]?\s*(?:19|20)\d{2}\s*[-年/.]")),
    ("name", "姓名", re.compile(r"姓名\s*[:：]\s*[\u4e00-\u9fff]")),
    ("name", "姓名", re.compile(rf"(?<![\u4e00-\u9fff])[{_SURNAMES}](?:{_TITLES})")),
)


def personal(item: Item) -> Iterator[tuple[str, str]]:
    """Field and kind of what looks like personal data, in all texts that a model or a reviewer sees."""
    texts = {"question": item.question, "scenario": item.scenario or "", "note": item.note or ""}
    texts |= {f"options.{place}": text for place, text in enumerate(item.options)}
    texts["answer"] = "\n".join(strings(item.answer))
    for field, text in texts.items():
        for en, zh, pattern in PATTERNS:
            if found := pattern.search(text):
                yield field, tr(f"疑似{zh}：“{found[0]}”", f"looks like a {en}: {found[0]!r}")
