"""A plan, rule by rule: placing, waiting, growth, sizes. Its ends and failures are in the files beside this one."""

from __future__ import annotations

import pytest

from beampy.pool.plan import STOPPED, Abandon, Boot, Closed, Full, Place, Plan, Reject, Retire
from beampy.pool.scaling import Load, ahead, headroom
from tests.unit.pool.plan_ground import limits, plan_of


def test_a_call_goes_to_the_least_loaded_runner_and_the_oldest_of_equals() -> None:
    plan = plan_of(3)
    assert [plan.submit(call, 0, 0.0) for call in range(6)] == [1, 2, 3, 1, 2, 3]
    assert plan.ended(4, 0.0) is None
    assert plan.ended(5, 0.0) is None
    assert plan.ended(2, 0.0) is None  # loads: 2, 1, 0
    assert [plan.submit(call, 0, 0.0) for call in (6, 7, 8)] == [3, 2, 3]


def test_a_call_goes_to_the_first_runner_that_it_prefers_and_that_has_a_free_slot() -> None:
    plan = plan_of(3)
    assert [plan.submit(call, 0, 0.0, prefer=(2, 3)) for call in range(1, 5)] == [2, 2, 3, 3]
    assert plan.submit(5, 0, 0.0, prefer=(2, 3)) == 1  # these are full: it goes elsewhere at once
    assert plan.submit(6, 0, 0.0, prefer=(99, 1)) == 1  # there is none of that number
    assert plan.submit(7, 0, 0.0, prefer=(1, 2)) is None  # all are full: it waits
    assert plan.ended(1, 0.0) == (7, 2)
    plan.check()


def test_a_call_that_waits_takes_the_first_slot_whichever_runner_it_prefers() -> None:
    plan = plan_of(2, max=2, max_concurrency=1)
    assert [plan.submit(call, 0, 0.0) for call in (1, 2)] == [1, 2]
    assert plan.submit(3, 0, 0.0, prefer=(1,)) is None
    assert plan.ended(2, 0.0) == (3, 2)
    plan.check()


def test_a_runner_that_is_asked_to_end_or_away_is_not_preferred() -> None:
    plan = plan_of(2, least=0, max=2, idle_after=1.0)
    assert plan.submit(1, 0, 0.0, prefer=(2,)) == 2
    plan.tick(1.0)
    assert plan.take_actions() == [Retire(1, "idle")]
    assert plan.submit(2, 0, 1.0, prefer=(1,)) == 2
    plan.away(2, 1.0)
    plan.drained(1, 1.0)
    assert plan.submit(3, 0, 1.0, prefer=(2, 1)) is None
    plan.check()


def test_calls_wait_in_order_and_higher_priorities_go_first() -> None:
    plan = plan_of(1, max=1)
    assert [plan.submit(call, 0, 0.0) for call in (1, 2)] == [1, 1]
    for call, priority in ((3, 0), (4, 5), (5, 0), (6, 5), (7, -1)):
        assert plan.submit(call, priority, 0.0) is None
    order = []
    ending = 1
    while following := plan.ended(ending, 0.0):
        ending = following[0]
        order.append(ending)
    assert order == [4, 6, 3, 5, 7]


def test_a_cancelled_call_leaves_the_queue_or_keeps_its_slot() -> None:
    plan = plan_of(1, max=1, max_concurrency=1)
    plan.submit(1, 0, 0.0)
    plan.submit(2, 0, 0.0)
    plan.submit(3, 0, 0.0)
    assert plan.cancelled(2, 0.0) is True
    assert plan.cancelled(2, 0.0) is False  # it is gone
    assert plan.cancelled(1, 0.0) is False
    assert plan.load() == Load(1, 0, 1, 1, 0, 1, 1, 1)
    assert plan.runner_of(1) == 1
    assert plan.ended(1, 0.0) == (3, 1)
    assert plan.load().zombies == 0


def test_an_end_of_a_call_that_has_no_slot_changes_nothing() -> None:
    plan = plan_of(1, max=1, max_concurrency=1)
    plan.submit(1, 0, 0.0)
    plan.submit(2, 0, 0.0)
    assert plan.ended(2, 0.0) is None
    assert plan.ended(99, 0.0) is None
    assert plan.waiting == 1
    plan.check()


def test_all_runners_that_are_missing_are_booted_at_once() -> None:
    plan = Plan(limits(max=4), 0.0)
    for call in range(5):
        assert plan.submit(call, 0, 0.0) is None
    assert plan.take_actions() == [Boot(1), Boot(2), Boot(3)]  # as the first, the third and the fifth came
    for call in range(5, 50):
        plan.submit(call, 0, 0.0)
    assert plan.take_actions() == [Boot(4)]
    assert plan.machines == 4


def test_a_new_runner_takes_as_many_as_it_has_slots() -> None:
    plan = Plan(limits(max=1), 0.0)
    for call in range(3):
        plan.submit(call, 0, 0.0)
    plan.take_actions()
    plan.booted(1, 0.0)
    assert plan.take_actions() == [Place(0, 1), Place(1, 1)]
    assert plan.waiting == 1


