"""Streams of a pool: items through the queue and back, losses, retries, and ends of every kind."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import beampy as bp
from beampy.errors import PoolClosed, PoolTimeout, RunnerLost
from beampy.pool.pool import Pool
from beampy.testing import harness
from beampy.testing.pool_backend import LoopBackend
from tests.unit.pool.ground import forever, pooling, until

real_threads = pytest.mark.loops("asyncio", "uvloop")

# What runs on a runner is looked up in this module, there as here, and machines of the loop share it.
MADE: list[int] = []
CLOSED: list[int] = []
RUNS: list[int] = []
GO: list[int] = []


pooled = pooling(MADE, CLOSED, RUNS, GO)


def pool_of(backend: LoopBackend, **options: Any) -> Pool:
    return Pool(backend=backend, max=1, **options)


async def count(n: int) -> Any:
    RUNS.append(n)
    try:
        for i in range(n):
            MADE.append(i)
            yield i
    finally:
        CLOSED.append(n)


async def count_and_wait(n: int) -> Any:
    async for i in count(n):
        yield i
    await asyncio.Event().wait()


async def count_and_fail(n: int) -> Any:
    async for i in count(n):
        yield i
    while not GO:
        await asyncio.sleep(0.001)
    raise ConnectionError(len(RUNS))


async def fails_at_first() -> Any:
    RUNS.append(0)
    yield "first" if len(RUNS) == 1 else "second"
    if len(RUNS) == 1:
        raise ConnectionError("once")


def count_plain(n: int) -> Any:
    yield from range(n)


def a_list(n: int) -> list[int]:
    return list(range(n))


async def ok() -> str:
    return "ok"


@pooled
async def test_items_come_in_order_and_whole():
    async with pool_of(LoopBackend()) as pool:
        for n in (0, 1, 16, 200):
            assert [item async for item in pool.stream(count, n)] == list(range(n))
        assert [item async for item in pool.call(count, 20)] == list(range(20))
        assert [item async for item in pool.options(window=1).stream(count, 20)] == list(range(20))


@real_threads
@pooled
async def test_a_generator_that_is_not_async_and_a_list_are_streams_too():
    async with pool_of(LoopBackend()) as pool:
        assert [item async for item in pool.stream(count_plain, 100)] == list(range(100))
        assert [item async for item in pool.call(count_plain, 100)] == list(range(100))
        assert [item async for item in pool.stream(a_list, 100)] == list(range(100))
        assert [item async for item in pool.stream("tests.unit.pool.test_streams.count", 9)] == list(range(9))


@pooled
async def test_the_generator_is_no_further_ahead_than_its_window():
    async with pool_of(LoopBackend()) as pool:
        numbers = pool.options(window=4).stream(count, 100)
        assert await anext(numbers) == 0
        await asyncio.sleep(harness.QUIET)
        assert len(MADE) <= 6
        await numbers.aclose()
        assert len(MADE) <= 6


@pooled
async def test_closing_it_closes_the_generator():
    async with pool_of(LoopBackend()) as pool:
        async with pool.stream(count, 1000) as numbers:
            assert await anext(numbers) == 0
        await until(lambda: CLOSED == [1000])
        with pytest.raises(StopAsyncIteration):
            await anext(numbers)
        async for item in pool.stream(count, 1001):
            if item == 3:
                break
        gc.collect()
        await until(lambda: CLOSED == [1000, 1001])
        assert await pool.call(ok) == "ok"


@pooled
async def test_closing_one_that_waits_for_a_runner_leaves_the_queue():
    async with pool_of(LoopBackend(), max_concurrency=1) as pool:
        busy = pool.call(forever)
        numbers = pool.stream(count, 5)
        await until(lambda: busy.state == "running")
        await asyncio.wait_for(numbers.aclose(), harness.DEADLINE)
        busy.cancel()
        assert [item async for item in pool.stream(count, 3)] == [0, 1, 2]
        assert RUNS == [3]


@pooled
async def test_a_lost_runner_is_heard_of_after_the_items_that_came():
    backend = LoopBackend()
    async with pool_of(backend) as pool:
        numbers = pool.options(retries=5).stream(count_and_wait, 10)
        assert await anext(numbers) == 0
        await until(lambda: len(MADE) == 10)
        await pool.call(ok)  # its answer comes after the items, on the same connection
        backend.kill(backend.machines[0])
        assert [await anext(numbers) for _ in range(9)] == list(range(1, 10))
        with pytest.raises(RunnerLost):
            await anext(numbers)
        assert RUNS == [10]


@pooled
async def test_before_an_item_was_handed_out_it_is_run_again_and_items_come_once():
    backend = LoopBackend()
    async with pool_of(backend) as pool:
        numbers = pool.options(retries=1, backoff=0).stream(count_and_wait, 5)
        await until(lambda: len(MADE) == 5)
        await pool.call(ok)  # and so the items are here
        backend.kill(backend.machines[0])
        await until(lambda: len(RUNS) == 2)
        assert [await anext(numbers) for _ in range(5)] == list(range(5))
        await numbers.aclose()


@pooled
async def test_a_reader_that_waits_gets_the_items_of_the_second_run():
    backend = LoopBackend()
    async with pool_of(backend) as pool:
        numbers = pool.options(retries=1, backoff=0).stream(count_and_wait, 0)
        reading = asyncio.ensure_future(anext(numbers))
        await until(lambda: RUNS)
        backend.kill(backend.machines[0])
        await until(lambda: len(RUNS) == 2)
        assert not reading.done()
        reading.cancel()
        await asyncio.wait([reading])


@pooled
async def test_without_retries_a_lost_runner_is_an_error():
    backend = LoopBackend()
    async with pool_of(backend) as pool:
        numbers = pool.stream(count_and_wait, 0)
        await until(lambda: RUNS)
        backend.kill(backend.machines[0])
        with pytest.raises(RunnerLost):
            await anext(numbers)


@pooled
async def test_its_own_failure_comes_after_its_items_and_is_retried_before_the_first():
    async with pool_of(LoopBackend()) as pool:
        again = pool.options(retries=3, retry_on=(ConnectionError,), backoff=0)
        numbers = again.stream(count_and_fail, 2)
        assert [await anext(numbers), await anext(numbers)] == [0, 1]
        GO.append(1)
        with pytest.raises(ConnectionError):
            await anext(numbers)
        assert RUNS == [2]
        RUNS.clear()
        once = again.stream(fails_at_first)
        await until(lambda: len(RUNS) == 2)
        assert [item async for item in once] == ["second"]


@pooled
async def test_its_deadline_is_that_of_the_whole_stream():
    async with pool_of(LoopBackend()) as pool:
        numbers = pool.options(timeout=0.2).stream(count_and_wait, 2)
        assert [await anext(numbers), await anext(numbers)] == [0, 1]
        with pytest.raises(PoolTimeout):
            await anext(numbers)


@pooled
async def test_the_end_of_its_reader_ends_it():
    async with pool_of(LoopBackend()) as pool:

        async def reader() -> None:
            async for _ in pool.stream(count_and_wait, 1):
                pass

        pid = bp.spawn(reader)
        await until(lambda: RUNS)
        bp.exit(pid, "shutdown")
        await until(lambda: CLOSED)


@pooled
async def test_a_stopped_pool_ends_its_streams():
    pool = pool_of(LoopBackend())
    async with pool:
        numbers = pool.stream(count_and_wait, 1)
        assert await anext(numbers) == 0
        await pool.stop(drain=False)
        with pytest.raises(PoolClosed):
            await anext(numbers)
    with pytest.raises(PoolClosed):
        pool.stream(count, 1)


@real_threads
@pooled
async def test_other_threads_read_it_with_for():
    async with pool_of(LoopBackend()) as pool:
        assert await asyncio.to_thread(lambda: list(pool.stream(count, 100))) == list(range(100))

        def first(n: int) -> list[int]:
            numbers = pool.stream(count, 1000)
            got = [next(numbers) for _ in range(n)]
            numbers.close()
            return got

        assert await asyncio.to_thread(first, 3) == [0, 1, 2]
        await until(lambda: 1000 in CLOSED)
