"""Pools and single faults at the worst moment: of boots, of messages that cross each other, of ends."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import beampy as bp
from beampy.pool.backend import Machine, Order
from beampy.pool.messages import Hello
from beampy.testing.pool_backend import Hangs, LoopBackend, Slow
from tests.sim.pool_world import RUNS, PoolWorld, items, killed, work
from tests.sim.world import World, scenario


def small(world: World, **options: Any) -> PoolWorld:
    return PoolWorld(world, packages="off", max_concurrency=1, **options)


@scenario
async def test_a_machine_that_is_not_wanted_any_more_before_it_was_asked_for(world: World) -> None:
    pool = small(world, max=2)

    async def body() -> None:
        calls = [pool.pool.submit(work, n, 1.0) for n in range(2)]
        pool.resize(0, 1)  # the manager's process has not even heard of the two boots
        assert await asyncio.gather(*calls) == [0, 1]
        assert pool.backend.booted == 1
        pool.check_quiet()

    await pool.run(body)


@scenario
async def test_a_machine_that_calls_home_as_it_is_given_up(world: World) -> None:
    pool = small(world, max=2)

    async def body() -> None:
        handle, manager = pool.manager.handle, pool.manager

        def crossing(message: Any) -> None:
            if message.__class__ is Hello and manager.plan.limits.max == 2:
                manager.plan.resize(0, 1, manager.clock())  # its Abandon comes after the Hello that is here
            handle(message)

        manager.handle = crossing  # type: ignore[method-assign]
        pool.backend.plans = [None, Slow(1.0)]
        calls = [pool.pool.submit(work, n, 3.0) for n in range(2)]
        pool.backend.plans = [Slow(1.0), Slow(1.0)]
        assert await asyncio.gather(*calls) == [0, 1]
        await pool.until(lambda: len(pool.backend.machines) == 1)
        await pool.quiet()
        pool.check_quiet()

    await pool.run(body)


@scenario
async def test_a_boot_that_does_not_return_is_cancelled_when_it_is_given_up(world: World) -> None:
    pool = small(world, boot_timeout=2.0)

    async def body() -> None:
        pool.backend.plans = [Hangs()]
        assert await pool.pool.call(work, 1, 0.0) == 1
        await pool.until(lambda: not pool.manager.tasks, 10.0)

    await pool.run(body)


class SlowToReturn(LoopBackend):
    """Says that a machine is there a second after it is."""

    ended: ClassVar[list[str]] = []

    async def boot(self, order: Order) -> Machine:
        machine = await super().boot(order)
        await asyncio.sleep(1.0)
        return machine

    async def terminate(self, machine: Machine) -> None:
        self.ended.append(machine.id)
        await super().terminate(machine)


@scenario
async def test_a_machine_that_came_and_went_before_its_boot_returned_is_ended(world: World) -> None:
    pool = small(world)
    SlowToReturn.ended = []
    pool.backend.__class__ = SlowToReturn

    async def body() -> None:
        assert await pool.pool.call(work, 1, 0.0) == 1
        pool.backend.kill(pool.backend.machines[0])
        await pool.until(lambda: "m1" in SlowToReturn.ended, 5.0)

    await pool.run(body)


@scenario
async def test_an_attempt_that_is_over_does_not_take_the_slot_of_the_next_one_along(world: World) -> None:
    pool = PoolWorld(world, packages="off", max=1)

    async def body() -> None:
        asked = pool.ask("call", killed, 0.1, timeout=None, retries=3, backoff=0.0, retry_on=(bp.errors.CallKilled,))
        await pool.quiet()
        assert RUNS[asked.number] == 4
        assert isinstance(asked.ends[0], bp.errors.CallKilled)
        pool.check_calls()
        pool.check_quiet()

    await pool.run(body)


@scenario
async def test_a_pool_that_stops_waits_for_calls_between_two_attempts(world: World) -> None:
    pool = small(world)

    async def body() -> None:
        asked = pool.ask("submit", work, 1.0, retries=1, backoff=2.0)
        await pool.until(lambda: RUNS[asked.number])
        pool.backend.kill(pool.backend.machines[0])
        await pool.until(lambda: pool.manager.pausing, 5.0)
        await pool.pool.stop()
        await pool.until(lambda: asked.ends)
        assert asked.ends == [asked.number]

    await pool.run(body)


@scenario
async def test_a_call_that_is_cancelled_between_two_attempts_is_over(world: World) -> None:
    pool = small(world)

    async def body() -> None:
        asked = pool.ask("call", work, 1.0, timeout=None, retries=1, backoff=20.0)
        await pool.until(lambda: RUNS[asked.number])
        pool.backend.kill(pool.backend.machines[0])
        await pool.until(lambda: pool.manager.pausing, 5.0)
        pool.cancel(asked)
        assert not pool.manager.pausing
        await pool.quiet()
        assert RUNS[asked.number] == 1

    await pool.run(body)


@scenario
async def test_questions_that_nobody_answers_are_not_kept(world: World) -> None:
    pool = PoolWorld(world, packages="off", idle_shutdown_after=1.0)

    async def body() -> None:
        assert await pool.pool.call(work, 1, 0.0) == 1
        pool.net.hold("parent", "m1")
        await pool.until(lambda: pool.manager.asked, 5.0)
        pool.backend.kill(pool.backend.machines[0], silent=True)
        await pool.until(lambda: not pool.manager.runners)
        assert pool.manager.asked == {}

    await pool.run(body)


@scenario
async def test_items_of_an_earlier_attempt_are_not_those_of_the_next(world: World) -> None:
    pool = small(world)

    async def body() -> None:
        stream = pool.pool.options(retries=1).stream(items, 0, 10.0, 2)
        feed: Any = stream._feed
        await pool.until(lambda: RUNS[0])
        earlier = feed.items
        pool.backend.kill(pool.backend.machines[0])
        await pool.until(lambda: RUNS[0] == 2)
        bp.send(earlier, (7, 8, 9))  # was under way
        assert [item async for item in stream] == [0, 1]

    await pool.run(body)
