"""What the log tells, and whether it can have happened: each event must follow from those before it.

A slot is asked only inside a session and until it has its outcome; an outcome stands directly behind the record of
the answer that it is the outcome of; a run that has finished says nothing more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mlb_offline.errors import TrustError
from mlb_offline.language import tr
from mlb_offline.run.bodies import (
    Body,
    CreatedBody,
    FinishedBody,
    InterruptedBody,
    JudgedBody,
    LabelledBody,
    PackedBody,
    PlannedBody,
    ReceivedBody,
    RetriedBody,
    ScoredBody,
    SentBody,
    SessionBody,
    SettledBody,
    read_body,
)
from mlb_offline.run.changes import Slot
from mlb_offline.run.events import Event, EventType
from mlb_offline.scoring.outcome import Outcome


class Settled(NamedTuple):
    """The outcome of a slot; ``seq`` is the number of its event."""

    seq: int
    outcome: str
    tp: int
    fp: int
    fn: int
    note: str
    attempts: int


class Kept(NamedTuple):
    """A record as the log knows it: its event's number, its digest, and the hash of the event before."""

    seq: int
    sha256: str
    after: str


class RecordKey(NamedTuple):
    """Which record."""

    slot: Slot
    kind: str
    attempt: int


class Judgement(NamedTuple):
    """What the log says of an answer's judging: its event's number, the criteria, and how many are open."""

    seq: int
    criteria: int
    open: int


OPINIONS = "opinions"
"""Kind of the record that holds what the judges said of an answer."""
PACKET, LABELS = "packet", "labels"
"""Kinds of the records of adjudication; the packet's UUID stands in them as the item of no dataset."""


def packet_slot(packet: str) -> Slot:
    """Where the records of a packet stand."""
    return Slot("", packet, 0)


