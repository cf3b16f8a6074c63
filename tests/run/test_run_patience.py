"""Whose fault silence is, told on a clock that only the test moves."""

from __future__ import annotations

import pytest

from mlb_offline.errors import TargetError
from mlb_offline.run.changes import Slot
from mlb_offline.run.pace import Limits
from mlb_offline.run.patience import Asking, Patience, Verdict
from mlb_offline.target.types import Retry

LIMITS = Limits(attempts=3, first_wait=1, longest_wait=4, item_seconds=60, silence_seconds=100, throttled_seconds=300)
TIMEOUT = Retry(cause="timeout", message="timed out")
BUSY = Retry(cause="throttled", throttled=True, after=50)


class Story:
    def __init__(self) -> None:
        self.time = 1000.0
        self.patience = Patience(LIMITS, lambda: self.time)

    def asking(self, earlier: int = 0) -> Asking:
        asking = Asking(Slot("CMExam", "c0", 0), earlier, earlier)
        asking.begin(self.time)
        asking.sent = self.time
        return asking

    def fail(self, asking: Asking, times: int = 1, fault: Retry = TIMEOUT, seconds: float = 1) -> list[float | None]:
        waits = []
        for _ in range(times):
            asking.sent = self.time
            self.time += seconds
            waits.append(self.patience.wait(asking, fault))
        return waits

    def verdict(self, asking: Asking, *, untried: bool = False, under_way: int = 0) -> Verdict:
        return self.patience.used_up(asking, untried=untried, under_way=under_way)


def test_requests_for_an_item_are_bounded_in_number() -> None:
    story = Story()
    waits = story.fail(story.asking(), times=3)
    assert [wait is None for wait in waits] == [False, False, True]


def test_and_in_time() -> None:
    story = Story()
    assert story.fail(story.asking(), seconds=61) == [None]


def test_waiting_for_a_server_that_throttles_uses_up_neither() -> None:
    story = Story()
    asking = story.asking()
    for _ in range(4):
        (wait,) = story.fail(asking, fault=BUSY)
        assert wait == 50
        story.time += wait
        story.patience.heard()
    assert story.fail(asking) != [None]


def test_throttled_for_too_long_without_an_answer_the_run_stops() -> None:
    story = Story()
    asking = story.asking()
    for _ in range(5):
        (wait,) = story.fail(asking, fault=BUSY)
        story.time += wait or 0
    with pytest.raises(TargetError, match="429"):
        story.fail(asking, fault=BUSY)
    assert story.time - 1000 <= 300


def test_an_item_that_fails_while_another_is_answered_is_failed() -> None:
    story = Story()
    asking = story.asking()
    story.fail(asking, times=2)
    asking.sent = story.time
    story.time += 1
    story.patience.heard()
    story.time += 1
    assert story.patience.wait(asking, TIMEOUT) is None
    assert story.verdict(asking) is Verdict.FAILED


def test_in_a_silence_that_is_short_yet_it_is_put_off() -> None:
    story = Story()
    asking = story.asking()
    story.fail(asking, times=3)
    assert story.verdict(asking) is Verdict.LATER
    assert not story.patience.silent(0)


def test_put_off_and_used_up_again_after_others_were_answered_the_probe_decides() -> None:
    story = Story()
    asking = story.asking()
    story.fail(asking, times=3)
    story.verdict(asking)
    story.time += 1
    story.patience.heard()
    asking.begin(story.time)
    story.fail(asking, times=3)
    assert story.verdict(asking) is Verdict.PROBE


@pytest.mark.parametrize(
    ("earlier", "seen_beside_an_answer", "untried", "verdict"),
    [
        (0, False, False, Verdict.LATER),
        (1, False, False, Verdict.LATER),
        (2, False, False, Verdict.PROBE),
        (0, True, False, Verdict.PROBE),
        (0, True, True, Verdict.LATER),
        (2, False, True, Verdict.LATER),
    ],
)
def test_at_the_end_of_a_long_silence_only_a_known_troublemaker_may_be_failed(
    earlier: int, seen_beside_an_answer: bool, untried: bool, verdict: Verdict
) -> None:
    story = Story()
    asking = story.asking(earlier)
    if seen_beside_an_answer:
        story.time += 1
        story.patience.heard()
    story.fail(asking, seconds=101)
    assert story.verdict(asking, untried=untried) is verdict
    assert story.patience.silent(0)
    assert "timed out" in story.patience.gone(TIMEOUT).message


def test_with_requests_under_way_one_failure_is_no_silence() -> None:
    story = Story()
    asking = story.asking()
    story.fail(asking, seconds=101)
    assert story.verdict(asking, under_way=3) is Verdict.LATER
    assert not story.patience.silent(3)


def test_many_failures_in_a_long_silence_end_an_item_at_once() -> None:
    story = Story()
    for _ in range(LIMITS.silence_failures - 1):
        story.fail(story.asking(), seconds=30)
    assert story.fail(story.asking(), seconds=1) == [None]
    assert story.patience.silent(3)
