"""Files of the forms of the public sets outside the judges' domain, a few rows each."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import openpyxl

from mlb_offline.judge.training.outside import GAPS_MODELS, KQA_PHYSICIANS

RUBRICS = [
    {"id": 1, "claim": "应当复查", "level": "A1", "type": "positive"},
    {"id": 2, "claim": "建议停药", "level": "S2", "type": "negative"},
]
GAPS_HEADER = ["index", "question", "rubrics", *GAPS_MODELS]
GAPS_ROW = [7, "怎么办？", json.dumps(RUBRICS, ensure_ascii=False), "甲答", "乙答", "丙答"]
KQA_HEADER = ["Question", "llm_x", "answer", "claim", "category_x", *KQA_PHYSICIANS]
E, N, C = "Entailment", "Neutral", "Contradiction"


def workbook(path: Path, *rows: list[Any], header: list[str] = GAPS_HEADER, sheet: str = "Sheet1") -> Path:
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = sheet
    for row in (header, *rows):
        page.append(row)
    book.save(path)
    return path


def labels(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def label(row: int = 2, model: int = 1, claim: int = 1, said: str = "是", **more: Any) -> dict[str, Any]:
    return {"row": row, "model": model, "claim": claim, "label": said, **more}


def table(path: Path, *rows: list[str], header: list[str] = KQA_HEADER) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def kqa_row(*said: str, model: str = "m", claim: str = "c") -> list[str]:
    return ["q", model, f"answer of {model}", claim, "Must_have", *said]
