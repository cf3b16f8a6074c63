"""What a physician is given: tasks, one binary criterion about one answer each.

A packet names neither model nor item and holds no judge's verdict, so whoever settles it is blind to them. Its
canonical JSON (RFC 8785) is what page and result are bound to.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.trust.canonical import canonical_json, parse_canonical

Verdict = Literal["是", "否", "?"]
"""``?``: the physician cannot decide."""

FORMAT = "mlb-offline/adjudication-packet/v1"
VERDICTS: tuple[Verdict, ...] = ("是", "否", "?")
MAX_TASKS = 20_000
MAX_BYTES = 64 * 1024 * 1024
MAX_NOTE = 500
"""Unicode code points of a note."""

_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")


@dataclass(frozen=True)
class Task:
    """One criterion to be decided about one answer.

    Attributes:
        id: opaque, such as ``t0001``: a letter or digit, then up to 63 letters, digits and hyphens.
        dataset: id of the dataset, such as ``MADiagnosis``.
        title: the dataset's kind, in Chinese.
        question: what the model was asked; may be empty.
        answer: the model's answer; may be empty.
        topic: what an evaluation point belongs to; may be empty.
        criterion: the statement to be decided.
        group: the same for all tasks about one answer.
    """

    id: str
    dataset: str
    title: str
    question: str
    answer: str
    topic: str
    criterion: str
    group: str


@dataclass(frozen=True)
class Packet:
    """The tasks of one sitting.

    Attributes:
        id: UUID of the packet.
        run: UUID of the run whose answers these are.
        identity_sha256: SHA-256 (hex) of the run's identity.
        created: RFC 3339, UTC.
        tasks: 1 to ``MAX_TASKS``; those of one group follow each other and share dataset, title, question, answer.

    Raises:
        InputError: any of this does not hold; names the field.
    """

    id: str
    run: str
    identity_sha256: str
    created: str
    tasks: tuple[Task, ...]

    def __post_init__(self) -> None:
        _need(is_uuid(self.id), "id", "应为小写 UUID", "must be a UUID in lower case")
        _need(is_uuid(self.run), "run", "应为小写 UUID", "must be a UUID in lower case")
        _need(_SHA256.fullmatch(self.identity_sha256), "identity_sha256", "应为 64 位十六进制", "must be 64 hex digits")
        _need(is_instant(self.created), "created", "应为 RFC 3339 时间（UTC）", "must be an RFC 3339 time in UTC")
        _need(
            1 <= len(self.tasks) <= MAX_TASKS,
            "tasks",
            f"应有 1–{MAX_TASKS} 项",
            f"there must be 1 to {MAX_TASKS} tasks",
        )
        for number, task in enumerate(self.tasks):
            _check_task(task, f"tasks.{number}")
        _need(len(self.task_ids) == len(self.tasks), "tasks", "编号重复", "task ids occur twice")
        _check_groups(self.tasks)
        _need(
            len(self.content) <= MAX_BYTES,
            "tasks",
            f"内容超过 {MAX_BYTES >> 20} MiB",
            f"the content is over {MAX_BYTES >> 20} MiB",
        )

    @cached_property
    def task_ids(self) -> frozenset[str]:
        """The ids of all tasks."""
        return frozenset(task.id for task in self.tasks)

    @cached_property
    def content(self) -> bytes:
        """The packet as canonical JSON: its fields, and ``format``."""
        try:
            return canonical_json({"format": FORMAT} | asdict(self) | {"tasks": [asdict(task) for task in self.tasks]})
        except ValueError as error:
            raise _fault(
                "tasks", f"没有规范 JSON 形式：{error}", f"there is no canonical JSON of it: {error}"
            ) from None

    @cached_property
    def content_sha256(self) -> str:
        """SHA-256 of ``content``, 64 hex digits."""
        return hashlib.sha256(self.content).hexdigest()


def parse_packet(raw: bytes, *, file: str | Path) -> Packet:
    """Read what ``Packet.content`` gave.

    Raises:
        InputError: it is no packet, or spelled in any other way.
    """
    try:
        value = parse_canonical(raw)
    except ValueError as error:
        raise _fault(None, f"不是评定任务包：{error}", f"not a packet of tasks: {error}", file) from None
    texts = _exact(value, {"format"} | {field.name for field in fields(Packet)}, None, file)
    tasks = texts.pop("tasks")
    if not isinstance(tasks, list) or texts.pop("format") != FORMAT:
        raise _fault("format", "不是此版本的评定任务包", "not a packet of tasks of this version", file)
    try:
        return Packet(
            **_texts(texts, None, file), tasks=tuple(_task(task, number, file) for number, task in enumerate(tasks))
        )
    except InputError as error:
        raise InputError(error.message, file=file, field=error.field, remedy=error.remedy) from None


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in its usual lower-case form."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def is_instant(text: str) -> bool:
    """Whether a text is an RFC 3339 time in UTC, with up to six decimals."""
    if not _INSTANT.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _task(value: Any, number: int, file: str | Path) -> Task:
    place = f"tasks.{number}"
    return Task(**_texts(_exact(value, {field.name for field in fields(Task)}, place, file), place, file))


def _exact(value: Any, keys: set[str], place: str | None, file: str | Path) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != keys:
        names = ", ".join(sorted(keys))
        raise _fault(place, f"键应恰为 {names}", f"the keys must be exactly {names}", file)
    return value


def _texts(value: dict[str, Any], place: str | None, file: str | Path) -> dict[str, str]:
    for key, text in value.items():
        if not isinstance(text, str):
            raise _fault(f"{place}.{key}" if place else key, "应为字符串", "must be a string", file)
    return value


def _check_task(task: Task, place: str) -> None:
    _need(_TASK_ID.fullmatch(task.id), f"{place}.id", "编号不合规定", "not a task id")
    for name in ("dataset", "title", "criterion", "group"):
        _need(getattr(task, name).strip(), f"{place}.{name}", "不能为空", "must not be empty")


def _check_groups(tasks: tuple[Task, ...]) -> None:
    seen: set[str] = set()
    for group, members in groupby(tasks, key=lambda task: task.group):
        _need(group not in seen, "tasks", f"组“{group}”的任务不相邻", f"the tasks of group {group!r} are not together")
        seen.add(group)
        shared = {(task.dataset, task.title, task.question, task.answer) for task in members}
        _need(len(shared) == 1, "tasks", f"组“{group}”含有不同的回答", f"group {group!r} has different answers")


def _need(holds: object, field: str, zh: str, en: str) -> None:
    if not holds:
        raise _fault(field, zh, en)


def _fault(field: str | None, zh: str, en: str, file: str | Path | None = None) -> InputError:
    return InputError(
        tr(zh, en),
        file=file,
        field=field,
        remedy=tr("重新从运行生成评定任务包", "make the packet from the run again"),
    )
