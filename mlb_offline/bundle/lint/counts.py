"""How many items a source folder has, by dataset, difficulty and specialty: for its card."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mlb_offline.benchmark.catalogue import DIMENSIONS, Form
from mlb_offline.benchmark.specialties import SPECIALTIES
from mlb_offline.bundle.lint.choices import right
from mlb_offline.bundle.lint.items import DIFFICULTIES
from mlb_offline.bundle.source import Source, SourceDataset
from mlb_offline.language import current, tr


def counts(source: Source) -> dict[str, Any]:
    """``{items, datasets: {id: {items, several_right, specialties, characters, difficulty: {…}}}, specialties: {…}}``.

    ``several_right`` counts choice items with more than one right option, ``characters`` is the median length of a
    question with its scenario.
    """
    every = [item for content in source.datasets.values() for item in content.items]
    return {
        "items": len(every),
        "datasets": {name: _of(content) for name, content in source.datasets.items()},
        "specialties": dict(Counter(item.specialty for item in every).most_common()),
    }


def _of(content: SourceDataset) -> dict[str, Any]:
    lengths = sorted(len(item.scenario or "") + len(item.question) for item in content.items)
    lettered = content.dataset.form is Form.CHOICE
    return {
        "items": len(content.items),
        "several_right": sum(len(right(content.dataset, item)) > 1 for item in content.items) if lettered else 0,
        "specialties": len({item.specialty for item in content.items}),
        "characters": lengths[len(lengths) // 2] if lengths else 0,
        "difficulty": {name: sum(item.difficulty == name for item in content.items) for name in DIFFICULTIES},
    }


def markdown(source: Source) -> str:
    """Two tables: datasets, specialties."""
    found = counts(source)
    head = tr(
        "| 数据集 | 维度 | 条目 | 其中多选 | 专科数 | 题面字数（中位） | 易/中/难 |",
        "| dataset | dimension | items | several right | specialties | characters (median) | easy/medium/hard |",
    )
    lines = [head, "|---|---|---|---|---|---|---|"]
    for name, one in found["datasets"].items():
        dimension = DIMENSIONS[source.datasets[name].dataset.dimension]
        levels = "/".join(str(one["difficulty"][level]) for level in DIFFICULTIES)
        several = one["several_right"] or "–"
        lines.append(
            f"| {name} | {dimension.zh if current() == 'zh' else dimension.en} | {one['items']} | {several} "
            f"| {one['specialties']} | {one['characters']} | {levels} |"
        )
    used = [name for name in SPECIALTIES if name in found["specialties"]]
    told = "、".join(f"{name} {found['specialties'][name]}" for name in used)
    lines += [
        "",
        tr(f"共 {found['items']} 条；专科 {len(used)} 个", f"{found['items']} items; {len(used)} specialties")
        + tr(f"（目录 {len(SPECIALTIES)} 个）：{told}。", f" of {len(SPECIALTIES)}: {told}."),
    ]
    return "\n".join(lines) + "\n"
