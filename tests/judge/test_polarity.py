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
        ("否认有高血压病史", "高血压"),
        ("不伴有头痛", "头痛"),
        ("未出现皮疹", "皮疹"),
        ("没有出现发热", "发热"),
        ("CT未提示出血", "出血"),
        ("认为无骨折", "骨折"),
        ("因为没有咳嗽", "咳嗽"),
        ("骨折未见", "骨折"),
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
        ("头颅CT未见出血", "头颅CT"),
        ("有无发热", "发热"),
        ("有没有发热", "发热"),
        ("食欲不佳、乏力", "乏力"),
        ("月经不规律、痛经", "痛经"),
        ("原因不明的发热", "发热"),
        ("无法平卧、端坐呼吸", "端坐呼吸"),
        ("未控制的高血压", "高血压"),
        ("非特异性炎症", "炎症"),
        ("不慎跌倒致骨折", "骨折"),
    ],
)
def test_what_no_cue_reaches_is_affirmed(text: str, name: str) -> None:
    start = text.index(name)
    assert not denied(text, start, start + len(name))
