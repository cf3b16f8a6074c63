from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from run_world import QUICK, FakeTarget, Silent, World, prepared, right_answer, run, say

from mlb_offline.errors import InputError, InterruptedRunError, TargetError, UsageError
from mlb_offline.run.pace import Limits, Pace
from mlb_offline.run.results import RunResults, read_results
from mlb_offline.run.session import run_session
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.target.types import ItemFailed, Question, Retry


def results(world: World, tmp_path: Path) -> RunResults:
    return read_results(tmp_path / "run", world.key)


def resume(world: World, tmp_path: Path, target: FakeTarget, limits: Limits = QUICK) -> RunResults:
    run(world.request(tmp_path, target=None, out=None, resume=tmp_path / "run"), target, limits)
    return results(world, tmp_path)


def outcome_of(found: RunResults, item: str) -> tuple[Outcome, str]:
    (outcome,) = [outcome for outcome in found.outcomes if outcome.item == item]
    return outcome.outcome, outcome.note


def test_every_item_is_asked_once_scored_and_the_target_closed(world: World, tmp_path: Path) -> None:
    target = FakeTarget()
    summary = run(world.request(tmp_path), target)
    assert set(target.asked.values()) == {1}
    assert len(target.asked) == world.slots
    assert target.closed
    found = results(world, tmp_path)
    assert found.complete
    assert found.finished is not None
    assert Counter(outcome.outcome for outcome in found.outcomes) == {
        Outcome.RIGHT: 12,
        Outcome.JUDGED: 2,
        Outcome.SCORED: 3,
    }
    assert {(one.tp, one.fp, one.fn) for one in found.outcomes if one.dataset == "MAEESymp"} == {(1, 0, 1)}
    assert summary.counts["CMExam", "right"] == 12
    digests = {(name, item.id): item.digest() for name, part in world.source.datasets.items() for item in part.items}
    assert {(one.dataset, one.item): one.digest for one in found.outcomes} == digests


def test_repeats_are_asked_apart_after_the_whole_round(world: World, tmp_path: Path) -> None:
    order: list[int] = []

    def behave(question: Question, before: int) -> Any:
        order.append(question.repeat)
        return right_answer(question, before)

    target = FakeTarget(behave, parallel=False)
    run(world.request(tmp_path, repeats=3), target)
    assert len(target.asked) == 3 * world.slots
    assert order == sorted(order)
    assert results(world, tmp_path).identity["seeds"] == [3, 4, 5]


def test_a_target_that_is_not_parallel_is_asked_one_at_a_time(world: World, tmp_path: Path) -> None:
    target = FakeTarget(delay=0.001, parallel=False)
    run(world.request(tmp_path), target)
    assert target.busiest == 1


def test_no_more_requests_than_allowed_are_under_way(world: World, tmp_path: Path) -> None:
    target = FakeTarget(delay=0.005)
    run(world.request(tmp_path), target)
    assert target.busiest == QUICK.concurrency


def test_a_refused_item_is_failed_with_the_code_and_asked_no_more(world: World, tmp_path: Path) -> None:
    def behave(question: Question, before: int) -> Any:
        if question.item in {"c3", "s1"}:
            return ItemFailed("context-too-long", "秘密 prompt")
        return right_answer(question, before)

    target = FakeTarget(behave)
    run(world.request(tmp_path), target)
    found = results(world, tmp_path)
    assert outcome_of(found, "c3") == (Outcome.FAILED, "context-too-long")
    assert target.asked["CMExam", "c3", 0] == 1
    (extraction,) = [one for one in found.outcomes if one.item == "s1"]
    assert (extraction.tp, extraction.fp, extraction.fn) == (0, 0, 2)
    assert found.complete


def test_words_of_the_server_stand_nowhere_in_clear(world: World, tmp_path: Path) -> None:
    def behave(question: Question, before: int) -> Any:
        if before == 0:
            return Retry(cause="第0题 said the server", message="第0题")
        return ItemFailed("第0题 is refused", "第0题") if question.item == "c0" else right_answer(question, before)

    run(world.request(tmp_path), FakeTarget(behave))
    content = b"".join(path.read_bytes() for path in (tmp_path / "run").iterdir())
    assert "第0题".encode() not in content
    assert outcome_of(results(world, tmp_path), "c0") == (Outcome.FAILED, "other")