@dataclass
class Told:
    """What the events say, gathered in one pass.

    Attributes:
        file: for messages.
        planned: slot → false negatives that count if no answer comes.
        first, created: the first event and its body.
        last: the latest event.
        outcomes: slots with an outcome.
        asked: slot → (number of the latest request's event, requests made).
        records: what was kept of each answer or failure, and of each judging.
        judged: slots whose answers the panel has judged.
        sessions: the session events in order, with their bodies.
        retries: how many requests had to be repeated.
        finished: when the run finished.
        shares: chance of an item to be drawn, by dataset; None while there is no plan.
        packets: what was given out to be labelled, by UUID.
        labels: what came back, in order.
    """

    file: Path
    planned: Mapping[Slot, int]
    first: Event
    created: CreatedBody
    last: Event
    outcomes: dict[Slot, Settled] = field(default_factory=dict)
    asked: dict[Slot, tuple[int, int]] = field(default_factory=dict)
    records: dict[RecordKey, Kept] = field(default_factory=dict)
    judged: dict[Slot, Judgement] = field(default_factory=dict)
    sessions: list[tuple[Event, dict[str, Any]]] = field(default_factory=list)
    retries: int = 0
    finished: str | None = None
    shares: Mapping[str, float] | None = None
    packets: dict[str, PackedBody] = field(default_factory=dict)
    labels: list[LabelledBody] = field(default_factory=list)
    _open: bool = False
    _under_way: set[Slot] = field(default_factory=set)
    _unsettled: RecordKey | None = None

    @property
    def seed(self) -> str:
        """What the draw of the physician's sample follows from: the hash of ``run.created``, which stood before the
        first answer."""
        return self.first.hash

    def take(self, event: Event, body: Body) -> None:
        """One more event.

        Raises:
            TrustError: it cannot have happened after those before it.
        """
        self.last = event
        if isinstance(body, PlannedBody | PackedBody | LabelledBody):
            self._adjudicate(event, body)
            return
        if self.finished is not None:
            raise self._impossible(tr("运行完成之后还有事件", "it comes after the run had finished"))
        if self._unsettled is not None and not isinstance(body, SettledBody):
            raise self._impossible(tr("前一条记录没有结果", "the record before it has no outcome"))
        match body:
            case SessionBody():
                self._begin(event, body)
            case InterruptedBody() | FinishedBody():
                self._end(event, body)
            case SentBody() | RetriedBody():
                self._ask(event, body)
            case ReceivedBody():
                self._receive(event, body)
            case SettledBody():
                self._settle(event, body)
            case JudgedBody():
                self._judge(event, body)
            case _:
                raise self._impossible(tr("run.created 只能是第一个事件", "only the first event can be run.created"))

    def _adjudicate(self, event: Event, body: PlannedBody | PackedBody | LabelledBody) -> None:
        if self.finished is None:
            raise self._impossible(tr("运行尚未完成", "the run has not finished"))
        match body:
            case PlannedBody():
                self._plan(body)
            case PackedBody():
                self._pack(event, body)
            case LabelledBody():
                self._label(event, body)

    def end(self) -> None:
        """No more events.

        Raises:
            TrustError: a record at the end has no outcome: both are committed at once.
        """
        if self._unsettled is not None:
            raise self._impossible(tr("该记录没有结果", "the record has no outcome"))

    def _begin(self, event: Event, body: SessionBody) -> None:
        if (event.type == EventType.STARTED) != (not self.sessions):
            what = tr(
                "只有第一次会话以 session.started 开始", "the first session, and no other, begins with session.started"
            )
            raise self._impossible(what)
        self._open = True
        self._under_way.clear()
        self.sessions.append((event, body.model_dump()))

    def _end(self, event: Event, body: InterruptedBody | FinishedBody) -> None:
        self._require_session()
        self._open = False
        self.sessions.append((event, body.model_dump()))
        if isinstance(body, InterruptedBody):
            # Answers that came while the session ended are in the log but not in its count.
            if body.done > len(self.outcomes) or body.judged > len(self.judged):
                raise self._impossible(tr("完成数多于已有结果", "it counts more outcomes than there are"))
            return
        self.finished = event.at
        if not body.items == len(self.planned) == len(self.outcomes):
            raise self._impossible(tr("日志称已完成，但并非如此", "it says finished, but items are open"))
        outcomes = Counter(one.outcome for one in self.outcomes.values())
        if body.outcomes != outcomes or body.judged != len(self.judged):
            raise self._impossible(tr("结果计数与日志不符", "its counts of outcomes are not those of the log"))

    def _ask(self, event: Event, body: SentBody | RetriedBody) -> None:
        slot = self._open_slot(body.slot)
        if body.attempt != self.asked.get(slot, (0, 0))[1] + 1:
            raise self._impossible(tr("请求次数不连续", "requests are not counted one by one"))
        if isinstance(body, RetriedBody):
            self._require_asked(slot)
            self.retries += 1
        self._under_way.add(slot)
        self.asked[slot] = (event.seq, body.attempt)

    def _receive(self, event: Event, body: ReceivedBody) -> None:
        slot = self._open_slot(body.slot)
        self._require_asked(slot)
        if body.attempt != self.asked[slot][1]:
            raise self._impossible(tr("它不属于最近的请求", "it does not belong to the latest request"))
        self._unsettled = RecordKey(slot, body.kind, body.attempt)
        self.records[self._unsettled] = Kept(event.seq, body.record, event.previous)

    def _settle(self, event: Event, body: SettledBody) -> None:
        slot = self._open_slot(body.slot)
        kind = "response" if isinstance(body, ScoredBody) else "failure"
        if self._unsettled != (slot, kind, body.attempts):
            raise self._impossible(
                tr("结果之前没有相应的记录", "no record that fits stands directly before the outcome")
            )
        if kind == "failure" and body.fn != self.planned[slot]:
            raise self._impossible(tr("失败条目的计数不对", "a failed item counts otherwise"))
        self._unsettled = None
        self.outcomes[slot] = Settled(event.seq, body.outcome, body.tp, body.fp, body.fn, body.note, body.attempts)

    def _judge(self, event: Event, body: JudgedBody) -> None:
        self._require_session()
        settled = self.outcomes.get(body.slot)
        if settled is None or settled.outcome != Outcome.UNJUDGED or settled.attempts != body.attempt:
            raise self._impossible(tr("没有待裁判的回答", "there is no such answer to be judged"))
        if body.slot in self.judged:
            raise self._impossible(tr("该回答已经裁判过", "the answer was judged already"))
        if body.open > body.criteria:
            raise self._impossible(tr("未决的多于判据总数", "more criteria are open than there are"))
        self.judged[body.slot] = Judgement(event.seq, body.criteria, body.open)
        self.records[RecordKey(body.slot, OPINIONS, body.attempt)] = Kept(event.seq, body.record, event.previous)

    def _plan(self, body: PlannedBody) -> None:
        if self.shares is not None:
            raise self._impossible(tr("抽样比例已经确定", "the sample's size was fixed before"))
        if not body.shares.keys() <= {slot.dataset for slot in self.judged}:
            raise self._impossible(tr("抽样的数据集没有裁判结果", "it draws from datasets that were not judged"))
        self.shares = body.shares

    def _pack(self, event: Event, body: PackedBody) -> None:
        if self.shares is None or body.packet in self.packets:
            raise self._impossible(tr("任务包没有计划或重复", "nothing was planned, or the packet is there already"))
        self.packets[body.packet] = body
        self.records[RecordKey(packet_slot(body.packet), PACKET, 1)] = Kept(event.seq, body.record, event.previous)

    def _label(self, event: Event, body: LabelledBody) -> None:
        packed = self.packets.get(body.packet)
        again = any((one.packet, one.reviewer) == (body.packet, body.reviewer) for one in self.labels)
        if packed is None or body.verdicts != packed.tasks or again or body.number != len(self.labels) + 1:
            raise self._impossible(
                tr("标注不属于任何未完成的任务包", "the labels belong to no packet that waits for them")
            )
        self.labels.append(body)
        place = RecordKey(packet_slot(body.packet), LABELS, body.number)
        self.records[place] = Kept(event.seq, body.record, event.previous)

    def _open_slot(self, slot: Slot) -> Slot:
        self._require_session()
        if slot not in self.planned:
            raise self._impossible(tr(f"运行中没有条目 {slot}", f"the run has no item {slot}"))
        if slot in self.outcomes:
            raise self._impossible(tr(f"条目 {slot} 已有结果", f"item {slot} has its outcome already"))
        return slot

    def _require_session(self) -> None:
        if not self._open:
            raise self._impossible(tr("它不在任何会话之中", "it is in no session"))

    def _require_asked(self, slot: Slot) -> None:
        if slot not in self._under_way:
            raise self._impossible(tr("本次会话没有询问该条目", "the item was not asked in this session"))

    def _impossible(self, why: str) -> TrustError:
        return impossible(self.file, self.last, why)


