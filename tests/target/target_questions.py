"""The question that the tests of targets ask."""

from __future__ import annotations

from mlb_offline.target.types import Question

PROMPT = "患者男，45岁，反复上腹痛三年，首选检查是什么？"
QUESTION = Question("CMExam", "1", PROMPT, 0)
