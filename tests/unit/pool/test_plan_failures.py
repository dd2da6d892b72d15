"""What a plan does when machines fail: rounds of boots, runners that are lost, away, or die young."""

from __future__ import annotations

from functools import partial

import pytest

from beampy.pool.plan import YOUNG, Abandon, Boot, Place, Plan, Reject, Retire, Stop, TimedOut
from beampy.pool.plan_rounds import Rounds
from beampy.pool.scaling import ahead
from tests.unit.pool import plan_ground

plan_of = partial(plan_ground.plan_of, max=6, max_concurrency=1, idle_after=None)


def waiting(plan: Plan, calls: int) -> Plan:
    for call in range(1, calls + 1):
        plan.submit(call, 0, 0.0)
    return plan


def test_min_is_kept_when_a_runner_is_lost() -> None:
    plan = plan_of(2)
    assert plan.lost(1, 100.0) == []
    assert plan.take_actions() == [Boot(3)]


def test_a_lost_runner_is_replaced_for_the_calls_that_wait() -> None:
    plan = waiting(plan_of(1, max=1), 2)
    plan.take_actions()
    assert plan.lost(1, 1.0) == [1]
    assert plan.runner_of(1) is None
    assert plan.take_actions() == [Boot(2)]
    plan.booted(2, 1.1)
    assert plan.take_actions() == [Place(2, 2)]
    assert plan.lost(1, 2.0) == []  # once


def test_after_a_round_of_failed_boots_all_that_are_wanted_start_at_once() -> None:
    plan = waiting(plan_of(0), 6)
    assert plan.take_actions() == [Boot(boot) for boot in range(1, 7)]
    for boot in range(1, 7):
        plan.boot_failed(boot, "no", 0.1)
    assert plan.take_actions() == []
    assert plan.next_due() == pytest.approx(0.35)
    plan.tick(0.34)
    assert plan.take_actions() == []
    plan.tick(0.35)
    assert plan.take_actions() == [Boot(boot) for boot in range(7, 13)]
    for boot in range(7, 13):
        plan.booted(boot, 0.4)
    assert plan.take_actions() == [Place(boot - 6, boot) for boot in range(7, 13)]


def test_the_backoff_doubles_by_rounds_not_by_boots_up_to_its_limit() -> None:
    plan = waiting(plan_of(0, boot_rounds=100, max_backoff=1.5), 4)
    now, waits = 0.0, []
    for _ in range(5):
        for boot in [action.boot for action in plan.take_actions() if isinstance(action, Boot)]:
            plan.boot_failed(boot, "no", now)
        due = plan.next_due()
        assert due is not None
        waits.append(due - now)
        now = due
        plan.tick(now)
    assert waits == [0.25, 0.5, 1.0, 1.5, 1.5]


def test_a_late_failure_of_an_old_round_is_no_new_one() -> None:
    rounds = Rounds(first=1.0, longest=30.0)
    assert rounds.failed(1, 4, now=0.0)
    assert rounds.failed(4, 5, now=1.0)
    assert not rounds.failed(2, 5, now=1.5)
    assert (rounds.count, rounds.until) == (2, 3.5)
    rounds.succeeded()
    assert rounds.failed(3, 5, now=9.0)
    assert (rounds.count, rounds.until, rounds.start) == (1, 10.0, 3)


def test_callers_hear_the_last_reason_when_all_rounds_have_failed() -> None:
    plan = waiting(plan_of(0), 2)
    now = 0.0
    for number, _ in enumerate(range(3)):
        boots = [action.boot for action in plan.take_actions() if isinstance(action, Boot)]
        assert len(boots) == 2
        for boot in boots:
            plan.boot_failed(boot, f"round {number}, boot {boot}", now)
        now = plan.next_due() or now
        if number < 2:
            plan.tick(now)
    assert plan.take_actions() == [Reject(1, "round 2, boot 6"), Reject(2, "round 2, boot 6")]
    assert plan.why == "round 2, boot 6"
    assert plan.waiting == 0
    plan.submit(3, 0, now - 0.1)
    assert plan.take_actions() == []  # the backoff is kept
    plan.tick(now)
    assert plan.take_actions() == [Boot(7)]  # and the rounds begin anew
    plan.boot_failed(7, "no", now)
    assert plan.take_actions() == []


def test_a_success_forgets_all_failures() -> None:
    plan = waiting(plan_of(0, boot_rounds=2), 3)
    plan.take_actions()
    plan.boot_failed(1, "no", 0.0)
    plan.booted(2, 0.1)
    assert plan.why is None
    assert plan.take_actions() == [Place(1, 2), Boot(4)]  # at once
    plan.boot_failed(4, "no", 0.2)
    plan.boot_failed(3, "no", 0.2)
    plan.lost(2, 0.3)
    assert not [action for action in plan.take_actions() if isinstance(action, Reject)]


def test_rounds_before_a_success_do_not_count() -> None:
    plan = waiting(plan_of(0, max=2, boot_rounds=2), 3)
    plan.take_actions()
    plan.boot_failed(1, "no", 0.0)
    plan.booted(2, 0.1)
    plan.lost(2, 0.2)
    assert plan.take_actions() == [Place(1, 2), Boot(3), Boot(4)]
    for boot in (3, 4):
        plan.boot_failed(boot, "no", 0.3)
    assert plan.take_actions() == []
    assert plan.waiting == 2