def test_transient_faults_are_asked_again_and_counted(world: World, tmp_path: Path) -> None:
    target = FakeTarget(
        lambda question, before: Retry(cause="http-503") if before < 2 else right_answer(question, before)
    )
    summary = run(world.request(tmp_path), target)
    assert set(target.asked.values()) == {3}
    found = results(world, tmp_path)
    assert found.retries == summary.retries == 2 * world.slots
    assert found.complete
    assert all(outcome.outcome is not Outcome.FAILED for outcome in found.outcomes)


def test_one_item_that_never_answers_fails_while_others_do(world: World, tmp_path: Path) -> None:
    def behave(question: Question, before: int) -> Any:
        return Retry(cause="timeout") if question.item == "c5" else right_answer(question, before)

    run(world.request(tmp_path), FakeTarget(behave, delay=0.001))
    assert outcome_of(results(world, tmp_path), "c5") == (Outcome.FAILED, "timeout")


def test_one_at_a_time_too_an_item_that_never_answers_does_not_stop_the_run(world: World, tmp_path: Path) -> None:
    def behave(question: Question, before: int) -> Any:
        return Retry(cause="timeout") if question.item == "c5" else right_answer(question, before)

    target = FakeTarget(behave, parallel=False)
    patient = replace(QUICK, silence_seconds=60)
    run(world.request(tmp_path), target, patient)
    found = results(world, tmp_path)
    assert outcome_of(found, "c5") == (Outcome.FAILED, "timeout")
    assert found.complete


def test_a_target_that_goes_away_stops_the_run_and_fails_no_item(world: World, tmp_path: Path) -> None:
    alive = [6]

    def behave(question: Question, before: int) -> Any:
        alive[0] -= 1
        return right_answer(question, before) if alive[0] >= 0 else Retry(cause="server-down", message="refused")

    began = time.monotonic()
    with pytest.raises(TargetError, match=r"has not answered|没有回答") as error:
        run(
            world.request(tmp_path),
            FakeTarget(behave, probe_error=lambda: TargetError("down") if alive[0] < 0 else None),
        )
    assert time.monotonic() - began < 3
    assert "refused" in error.value.message
    assert f"--resume {tmp_path / 'run'}" in error.value.remedy
    found = results(world, tmp_path)
    assert not found.complete
    assert found.sessions[-1].ending == "target"
    tally = Counter(outcome.outcome for outcome in found.outcomes)
    assert tally[Outcome.FAILED] == 0
    assert tally[Outcome.MISSING] == world.slots - 6
    missing = [(one.tp, one.fp, one.fn) for one in found.outcomes if one.outcome is Outcome.MISSING]
    assert missing.count((0, 0, 2)) == sum(
        one.outcome is Outcome.MISSING and one.dataset == "MAEESymp" for one in found.outcomes
    )
    assert set(missing) == {(0, 0, 0), (0, 0, 2)}
    target = FakeTarget()
    found = resume(world, tmp_path, target)
    assert found.complete
    assert len(target.asked) == world.slots - 6
    assert [session.ending for session in found.sessions] == ["target", "finished"]


def test_a_last_item_that_never_answers_fails_if_the_target_is_well(world: World, tmp_path: Path) -> None:
    def behave(question: Question, before: int) -> Any:
        return Retry(cause="timeout") if question.item == last else right_answer(question, before)

    order = FakeTarget(parallel=False)
    run(world.request(tmp_path, out=tmp_path / "order"), order)
    last = list(order.asked)[-3][1]
    target = FakeTarget(behave, delay=0.001)
    run(world.request(tmp_path), target)
    found = results(world, tmp_path)
    assert found.complete
    assert outcome_of(found, last) == (Outcome.FAILED, "timeout")


def test_a_last_item_never_seen_beside_an_answer_stops_the_run_once(world: World, tmp_path: Path) -> None:
    last: list[str] = []

    def behave(question: Question, before: int) -> Any:
        if not last and sum(target.asked.values()) == world.slots:
            last.append(question.item)
        return Retry(cause="timeout") if question.item in last else right_answer(question, before)

    target = FakeTarget(behave, parallel=False)
    with pytest.raises(TargetError):
        run(world.request(tmp_path), target)
    missing = [one.item for one in results(world, tmp_path).outcomes if one.outcome is Outcome.MISSING]
    assert missing == last
    again = FakeTarget(lambda _question, _before: Retry(cause="timeout"), parallel=False)
    found = resume(world, tmp_path, again)
    assert found.complete
    assert outcome_of(found, last[0]) == (Outcome.FAILED, "timeout")
    assert again.probes == 2


