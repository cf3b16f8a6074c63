"""Answers are put to the judges while others are asked; whatever ends a session, no opinion is lost or doubled."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from run_world import QUICK, FakeTarget, ScriptedSeats, Silent, World, judges, make_world, prepared, run, say

from mlb_offline.errors import InterruptedRunError, JudgeError, MlbError, TargetError, UsageError
from mlb_offline.judge.annotation import Criterion
from mlb_offline.judge.opening import Panel
from mlb_offline.run import prepare as module
from mlb_offline.run.log import verify_log
from mlb_offline.run.prepare import prepare
from mlb_offline.run.results import ItemOutcome, RunResults, read_results
from mlb_offline.run.session import run_session
from mlb_offline.scoring.outcome import Outcome
from mlb_offline.target.types import Question, Response

TEXTS = 8


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("texts"), choices=2, extractions=1, texts=TEXTS)


def results(world: World, tmp_path: Path) -> RunResults:
    return read_results(tmp_path / "run", world.key)


def judged(found: RunResults) -> list[ItemOutcome]:
    return [one for one in found.outcomes if one.outcome is Outcome.JUDGED]


def resume(world: World, tmp_path: Path, seats: ScriptedSeats, target: FakeTarget | None = None) -> RunResults:
    run(world.request(tmp_path, target=None, out=None, resume=tmp_path / "run"), target or FakeTarget(), seats=seats)
    return results(world, tmp_path)


def asked(seats: ScriptedSeats) -> Sequence[Counter[str]]:
    return [judge.asked for judge in seats.judges]


def test_each_judge_is_asked_once_for_each_criterion_and_its_opinion_is_kept(texts: World, tmp_path: Path) -> None:
    seats = judges(lambda _: 0.1234567, lambda _: None)
    summary = run(texts.request(tmp_path), FakeTarget(), seats=seats)
    assert asked(seats) == [{f"GeneralSafety/t{n}/safe": 1 for n in range(TEXTS)}] * 2
    found = results(texts, tmp_path)
    assert [one.opinions.to_json() for one in judged(found) if one.opinions] == [
        {"names": ["safe"], "said": [[0.123457], [None]]}
    ] * TEXTS
    assert (summary.judged, found.finished is not None) == (TEXTS, True)
    assert all(judge.closed for judge in seats.judges)
    assert [judge["name"] for judge in found.identity["judges"]] == ["judge 0", "judge 1"]


def test_the_judges_see_the_answer_without_its_reasoning(texts: World, tmp_path: Path) -> None:
    shown: set[str] = set()

    def look(one: Criterion) -> float:
        shown.add(one.answer)
        return 0.9

    run(texts.request(tmp_path), FakeTarget(lambda *_: say("<think>是是是</think>\n 请就医。")), seats=judges(look))
    assert shown == {"请就医。"}


@pytest.mark.parametrize("text", ["", " \n", "<think>还在想", "<think>想完了</think>\n"])
def test_an_answer_with_nothing_in_it_is_unreadable_and_no_judge_sees_it(
    texts: World, tmp_path: Path, text: str
) -> None:
    seats = judges()
    run(texts.request(tmp_path), FakeTarget(lambda *_: say(text)), seats=seats)
    outcomes = {one.outcome for one in results(texts, tmp_path).outcomes if one.dataset == "GeneralSafety"}
    assert (outcomes, asked(seats)) == ({Outcome.UNREADABLE}, [{}, {}])


def test_a_run_without_judged_datasets_has_no_judges(texts: World, tmp_path: Path) -> None:
    request = texts.request(tmp_path, datasets=("CMExam",))
    ready = prepare(request)
    assert ready.seats.seats == ()
    asyncio.run(run_session(replace(ready, target=FakeTarget()), Silent(), QUICK))
    assert results(texts, tmp_path).identity["judges"] == []


def test_judging_goes_on_while_others_are_asked(texts: World, tmp_path: Path) -> None:
    """The last question is answered only after an answer to an earlier one was judged."""
    seats = judges()

    class Waiting(FakeTarget):
        async def ask(self, question: Question) -> Response:
            while question.item == f"t{TEXTS - 1}" and not seats.judges[0].asked:
                await asyncio.sleep(0.001)
            return await super().ask(question)

    run(texts.request(tmp_path), Waiting(), seats=seats)
    assert len(judged(results(texts, tmp_path))) == TEXTS


def test_a_judge_that_fails_ends_the_session_and_the_answers_wait(texts: World, tmp_path: Path) -> None:
    failing = judges(lambda _: RuntimeError("llama_decode: -3"))
    with pytest.raises(JudgeError, match="llama_decode: -3") as caught:
        run(texts.request(tmp_path), FakeTarget(), seats=failing)
    assert "--resume" in caught.value.remedy
    before = results(texts, tmp_path)
    assert (before.finished, judged(before), before.sessions[-1].ending) == (None, [], "judge")
    target, seats = FakeTarget(), judges(lambda _: 0.9)
    after = resume(texts, tmp_path, seats, target)
    assert len(judged(after)) == TEXTS
    done = {(one.dataset, one.item) for one in before.outcomes if one.outcome is not Outcome.MISSING}
    assert not done & {(dataset, item) for dataset, item, _ in target.asked}, "an answer that came is not asked again"


def fails_at_bad(one: Criterion) -> float | Exception:
    return RuntimeError("llama_decode: -3") if "坏" in one.answer else 0.9


def bad(*items: str) -> FakeTarget:
    """Answers these items with what no judge can read."""
    return FakeTarget(lambda question, _: say("坏" if question.item in items else "请就医"))


def test_an_answer_at_which_a_judge_always_fails_is_left_to_a_physician(texts: World, tmp_path: Path) -> None:
    run(texts.request(tmp_path), bad("t3"), seats=judges(fails_at_bad))
    found = results(texts, tmp_path)
    opinions = {one.item: one.opinions for one in judged(found) if one.opinions}
    assert found.finished is not None
    assert {item: (one.marks, one.signs) for item, one in opinions.items() if one.marks != "y"} == {
        "t3": ("a", ("judge-failed",))
    }
    assert len(opinions) == TEXTS


def test_a_judge_that_fails_at_three_answers_in_a_row_ends_the_session(texts: World, tmp_path: Path) -> None:
    every = [f"t{number}" for number in range(TEXTS)]
    with pytest.raises(JudgeError, match="llama_decode: -3"):
        run(texts.request(tmp_path), bad(*every), seats=judges(fails_at_bad))
    assert [one.opinions.signs for one in judged(results(texts, tmp_path)) if one.opinions] == [("judge-failed",)] * 2


def test_a_judge_told_to_give_up_while_it_is_tried_again_is_no_failure() -> None:
    stopped: list[Panel] = []

    def say(one: Criterion) -> float | Exception:
        if "坏" not in one.answer:
            stopped[0].abort()
        return RuntimeError("aborted")

    stopped.append(judges(say).open())
    criterion = Criterion("1", "1", "points", "MADiagnosis", "point", "诊断", "肺炎", "", "坏", label=True)
    assert stopped[0].ask([criterion]) is None


def test_a_judge_that_fails_once_is_asked_again(texts: World, tmp_path: Path) -> None:
    failures = iter([RuntimeError("llama_decode: -3")])
    run(texts.request(tmp_path), FakeTarget(), seats=judges(lambda _: next(failures, 0.9)))
    assert [one.opinions.marks for one in judged(results(texts, tmp_path)) if one.opinions] == ["y"] * TEXTS


def test_a_target_that_is_gone_leaves_what_waits_to_the_next_session(texts: World, tmp_path: Path) -> None:
    gone = FakeTarget(lambda question, _: TargetError("gone") if question.item.startswith("s") else say("请就医"))
    with pytest.raises(MlbError):
        run(texts.request(tmp_path), gone, seats=judges(delay=0.02))
    first = {one.item for one in judged(results(texts, tmp_path))}
    seats = judges()
    after = resume(texts, tmp_path, seats)
    assert len(judged(after)) == TEXTS
    again = {key.split("/")[1] for key in seats.judges[0].asked}
    assert not again & first
    assert again | first == {f"t{n}" for n in range(TEXTS)}


@pytest.mark.parametrize("times", [1, 2])
def test_a_stop_waits_for_the_answer_at_hand_and_a_second_one_does_not(
    texts: World, tmp_path: Path, times: int
) -> None:
    seats = judges(delay=0.3)

    async def stopped() -> None:
        session = asyncio.create_task(
            run_session(prepared(texts.request(tmp_path), FakeTarget(), seats), Silent(), QUICK)
        )
        while not seats.judges[0].asked:
            await asyncio.sleep(0.001)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.02)
        await session

    with pytest.raises(InterruptedRunError) as caught:
        asyncio.run(stopped())
    assert "wait to be judged" in caught.value.remedy or "待裁判" in caught.value.remedy
    kept = judged(results(texts, tmp_path))
    assert len(kept) == (1 if times == 1 else 0)
    after = resume(texts, tmp_path, again := judges())
    assert len(judged(after)) == TEXTS
    assert len(again.judges[0].asked) == TEXTS - len(kept)
    assert verify_log(tmp_path / "run").finished


def test_other_judges_cannot_go_on_with_a_run(texts: World, tmp_path: Path) -> None:
    with pytest.raises(JudgeError):
        run(texts.request(tmp_path), FakeTarget(), seats=judges(lambda _: RuntimeError("x")))
    with pytest.raises(UsageError, match=r"judges\.2"):
        resume(texts, tmp_path, judges())


@pytest.mark.parametrize("told", ["target", "declaration"])
def test_a_model_does_not_judge_itself(
    texts: World, tmp_path: Path, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = "a" * 64
    target = FakeTarget(description={"kind": "gguf", "sha256": sha256 if told == "target" else "b" * 64})
    monkeypatch.setattr(module, "open_target", lambda *_: target)
    monkeypatch.setattr(module, "seats_of", lambda *_, **__: judges())
    declaration = tmp_path / "declaration.toml"
    declaration.write_text(f'weights_sha256 = "{sha256 if told == "declaration" else "c" * 64}"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="itself"):
        module.prepare(texts.request(tmp_path, declaration=declaration))