def test_a_full_queue_takes_no_more_and_machines_to_come_are_no_queue() -> None:
    plan = Plan(limits(max=1, max_queue=1), 0.0)
    for call in range(3):  # two for the machine that is booted, one that really waits
        plan.submit(call, 0, 0.0)
    with pytest.raises(Full) as full:
        plan.submit(3, 0, 0.0)
    assert (full.value.waiting, full.value.limit) == (3, 1)
    plan.booted(1, 0.0)
    with pytest.raises(Full):
        plan.submit(4, 0, 0.0)
    plan.ended(0, 0.0)
    assert plan.submit(5, 0, 0.0) is None
    assert plan.runner_of(3) is None
    plan.check()


def test_without_a_queue_calls_wait_for_machines_only() -> None:
    plan = Plan(limits(max=1, max_queue=0, max_concurrency=1), 0.0)
    assert plan.submit(1, 0, 0.0) is None
    with pytest.raises(Full):
        plan.submit(2, 0, 0.0)
    plan.booted(1, 0.0)
    with pytest.raises(Full):
        plan.submit(3, 0, 0.0)
    plan.ended(1, 0.0)
    assert plan.submit(4, 0, 0.0) == 1


def test_without_a_queue_a_call_may_wait_while_the_only_runner_is_asked_to_end() -> None:
    plan = Plan(limits(max=1, max_queue=0), 0.0)
    plan.submit(1, 0, 0.0)
    plan.booted(1, 0.0)
    plan.ended(1, 0.0)
    plan.tick(30.0)
    assert plan.take_actions()[-1] == Retire(1, "idle")
    assert plan.submit(2, 0, 30.0) is None
    plan.drained(1, 30.0)
    assert plan.take_actions() == [Place(2, 1)]


def test_min_is_booted_at_the_start() -> None:
    plan = Plan(limits(min=3), 0.0)
    assert plan.take_actions() == []
    plan.start(0.0)
    assert plan.take_actions() == [Boot(1), Boot(2), Boot(3)]


def test_a_strategy_is_asked_at_each_call_while_there_is_room() -> None:
    plan = plan_of(2, max=4, strategy=headroom(1.0))
    seen = []
    for call in range(4):
        plan.submit(call, 0, 0.0)
        seen.append(len(plan.take_actions()))
    assert seen == [0, 0, 1, 1]


def test_a_strategy_is_kept_between_min_and_max() -> None:
    plan = Plan(limits(min=1, max=3, strategy=ahead(9)), 0.0)
    plan.start(0.0)
    assert plan.booting == 3
    plan = Plan(limits(min=1, max=3, strategy=lambda load: 0), 0.0)
    plan.start(0.0)
    assert plan.booting == 1


def test_a_call_that_waits_gets_a_runner_whatever_the_strategy_says() -> None:
    plan = Plan(limits(strategy=lambda load: 0), 0.0)
    plan.submit(1, 0, 0.0)
    assert plan.take_actions() == [Boot(1)]


def test_a_strategy_that_fails_is_demand_and_says_why() -> None:
    def broken(load: Load) -> int:
        raise ZeroDivisionError

    plan = Plan(limits(strategy=broken), 0.0)
    for call in range(3):
        plan.submit(call, 0, 0.0)
    assert plan.booting == 2
    assert isinstance(plan.strategy_error, ZeroDivisionError)


def test_a_smaller_pool_ends_boots_first_then_the_least_loaded_and_no_call() -> None:
    plan = plan_of(3, max=5)
    for call in range(8):
        plan.submit(call, 0, 0.0)
    plan.ended(1, 0.0)  # its slot of runner 2 has call 6 now
    plan.cancelled(7, 0.0)
    assert plan.take_actions() == [Boot(4)]
    plan.ended(4, 0.0)  # loads: 2, 1, 2
    plan.resize(0, 1, 1.0)
    actions = plan.take_actions()
    assert actions == [Abandon(4), Retire(2, "resize"), Retire(3, "resize")]
    assert plan.booted(4, 1.0) is False
    plan.tick(100.0)
    assert plan.take_actions() == []  # their calls may take as long as they may
    assert plan.up == 1
    plan.check()


def test_a_pool_made_larger_takes_back_those_that_were_to_go() -> None:
    plan = plan_of(2, max=2)
    for call in range(4):
        plan.submit(call, 0, 0.0)
    plan.submit(4, 0, 0.0)
    plan.resize(0, 1, 0.0)
    assert plan.take_actions() == [Retire(2, "resize")]
    plan.ended(1, 0.0)
    plan.resize(0, 2, 1.0)
    assert plan.take_actions() == [Place(4, 2)]
    plan.drained(2, 1.0)  # an answer to a question that is void
    assert plan.take_actions() == []
    assert plan.up == 2
    plan.check()


def test_a_higher_min_is_booted_at_once() -> None:
    plan = plan_of(1)
    plan.resize(3, 4, 1.0)
    assert plan.take_actions() == [Boot(2), Boot(3)]


def test_a_stopped_plan_rejects_what_waits_and_boots_no_more() -> None:
    plan = plan_of(1, max=2, max_concurrency=1)
    for call, priority in ((1, 0), (2, 0), (3, 1)):
        plan.submit(call, priority, 0.0)
    assert plan.take_actions() == [Boot(2)]
    plan.stop(1.0)
    assert plan.take_actions() == [Reject(3, STOPPED), Reject(2, STOPPED), Abandon(2)]
    with pytest.raises(Closed):
        plan.submit(4, 0, 1.0)
    assert plan.lost(1, 2.0) == [1]
    plan.tick(100.0)
    assert plan.take_actions() == []
    assert plan.next_due() is None
    plan.check()
