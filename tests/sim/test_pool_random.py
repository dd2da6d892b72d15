"""Pools under random events: whatever happens to machines, links and callers, each call ends once; nothing is left."""

from __future__ import annotations

import asyncio
from typing import Any

import beampy as bp
from beampy.testing import simloop
from beampy.testing.pool_backend import Dies, Fail, Hangs, Liar, Other, Silent, Slow, Twice
from tests.sim.pool_world import (
    PoolWorld,
    fail,
    items,
    killed,
    large,
    odd,
    part,
    plain,
    resident,
    stubborn,
    work,
)
from tests.sim.world import World, scenario

EVENTS = 100
FAULTS: tuple[Any, ...] = (
    Fail(),
    Slow(0.5),
    Slow(3.0),
    Slow(9.9),
    Slow(12.0),
    Silent(),
    Dies(),
    Hangs(),
    Twice(),
    Other(),
    Liar(),
)


def ask_something(pool: PoolWorld) -> None:
    """One more call of some kind."""
    rng = pool.rng
    options: dict[str, Any] = {
        "timeout": rng.choice([None, 0.3, 2.0, 15.0, 60.0]),
        "priority": rng.choice([0, 0, 0, 3]),
    }
    if rng.random() < 0.3:
        options |= {"retries": rng.randrange(3), "backoff": rng.choice([0.0, 0.1])}
    seconds = rng.choice([0.0, 0.01, 0.5, 3.0])
    match rng.randrange(20):
        case 0:
            pool.ask("place_child", resident, seconds, timeout=options["timeout"])
        case 1 | 2:
            pool.ask("stream", items, seconds, **options)
        case 3:
            pool.ask("map", part, seconds, **options)
        case 4:
            pool.ask("cast", work, seconds, **options)
        case 5:
            pool.ask("submit", stubborn, seconds, **options)
        case 6:
            pool.ask("call", odd, seconds, **options)
        case 7:
            retrying = {"retry_on": (bp.errors.CallKilled,)} if rng.random() < 0.5 else {}
            pool.ask("call", killed, seconds, **options | retrying)
        case n:
            fn = rng.choice([work, work, work, plain, large, fail])
            pool.ask("submit" if n % 3 == 0 else "call", fn, seconds, **options)


def hurt_a_machine(pool: PoolWorld) -> None:
    """It is killed, cut off, or out of reach for a while."""
    rng, backend = pool.rng, pool.backend
    machines = backend.machines
    if not machines:
        return
    machine = rng.choice(machines)
    match rng.randrange(5):
        case 0 | 1:
            backend.kill(machine, oom=rng.random() < 0.2)
        case 2:
            backend.kill(machine, silent=True)
        case 3:
            backend.cut(machine)
        case 4:
            host = f"m{machine.id[1:]}"
            pool.net.partition("parent", host, both=rng.random() < 0.8)
            pool.loop.call_later(rng.choice([0.5, 5.0, 12.0, 60.0]), pool.net.heal, "parent", host)


async def chaos(pool: PoolWorld, events: int) -> None:
    """Random events, one after the other."""
    rng = pool.rng
    for _ in range(events):
        match rng.randrange(20):
            case 0 | 1:
                hurt_a_machine(pool)
            case 2:
                low = rng.randrange(3)
                pool.resize(low, rng.randrange(low or 1, 9))
            case 3 | 4 if pool.open():
                pool.cancel(rng.choice(pool.open()))
            case 5 if pool.open():
                pool.kill(rng.choice(pool.open()))
            case 6:
                pool.backend.plans.append(rng.choice(FAULTS))
            case _:
                for _ in range(rng.choice([1, 1, 1, 5, 30])):
                    ask_something(pool)
        await asyncio.sleep(rng.choice([0, 0, 0.001, 0.1, 1.0]))
        pool.manager.plan.check()


def some_pool(world: World) -> PoolWorld:
    rng = world.rng
    return PoolWorld(
        world,
        {"grace": rng.choice([0.0, 0.0, 10.0]), "deleting": rng.choice([0.0, 1.0]), "delay": rng.choice([0.0, 0.2])},
        min=rng.randrange(3),
        max=rng.randrange(3, 9),
        max_concurrency=rng.choice([1, 2, 5, 20]),
        single_use=rng.random() < 0.1,
        max_queue=rng.choice([10, 100_000]),
        packages="off",
        boot_timeout=10.0,
        backoff=0.1,
        shutdown_timeout=rng.choice([1.0, 10.0]),
        idle_shutdown_after=rng.choice([0.05, 1.0, 30.0]),
        min_idle_shutdown_after=rng.choice([None, 2.0]),
    )


async def churn(world: World) -> str:
    pool = some_pool(world)

    async def body() -> None:
        await chaos(pool, EVENTS)
        await pool.quiet()
        pool.check_calls()
        pool.check_quiet()

    await pool.run(body)
    return pool.fingerprint()


@scenario
async def test_every_call_ends_once_whatever_happens(world: World) -> None:
    await churn(world)


@scenario
async def test_every_call_ends_once_when_the_pool_stops_in_the_middle(world: World) -> None:
    pool = some_pool(world)
    rng = world.rng

    async def body() -> None:
        await chaos(pool, rng.randrange(EVENTS))
        how = rng.randrange(4)
        if how == 0:
            await pool.pool.stop(drain=True)
        elif how == 1:
            await pool.pool.stop(drain=False)
        elif how == 2:
            stopping = asyncio.ensure_future(pool.pool.stop())
            await asyncio.sleep(rng.random())
            await stopping
        # else: the block's end does

    await pool.run(body)


@scenario
async def test_hundreds_of_runners(world: World) -> None:
    if world.loop.seed % 10:  # it takes seconds
        return
    pool = PoolWorld(world, {"delay": 0.2}, packages="off", max=300, max_concurrency=2, idle_shutdown_after=5.0)
    rng = world.rng

    async def body() -> None:
        for _ in range(8):
            for _ in range(150):
                pool.ask("call", work, rng.choice([0.1, 5.0, 8.0]), timeout=None, retries=rng.randrange(3))
            await asyncio.sleep(1.0)
            for machine in rng.sample(pool.backend.machines, len(pool.backend.machines) // 10):
                pool.backend.kill(machine, silent=rng.random() < 0.3)
        assert pool.backend.most > 200
        await pool.quiet()
        pool.check_calls()
        pool.check_quiet()
        await pool.until(lambda: not pool.backend.machines)  # idle ones are let go

    await pool.run(body)


def test_equal_seeds_give_equal_runs() -> None:
    async def main() -> str:
        world = World()
        trace = await churn(world)
        await world.close()
        return trace

    assert simloop.run(main, seed=5) == simloop.run(main, seed=5) != simloop.run(main, seed=6)
