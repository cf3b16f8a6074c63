"""What a text denies: how far a cue reaches, and what only looks like one."""

from __future__ import annotations

import pytest

from mlb_offline.judge.polarity import denied


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("无发热、咳嗽", "咳嗽"),
        ("否认高血压、糖尿病、冠心病病史", "冠心病"),
        ("未见骨折", "骨折"),
        ("双肺未闻及干湿啰音", "干湿啰音"),
        ("墨菲征阴性", "墨菲征"),
        ("巴氏征(-)", "巴氏征"),
        ("已排除肺栓塞", "肺栓塞"),
        ("不伴头痛", "头痛"),
        ("不考虑肺炎", "肺炎"),
        ("没有吃药也没有发烧", "发烧"),
    ],
)
def test_what_a_cue_reaches_is_denied(text: str, name: str) -> None:
    start = text.index(name)
    assert denied(text, start, start + len(name))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("无明显诱因出现胸痛", "胸痛"),
        ("无发热,有咳嗽", "咳嗽"),
        ("发热3天,无咳嗽", "发热"),
        ("不能排除肺栓塞", "肺栓塞"),
        ("建议行CTPA以排除肺栓塞", "肺栓塞"),
        ("不稳定型心绞痛", "心绞痛"),
        ("全身无力", "无力"),
        ("非甾体抗炎药", "甾体抗炎药"),
        ("未婚,有痛经", "痛经"),
        ("", ""),
    ],
)
def test_what_no_cue_reaches_is_affirmed(text: str, name: str) -> None:
    start = text.index(name)
    assert not denied(text, start, start + len(name))