def test_nobody_is_rejected_while_a_boot_of_the_round_is_under_way() -> None:
    plan = waiting(plan_of(0, boot_rounds=1), 2)
    plan.take_actions()
    plan.boot_failed(2, "no", 0.0)
    assert plan.take_actions() == []
    plan.boot_failed(1, "no either", 0.1)
    assert plan.take_actions() == [Reject(1, "no either"), Reject(2, "no either")]


def test_a_boot_of_an_older_round_that_hangs_holds_nobody_up() -> None:
    plan = waiting(plan_of(0, boot_rounds=2), 2)
    plan.take_actions()
    plan.boot_failed(2, "no", 0.0)
    plan.tick(0.25)
    assert plan.take_actions() == [Boot(3)]
    plan.boot_failed(3, "no", 0.3)
    assert plan.take_actions() == [Reject(1, "no"), Reject(2, "no")]


def test_nobody_is_rejected_while_a_runner_is_up() -> None:
    plan = waiting(plan_of(1, boot_rounds=1), 3)
    for action in plan.take_actions():
        assert isinstance(action, Boot)
        plan.boot_failed(action.boot, "no", 0.0)
    assert plan.take_actions() == []
    assert plan.ended(1, 1.0) == (2, 1)


def test_a_boot_that_takes_too_long_is_abandoned_and_has_failed() -> None:
    plan = waiting(plan_of(0, max=1, boot_rounds=1), 1)
    plan.take_actions()
    assert plan.next_due() == 30.0
    plan.tick(30.0)
    abandon, reject = plan.take_actions()
    assert abandon == Abandon(1)
    assert reject == Reject(1, TimedOut(30.0))
    assert "30 s" in str(plan.why)
    assert plan.booted(1, 30.1) is False
    plan.boot_failed(1, "late", 30.2)
    assert plan.why == TimedOut(30.0)


def test_a_runner_in_time_is_never_abandoned() -> None:
    plan = waiting(plan_of(0, max=1), 1)
    plan.booted(1, 30.0)
    plan.take_actions()
    plan.tick(30.0)
    assert plan.take_actions() == []


def test_min_runners_that_die_young_and_unused_are_replaced_with_a_backoff_that_doubles() -> None:
    plan = plan_of(1)
    now, waits = 0.0, []
    for boot in range(1, 5):
        plan.lost(boot, now)
        assert plan.take_actions() == []
        due = plan.next_due()
        assert due is not None
        waits.append(due - now)
        now = due
        plan.tick(now)
        assert plan.take_actions() == [Boot(boot + 1)]
        plan.booted(boot + 1, now)
    assert waits == [0.25, 0.5, 1.0, 2.0]
    now += 2 * YOUNG
    plan.lost(5, now)
    assert plan.take_actions() == [Boot(6)]  # that one had lived
    plan.booted(6, now + 60)
    plan.lost(6, now + 60)
    plan.tick(now + 60)
    assert plan.next_due() == now + 60.25  # and so the loop is forgotten


def test_a_strategy_waits_in_a_crash_loop_and_a_call_does_not() -> None:
    plan = plan_of(0, strategy=ahead(1), min=0)
    plan.booted(1, 0.0)
    plan.lost(1, 0.0)
    assert plan.take_actions() == []
    plan.submit(1, 0, 0.0)
    assert plan.take_actions() == [Boot(2)]
    plan.tick(0.25)
    assert plan.take_actions() == [Boot(3)]


def test_a_young_runner_that_dies_under_a_call_is_no_crash_loop() -> None:
    plan = waiting(plan_of(1), 1)
    assert plan.lost(1, 0.0) == [1]
    assert plan.take_actions() == [Boot(2)]


def test_a_runner_that_is_away_counts_as_a_machine_and_has_no_slots() -> None:
    plan = waiting(plan_of(1, max=1, max_queue=0), 1)
    assert plan.away(1, 1.0) == [1]
    assert plan.away(1, 1.0) == []
    assert plan.take_actions() == []
    assert (plan.up, plan.machines) == (0, 1)
    plan.submit(2, 0, 1.0)
    assert plan.take_actions() == []  # max is 1
    plan.back(1, 2.0)
    assert plan.take_actions() == [Place(2, 1)]
    assert plan.away(1, 3.0) == [2]
    plan.submit(3, 0, 3.0)
    assert plan.lost(1, 4.0) == []
    assert plan.take_actions() == [Boot(2)]
    plan.check()


def test_a_runner_that_is_away_is_replaced_where_max_allows() -> None:
    plan = plan_of(1)
    plan.away(1, 100.0)
    assert plan.take_actions() == [Boot(2)]


def test_a_runner_that_was_to_stop_hears_it_again_when_it_is_back() -> None:
    plan = plan_of(1, idle_after=1.0)
    plan.resize(0, 1, 1.0)
    plan.drained(1, 2.0)
    assert plan.take_actions() == [Retire(1, "idle"), Stop(1, 10.0)]
    plan.away(1, 2.0)
    plan.back(1, 3.0)
    assert plan.take_actions() == [Stop(1, 10.0)]
