"""How a plan lets runners go: idle, used once, full of zombies. And that no call meets one that goes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from beampy.pool.plan import ASK_AGAIN, Boot, Place, Plan, Retire, Stop
from beampy.pool.scaling import ahead, headroom
from tests.unit.pool import plan_ground

plan_of = partial(plan_ground.plan_of, max_concurrency=3)


def due(plan: Plan, at: float) -> list[Any]:
    """What it does when its time comes, which is then and not before."""
    due_at = plan.next_due()
    assert due_at is not None
    assert due_at <= at
    if due_at < at:  # it may be early
        plan.tick(at - 0.001)
        assert plan.take_actions() == []
        assert plan.next_due() == at
    plan.tick(at)
    return list(plan.take_actions())


# idle


def test_a_runner_that_is_idle_is_asked_from_the_end_of_its_last_call() -> None:
    plan = plan_of(1, least=0)
    plan.submit(1, 0, 5.0)
    plan.submit(2, 0, 5.0)
    plan.ended(1, 6.0)
    plan.ended(2, 7.0)
    assert due(plan, 37.0) == [Retire(1, "idle")]
    plan.drained(1, 37.0)
    assert plan.take_actions() == [Stop(1, 10.0)]
    assert plan.machines == 1
    plan.stopped(1, 37.1)
    assert plan.machines == 0


def test_time_is_watched_from_the_moment_that_a_runner_has_nothing_to_do() -> None:
    plan = plan_of(1, min_idle_after=5.0)
    assert due(plan, 5.0) == [Retire(1, "idle")]
    plan.kept(1, 6.0)
    plan.submit(1, 0, 7.0)
    plan.tick(11.0)
    assert plan.next_due() is None
    plan.ended(1, 12.0)
    assert plan.next_due() == 17.0


def test_a_new_runner_that_min_holds_is_watched_too() -> None:
    plan = Plan(plan_of(0, least=1, min_idle_after=5.0, boot_timeout=1000.0).limits, 0.0)
    plan.start(0.0)
    plan.booted(1, 1.0)
    assert plan.next_due() == 6.0


def test_min_runners_stay_and_the_longest_idle_go_first() -> None:
    plan = plan_of(3, least=1)
    for call in range(3):
        plan.submit(call, 0, 0.0)
    for call, end in ((1, 1.0), (0, 2.0), (2, 3.0)):
        plan.ended(call, end)
    assert due(plan, 31.0) == [Retire(2, "idle")]
    assert due(plan, 32.0) == [Retire(1, "idle")]
    plan.tick(1000.0)
    assert plan.take_actions() == []
    assert plan.next_due() is None


def test_a_runner_that_min_has_held_may_go_when_another_comes() -> None:
    plan = plan_of(1, max_concurrency=1, boot_timeout=1000.0)
    plan.submit(1, 0, 0.0)
    plan.submit(2, 0, 0.0)
    plan.cancelled(2, 0.0)
    plan.ended(1, 0.0)
    assert plan.take_actions() == [Boot(2)]
    plan.tick(100.0)
    assert plan.take_actions() == []
    plan.booted(2, 200.0)
    assert due(plan, 200.0) == [Retire(1, "idle")]


def test_min_runners_go_too_when_they_may_and_come_back_when_a_call_waits() -> None:
    plan = plan_of(2, min_idle_after=100.0)
    assert due(plan, 100.0) == [Retire(2, "idle"), Retire(1, "idle")]
    for runner in (1, 2):
        plan.drained(runner, 100.0)
        plan.stopped(runner, 100.0)
    assert plan.take_actions() == [Stop(1, 10.0), Stop(2, 10.0)]
    plan.tick(200.0)
    assert plan.take_actions() == []  # they were let go: min does not boot them again by itself
    plan.submit(1, 0, 300.0)
    assert plan.take_actions() == [Boot(3), Boot(4)]


def test_a_runner_that_was_asked_gets_no_call_until_it_has_answered() -> None:
    plan = plan_of(1, least=0, max=1)
    plan.tick(30.0)
    assert plan.take_actions() == [Retire(1, "idle")]
    assert plan.submit(1, 0, 30.0) is None
    assert plan.take_actions() == []
    plan.kept(1, 30.1)
    assert plan.take_actions() == [Place(1, 1)]
    plan.ended(1, 31.0)
    assert due(plan, 61.0) == [Retire(1, "idle")]


def test_a_runner_that_may_end_is_taken_back_when_a_call_waits() -> None:
    plan = plan_of(1, least=0, max=1)
    plan.tick(30.0)
    plan.submit(1, 0, 30.0)
    plan.take_actions()
    plan.drained(1, 30.1)
    assert plan.take_actions() == [Place(1, 1)]
    plan.drained(1, 30.2)  # such an answer comes once
    assert plan.take_actions() == []


def test_a_runner_that_may_end_is_taken_back_before_its_replacement_is_up() -> None:
    plan = plan_of(1, least=0, max=2)
    plan.tick(30.0)
    plan.submit(1, 0, 30.0)
    assert plan.take_actions() == [Retire(1, "idle"), Boot(2)]
    plan.drained(1, 30.1)
    assert plan.take_actions() == [Place(1, 1)]


def test_a_call_that_comes_after_the_answer_boots_when_max_allows_and_else_waits_for_the_end() -> None:
    plan = plan_of(1, least=0, max=1)
    plan.tick(30.0)
    plan.drained(1, 30.0)
    assert plan.take_actions()[-1] == Stop(1, 10.0)
    assert plan.submit(1, 0, 30.0) is None
    assert plan.take_actions() == []
    plan.stopped(1, 30.1)
    assert plan.take_actions() == [Boot(2)]


@pytest.mark.parametrize("idle_after", [0.0, 0.3])
def test_a_runner_that_is_kept_is_not_asked_in_a_busy_loop(idle_after: float) -> None:
    plan = plan_of(1, least=0, idle_after=idle_after)
    plan.tick(10.0)
    plan.take_actions()
    plan.kept(1, 20.0)
    assert due(plan, 20.0 + ASK_AGAIN) == [Retire(1, "idle")]


def test_a_runner_that_the_strategy_wants_stays() -> None:
    plan = plan_of(2, least=0, strategy=ahead(1))
    assert due(plan, 30.0) == [Retire(2, "idle")]
    plan.drained(2, 30.0)
    plan.stopped(2, 30.0)
    assert plan.take_actions() == [Stop(2, 10.0)]
    plan.tick(500.0)
    assert plan.take_actions() == []


def test_a_runner_that_a_strategy_held_is_looked_at_again() -> None:
    plan = plan_of(2, least=0, max_concurrency=1, strategy=headroom(1.0))
    plan.submit(1, 0, 0.0)
    plan.tick(30.0)
    assert plan.take_actions() == []
    plan.ended(1, 31.0)
    plan.tick(60.0)
    assert plan.take_actions() == [Retire(2, "idle")]


def test_no_idle_time_is_never() -> None:
    plan = plan_of(2, least=0, idle_after=None)
    assert plan.next_due() is None
    plan.tick(1e9)
    assert plan.take_actions() == []


def test_a_stop_that_nobody_answers_is_made_sure_of() -> None:
    plan = plan_of(1, least=0)
    plan.tick(30.0)
    plan.drained(1, 30.0)
    plan.take_actions()
    assert due(plan, 40.0) == [Stop(1, 0)]
    plan.tick(1000.0)
    assert plan.take_actions() == []
    assert plan.machines == 1


# once


def test_a_runner_for_single_use_takes_one_call() -> None:
    plan = plan_of(1, least=0, max=2, single_use=True)
    assert plan.submit(1, 0, 0.0) == 1
    assert plan.submit(2, 0, 0.0) is None
    assert plan.take_actions() == [Boot(2)]
    assert plan.submit(3, 0, 0.0) is None
    assert plan.ended(1, 1.0) is None  # it gets none of those that wait
    assert plan.take_actions() == [Retire(1, "single use")]
    plan.kept(1, 1.0)
    assert due(plan, 1.0 + ASK_AGAIN) == [Retire(1, "single use")]
    plan.drained(1, 3.0)
    plan.stopped(1, 3.1)
    assert plan.take_actions() == [Stop(1, 10.0), Boot(3)]


# zombies


def zombies(plan: Plan, calls: int, now: float) -> None:
    for call in range(1, calls + 1):
        plan.submit(call, 0, now)
        plan.cancelled(call, now)


def test_a_runner_with_too_many_zombies_is_replaced_and_stopped_in_time() -> None:
    plan = plan_of(1)
    zombies(plan, 2, 5.0)
    plan.submit(3, 0, 5.0)
    assert due(plan, 6.0) == [Retire(1, "zombies"), Boot(2)]
    plan.kept(1, 6.1)
    assert plan.submit(4, 0, 6.2) is None
    plan.booted(2, 6.3)
    assert plan.take_actions() == [Place(4, 2)]
    plan.ended(1, 7.0)
    assert due(plan, 16.0) == [Stop(1, 0)]
    assert plan.lost(1, 16.1) == [2, 3]


def test_a_runner_whose_zombies_end_is_asked_again() -> None:
    plan = plan_of(1, least=0)
    zombies(plan, 2, 5.0)
    plan.tick(6.0)
    plan.kept(1, 6.0)
    plan.take_actions()
    plan.ended(1, 7.0)
    assert plan.take_actions() == []
    plan.ended(2, 8.0)
    assert plan.take_actions() == [Retire(1, "zombies")]
    plan.drained(1, 8.1)
    assert plan.take_actions() == [Stop(1, 10.0)]


@pytest.mark.parametrize(("idle_after", "ends_at"), [(None, 6.0), (100.0, 6.0), (1.0, 2.0)])
def test_runners_of_a_pool_in_a_hurry_end_when_they_have_nothing_to_do(
    idle_after: float | None, ends_at: float
) -> None:
    plan = plan_of(1, least=1, idle_after=idle_after, min_idle_after=None)
    plan.submit(1, 0, 0.0)
    plan.take_actions()
    plan.hurry(5.0)
    plan.resize(0, 1, 0.5)
    plan.ended(1, 1.0)
    assert due(plan, ends_at) == [Retire(1, "idle")]


def test_cancelled_calls_that_end_soon_are_no_zombies() -> None:
    plan = plan_of(1)
    zombies(plan, 3, 5.0)
    for call in (1, 2):
        plan.ended(call, 5.5)
    zombies_left = plan.load().zombies
    plan.tick(100.0)
    assert zombies_left == 1
    assert plan.take_actions() == []


def test_a_runner_that_has_nothing_but_zombies_is_of_no_use() -> None:
    plan = plan_of(1, max_concurrency=1, max_zombies=4)
    zombies(plan, 1, 5.0)
    assert due(plan, 6.0) == [Retire(1, "zombies"), Boot(2)]


def test_a_zombie_is_one_when_its_own_time_is_over() -> None:
    plan = plan_of(1)
    zombies(plan, 2, 5.0)
    plan.ended(1, 5.1)
    plan.submit(3, 0, 5.2)
    plan.cancelled(3, 5.5)
    assert due(plan, 6.5) == [Retire(1, "zombies"), Boot(2)]


def test_zombies_are_borne_where_there_are_none() -> None:
    plan = plan_of(1, max_concurrency=1, max_zombies=None)
    zombies(plan, 1, 5.0)
    plan.tick(1000.0)
    assert plan.take_actions() == []


def test_a_runner_that_goes_for_a_resize_is_stopped_when_only_zombies_are_left() -> None:
    plan = plan_of(2, least=1, max_zombies=None)
    for call in (1, 2, 3, 4):
        plan.submit(call, 0, 0.0)
    plan.resize(1, 1, 0.0)
    assert plan.take_actions() == [Retire(2, "resize")]
    plan.cancelled(2, 1.0)
    assert due(plan, 20.0 - 10.0) == []  # call 4 has somebody who waits
    plan.ended(4, 11.0)
    assert due(plan, 20.0) == [Stop(2, 0)]


def test_a_runner_that_must_go_is_not_asked_while_it_is_away() -> None:
    plan = plan_of(1, least=0)
    zombies(plan, 2, 5.0)
    plan.tick(6.0)
    plan.kept(1, 6.0)
    assert plan.take_actions() == [Retire(1, "zombies")]
    assert plan.away(1, 6.5) == [1, 2]
    plan.tick(100.0)
    assert plan.take_actions() == []
    plan.back(1, 200.0)
    assert plan.take_actions() == [Retire(1, "zombies")]
