"""The pool as a concurrent.futures.Executor: its futures, its map, its shutdown, and those who use executors."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import itertools
import threading
from typing import Any

import pytest

from beampy.errors import BadFunction, PoolClosed
from beampy.pool.executor import PoolExecutor, run_chunk_async
from beampy.testing import harness
from tests.unit.otp.tidy import process
from tests.unit.pool.ground import until
from tests.unit.pool.many_ground import OPTIONS, FakePool, at_once, square

pytestmark = pytest.mark.loops("asyncio", "uvloop")

DEADLINE = harness.DEADLINE
LOOSE = OPTIONS.but(link=False)


def fails(n: int) -> int:
    raise ValueError(n)


def on_thread(test: Any) -> Any:
    """The test's body is a plain function, called on a thread with the pool and an executor of it."""

    @process
    async def run(**kwargs: Any) -> None:
        pool = FakePool(width=4, delay=at_once)
        await asyncio.to_thread(test, pool, PoolExecutor(pool, LOOSE), **kwargs)
        await until(lambda: not pool.running and not pool.waiting)
        assert pool.threads <= {threading.get_ident()}

    run.__name__ = test.__name__
    run.__signature__ = inspect.Signature(list(inspect.signature(test).parameters.values())[2:])
    return run


def on_loop(pool: FakePool, fn: Any) -> Any:
    """Run it on the pool's loop, and wait."""

    async def there() -> Any:
        return fn()

    return asyncio.run_coroutine_threadsafe(there(), pool.node.loop).result(DEADLINE)


def hold(pool: FakePool) -> None:
    """Calls end when the test says so."""
    pool.delay = None


# --- futures


@on_thread
def test_a_future_has_the_value_or_the_error(pool, executor):
    assert executor.submit(square, 3).result(DEADLINE) == 9
    future = executor.submit(fails, 3)
    assert isinstance(future.exception(DEADLINE), ValueError)
    with pytest.raises(ValueError, match="3"):
        future.result()
    assert executor.submit(int, "ff", base=16).result(DEADLINE) == 255
    assert isinstance(executor, concurrent.futures.Executor)
    assert isinstance(future, concurrent.futures.Future)


@on_thread
def test_all_of_many_submissions_end_and_no_more_than_twice_what_can_run_are_with_the_pool(pool, executor):
    futures = [executor.submit(square, n) for n in range(500)]
    assert [future.result(DEADLINE) for future in futures] == [n * n for n in range(500)]
    assert pool.most <= 8
    assert pool.started == [(n,) for n in range(500)]


@on_thread
def test_many_threads_may_submit(pool, executor):
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        chunks = list(threads.map(lambda _: [executor.submit(square, n) for n in range(100)], range(4)))
    assert [[future.result(DEADLINE) for future in chunk] for chunk in chunks] == [[n * n for n in range(100)]] * 4


@on_thread
def test_result_waits_no_longer_than_it_is_told(pool, executor):
    hold(pool)
    future = executor.submit(square, 3)
    with pytest.raises(TimeoutError):
        future.result(timeout=0.01)
    with pytest.raises(TimeoutError):
        future.exception(timeout=0)
    on_loop(pool, lambda: pool.finish(3))
    assert future.result(0) == 9


@on_thread
def test_it_runs_from_when_a_runner_has_it(pool, executor):
    hold(pool)
    futures = [executor.submit(square, n) for n in range(10)]
    on_loop(pool, lambda: None)
    assert [future.running() for future in futures] == [True] * 4 + [False] * 6
    on_loop(pool, lambda: pool.finish(0))
    assert futures[0].done()
    assert not futures[0].running()
    assert futures[4].running()
    executor.shutdown(wait=False, cancel_futures=True)
    for future in futures[1:5]:
        future.cancel()


@pytest.mark.parametrize("at", [0, 5, 9], ids=["running", "queued", "not even that"])
@on_thread
def test_cancelling_one_tells_the_pool_and_leaves_the_others(pool, executor, at):
    hold(pool)
    futures = [executor.submit(square, n) for n in range(10)]
    on_loop(pool, lambda: None)
    assert futures[at].cancel()
    assert futures[at].cancel()
    assert futures[at].cancelled()
    assert futures[at].done()
    assert not futures[at].running()
    with pytest.raises(concurrent.futures.CancelledError):
        futures[at].result()
    on_loop(pool, lambda: None)
    assert pool.cancelled == ([] if at == 9 else [(at,)])
    for n in range(10):
        if n != at:
            on_loop(pool, lambda n=n: pool.finish(n))
    rest = [future.result(DEADLINE) for future in futures if future is not futures[at]]
    assert rest == [n * n for n in range(10) if n != at]
    assert not futures[0].cancel() or at == 0


