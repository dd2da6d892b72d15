"""timers: deadlines in buckets, on a clock that the test moves; messages sent later, on real loops."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.timers import Bucket, Deadlines
from beampy.testing import harness

LONG = 30.0


class Handle:
    """What call_at returns."""

    def __init__(self, when: float, fn: Any) -> None:
        self.at = when
        self.fn = fn
        self.off = False

    def cancel(self) -> None:
        self.off = True

    def when(self) -> float:
        return self.at


class Loop:
    """The part of an event loop that deadlines use."""

    def __init__(self) -> None:
        self.now = 100.0
        self.heap: list[tuple[float, int, Handle]] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, fn: Any, context: Any = None) -> Handle:
        self.made += 1
        handle = Handle(when, fn)
        heapq.heappush(self.heap, (when, self.made, handle))
        return handle

    def pending(self) -> int:
        return sum(not handle.off for _, _, handle in self.heap)

    def advance(self, seconds: float) -> None:
        """Let time pass, firing what falls due on the way."""
        end = self.now + seconds
        while self.heap and self.heap[0][0] <= end:
            when, _, handle = heapq.heappop(self.heap)
            self.now = max(self.now, when)
            if not handle.off:
                handle.off = True
                handle.fn()
        self.now = end


class Bell:
    """Notes when it rang."""

    def __init__(self, deadlines: Deadlines, name: Any = None, then: Any = None) -> None:
        self.loop: Any = deadlines.loop
        self.name = name
        self.rang: list[float] = []
        self.then = then

    def ring(self) -> None:
        self.rang.append(self.loop.now)
        if self.then is not None:
            self.then(self)


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def deadlines(loop: Any) -> Deadlines:
    return Deadlines(loop)


# deadlines


def test_a_deadline_rings_once_and_on_time(loop: Loop, deadlines: Deadlines) -> None:
    bell = Bell(deadlines)
    deadlines.add(5.0, bell)
    loop.advance(4.99)
    assert bell.rang == []
    loop.advance(10)
    assert bell.rang == [105.0]
    assert deadlines.buckets == {}
    assert loop.pending() == 0


def test_equal_durations_share_one_timer_and_ring_in_order(loop: Loop, deadlines: Deadlines) -> None:
    order: list[int] = []
    bells = [Bell(deadlines, n, lambda bell: order.append(bell.name)) for n in range(1000)]
    for bell in bells:
        deadlines.add(5.0, bell)
        loop.advance(0.001)
    assert loop.made == 1
    assert len(deadlines.buckets) == 1
    loop.advance(LONG)
    assert order == list(range(1000))
    assert all(bell.rang == [pytest.approx(105.0 + bell.name / 1000)] for bell in bells)
    assert (deadlines.buckets, loop.pending()) == ({}, 0)


def test_other_durations_do_not_wait_for_each_other(loop: Loop, deadlines: Deadlines) -> None:
    order: list[float] = []
    for seconds in (3.0, 1.0, 2.0, 0.5):
        deadlines.add(seconds, Bell(deadlines, seconds, lambda bell: order.append(bell.name)))
    loop.advance(LONG)
    assert order == [0.5, 1.0, 2.0, 3.0]


def test_a_dropped_deadline_does_not_ring(loop: Loop, deadlines: Deadlines) -> None:
    bells = [Bell(deadlines) for _ in range(3)]
    for bell in bells:
        deadlines.add(5.0, bell)
    deadlines.drop(5.0, bells[1])
    deadlines.drop(5.0, bells[1])
    deadlines.drop(7.0, bells[1])
    loop.advance(LONG)
    assert [len(bell.rang) for bell in bells] == [1, 0, 1]


def test_the_bucket_that_add_returns_drops_as_well(loop: Loop, deadlines: Deadlines) -> None:
    bell = Bell(deadlines)
    bucket = deadlines.add(5.0, bell)
    assert bucket.seconds == 5.0
    bucket.pop(bell, None)
    loop.advance(LONG)
    assert bell.rang == []
    assert (deadlines.buckets, loop.pending()) == ({}, 0)


def test_a_deadline_moved_forward_rings_at_its_new_time(loop: Loop, deadlines: Deadlines) -> None:
    """As each call, each receive and each restart of an idle timeout does: dropped, and added again."""
    bell, other = Bell(deadlines), Bell(deadlines)
    for _ in range(10):
        deadlines.add(5.0, bell)
        loop.advance(1)
        deadlines.drop(5.0, bell)
    deadlines.add(5.0, other)
    deadlines.add(5.0, bell)
    loop.advance(LONG)
    assert bell.rang == other.rang == [115.0]
    assert (deadlines.buckets, loop.pending()) == ({}, 0)


def test_thousands_of_deadlines_come_and_go_with_two_timers_of_the_loop(loop: Loop, deadlines: Deadlines) -> None:
    for _ in range(10_000):
        bell = Bell(deadlines)
        deadlines.drop(5.0, deadlines.add(5.0, bell) and bell)
        loop.advance(0.001)
        assert loop.pending() <= 1
    assert loop.made <= 4
    loop.advance(LONG)
    assert (deadlines.buckets, loop.pending()) == ({}, 0)


def test_a_ring_may_drop_the_next_ones(loop: Loop, deadlines: Deadlines) -> None:
    last = Bell(deadlines)
    first = Bell(deadlines, then=lambda _: deadlines.drop(5.0, last))
    deadlines.add(5.0, first)
    deadlines.add(5.0, last)
    loop.advance(LONG)
    assert (len(first.rang), len(last.rang)) == (1, 0)
    assert (deadlines.buckets, loop.pending()) == ({}, 0)


def test_a_ring_may_add_to_its_own_bucket(loop: Loop, deadlines: Deadlines) -> None:
    """One after the other, for good, with one timer of the loop at a time."""
    bell = Bell(deadlines, then=lambda bell: deadlines.add(5.0, bell))
    deadlines.add(5.0, bell)
    for _ in range(20):
        loop.advance(5)
        assert loop.pending() == 1
    assert bell.rang == [105.0 + 5 * n for n in range(20)]


def test_a_ring_that_adds_while_others_wait(loop: Loop, deadlines: Deadlines) -> None:
    late = Bell(deadlines)
    again = Bell(deadlines)
    first = Bell(deadlines, then=lambda _: deadlines.add(5.0, again))
    deadlines.add(5.0, first)
    loop.advance(1)
    deadlines.add(5.0, late)
    loop.advance(4)
    assert loop.pending() == 1
    loop.advance(LONG)
    assert (first.rang, late.rang, again.rang) == ([105.0], [106.0], [110.0])
    assert (deadlines.buckets, loop.pending()) == ({}, 0)


def test_a_timer_that_fires_too_early_asks_again(loop: Loop, deadlines: Deadlines) -> None:
    """uvloop counts in whole milliseconds."""
    bell = Bell(deadlines)
    bucket = deadlines.add(5.0, bell)
    loop.now += 4.9996
    bucket.fire()
    assert bell.rang == []
    loop.advance(LONG)
    assert len(bell.rang) == 1


def test_a_clocks_resolution_does_not_count(loop: Loop, deadlines: Deadlines) -> None:
    bell = Bell(deadlines)
    bucket = deadlines.add(5.0, bell)
    loop.now += 5.0 - 1e-9
    bucket.fire()
    assert len(bell.rang) == 1


def test_durations_of_every_length_do_not_pile_up(loop: Loop, deadlines: Deadlines) -> None:
    """What is left of a deadline is another number each time; a bucket that is empty need not wait for its timer."""
    for n in range(10_000):
        bell = Bell(deadlines)
        deadlines.add(1000 + n / 7, bell).pop(bell, None)
    assert len(deadlines.buckets) <= 200
    assert loop.pending() <= 200
    living = [Bell(deadlines) for _ in range(1000)]
    for n, bell in enumerate(living):
        deadlines.add(1000 + n / 7, bell)
    loop.advance(1000 + 10_000 / 7 + 1)
    assert [len(bell.rang) for bell in living] == [1] * 1000
    assert (deadlines.buckets, loop.pending()) == ({}, 0)


def test_a_bucket_that_was_swept_away_is_not_used_again(loop: Loop, deadlines: Deadlines) -> None:
    first = Bell(deadlines)
    deadlines.add(5.0, first).pop(first)
    for n in range(1000):
        bell = Bell(deadlines)
        deadlines.add(10.0 + n, bell).pop(bell)
    again = Bell(deadlines)
    deadlines.add(5.0, again)
    loop.advance(6)
    assert len(again.rang) == 1


def test_closing_forgets_all(loop: Loop, deadlines: Deadlines) -> None:
    bells = [Bell(deadlines) for _ in range(5)]
    for n, bell in enumerate(bells):
        deadlines.add(1.0 + n, bell)
    deadlines.close()
    loop.advance(LONG)
    assert not any(bell.rang for bell in bells)
    assert (deadlines.buckets, loop.pending()) == ({}, 0)


def test_against_a_model(loop: Loop, deadlines: Deadlines) -> None:
    """Random adds, drops and steps of time: each bell rings when a sorted list says."""
    rng = random.Random(7)
    expected: dict[Any, float] = {}
    rang: list[tuple[Any, float]] = []
    buckets: dict[Any, Bucket] = {}
    for number in itertools.count():
        if number == 3000:
            break
        match rng.randrange(3):
            case 0:
                seconds = rng.choice([0.5, 1.0, 1.0, 2.5])
                bell = Bell(deadlines, number, lambda bell: rang.append((bell, loop.now)))
                buckets[bell] = deadlines.add(seconds, bell)
                expected[bell] = loop.now + seconds
            case 1 if expected:
                bell = rng.choice(list(expected))
                buckets[bell].pop(bell)
                del expected[bell]
            case 2:
                loop.advance(rng.random())
                due = {bell: when for bell, when in expected.items() if when <= loop.now}
                assert dict(rang) == due
                assert [when for _, when in rang] == sorted(due.values())
                rang.clear()
                for bell in due:
                    del expected[bell]
        assert sum(map(len, deadlines.buckets.values())) == len(expected)
        assert loop.pending() <= 3


# deadlines in a node


async def test_the_grace_of_linked_processes_runs_out_one_after_the_other() -> None:
    """The kill at the end of one grace period begins another one, in the same bucket."""

    async def stubborn(to: bp.Pid) -> None:
        try:
            await bp.receive()
        finally:
            bp.send(to, "cleaning")
            await asyncio.sleep(LONG)

    async def body() -> list[Any]:
        me = bp.self()
        first = bp.spawn(stubborn, me)

        async def linked() -> None:
            bp.link(first)
            bp.send(me, "linked")
            await stubborn(me)

        second = bp.spawn(linked)
        await harness.expect("linked")
        monitors = [bp.monitor(first), bp.monitor(second)]
        bp.exit(first, "shutdown")
        downs = [await harness.expect(bp.Down), await harness.expect(bp.Down)]
        assert [down.ref for down in downs] == monitors
        node = api.self_process().node
        assert node.statistics()["deadlines"] == 0
        assert node.exit_grace not in node.deadlines.buckets
        return [down.reason for down in downs]

    assert await harness.run(body, exit_grace=0.02) == ["killed", "killed"]


async def test_receives_calls_and_graces_leave_no_deadline() -> None:
    async def body() -> dict[float, Any]:
        node = api.self_process().node
        for _ in range(100):
            assert await bp.receive(("never",), timeout=0.001, default=None) is None
        assert node.statistics()["deadlines"] == 0
        while node.deadlines.buckets:
            await asyncio.sleep(0.001)
        return dict(node.deadlines.buckets)

    assert await harness.run(body) == {}


# messages sent later


async def test_messages_arrive_in_the_order_of_their_times() -> None:
    async def body() -> list[Any]:
        me = bp.self()
        for n in (3, 1, 2):
            bp.send_after(n / 100, me, n)
        return [await harness.expect(int) for _ in range(3)]

    assert await harness.run(body) == [1, 2, 3]


@pytest.mark.loops("asyncio", "sim")
async def test_messages_of_one_moment_arrive_in_the_order_they_were_started() -> None:
    async def body() -> list[Any]:
        me = bp.self()
        start = api.self_process().node.timers.start
        now = api.self_process().node.loop.time()
        for n in range(100):
            left = now + 0.01 - api.self_process().node.loop.time()
            start(api.self_process().node.new_ref(), left, me, n)
        return [await harness.expect(int) for _ in range(100)]

    found = await harness.run(body)
    assert sorted(found) == list(range(100))


async def test_thousands_of_timers() -> None:
    async def body() -> None:
        me = bp.self()
        node = api.self_process().node
        refs = [bp.send_after(LONG, me, n) for n in range(3000)]
        kept = [bp.send_after(0.001, me, n) for n in range(3000)]
        assert node.statistics()["timers"] == 6000
        assert len(set(refs + kept)) == 6000
        for ref in refs:
            left = bp.cancel_timer(ref)
            assert left is not None
            assert 0 < left <= LONG
        seen = sorted([await harness.expect(int) for _ in range(3000)])
        assert seen == list(range(3000))
        assert node.statistics()["timers"] == 0
        assert not api.self_process().extras().timers

    await harness.run(body)


async def test_the_death_of_a_process_cancels_the_timers_to_it() -> None:
    async def idle() -> None:
        await bp.receive(("never",))

    async def body() -> None:
        node = api.self_process().node
        pid = bp.spawn(idle)
        refs = [bp.send_after(LONG, pid, n) for n in range(100)]
        mine = bp.send_after(LONG, bp.self(), "mine")
        bp.exit(pid, "kill")
        assert node.statistics()["timers"] == 1
        assert [bp.cancel_timer(ref) for ref in refs] == [None] * 100
        assert bp.cancel_timer(mine) is not None

    await harness.run(body)


async def test_timers_to_names_and_to_the_dead() -> None:
    async def nothing() -> None:
        pass

    async def body() -> None:
        node = api.self_process().node
        dead = bp.spawn(nothing)
        await harness.ended(dead)
        bp.send_after(0, dead, "for nobody")
        bp.send_after(0, "nobody", "for nobody")
        bp.send_after(0, ("nobody", node.name), "for nobody")
        bp.send_after(0, ("nobody", "else@where"), "for nobody")
        bp.send_after(0.01, "later", "by name")
        bp.register("later", bp.self())
        assert await harness.expect(str) == "by name"
        assert node.statistics()["timers"] == 0

    await harness.run(body)


async def test_a_timer_to_an_alias_goes_as_the_alias_says() -> None:
    async def body() -> list[Any]:
        kept, taken_back = bp.alias(), bp.alias()
        bp.send_after(0.001, taken_back, "for nobody")
        bp.send_after(0.01, kept, "by alias")
        bp.unalias(taken_back)
        first = await harness.expect(str)
        return [first, harness.flush()]

    assert await harness.run(body) == ["by alias", []]


async def test_cancelling_in_the_tick_in_which_it_fires() -> None:
    """A timer is cancelled, or its message is there: one of the two."""

    async def body() -> None:
        me = bp.self()
        for _ in range(50):
            ref = bp.send_after(0.001, me, "tick")
            while (left := bp.cancel_timer(ref)) is None and not harness.flush():
                await asyncio.sleep(0)
            if left is not None:
                assert await bp.receive(timeout=0, default="none") == "none"

    await harness.run(body)


async def test_a_stopped_node_sends_nothing_later() -> None:
    loop = asyncio.get_running_loop()
    said: list[Any] = []
    loop.set_exception_handler(lambda _, context: said.append(context))

    async def body() -> None:
        bp.send_after(0.001, bp.self(), "tick")
        bp.send_after(0.001, "nobody", "tick")

    await harness.run(body)
    await asyncio.sleep(0.01)
    loop.set_exception_handler(None)
    assert said == []
