"""The parts of a plan: its queue, its runners by load. What they do together is in tests/property/test_pool_plan.py."""

from __future__ import annotations

import random

import pytest

from beampy.pool.plan_load import Runner, Slots
from beampy.pool.plan_queue import Queue


def test_a_queue_keeps_nothing_of_cancelled_calls() -> None:
    queue = Queue()
    queue.add(0, 0)
    for call in range(1, 1000):
        queue.add(call, call % 7)
        assert queue.remove(call)
        assert not queue.remove(call)
    queue.check()
    assert queue.in_order() == [0]
    assert len(queue._priorities) == 1


def test_a_queue_that_is_empty_says_so() -> None:
    with pytest.raises(KeyError):
        Queue().take()


def test_a_queue_does_what_a_sorted_list_would() -> None:
    rng = random.Random(5)
    queue, listed = Queue(), []
    for call in range(2000):
        match rng.randrange(4):
            case 0 | 1:
                priority = rng.randrange(-2, 3)
                queue.add(call, priority)
                listed.append((-priority, call))
                listed.sort()
            case 2 if listed:
                assert queue.take() == listed.pop(0)[1]
            case 3 if listed:
                assert queue.remove(listed.pop(rng.randrange(len(listed)))[1])
        assert queue.in_order() == [call for _, call in listed]
        queue.check()


def test_stale_entries_of_the_heap_stay_few() -> None:
    slots = Slots(3)
    runners = [Runner(number, 0.0) for number in range(1, 4)]
    for runner in runners:
        slots.add(runner)
    for call in range(1000):
        assert slots.take(call) is runners[0]
        runners[0].calls.discard(call)
        slots.give(runners[0])
        slots.check()
    for call in range(1000):
        assert slots.take_of(call, (99, 2)) is runners[1]
        runners[1].calls.discard(call)
        slots.give(runners[1])
        slots.check()
    for number in range(100, 600):
        runner = Runner(number, 0.0)
        slots.add(runner)
        slots.remove(runner)
        slots.check()


def test_full_and_removed_runners_take_no_call() -> None:
    slots = Slots(1)
    a, b = Runner(1, 0.0), Runner(2, 0.0)
    slots.add(a)
    slots.add(b)
    assert slots.take(1) is a
    slots.remove(b)
    assert slots.take(2) is None
    assert slots.take_of(2, (2, 1)) is None
    slots.add(b)
    assert slots.take(2) is b
