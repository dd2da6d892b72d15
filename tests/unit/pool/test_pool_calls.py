"""What becomes of the calls of a pool: queues, deadlines, ends, losses, retries. Machines are on the same loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import beampy as bp
from beampy.pool.pool import Pool
from beampy.testing.pool_backend import LoopBackend
from tests.unit.pool.ground import SEEN, double, fail, forever, pooled, running, third_time, until


async def note(x: Any) -> None:
    SEEN.append(x)


async def once() -> str:
    SEEN.append(1)
    if len(SEEN) == 1:
        await asyncio.Event().wait()
    return "second"


@pooled
async def test_a_lost_runner_fails_its_calls_by_name_and_nobody_is_killed():
    backend = LoopBackend()
    async with Pool(backend=backend) as pool:
        calls = [pool.call(forever) for _ in range(3)]
        assert await pool.call(double, 1) == 2
        backend.kill(backend.machines[0], oom=True)
        for call in calls:
            with pytest.raises(bp.errors.RunnerLost) as caught:
                await call
            assert caught.value.status == -9
            assert caught.value.oom
        assert await pool.call(double, 2) == 4
        assert backend.booted == 2


@pooled
async def test_a_call_made_before_the_loss_of_its_runner_is_known_runs_elsewhere():
    """Nothing of it was sent, so it is no loss: it runs once, on the next runner, without `retries`."""
    backend = LoopBackend()
    async with Pool(backend=backend) as pool:
        assert await pool.call(double, 1) == 2
        manager = pool._manager
        assert manager is not None
        [first] = manager.runners.values()
        manager.home.peers.disconnect(first.node)  # the manager hears of it in its next step
        call = pool.call(double, 2)
        backend.kill(backend.machines[0])
        stream = pool.stream(count)
        assert await call == 4
        assert [number async for number in stream] == [0, 1, 2]
        assert backend.booted == 2


async def count() -> Any:
    for number in range(3):
        yield number


@pooled
async def test_calls_that_wait_are_served_by_the_next_runner():
    backend = LoopBackend()
    async with Pool(backend=backend, max=1, max_concurrency=1) as pool:
        first = pool.call(forever)
        second = pool.call(double, 3)
        await until(lambda: running(pool))
        backend.kill(backend.machines[0])
        with pytest.raises(bp.errors.RunnerLost):
            await first
        assert await second == 6


@pooled
async def test_one_deadline_covers_the_queue():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        first = pool.call(forever)
        await until(lambda: running(pool))
        with pytest.raises(bp.errors.PoolTimeout, match="it was queued") as caught:
            await pool.options(timeout=0.05).call(double, 1)
        assert isinstance(caught.value, TimeoutError)
        first.cancel()
        assert await pool.call(double, 1) == 2


@pooled
async def test_one_deadline_covers_the_boot():
    async with Pool(backend=LoopBackend(delay=60.0)) as pool:
        with pytest.raises(bp.errors.PoolTimeout, match="it was booting"):
            await pool.options(timeout=0.05).call(double, 1)


@pooled
async def test_one_deadline_covers_the_run_and_frees_the_slot():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        with pytest.raises(bp.errors.PoolTimeout, match=r"it was running \(on "):
            await pool.options(timeout=0.5).call(forever)
        assert await pool.call(double, 1) == 2


@pooled
async def test_cancelling_a_call_that_runs_cancels_its_function():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        call = pool.call(forever)
        await until(lambda: running(pool))
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await pool.call(double, 1) == 2


@pooled
async def test_cancelling_a_call_that_waits_takes_it_out_of_the_queue():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        first = pool.call(forever)
        second = pool.call(double, 2)
        assert pool._manager.plan.waiting == 2
        second.cancel()
        assert pool._manager.plan.waiting == 1
        first.cancel()
        assert await pool.call(double, 1) == 2
        assert pool._manager.calls == {}


@pooled
async def test_the_end_of_a_caller_ends_its_calls():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:

        async def caller() -> None:
            await pool.options(timeout=None).call(forever)

        pid, ref = bp.spawn_monitor(caller)
        await until(lambda: running(pool))
        bp.exit(pid, "kill")
        assert (await bp.receive(bp.Down)).ref == ref
        assert await pool.call(double, 1) == 2


@pooled
async def test_what_was_submitted_outlives_who_submitted_it():
    seen = []

    async with Pool(backend=LoopBackend()) as pool:

        async def caller() -> None:
            handle = pool.submit(double, 4)
            handle.add_done_callback(lambda call: seen.append(call.result()))

        _, ref = bp.spawn_monitor(caller)
        assert (await bp.receive(bp.Down)).ref == ref
        await until(lambda: seen)
    assert seen == [8]


@pooled
async def test_a_full_queue_refuses():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1, max_queue=1) as pool:
        first = pool.call(forever)
        await until(lambda: running(pool))
        second = pool.call(double, 1)
        with pytest.raises(bp.errors.PoolSaturated) as caught:
            await pool.call(double, 2)
        assert (caught.value.waiting, caught.value.limit) == (1, 1)
        first.cancel()
        assert await second == 2


@pooled
async def test_higher_priorities_go_first():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        calls = [pool.options(priority=priority).call(note, priority) for priority in (0, 1, 5, 1)]
        await asyncio.gather(*calls)
    assert SEEN == [5, 1, 1, 0]


@pooled
async def test_a_call_with_retries_is_run_again_where_its_runner_was_lost():
    backend = LoopBackend()
    async with Pool(backend=backend, max_concurrency=1) as pool:
        call = pool.options(retries=1, backoff=0.01).call(once)
        await until(lambda: SEEN)
        backend.kill(backend.machines[0])
        assert await call == "second"
        assert pool.metrics()["retries"] == 1


@pooled
async def test_the_last_attempt_that_is_lost_is_the_callers_and_says_how_many_there_were():
    backend = LoopBackend()
    async with Pool(backend=backend, max_concurrency=1) as pool:
        call = pool.options(retries=1, backoff=0.01).call(forever)
        for attempt in (1, 2):
            await until(lambda attempt=attempt: backend.booted == attempt and running(pool))
            backend.kill(backend.machines[0])
        with pytest.raises(bp.errors.RunnerLost) as caught:
            await call
        assert caught.value.attempts == 2


@pooled
async def test_retry_on_an_exception():
    async with Pool(backend=LoopBackend()) as pool:
        retrying = pool.options(retries=5, retry_on=(ConnectionError,), backoff=0.001)
        assert await retrying.call(third_time) == "there"
        with pytest.raises(ValueError, match="other"):
            await retrying.call(fail, "other")
        SEEN.clear()
        with pytest.raises(ConnectionError):
            await retrying.options(retries=1).call(third_time)
