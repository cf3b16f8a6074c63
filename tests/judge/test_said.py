"""What a judge that writes has said."""

from __future__ import annotations

import pytest

from mlb_offline.judge.said import said


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("是", True),
        ("否", False),
        ("是。", True),
        ("答案：否", False),
        ("<think>先看是否提到……否</think>是", True),
        ("<think>是</think>\n\n否", False),
        ("先是提到了胸痛，但没有时间，因此：否", False),
        ("否……不，更正：是", True),
        ("不是", False),
        ("Yes", True),
        ("no.", False),
        ("", None),
        ("无法判断", None),
        ("是否包含该要点？", None),
        ("否认胸痛", None),
        ("<think>是的，是", None),
        ("<think>是</think>", None),
        ("否。原因是未提到时间", False),
        ("否，因为只是提到胸痛", False),
        ("是，患者否定过敏史", True),
        ("是/否", None),
        ("请回答是或否", None),
        ("答案no", False),
        ("结论为是", True),
        ("**否**", False),
        ("是的，包含。", True),
    ],
)
def test_the_last_word_after_the_thought_counts(text: str, verdict: bool | None) -> None:
    assert said(text) is verdict