@on_thread
def test_callbacks_run_on_the_pools_thread_once(pool, executor):
    said = []
    done = threading.Event()

    def callback(future: Any) -> None:
        said.append((future.result(), threading.get_ident()))
        done.set()

    hold(pool)
    executor.submit(square, 3).add_done_callback(callback)
    on_loop(pool, lambda: pool.finish(3))
    assert done.wait(DEADLINE)
    assert said == [(9, pool.node.thread)]
    cancelled = executor.submit(square, 4)
    cancelled.add_done_callback(lambda future: said.append(future.cancelled()))
    cancelled.cancel()
    assert said[1:] == [True]


@on_thread
def test_concurrent_futures_can_wait_for_them(pool, executor):
    futures = [executor.submit(square, n) for n in range(20)]
    done, rest = concurrent.futures.wait(futures, DEADLINE)
    assert len(done) == 20
    assert not rest
    assert sorted(f.result() for f in concurrent.futures.as_completed(futures, DEADLINE)) == [n * n for n in range(20)]
    futures = [executor.submit(fails, 1), executor.submit(square, 1)]
    done, _ = concurrent.futures.wait(futures, DEADLINE, concurrent.futures.FIRST_EXCEPTION)
    assert futures[0] in done
    concurrent.futures.wait(futures, DEADLINE)  # the other one may not have begun yet, and would be held for ever
    hold(pool)
    futures = [executor.submit(square, n) for n in range(3)]
    cancelling = threading.Timer(0.01, lambda: [future.cancel() for future in futures])
    cancelling.start()
    done, _ = concurrent.futures.wait(futures, DEADLINE)
    cancelling.join(DEADLINE)  # a thread that is still there counts as left behind
    assert len(done) == 3


@on_thread
def test_the_context_of_who_submits_goes_along(pool, executor):
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")
    seen = []
    start = pool._start

    def looking(*args: Any) -> Any:
        seen.append(name.get(None))
        return start(*args)

    pool._start = looking
    for value in ("a", "b"):
        name.set(value)
        executor.submit(square, 1)
    assert executor.submit(square, 1).result(DEADLINE) == 1
    assert seen == ["a", "b", "b"]


@on_thread
def test_a_queue_that_is_full_is_waited_for(pool, executor):
    pool.max_queue = 0
    futures = [executor.submit(square, n) for n in range(30)]
    assert [future.result(DEADLINE) for future in futures] == [n * n for n in range(30)]
    assert pool.most <= 4


@on_thread
def test_the_end_of_the_pool_is_that_of_all_futures(pool, executor):
    hold(pool)
    futures = [executor.submit(square, n) for n in range(20)]
    on_loop(pool, pool.close)
    for future in futures:
        assert isinstance(future.exception(DEADLINE), PoolClosed)
    assert isinstance(executor.submit(square, 1).exception(DEADLINE), PoolClosed)
    with pytest.raises(PoolClosed):
        PoolExecutor(pool, LOOSE)


@on_thread
def test_calls_that_end_with_their_pools_process_are_cancelled_futures(pool, executor):
    hold(pool)
    future = executor.submit(square, 1)
    on_loop(pool, lambda: [call.cancel() for call in list(pool.running)])
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(DEADLINE)


@on_thread
def test_what_cannot_be_called_is_refused(pool, executor):
    def generator() -> Any:
        yield 1

    for wrong in (generator, 3, None):
        with pytest.raises(BadFunction):
            executor.submit(wrong)
    assert pool.started == []


@process
async def test_on_the_nodes_own_loop_nothing_blocks():
    pool = FakePool()
    executor = PoolExecutor(pool, LOOSE)
    future = executor.submit(square, 3)
    for blocks in (future.result, future.exception, executor.shutdown):
        with pytest.raises(RuntimeError, match="would block"):
            blocks()
    await asyncio.sleep(0)
    pool.finish(3)
    assert await asyncio.wrap_future(future) == 9
    executor.shutdown()


def test_a_future_ends_with_its_loop():
    """A node that went away leaves nobody waiting."""

    async def main() -> Any:
        async def body() -> Any:
            pool = FakePool()
            future = PoolExecutor(pool, LOOSE).submit(square, 3)
            await asyncio.sleep(0)
            return future

        return await harness.run(body)

    future = asyncio.run(main())
    with pytest.raises(Exception, match="node"):
        future.result(DEADLINE)


