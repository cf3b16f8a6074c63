"""A finished run on the desk: plans, shares fixed once, packets in their order, blind, and the same when made again."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from desk_world import (
    FAILED,
    GATED,
    ITEMS,
    JUDGED,
    MODEL,
    REPEATS,
    UNREADABLE,
    DeskWorld,
    all_of,
    copy_of,
    gate,
    judged_source,
    make_desk_world,
)
from run_world import FakeTarget, ScriptedSeats, World, judges, make_world, say, seal_source

from mlb_offline.adjudication.desk import Desk, open_desk
from mlb_offline.adjudication.packet import Packet
from mlb_offline.adjudication.result import make_result, open_result
from mlb_offline.adjudication.shares import chosen_shares
from mlb_offline.errors import InputError, JudgeError, TargetError, TrustError, UsageError
from mlb_offline.language import set_language
from mlb_offline.run.changes import Labelled, Packed, Planned
from mlb_offline.run.log import verify_log
from mlb_offline.run.results import read_results
from mlb_offline.run.store import RunStore
from mlb_offline.stats.draw import drawn
from mlb_offline.trust.keys import load_recipient_key
from mlb_offline.trust.store import load_trust

POLICY = (
    GATED
    + gate("dataset", "MADiagnosis", 0.3)
    + gate("dimension", "MedSE", 0.3)
    + gate("overall", "overall", 0.2)
    + gate("dataset", "GeneralSafety", 0.99)
)
ANSWERED = ITEMS - 2
SHARES = {"GeneralSafety": 0.5, "MADiagnosis": 0.4}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> DeskWorld:
    return make_desk_world(tmp_path_factory.mktemp("desk") / "world", POLICY)


@pytest.fixture
def world(finished: DeskWorld, tmp_path: Path) -> DeskWorld:
    set_language("en")
    return copy_of(finished, tmp_path / "copy")


def test_a_plan_tells_of_every_judged_dataset_what_stands_open_and_what_its_gates_ask(world: DeskWorld) -> None:
    with world.desk() as desk:
        plans = desk.plans()
        assert plans == desk.plans()
    assert [one.dataset for one in plans] == list(JUDGED)
    outcomes = read_results(world.directory, world.world.key).outcomes
    for one in plans:
        marks = "".join(found.judges for found in outcomes if found.dataset == one.dataset)
        assert (one.items, one.criteria, one.share) == (ITEMS, len(marks), None)
        assert one.still_open == marks.count("d") + marks.count("a") > 0
    gates = {one.dataset: {name for name, _ in one.plans} for one in plans}
    assert gates["MADiagnosis"] == {"dataset/MADiagnosis", "overall/overall"}
    assert gates["MAEthic"] == {"dimension/MedSE", "overall/overall"}
    found = dict(plans[2].plans)
    assert found["dataset/MADiagnosis"].alpha == 0.05
    assert found["overall/overall"].alpha == pytest.approx(0.05 / 22)
    shares = [plan.chosen.share if plan.chosen else 2 for _, plan in plans[2].plans]
    assert shares == sorted(shares, reverse=True)
    assert plans[2].advised == max(shares)


def test_answers_that_came_to_nothing_are_items_without_criteria(world: DeskWorld) -> None:
    with world.desk() as desk:
        items = {item.id: item for item in desk.items["MADiagnosis"]}
    for last in (FAILED, UNREADABLE):
        assert (items[f"zq-diag-{last}"].judged, items[f"zq-diag-{last}"].criteria) == (0, ())
    whole = items["zq-diag-0"]
    assert len(whole.criteria) == 3 * REPEATS
    assert all(0 <= one <= 1 for one in whole.imagined)


def test_the_advised_share_meets_every_gate_and_the_chance_is_told(tmp_path: Path) -> None:
    policy = GATED + gate("dataset", "MADiagnosis", 0.3) + gate("dataset", "GeneralSafety", 0.2)
    sure = judges(lambda _: 0.99, lambda _: 0.99)
    made = make_desk_world(tmp_path / "world", policy, seats=sure, target=FakeTarget(lambda *_: say("B")), items=40)
    with made.desk() as desk:
        plans = {one.dataset: one for one in desk.plans()}
        assert plans["MAEthic"].plans == ()
        assert plans["MAEthic"].advised is None
        ((_, found),) = plans["MADiagnosis"].plans
        assert found.chosen is not None
        assert plans["MADiagnosis"].advised == found.chosen.share
        assert found.chosen.chance >= 0.8
        chosen = chosen_shares(list(plans.values()), {"GeneralSafety": 0.75})
    assert chosen == {"GeneralSafety": 0.75, "MADiagnosis": found.chosen.share}


def test_a_gate_that_no_share_will_meet_needs_a_share_by_name(world: DeskWorld) -> None:
    with world.desk() as desk:
        plans = desk.plans()
    with pytest.raises(UsageError, match="GeneralSafety") as caught:
        chosen_shares(plans, {})
    assert "--share GeneralSafety=1" in (caught.value.remedy or "")
    named = dict.fromkeys(JUDGED, 1.0)
    assert chosen_shares(plans, named) == named


def test_a_policy_without_gates_asks_for_no_sample_and_disputes_can_be_settled(tmp_path: Path) -> None:
    made = make_desk_world(tmp_path / "world", GATED, items=4)
    with made.desk() as desk:
        assert [one.plans for one in desk.plans()] == [()] * 3
        desk.fix(chosen_shares(desk.plans(), {}))
        with pytest.raises(UsageError, match="nothing left"):
            desk.pack("sample")
        packet = desk.pack("all")
        still_open = sum(one.still_open for one in desk.plans())
        assert len(packet.tasks) == still_open
        made.label(desk, packet, all_of(packet, "否"))
    outcomes = read_results(made.directory, made.world.key).outcomes
    assert sum(one.physicians.count("n") for one in outcomes) == still_open


def test_shares_are_fixed_once(world: DeskWorld) -> None:
    with world.desk() as desk:
        desk.fix(SHARES)
        with pytest.raises(UsageError, match="fixed already"):
            desk.fix(SHARES)
    with world.desk() as desk:
        with pytest.raises(UsageError, match="fixed already"):
            desk.fix({"MAEthic": 1.0})
        assert {one.dataset: one.share for one in desk.plans()} == {"MAEthic": None, **SHARES}
    assert verify_log(world.directory).finished


@pytest.mark.parametrize("name", ["CMExam", "MARecord", "Nothing", ""])
def test_a_share_is_for_a_dataset_that_was_judged(world: DeskWorld, name: str) -> None:
    head = verify_log(world.directory)
    with world.desk() as desk, pytest.raises(UsageError, match="nothing was judged"):
        desk.fix({**SHARES, name: 0.5})
    assert verify_log(world.directory) == head


@pytest.mark.parametrize("share", [0.0, -0.5, 9e-5, 1.0001, float("nan"), float("inf")])
def test_a_share_out_of_range_never_gets_into_the_log(world: DeskWorld, share: float) -> None:
    head = verify_log(world.directory)
    with world.desk() as desk, pytest.raises((TrustError, ValueError)):
        desk.fix({"MADiagnosis": share})
    assert verify_log(world.directory) == head


@pytest.mark.parametrize("which", ["all", "sample", "disputes"])
def test_nothing_is_given_out_before_the_shares_are_fixed(world: DeskWorld, which) -> None:
    with world.desk() as desk, pytest.raises(UsageError, match="not fixed yet"):
        desk.pack(which)


def places(world: DeskWorld) -> dict[str, dict[str, tuple[str, str, int, str]]]:
    """The criterion behind each task, by packet."""
    store = RunStore.open(world.directory, world.world.key)
    try:
        return {one.packet: dict(one.tasks) for one in store.packets()}
    finally:
        store.close()


def test_the_sample_is_every_criterion_of_the_items_drawn_and_the_disputes_are_what_else_is_open(
    world: DeskWorld,
) -> None:
    with world.desk() as desk:
        desk.fix(SHARES)
        sample, disputes, both = (desk.pack(which) for which in ("sample", "disputes", "all"))
    found = read_results(world.directory, world.world.key)
    assert found.adjudication is not None
    behind = places(world)
    judged = [one for one in found.outcomes if one.opinions is not None]
    expected_sample, expected_disputes = set(), set()
    for one in judged:
        assert one.opinions is not None
        chosen = drawn(found.adjudication.seed, one.dataset, one.item, SHARES.get(one.dataset, 0.0))
        for name, mark in zip(one.opinions.names, one.judges, strict=True):
            place = (one.dataset, one.item, one.repeat, name)
            if chosen:
                expected_sample.add(place)
            elif mark in "da":
                expected_disputes.add(place)
    assert expected_sample
    assert expected_disputes
    assert {one[0] for one in expected_sample} == set(SHARES), "both samples hold something"
    assert set(behind[sample.id].values()) == expected_sample
    assert set(behind[disputes.id].values()) == expected_disputes
    assert len(behind[both.id]) == len(expected_sample) + len(expected_disputes)
    ordered = list(behind[both.id].values())
    assert set(ordered[: len(expected_sample)]) == expected_sample, "the sample comes first"


def test_disputes_come_by_what_they_weigh(world: DeskWorld) -> None:
    with world.desk() as desk:
        desk.fix({})
        weights = {one.id: one.weight for item in desk.items["MAEthic"] for one in item.criteria}
        packet = desk.pack("disputes")
    order = [place for place in places(world)[packet.id].values() if place[0] == "MAEthic"]
    by_answer = [
        max(weights[f"MAEthic/{item}@{repeat}/{name}"] for _, item, repeat, name in group)
        for _, group in groupby(order, key=lambda one: one[:3])
    ]
    assert len(set(by_answer)) > 1
    assert by_answer == sorted(by_answer, reverse=True)


@pytest.mark.parametrize("most", [1, 5, 6, 7, 17])
def test_a_limit_never_splits_an_answer(world: DeskWorld, most: int) -> None:
    with world.desk() as desk:
        desk.fix({"MAEthic": 1.0})
        packet = desk.pack("sample", most=most)
    assert len(packet.tasks) == max(6, most // 6 * 6)
    assert all(len(list(tasks)) == 6 for _, tasks in groupby(packet.tasks, key=lambda one: one.group))


def test_packets_under_a_limit_follow_each_other_until_nothing_is_left(world: DeskWorld) -> None:
    with world.desk() as desk:
        desk.fix({"GeneralSafety": 1.0})
        number = 0
        for _ in range(ANSWERED * REPEATS // 7 + 1):
            packet = desk.pack("sample", most=7)
            number += len(packet.tasks)
            world.label(desk, packet, all_of(packet, "是"))
        assert number == ANSWERED * REPEATS
        with pytest.raises(UsageError, match="nothing left") as caught:
            desk.pack("sample", most=7)
        assert "--again" in (caught.value.remedy or "")
        again = desk.pack("sample", again=True)
        assert len(again.tasks) == number


def test_what_a_physician_could_not_decide_is_asked_again(world: DeskWorld) -> None:
    with world.desk() as desk:
        desk.fix({"GeneralSafety": 1.0})
        packet = desk.pack("sample")
        hard = packet.tasks[3]
        world.label(desk, packet, {**all_of(packet, "是"), hard.id: "?"})
        (again,) = desk.pack("sample").tasks
        assert (again.answer, again.criterion) == (hard.answer, hard.criterion)
        assert again.group != hard.group, "packets cannot be linked by it"


def test_a_packet_is_blind(world: DeskWorld) -> None:
    with world.desk() as desk:
        desk.fix(dict.fromkeys(JUDGED, 1.0))
        packet = desk.pack("all")
        plain = packet.content.decode()
    assert MODEL not in plain
    assert "zq-" not in plain, "no id of an item"
    for name in ("judge", "0.95", "0.05", "opinion", "sample", "dispute"):
        assert name not in plain, name
    assert {task.dataset for task in packet.tasks} == set(JUDGED)
    assert all(task.title and not task.title.isascii() for task in packet.tasks)
    # The same answer twice over is two answers: who reads cannot tell that they belong together.
    assert len({task.group for task in packet.tasks}) == len(JUDGED) * ANSWERED * REPEATS


def test_packets_are_made_again_byte_for_byte(world: DeskWorld) -> None:
    with world.desk() as desk:
        desk.fix(SHARES)
        given = [desk.pack("sample"), desk.pack("disputes", plaintext=True), desk.pack("all", most=9)]
        keys = [desk.key_of(one) for one in given]
        world.label(desk, given[0], all_of(given[0], "是"))
    assert len(set(keys)) == 3
    with world.desk() as desk:
        again = desk.packets()
        assert [(one.content, again[one.id][1]) for one in given] == [
            (again[one.id][0].content, flag) for one, flag in zip(given, (False, True, False), strict=True)
        ]
        assert [desk.key_of(again[one.id][0]) for one in given] == keys
        assert list(again) == [one.id for one in given], "in the order in which they were given out"


def partial(packet: Packet) -> dict[str, str]:
    return {task.id: "是" for task in packet.tasks[1:]}


def test_a_partial_result_and_a_second_one_of_the_same_physician_are_refused(world: DeskWorld) -> None:
    with world.desk() as desk:
        desk.fix(SHARES)
        packet = desk.pack("sample")
        with pytest.raises(InputError, match="1 criteria have no verdict"):
            world.label(desk, packet, partial(packet))  # type: ignore[arg-type]
        world.label(desk, packet, all_of(packet, "是"))
        with pytest.raises(InputError, match="taken in before"):
            world.label(desk, packet, all_of(packet, "否"))
        world.label(desk, packet, all_of(packet, "否"), "second")
    with world.desk() as desk, pytest.raises(InputError, match="taken in before"):
        world.label(desk, desk.packets()[packet.id][0], all_of(packet, "是"))
    assert verify_log(world.directory).finished


def test_several_results_are_taken_in_together_or_not_at_all(world: DeskWorld) -> None:
    with world.desk() as desk:
        desk.fix(SHARES)
        packet = desk.pack("sample")
        key = desk.key_of(packet)

        def arrival(who: str) -> tuple[Path, Packet, object]:
            raw = make_result(packet, key, world.reviewer(who), all_of(packet, "是"))
            return Path(who), packet, open_result(raw, packet, key, world.trust, file=who)

        with pytest.raises(InputError, match="taken in before"):
            desk.take_in([arrival("first"), arrival("second"), arrival("first")])  # type: ignore[list-item]
        assert desk.results.adjudication is not None
        assert desk.results.adjudication.labels == ()
        desk.take_in([arrival("first"), arrival("second")])  # type: ignore[list-item]
        assert [one.reviewer for one in desk.results.adjudication.labels] == [
            world.reviewer("first").keyid,
            world.reviewer("second").keyid,
        ]


def test_two_who_differ_settle_nothing_and_a_third_decides(world: DeskWorld) -> None:
    with world.desk() as desk:
        desk.fix({"GeneralSafety": 1.0})
        packet = desk.pack("sample")
        differing = packet.tasks[0].id
        world.label(desk, packet, all_of(packet, "是"))
        world.label(desk, packet, {**all_of(packet, "是"), differing: "否"}, "second")
        assert "".join(one.physicians for one in desk.results.outcomes).count("?") == 1
        (left,) = desk.pack("sample").tasks
        assert left.answer == packet.tasks[0].answer
        world.label(desk, packet, all_of(packet, "否"), "third")
        marks = desk.results.adjudication.marks() if desk.results.adjudication else {}
        place = places_of(desk, packet)[differing]
        assert marks[place] == "n"
        assert sorted(marks.values()) == ["n"] + ["y"] * (len(packet.tasks) - 1)


def places_of(desk: Desk, packet: Packet) -> dict[str, tuple[str, str, int, str]]:
    return dict(next(one for one in desk._store.packets() if one.packet == packet.id).tasks)


def test_the_first_word_of_one_physician_counts_and_one_criterion_once(world: DeskWorld) -> None:
    with world.desk() as desk:
        desk.fix({"GeneralSafety": 1.0})
        packet = desk.pack("sample")
        world.label(desk, packet, all_of(packet, "是"))
        again = desk.pack("sample", again=True)
        world.label(desk, again, all_of(again, "否"))
        found = desk.results.adjudication
        assert found is not None
        assert set(found.marks().values()) == {"y"}
        assert found.labelled() == {world.reviewer().keyid: len(packet.tasks)}


def test_while_one_process_is_at_the_desk_no_other_is(world: DeskWorld) -> None:
    with world.desk(), pytest.raises(InputError, match="another process"), world.desk():
        pass


def test_what_no_reader_would_accept_is_never_written(world: DeskWorld) -> None:
    """Whatever the caller forgot to check: a log that cannot be read again would lose the whole run."""
    with world.desk() as desk:
        desk.fix(SHARES)
        packet = desk.pack("sample")
        world.label(desk, packet, all_of(packet, "是"))
        labels = Labelled(packet.id, world.reviewer().keyid, "2026-01-01T00:00:00Z", all_of(packet, "是"), {})
        head = verify_log(world.directory).head
        for change in (Planned({}), labels, Packed(packet.id, packet.created, {}, plaintext=False)):
            with pytest.raises((TrustError, InputError)):
                desk._apply(change)
        assert verify_log(world.directory).head == head
        desk.pack("all")
    assert verify_log(world.directory).head != head


def test_another_bundle_is_refused(world: DeskWorld, tmp_path: Path) -> None:
    for source in (judged_source(ITEMS - 1), judged_source(ITEMS + 1, version=2)):
        other = tmp_path / f"other{source.version}"
        bundle = seal_source(source, other)
        with (
            pytest.raises((UsageError, TrustError)),
            open_desk(world.directory, bundle.bundle, world.trust, world.world.key, state=world.state),
        ):
            pass
    choices = make_world(tmp_path / "choices")
    trust = load_trust([*world.trust_files, choices.trust])
    with (
        pytest.raises((UsageError, TrustError)),
        open_desk(world.directory, choices.bundle, trust, world.world.key, state=world.state),
    ):
        pass


def test_a_foreign_key_opens_nothing(world: DeskWorld, tmp_path: Path) -> None:
    other = make_world(tmp_path / "other")
    with (
        pytest.raises(TrustError),
        open_desk(
            world.directory,
            world.world.bundle,
            world.trust,
            load_recipient_key(other.key_file, None),
            state=world.state,
        ),
    ):
        pass


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    failing = judges(lambda _: RuntimeError("x"), lambda _: 0.9)
    with pytest.raises(JudgeError):
        make_desk_world(tmp_path / "world", GATED, items=3, seats=failing)
    made = DeskWorld(tmp_path / "world", World(tmp_path / "world", tmp_path / "world" / "test.mlbb", judged_source(3)))
    set_language("en")
    with pytest.raises(TargetError, match="has not finished") as caught, made.desk():
        pass
    assert "--resume" in (caught.value.remedy or "")


def test_a_run_in_which_nothing_was_judged_is_refused(tmp_path: Path) -> None:
    set_language("en")
    made = make_desk_world(
        tmp_path / "world", GATED, items=2, target=FakeTarget(lambda q, _: say("B" if q.dataset == "CMExam" else ""))
    )
    with pytest.raises(UsageError, match="no answer of this run was judged"), made.desk():
        pass
    choices = make_desk_world(tmp_path / "choices", GATED, items=2, datasets=("CMExam",), seats=ScriptedSeats())
    with pytest.raises(UsageError, match="no answer of this run was judged"), choices.desk():
        pass
