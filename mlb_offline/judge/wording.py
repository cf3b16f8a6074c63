"""One spelling for text that judges compare: widths, case, numerals, units, and the punctuation of JSON.

What is unified here need not be learnt: 三天/3日, 38度5/38.5℃, 半年/6个月, １２/12, ＋/+. Meaning is left alone: no
synonym is replaced (``lexicon`` does that, and shows that it did).
"""

from __future__ import annotations

import re
import unicodedata

_DIGITS = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_SPANS = "月|年|周|星期|小时|钟头|季度"
_COUNTED = "天|日|岁|次|年|月|周|度|分钟|小时|支|片|粒|瓶|包|级|期|型|胎|产|斤|公斤|两|倍|项|处|枚|条|根|个"
_UNITS = f"(?:个?(?:{_SPANS})|多?(?:{_COUNTED}))"
_NUMERAL = re.compile(
    rf"(?<![第十百零〇一二两三四五六七八九])([零〇一二两三四五六七八九十百]{{1,5}})(?=(?:余|多|来)?{_UNITS})"
)
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad]")
_RUN = re.compile(r"([ \t\n])\1+")
_REPLACED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\\[nrt](?![a-z])|\r\n?"), "\n"),
    (re.compile(r"[\"'][\])}]*\s*[,;]\s*[\[({]*[\"']"), ";"),
    (re.compile(rf"(?<![\d.])(3[4-9]|4[0-3])\s*度\s*(\d)(?![\d.]|(?:余|多|来)?{_UNITS})"), r"\1.\2℃"),
    (re.compile(r"(?<=\d)\s*度半"), ".5℃"),
    (re.compile(r"(?<=\d)\s*(?:摄氏度|°c)"), "℃"),
    (re.compile(r"(?<=\d)\s*(?:周岁|岁整)"), "岁"),
    (re.compile(r"(?<=\d)\s*(余|多|来)?\s*日(?!常)"), r"\1天"),
    (re.compile(r"(?<=\d)\s*(余|多|来)?\s*(?:星期|礼拜)"), r"\1周"),
    (re.compile(r"(?<=\d)\s*(余|多|来)?\s*个?钟头"), r"\1小时"),
    (re.compile(r"(?<=\d)\s*h(?![a-z])"), "小时"),
    (re.compile(r"(?<=\d)\s*(余|多|来)?\s*月(?!\d)"), r"\1个月"),
    (re.compile(r"每日(?!常)"), "每天"),
    (re.compile(r"半年"), "6个月"),
    (re.compile(r"(?<![\d个])半个?月"), "15天"),
    (re.compile(r"半个?(?:小时|钟头)"), "30分钟"),
    (re.compile(r"(?<=\d)\s*年半"), ".5年"),
    (re.compile(r"(?<=\d)\s*(天|周|个月|年|岁|小时)\s*[余多](?![次发年])"), r"余\1"),
    (re.compile(r"(?<=\d)\s*[多来](?=天|周|个月|年|岁|小时)"), "余"),
    (re.compile(r"[×✕*]\s*10\s*(?:\^\s*(\d+)|(\d{1,2})(?=\s*/))"), r"x10^\1\2"),
    (re.compile(r"μ|µ"), "u"),
    (re.compile(r"毫米汞柱"), "mmhg"),
    (re.compile(r"毫摩尔/升|mmol/升"), "mmol/l"),
    (re.compile(r"(?<![\d.])(3[5-9]|4[0-2])(\.\d)?\s*度(?![\d余多来])"), r"\1\2℃"),
    (re.compile(r"/\s*(?:mins?(?![a-z])|分钟)"), "/分"),
    (re.compile(r"(?<=\d)\s*bpm(?![a-z])"), "次/分"),
    (re.compile(r"(?<=\d)\s*mins?(?![a-z])"), "分钟"),
    (re.compile(r"(?<=\d)\s*(?:微克|mcg)"), "ug"),
    (re.compile(r"(?<=\d)\s*克(?![拉氏])"), "g"),
    (re.compile(r"毫克"), "mg"),
    (re.compile(r"毫升"), "ml"),
    (re.compile(r"厘米|公分"), "cm"),
    (re.compile(r"毫米"), "mm"),
    (re.compile(r"公斤|千克"), "kg"),
    (re.compile(r"百分之(\d+(?:\.\d+)?)"), r"\1%"),
    (re.compile(r"[\[\]{}\"'`“”‘’*#|]+"), " "),
    (re.compile(r"(?<=[^\x00-\x7f])[ \t]+|[ \t]+(?=[^\x00-\x7f])"), ""),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r"\n\s*"), "\n"),
)


def number_of(numeral: str) -> int | None:
    """The value of a Chinese numeral below 1,000; None if it is none (such as 一二)."""
    if len(numeral) == 1 and numeral in _DIGITS:
        return _DIGITS[numeral]
    total, digit, last = 0, 0, 1000
    for character in numeral:
        if character in _DIGITS:
            if digit:
                return None
            digit = _DIGITS[character]
            continue
        place = {"十": 10, "百": 100}[character]
        if place >= last:
            return None
        total, digit, last = total + (digit or 1) * place, 0, place
    return total + digit


def _as_digits(match: re.Match[str]) -> str:
    value = number_of(match[1])
    return match[1] if value is None else str(value)


def plain(text: str) -> str:
    """The text in the one spelling: NFKC, lower case, Arabic numerals before units, units by symbol, no JSON marks.

    Pairs such as 一二天 are left as they are: which number is meant is not for us to choose.
    """
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).lower()
    text = _RUN.sub(r"\1", text)  # long runs of white space would cost the patterns their square
    text = _NUMERAL.sub(_as_digits, text)
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    return text.strip()
