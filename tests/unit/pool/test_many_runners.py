"""Maps, scatters and executors of a real pool, whose machines are on the loop of the test."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
from typing import Any

import pytest

from beampy.errors import EncodeError, PoolTimeout, RunnerLost
from beampy.pool.pool import Pool
from beampy.testing import harness
from beampy.testing.pool_backend import LoopBackend
from tests.unit.pool.ground import double, pooling, until

real_threads = pytest.mark.loops("asyncio", "uvloop")

# What runs on a runner is looked up in this module, there as here, and machines of the loop share it.
RUNS: list[int] = []
ENDED: list[int] = []


async def bad(x: int) -> int:
    raise ValueError(x)


pooled = pooling(RUNS, ENDED)


async def at_odd_times(n: int) -> int:
    RUNS.append(n)
    await asyncio.sleep(random.Random(n).random() / 50)
    return n


async def hold(n: int) -> int:
    RUNS.append(n)
    try:
        await asyncio.Event().wait()
    finally:
        ENDED.append(n)
    return n


async def hold_odd(n: int) -> int:
    return await hold(n) if n % 2 else n


async def fails_at_three(n: int) -> int:
    if n == 3:
        raise ValueError(n)
    return await hold(n)


async def total(part: Any) -> int:
    return sum(part)


def plain_double(n: int) -> int:
    return 2 * n


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
@pooled
async def test_a_map_over_many_runners_gives_each_result_once(ordered):
    async with Pool(backend=LoopBackend(), max=5, max_concurrency=3) as pool:
        assert await pool.map(at_odd_times, range(200), ordered=ordered) == list(range(200))
        got = [value async for value in pool.map(at_odd_times, range(200), ordered=ordered)]
        assert (got if ordered else sorted(got)) == list(range(200))
        assert sorted(RUNS) == sorted([*range(200)] * 2)
        assert len(pool.runners()) == 5


@pooled
async def test_leaving_a_map_cancels_what_runs_and_what_waits():
    async with Pool(backend=LoopBackend(), max=2, max_concurrency=2) as pool:
        numbers = pool.map(hold_odd, itertools.count())
        assert await anext(numbers) == 0
        await until(lambda: len(RUNS) == 4)
        await numbers.aclose()
        await until(lambda: sorted(ENDED) == [1, 3, 5, 7])
        assert await pool.map(double, range(20)) == [2 * n for n in range(20)]
        assert sorted(RUNS) == [1, 3, 5, 7]


@pooled
async def test_the_failure_of_a_map_cancels_the_others():
    async with Pool(backend=LoopBackend(), max=2, max_concurrency=4) as pool:
        with pytest.raises(ValueError, match="3"):
            await pool.map(fails_at_three, range(8))
        await until(lambda: sorted(ENDED) == sorted(RUNS))
        with pytest.raises(ValueError, match="3"):
            await pool.scatter(fails_at_three_of, range(8))


async def fails_at_three_of(part: Any) -> None:
    for n in part:
        await fails_at_three(n) if n == 3 else None


@pooled
async def test_a_lost_runner_fails_its_items_or_they_run_again():
    backend = LoopBackend()
    async with Pool(backend=backend, max=2, max_concurrency=4) as pool:
        results = pool.map(hold, range(8), return_exceptions=True)
        waiting = asyncio.ensure_future(results)
        await until(lambda: len(RUNS) == 8)
        for machine in backend.machines:
            backend.kill(machine)
        assert [type(result) for result in await waiting] == [RunnerLost] * 8

        async def kill_some() -> None:
            for _ in range(5):
                await asyncio.sleep(0.02)
                up = {runner["machine"] for runner in pool.runners() if runner["state"] == "up"}
                for machine in [machine for machine in backend.machines if machine.id in up][:1]:
                    backend.kill(machine)

        killing = asyncio.ensure_future(kill_some())
        again = pool.options(retries=20, backoff=0.001)
        assert await again.map(at_odd_times, range(300)) == list(range(300))
        await killing


@pooled
async def test_the_deadline_is_each_items_own():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=2) as pool:
        results = await pool.options(timeout=0.3).map(hold_odd, range(4), return_exceptions=True)
        assert [type(result) for result in results] == [int, PoolTimeout, int, PoolTimeout]


@pooled
async def test_a_map_does_not_fill_the_queue_of_its_pool():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=2, max_queue=3) as pool:
        assert await pool.map(double, range(100), max_in_flight=50) == [2 * n for n in range(100)]


@pooled
async def test_what_cannot_travel_is_the_failure_of_its_item():
    lock = asyncio.get_running_loop()  # nothing that can be sent
    async with Pool(backend=LoopBackend(), max=1) as pool:
        results = await pool.map(double, [1, lock, 3], return_exceptions=True)
        assert results[0] == 2
        assert results[2] == 6
        assert isinstance(results[1], (EncodeError, TypeError))


@pooled
async def test_parts_go_to_all_runners():
    async with Pool(backend=LoopBackend(), max=2, max_concurrency=2) as pool:
        assert await pool.scatter(total, range(100)) == [300, 925, 1550, 2175]
        assert await pool.scatter(total, [], parts=3) == []
        assert len(pool.runners()) == 2


@real_threads
@pooled
async def test_all_of_it_on_another_thread():
    async with Pool(backend=LoopBackend(), max=2, max_concurrency=4) as pool:

        def there() -> None:
            assert pool.map(double, range(100)).result(harness.DEADLINE) == [2 * n for n in range(100)]
            assert list(pool.map(plain_double, range(100))) == [2 * n for n in range(100)]
            assert pool.scatter(total, range(100), parts=2).result(harness.DEADLINE) == [1225, 3725]
            with pool.executor() as executor:
                futures = [executor.submit(double, n) for n in range(200)]
                futures += [executor.submit(plain_double, n) for n in range(200)]
                assert [future.result(harness.DEADLINE) for future in futures] == [2 * n for n in range(200)] * 2
                assert list(executor.map(double, range(50), chunksize=7)) == [2 * n for n in range(50)]
                assert list(executor.map(plain_double, range(50), chunksize=7)) == [2 * n for n in range(50)]

        await asyncio.to_thread(there)


@real_threads
@pooled
async def test_a_future_that_is_cancelled_ends_what_runs():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=2) as pool:
        executor = pool.executor()
        running = executor.submit(hold, 1)
        await until(lambda: RUNS == [1])
        assert running.running()
        assert running.cancel()
        await until(lambda: ENDED == [1])
        assert await asyncio.wrap_future(executor.submit(double, 4)) == 8


@real_threads
@pooled
async def test_futures_end_with_the_pool():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=2) as pool:
        executor = pool.executor()
        futures = [executor.submit(hold, n) for n in range(20)]
        await until(lambda: len(RUNS) == 2)
        await pool.stop(drain=False)
    ends = await asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
    assert all(isinstance(end, BaseException) for end in ends)


@pooled
async def test_the_failures_that_a_failed_map_does_not_show_are_not_reported(caplog):
    async with Pool(backend=LoopBackend(), max=1) as pool:
        for mapped in (pool.map(bad, range(20)), pool.map(bad, range(20), ordered=False)):
            with pytest.raises(ValueError, match="0"):
                await mapped
            with pytest.raises(ValueError, match="0"):
                async for _ in pool.map(bad, range(20)):
                    pass
    gc.collect()
    assert "nobody looked" not in caplog.text
