"""Pools whose runners are out of reach for a while: taken back, or replaced, and nothing of them is lost sight of."""

from __future__ import annotations

import asyncio
from typing import Any

import beampy as bp
from beampy.pool.backend import Description, Machine
from beampy.testing.pool_backend import LoopBackend
from tests.sim.pool_world import RUNS, TICK, PoolWorld, stubborn, work
from tests.sim.world import World, scenario

GRACE = 30.0
NOTICED = 3 * TICK  # virtual seconds in which both sides have seen that a connection is silent


def remote(world: World, **options: Any) -> PoolWorld:
    """A pool of far machines that stay."""
    return PoolWorld(world, {"grace": GRACE}, packages="off", idle_shutdown_after=None, **options)


def states(pool: PoolWorld) -> list[str]:
    return [runner["state"] for runner in pool.pool.runners()]


async def first_call(pool: PoolWorld) -> None:
    assert await pool.pool.call(work, 1, 0.0) == 1


@scenario
async def test_a_runner_that_comes_back_in_time_is_the_same_one(world: World) -> None:
    pool = remote(world)

    async def body() -> None:
        await first_call(pool)
        pool.net.partition("parent", "m1")
        await asyncio.sleep(10)
        assert states(pool) == ["away"]
        pool.net.heal("parent", "m1")
        await pool.until(lambda: states(pool) == ["up"], NOTICED)
        await first_call(pool)
        assert pool.backend.booted == 1

    await pool.run(body)


@scenario
async def test_a_runner_that_is_away_for_too_long_ends_by_itself_and_is_replaced(world: World) -> None:
    pool = remote(world, min=1)

    async def body() -> None:
        await first_call(pool)
        first = pool.backend.machines[0]
        pool.net.partition("parent", "m1")
        await asyncio.sleep(60)
        assert first not in pool.backend.machines
        await first_call(pool)
        assert states(pool) == ["up"]
        pool.check_quiet()

    await pool.run(body)


@scenario
async def test_calls_of_a_runner_that_is_away_are_lost_and_others_get_another_runner(world: World) -> None:
    pool = remote(world, max=2, max_concurrency=1)

    async def body() -> None:
        running = pool.ask("call", work, 20.0, timeout=None)
        await pool.until(lambda: RUNS[running.number])
        pool.net.partition("parent", "m1")
        await pool.until(lambda: running.ends, NOTICED)
        assert isinstance(running.ends[0], bp.errors.RunnerLost)
        await first_call(pool)
        assert pool.backend.booted == 2
        pool.net.heal()
        await pool.until(lambda: states(pool) == ["up", "up"])
        await pool.quiet()
        pool.check_quiet()

    await pool.run(body)


@scenario
async def test_each_time_it_is_away_it_has_all_of_its_grace(world: World) -> None:
    pool = remote(world)

    async def body() -> None:
        await first_call(pool)
        for _ in range(2):
            pool.net.partition("parent", "m1")
            await asyncio.sleep(20)
            assert states(pool) == ["away"]
            pool.net.heal()
            await pool.until(lambda: states(pool) == ["up"], NOTICED)
            await asyncio.sleep(1)  # it has heard that it was taken back; until then it counts from the first loss
        pool.net.partition("parent", "m1")  # the first grace would be over in the middle of this
        await asyncio.sleep(20)
        assert states(pool) == ["away"]
        pool.net.heal()
        await pool.until(lambda: states(pool) == ["up"], NOTICED)
        assert pool.backend.booted == 1

    await pool.run(body)


class SlowToTell(LoopBackend):
    """Takes a second to say how a machine is."""

    async def describe(self, machine: Machine) -> Description:
        await asyncio.sleep(1.0)
        return await super().describe(machine)


@scenario
async def test_a_runner_is_back_before_its_backend_has_said_how_it_is(world: World) -> None:
    pool = remote(world, max=1, max_concurrency=1)
    pool.backend.__class__ = SlowToTell

    async def body() -> None:
        asked = pool.ask("call", work, 5.0, timeout=None)
        await pool.until(lambda: RUNS[asked.number])
        pool.backend.cut(pool.backend.machines[0])
        await pool.until(lambda: asked.ends, 10.0)
        assert isinstance(asked.ends[0], bp.errors.RunnerLost)
        await first_call(pool)
        assert pool.backend.booted == 1
        await pool.quiet()
        pool.check_quiet()

    await pool.run(body)


@scenario
async def test_no_call_goes_to_a_runner_that_is_gone_while_its_backend_thinks(world: World) -> None:
    pool = PoolWorld(world, packages="off", max=3)
    pool.backend.__class__ = SlowToTell

    async def body() -> None:
        running = [pool.ask("call", work, 50.0, timeout=None) for _ in range(3)]
        await pool.until(lambda: sum(RUNS.values()) == 3)
        pool.backend.kill(pool.backend.machines[0])
        await pool.until(lambda: "away" in states(pool), 0.9)
        assert await pool.pool.options(timeout=30).call(work, 100, 0.0) == 100
        assert not any(asked.ends for asked in running)  # these wait to hear why
        await pool.until(lambda: all(asked.ends for asked in running))
        assert all(isinstance(asked.ends[0], bp.errors.RunnerLost) for asked in running)

    await pool.run(body)


@scenario
async def test_a_call_that_was_given_up_is_no_zombie_when_its_runner_is_gone(world: World) -> None:
    pool = PoolWorld(world, packages="off", max=1)

    async def body() -> None:
        asked = pool.ask("call", stubborn, 50.0, timeout=None)
        await pool.until(lambda: RUNS[asked.number])
        pool.cancel(asked)
        assert pool.manager.zombies == 1
        pool.backend.kill(pool.backend.machines[0])
        await pool.until(lambda: not pool.manager.runners)
        await first_call(pool)
        pool.check_quiet()

    await pool.run(body)


@scenario
async def test_a_pool_that_stops_does_not_wait_for_a_runner_that_is_away(world: World) -> None:
    pool = remote(world, shutdown_timeout=25.0)

    async def body() -> None:
        await first_call(pool)
        pool.net.partition("parent", "m1")
        await pool.until(lambda: states(pool) == ["away"], NOTICED)
        start = pool.loop.time()
        await pool.pool.stop()
        assert pool.loop.time() - start < 5.0

    await pool.run(body)


@scenario
async def test_who_waits_hears_of_a_machine_that_is_gone(world: World) -> None:
    pool = PoolWorld(world, packages="off")
    silent = bool(world.loop.seed % 2)

    async def body() -> None:
        asked = pool.ask("call", work, 50.0, timeout=None)
        await pool.until(lambda: RUNS[asked.number])
        pool.backend.kill(pool.backend.machines[0], silent=silent)
        await pool.until(lambda: asked.ends, NOTICED)
        assert isinstance(asked.ends[0], bp.errors.RunnerLost)
        assert asked.ends[0].status == -9

    await pool.run(body)