# --- map


@pytest.mark.parametrize("chunksize", [1, 2, 7, 1000])
@on_thread
def test_map_gives_results_in_order(pool, executor, chunksize):
    assert list(executor.map(square, range(30), chunksize=chunksize)) == [n * n for n in range(30)]
    assert list(executor.map(pow, range(5), itertools.repeat(2), chunksize=chunksize)) == [0, 1, 4, 9, 16]
    assert len(pool.started) == -(-30 // chunksize) + -(-5 // chunksize)
    assert list(executor.map(square, [], chunksize=chunksize)) == []


@pytest.mark.parametrize("chunksize", [1, 2])
@on_thread
def test_map_raises_a_failure_in_its_place_and_cancels_the_rest(pool, executor, chunksize):
    hold(pool)
    results = executor.map(fails, range(100), chunksize=chunksize)
    on_loop(pool, lambda: next(iter(pool.running)).finish())
    with pytest.raises(ValueError, match="0"):
        next(results)
    on_loop(pool, lambda: None)
    assert not pool.running


@on_thread
def test_map_has_a_time_for_all(pool, executor):
    hold(pool)
    with pytest.raises(TimeoutError):
        next(executor.map(square, range(3), timeout=0.01))
    with pytest.raises(ValueError, match="chunksize"):
        executor.map(square, range(3), chunksize=0)


@process
async def test_chunks_of_an_async_function_are_awaited_one_by_one():
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    assert await run_chunk_async(double, [(1,), (2,)]) == [2, 4]
    pool = FakePool(delay=None)
    executor = PoolExecutor(pool, LOOSE)
    executor.map(double, range(4), chunksize=2)
    await asyncio.sleep(0)
    assert [call.fn for call in pool.running] == [run_chunk_async] * 2
    executor.shutdown(wait=False)
    for call in list(pool.running):
        call.cancel()


# --- shutdown


@on_thread
def test_shutdown_waits_and_takes_no_more_and_leaves_the_pool(pool, executor):
    pool.delay = lambda: 0.01
    with executor:
        futures = [executor.submit(square, n) for n in range(10)]
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(square, 1)
    executor.shutdown()
    assert PoolExecutor(pool, LOOSE).submit(square, 2).result(DEADLINE) == 4


@on_thread
def test_shutdown_may_cancel_what_does_not_run(pool, executor):
    hold(pool)
    futures = [executor.submit(square, n) for n in range(10)]
    on_loop(pool, lambda: None)
    executor.shutdown(wait=False, cancel_futures=True)
    assert [future.cancelled() for future in futures] == [False] * 4 + [True] * 6
    for n in range(4):
        on_loop(pool, lambda n=n: pool.finish(n))
    assert [future.result(DEADLINE) for future in futures[:4]] == [0, 1, 4, 9]
    executor.shutdown()


# --- who uses executors


@process
async def test_asyncio_runs_things_in_it():
    pool = FakePool(delay=at_once)
    executor = PoolExecutor(pool, LOOSE)
    loop = asyncio.get_running_loop()
    assert await asyncio.gather(*(loop.run_in_executor(executor, square, n) for n in range(20))) == [
        n * n for n in range(20)
    ]
    pool.delay = None
    waiting = asyncio.ensure_future(loop.run_in_executor(executor, square, 3))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await until(lambda: pool.cancelled)
    assert pool.cancelled == [(3,)]


@on_thread
def test_dask_runs_its_graphs_in_it(pool, executor):
    dask = pytest.importorskip("dask")
    total = dask.delayed(sum)([dask.delayed(square)(n) for n in range(10)])
    with dask.config.set(scheduler=executor):
        assert total.compute() == sum(n * n for n in range(10))
    assert executor._max_workers == 4
    assert pool.started


@on_thread
def test_many_submissions_wake_the_loop_once(pool, executor):
    wakes = []
    loop = pool.node.loop
    go = threading.Event()
    entered = threading.Event()
    loop.call_soon_threadsafe(lambda: (entered.set(), go.wait(DEADLINE)))
    assert entered.wait(DEADLINE)
    line = executor._line

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(loop, name)

        def call_soon_threadsafe(self, *args: Any) -> Any:
            wakes.append(args)
            return loop.call_soon_threadsafe(*args)

    line.loop = Counting()
    futures = [executor.submit(square, n) for n in range(100)]
    assert len(wakes) == 1
    line.loop = loop
    go.set()
    assert [future.result(DEADLINE) for future in futures] == [n * n for n in range(100)]
