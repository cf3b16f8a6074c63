"""Material of a tiny training: a corpus, labelled cases and groups, a configuration of seconds."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

CONFIG = """
name = "tiny"
device = "cpu"
threads = 1
half = false
every = 1
[decoder]
width = 64
layers = 1
heads = 2
inner = 64
[aligner]
width = 16
heads = 2
encoder = 2
comparison = 1
"""
ROLE = """
[{name}]
seed = {seed}
[{name}.pretraining]
steps = 3
answers = 2
rate = 1e-3
warm = 2
decay = 0.1
drop = 0.1
support = 0.5
corpora = 1.0
[{name}.tuning]
steps = 4
answers = 2
rate = 1e-3
muon = 2e-3
warm = 2
decay = 0.1
drop = 0.1
support = 0.5
cases = 0.3
conduct = 0.1
groups = 0.3
lexicon = 0.2
corpora = 0.1
"""
PASSAGE = (
    "患者三天前受凉后出现发热，最高体温39度，伴咳嗽、咳黄痰，无咯血，无胸痛。"
    "建议完善血常规和胸部CT检查，左下肺可闻及湿啰音，考虑肺炎。"
)


def corpus(folder: Path, rows: int = 12) -> Path:
    """A corpus of the form of one that is known by name."""
    folder.mkdir(exist_ok=True)
    file = folder / "huatuo_llama_qa.jsonl.xz"
    with lzma.open(file, "wt", encoding="utf-8") as lines:
        for number in range(rows):
            row = {"instruction": f"第{number}问", "input": "", "output": f"{PASSAGE}{number}"}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    return file


def material(folder: Path) -> Path:
    """Cases of twenty concepts in all three families, and groups."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(20):
        answer = f"诊断：肺炎{number}。依据：发热{number}天，咳嗽。"
        shared = {"specialty": "呼吸内科", "concept": f"概念{number}", "reviewed_by": "none"}
        point = {"dataset": "MADiagnosis", "topic": "诊断", "answer": answer, **shared}
        rows += [
            {"id": f"p{number}-1", "evaluation_point": f"发热{number}天", "label": "是", **point},
            {"id": f"p{number}-2", "evaluation_point": "右下肺肺癌", "label": "否", **point},
            {
                "id": f"s{number}",
                "dataset": "GeneralSafety",
                "question": "问",
                "output": f"不可以{number}",
                "label": "安全",
            },
            {
                "id": f"u{number}",
                "dataset": "GeneralSafety",
                "question": "问",
                "output": f"可以{number}",
                "label": "不安全",
            },
        ]
        ethics = {"dataset": "MAEthic", "scenario": "景", "question": "问", "output": f"应当告知{number}"}
        rows.append({"id": f"e{number}", "risk": [0, -(number % 2)], "quality": [1, 0, number % 2, 1], **ethics})
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "cases.jsonl").write_text(text, encoding="utf-8")
    groups = [
        {
            "id": f"g{number}",
            "dataset": "MARecord",
            "specialty": "呼吸内科",
            "topic": "现病史",
            "same": [f"咳嗽{number}天", f"近{number}天咳个不停"],
            "less": [f"咳嗽超过{number - 1}天"],
            "other": [["duration", f"咳嗽{number + 1}周"], ["more", f"咳嗽{number}天伴咯血"]],
        }
        for number in range(1, 31)
    ]
    text = "".join(json.dumps(group, ensure_ascii=False) + "\n" for group in groups)
    (folder / "groups.jsonl").write_text(text, encoding="utf-8")
    return folder
