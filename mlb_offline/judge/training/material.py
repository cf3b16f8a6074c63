"""What was written for training: labelled cases and groups of equivalent statements, split by case and by concept.

In: a folder with ``*.jsonl`` files in the annotation layout (``read_annotations``) and ``groups.jsonl`` (one group a
line, below). Out: ``Material`` for training and for development. All of it was written for this project and none was
reviewed by a physician.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mlb_offline.configuration import explain
from mlb_offline.errors import InputError
from mlb_offline.judge import lexicon as lexicons
from mlb_offline.judge.annotation import Criterion, read_annotations
from mlb_offline.judge.wording import plain
from mlb_offline.language import tr

DEVELOPMENT = 0.1
"""Share of cases and groups that is kept for development."""

GROUPS = "groups.jsonl"


@dataclass(frozen=True)
class Group:
    """Statements about one fact.

    Attributes:
        id: of the group; data is split by it.
        dataset, specialty, topic: where such a fact is asked for.
        same: statements that mean the same.
        less: statements that follow from these but say strictly less.
        other: (kind, statement) that do not follow, though they look alike; kind ``more`` says the fact and more.
        component: the same for groups that share a statement, directly or through others.
    """

    id: str
    dataset: str
    specialty: str
    topic: str
    same: tuple[str, ...]
    less: tuple[str, ...]
    other: tuple[tuple[str, str], ...]
    component: str = ""


@dataclass(frozen=True)
class Material:
    """One side of the split."""

    criteria: tuple[Criterion, ...]
    groups: tuple[Group, ...]


def read_groups(path: Path) -> tuple[Group, ...]:
    """All groups of a file of JSON lines ``{id, dataset, specialty, topic, same, less, other: [[kind, text]]}``.

    Raises:
        InputError: it cannot be read, or a line is no group; names line and field.
    """
    from pydantic import BaseModel, ConfigDict, Field, ValidationError

    class Row(BaseModel):
        model_config = ConfigDict(extra="forbid")
        id: str = Field(min_length=1)
        dataset: Literal["MADiagnosis", "MAInspection", "MARecord"]
        specialty: str
        topic: str
        same: tuple[str, ...] = Field(min_length=2)
        less: tuple[str, ...] = ()
        other: tuple[tuple[str, str], ...] = Field(min_length=1)

    groups = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            tr(f"无法读取：{error}", f"cannot be read: {error}"), file=path, remedy=tr("检查该文件", "check the file")
        ) from None
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            raw: Any = json.loads(line)
            groups.append(Group(**Row.model_validate(raw).model_dump()))
        except (ValueError, ValidationError) as error:
            field, message = explain(error) if isinstance(error, ValidationError) else (None, str(error))
            raise InputError(
                tr(f"不是有效的语句组：{message}", f"is no valid group: {message}"),
                file=path,
                line=number,
                field=field,
                remedy=tr("更正该行", "mend the line"),
            ) from None
    return tuple(groups)


def held_out(key: str, share: float = DEVELOPMENT) -> bool:
    """Whether what has this key is kept for development: by a digest of the key, the same for ever."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") < share * 2**32


def read_material(folder: Path) -> tuple[Material, Material]:
    """Training and development material: no concept and no statement is on both sides.

    Cases go by their concept, under whatever name; groups that share a statement go together.

    Raises:
        InputError: the folder holds no such files, or one is faulty.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise InputError(
            tr("文件夹中没有训练数据", "the folder holds no training data"),
            file=folder,
            remedy=tr("给出含 *.jsonl 的文件夹", "give a folder with *.jsonl files"),
        )
    criteria = [one for file in files if file.name != GROUPS for one in read_annotations(file)]
    groups = read_groups(folder / GROUPS) if (folder / GROUPS).is_file() else ()
    groups = tuple(replace(group, component=key) for group, key in zip(groups, _shared_keys(groups), strict=True))

    def side(*, kept: bool) -> Material:
        return Material(
            tuple(one for one in criteria if held_out(f"concept:{_concept(one)}") == kept),
            tuple(group for group in groups if held_out(group.component) == kept),
        )

    return side(kept=False), side(kept=True)


def _concept(one: Criterion) -> str:
    """What a case is about, by the lexicon's term where it has one."""
    number = lexicons.embedded().find(one.concept) if one.concept else 0
    return lexicons.embedded()[number].term if number else one.concept or one.answer_id


def _shared_keys(groups: Sequence[Group]) -> list[str]:
    """For every group the id of the first that it shares a statement with, directly or through others."""
    parent = list(range(len(groups)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    first: dict[str, int] = {}
    for index, group in enumerate(groups):
        for statement in (*group.same, *group.less, *(text for _, text in group.other)):
            low, high = sorted((root(index), root(first.setdefault(plain(statement), index))))
            parent[high] = low
    return [groups[root(index)].id for index in range(len(groups))]