def test_a_refusal_of_everything_stops_at_once_and_is_resumable(world: World, tmp_path: Path) -> None:
    denied = TargetError("401", remedy="check the key")
    with pytest.raises(TargetError, match="401") as error:
        run(world.request(tmp_path), FakeTarget(lambda _question, _before: denied))
    assert error.value.remedy.startswith("check the key\n")
    assert "--resume" in error.value.remedy
    assert resume(world, tmp_path, FakeTarget()).complete


def test_a_probe_that_fails_leaves_no_folder(world: World, tmp_path: Path) -> None:
    target = FakeTarget(probe_error=lambda: TargetError("down"))
    with pytest.raises(TargetError, match="down"):
        run(world.request(tmp_path), target)
    assert not (tmp_path / "run").exists()
    assert target.closed


def test_throttling_shrinks_the_number_of_requests_and_fails_no_item(world: World, tmp_path: Path) -> None:
    open_at: list[int] = []

    def behave(question: Question, before: int) -> Any:
        open_at.append(target.open)
        if target.open > 1:
            return Retry(cause="throttled", throttled=True, after=0.002)
        return right_answer(question, before)

    target = FakeTarget(behave, delay=0.002)
    run(world.request(tmp_path), target, replace(QUICK, throttled_seconds=30, attempts=1))
    found = results(world, tmp_path)
    assert found.complete
    assert Counter(outcome.outcome for outcome in found.outcomes)[Outcome.FAILED] == 0
    assert found.retries > 0


def test_a_target_that_only_throttles_stops_the_run(world: World, tmp_path: Path) -> None:
    always = Retry(cause="throttled", throttled=True, after=0.01)
    with pytest.raises(TargetError, match="429"):
        run(world.request(tmp_path), FakeTarget(lambda _question, _before: always))
    assert results(world, tmp_path).outcomes[0].outcome is Outcome.MISSING