def altered(file: Path, what: str, event: int | None = None) -> TrustError:
    """The error for a store that is not as its log says; ``event`` is the number of the event at fault."""
    return TrustError(
        what,
        file=file,
        line=event,
        remedy=tr(
            "该运行记录在写成后被改动或损坏：从备份恢复，或重新运行",
            "this run was edited or damaged after it was written: restore a backup, or run again",
        ),
    )


def impossible(file: Path, event: Event, why: str) -> TrustError:
    """The error for an event that no run can have written there."""
    seq, kind = event.seq, event.type
    return altered(file, tr(f"第 {seq} 个事件（{kind}）不可能：{why}", f"event {seq} ({kind}) cannot be: {why}"), seq)


def gather(events: Iterable[Event], planned: Mapping[Slot, int], file: Path) -> Told:
    """All that the log tells.

    Raises:
        TrustError: an event no run can have written, or none at all.
    """
    told: Told | None = None
    for event in events:
        try:
            body = read_body(event)
        except ValueError:
            seq = event.seq
            raise altered(file, tr(f"第 {seq} 个事件的内容无法理解", f"event {seq} makes no sense"), seq) from None
        if told is not None:
            told.take(event, body)
        elif isinstance(body, CreatedBody):
            told = Told(file, planned, first=event, created=body, last=event)
        else:
            break
    if told is None:
        raise altered(file, tr("日志应以唯一的 run.created 开头", "the log must begin with its only run.created"))
    told.end()
    return told