def test_a_wait_longer_than_bearable_is_not_begun(world: World, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(TargetError, match="3600"):
        run(world.request(tmp_path), FakeTarget(lambda _q, _b: Retry(cause="throttled", throttled=True, after=3600)))
    assert time.monotonic() - began < 2


def test_only_throttling_shrinks_and_answers_let_it_grow_back() -> None:
    async def story() -> list[int]:
        pace = Pace(8)
        seen = []
        async with pace.permit() as first:
            pace.throttled(first)
            seen.append(pace.limit)
            pace.throttled(first)  # left before the cut
            seen.append(pace.limit)
        for _ in range(50):
            async with pace.permit() as turn:
                if pace.limit == 4 and len(seen) < 4:
                    pace.throttled(turn)
                    seen.append(pace.limit)
            pace.answered()
        seen.append(pace.limit)
        return seen

    assert asyncio.run(story()) == [4, 4, 2, 2, 8]


def test_permits_bound_what_is_under_way_whatever_happens() -> None:
    async def story() -> tuple[int, int]:
        pace, open_now, most, draw = Pace(5), 0, 0, random.Random(1)

        async def one() -> None:
            nonlocal open_now, most
            async with pace.permit() as turn:
                open_now += 1
                most = max(most, open_now)
                await asyncio.sleep(0)
                open_now -= 1
                if draw.random() < 0.2:
                    pace.throttled(turn)
                else:
                    pace.answered()

        await asyncio.gather(*(one() for _ in range(200)))
        return most, pace.limit

    most, limit = asyncio.run(story())
    assert most <= 5
    assert 1 <= limit <= 5


def test_waits_double_up_to_a_bound_with_jitter() -> None:
    limits = Limits(first_wait=1, longest_wait=10)
    for failures, longest in ((1, 1), (2, 2), (4, 8), (5, 10), (1000, 10)):
        waits = [limits.backoff(failures) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest


def test_an_item_is_asked_no_further_once_its_time_is_up(world: World, tmp_path: Path) -> None:
    def behave(question: Question, before: int) -> Any:
        return Retry(cause="timeout", after=4.0) if question.item == "c5" else right_answer(question, before)

    began = time.monotonic()
    target = FakeTarget(behave, delay=0.002)
    run(world.request(tmp_path), target, replace(QUICK, item_seconds=1))
    assert time.monotonic() - began < 3
    assert outcome_of(results(world, tmp_path), "c5")[0] is Outcome.FAILED


def test_an_answer_cut_off_and_a_change_of_model_are_noted(world: World, tmp_path: Path) -> None:
    def behave(question: Question, _before: int) -> Any:
        return say("B", finish_reason="length" if question.item == "c1" else None, model=f"m-{question.dataset}")

    run(world.request(tmp_path), FakeTarget(behave))
    found = results(world, tmp_path)
    assert found.finish_reasons["CMExam"] == {"length": 1, "unknown": 11}
    assert {note["code"] for note in found.notes} == {"model-name-changed", "answers-cut-off"}
    assert sum(found.models.values()) == world.slots


def test_a_slot_alone_is_not_asked_over_and_over_without_a_wait(world: World, tmp_path: Path) -> None:
    hour = Retry(cause="http-503", after=3600)
    target = FakeTarget(lambda _question, _before: hour, parallel=False)
    slow = replace(QUICK, first_wait=0.05, longest_wait=0.05)
    with pytest.raises(TargetError):
        run(world.request(tmp_path, limit=1, datasets=("CMExam",)), target, slow)
    assert target.asked.total() <= 6


def test_a_folder_in_use_is_refused_before_anything_is_opened(world: World, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "note.txt").write_text("mine")
    with pytest.raises(UsageError):
        prepared(world.request(tmp_path), FakeTarget())
    assert not (tmp_path / "state").exists()


def test_a_full_disk_stops_the_run_with_a_message_and_loses_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlb_offline.run import database

    plain = database._connect

    def small(file: Path, mode: str) -> Any:
        db = plain(file, mode)
        if mode == "mode=rw":
            db.execute("PRAGMA max_page_count = 24")
        return db

    monkeypatch.setattr(database, "_connect", small)
    long = FakeTarget(lambda _question, _before: say("B" * 3000))
    with pytest.raises(InputError, match=r"disk is full|磁盘已满") as error:
        run(world.request(tmp_path), long)
    assert "--resume" in error.value.remedy
    monkeypatch.undo()
    kept = {one.item for one in results(world, tmp_path).outcomes if one.outcome is not Outcome.MISSING}
    assert 0 < len(kept) < world.slots
    target = FakeTarget()
    assert resume(world, tmp_path, target).complete
    assert kept.isdisjoint(item for _dataset, item, _repeat in target.asked)


def test_resuming_a_finished_run_asks_nothing(world: World, tmp_path: Path) -> None:
    run(world.request(tmp_path), FakeTarget())
    before = results(world, tmp_path)
    target = FakeTarget()
    assert resume(world, tmp_path, target) == before
    assert not target.asked


@pytest.mark.parametrize("twice", [False, True])
def test_a_stop_waits_for_what_is_under_way_but_not_for_ever(world: World, tmp_path: Path, twice: bool) -> None:
    async def story() -> float:
        target = FakeTarget(delay=0.05)

        def behave(question: Question, before: int) -> Any:
            if question.item == "c4":
                target.delay = 60
            return right_answer(question, before)

        target.behave = behave
        import os
        import signal

        work = asyncio.create_task(run_session(prepared(world.request(tmp_path), target), Silent(), QUICK))
        while target.delay < 60:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        began = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)
        if twice:
            await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(InterruptedRunError) as error:
            await work
        assert "--resume" in error.value.remedy
        assert target.closed
        return time.monotonic() - began

    took = asyncio.run(story())
    assert took < 0.25 if twice else 0.25 < took < 2
    found = results(world, tmp_path)
    assert found.sessions[-1].ending == "operator"
    done = {one.item for one in found.outcomes if one.outcome is not Outcome.MISSING}
    target = FakeTarget()
    assert resume(world, tmp_path, target).complete
    assert done.isdisjoint(item for _dataset, item, _repeat in target.asked)


def test_a_fault_of_the_program_is_raised_as_it_is_and_logged(world: World, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        run(world.request(tmp_path), FakeTarget(lambda _question, _before: ZeroDivisionError("bug")))
    assert results(world, tmp_path).sessions[-1].ending == "error"
