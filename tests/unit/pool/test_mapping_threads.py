"""Maps read on other threads and other event loops than the node's."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import itertools
import queue
import random
import threading
import time
from typing import Any

import pytest

from beampy import handle
from beampy.pool import mapping_calls
from beampy.pool.mapping import Mapped
from beampy.testing import harness
from tests.unit.otp.tidy import process
from tests.unit.pool.ground import until
from tests.unit.pool.many_ground import FakePool, at_once, mapped, odd_fails, square, turns

pytestmark = pytest.mark.loops("asyncio", "uvloop")


def on_thread(test: Any) -> Any:
    """The test's body is a plain function, called on a thread of its process with the pool."""

    @process
    async def run() -> None:
        pool = FakePool(width=4, delay=at_once)
        await asyncio.to_thread(test, pool)
        await until(lambda: not pool.running and not pool.waiting)
        await turns()
        assert pool.threads <= {threading.get_ident()}

    run.__name__ = test.__name__
    return run


@on_thread
def test_result_is_the_list(pool):
    squares = mapped(pool, square, range(1000))
    assert squares.result(harness.DEADLINE) == [n * n for n in range(1000)]
    assert squares.result() == squares.result()
    assert squares.exception() is None


@on_thread
def test_for_reads_results_in_order(pool):
    assert list(mapped(pool, square, range(1000))) == [n * n for n in range(1000)]


@on_thread
def test_for_reads_results_as_they_come(pool):
    rng = random.Random(3)
    pool.delay = lambda: rng.random() / 1000
    assert sorted(mapped(pool, square, range(100), ordered=False)) == [n * n for n in range(100)]


@on_thread
def test_the_input_is_taken_on_the_readers_thread_and_no_further_than_there_is_room(pool):
    threads = set()
    taken = []

    def items() -> Any:
        for n in itertools.count():
            threads.add(threading.get_ident())
            taken.append(n)
            yield n

    with mapped(pool, square, items(), max_in_flight=5) as numbers:
        assert [next(numbers) for _ in range(50)] == [n * n for n in range(50)]
        assert len(taken) <= 55
    assert threads == {threading.get_ident()}
    assert list(numbers) == []


@on_thread
def test_the_input_is_not_asked_before_the_reader_asks(pool):
    items: queue.Queue[int | None] = queue.Queue()
    items.put(1)

    def slow() -> Any:
        while (item := items.get(timeout=harness.DEADLINE)) is not None:
            yield item

    numbers = mapped(pool, square, slow(), max_in_flight=1)
    for n in range(1, 20):
        assert next(numbers) == n * n
        items.put(n + 1)
    items.put(None)
    assert next(numbers) == 400
    assert list(numbers) == []


@on_thread
def test_results_do_not_wait_for_a_slow_input(pool):
    made = []

    def slow() -> Any:
        for n in range(4):
            time.sleep(0.02)
            made.append(n)
            yield n

    numbers = mapped(pool, square, slow())
    while not numbers._run.calls.ended:
        time.sleep(0.001)
    assert next(numbers) == 0
    assert made == [0]
    assert list(numbers) == [1, 4, 9]


@on_thread
def test_the_loop_has_its_turn_while_many_are_started(pool):
    pool.delay = None
    numbers: list[int] = []
    go, entered = threading.Event(), threading.Event()
    loop = pool.node.loop

    def look() -> None:
        numbers.append(len(pool.started))
        if len(pool.started) < 50:
            loop.call_soon(look)

    loop.call_soon_threadsafe(lambda: (entered.set(), go.wait(harness.DEADLINE)))
    assert entered.wait(harness.DEADLINE)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(mapping_calls, "CHUNK", 0.0)
        squares = mapped(pool, square, range(50), max_in_flight=50)
        loop.call_soon_threadsafe(look)
        go.set()
        with pytest.raises(TimeoutError):
            squares.result(0.05)
        while not numbers or numbers[-1] < 50:
            time.sleep(0.001)
    assert len(numbers) > 20
    assert squares.cancel()


@on_thread
def test_an_async_input_is_read_on_the_nodes_loop(pool):
    threads = set()

    async def items() -> Any:
        for n in range(100):
            threads.add(threading.get_ident())
            yield n

    assert mapped(pool, square, items()).result(harness.DEADLINE) == [n * n for n in range(100)]
    assert sorted(mapped(pool, square, items(), ordered=False)) == [n * n for n in range(100)]
    assert threads == pool.threads


@on_thread
def test_a_failure_is_raised(pool):
    numbers = mapped(pool, odd_fails, itertools.count())
    assert next(numbers) == 0
    with pytest.raises(ValueError, match="1"):
        next(numbers)
    assert list(numbers) == []
    numbers = mapped(pool, odd_fails, itertools.count())
    assert isinstance(numbers.exception(harness.DEADLINE), ValueError)
    with pytest.raises(ValueError, match=r"\d"):
        numbers.result()


@on_thread
def test_a_timeout_of_the_items_own_is_not_that_of_who_waits(pool):
    def late(_: int) -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        mapped(pool, late, [1]).result(harness.DEADLINE)


@on_thread
def test_result_waits_as_long_as_it_is_told_and_the_map_goes_on(pool):
    pool.delay = None
    numbers = mapped(pool, square, range(4))
    with pytest.raises(TimeoutError, match="goes on"):
        numbers.result(timeout=0.01)
    with pytest.raises(TimeoutError, match="goes on"):
        numbers.exception(timeout=0)
    assert not numbers.done()

    def finish() -> None:
        for n in range(4):
            pool.finish(n)

    pool.node.loop.call_soon_threadsafe(finish)
    assert numbers.result(timeout=harness.DEADLINE) == [0, 1, 4, 9]


@on_thread
def test_cancelling_it_is_heard_by_who_waits(pool):
    pool.delay = None
    numbers = mapped(pool, square, itertools.count())
    threading.Timer(0.02, numbers.cancel).start()
    with pytest.raises(concurrent.futures.CancelledError):
        numbers.result(harness.DEADLINE)
    assert numbers.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        numbers.exception()


@on_thread
def test_many_threads_may_wait_for_the_whole(pool):
    numbers = mapped(pool, square, range(500))
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        waits = [threads.submit(numbers.result, harness.DEADLINE) for _ in range(3)]
        assert [wait.result() for wait in waits] == [[n * n for n in range(500)]] * 3


@on_thread
def test_a_keyboard_interrupt_cancels_it(pool):
    pool.delay = None

    def interrupted(after: int) -> Any:
        yield from range(after)
        raise KeyboardInterrupt

    for read in (next, Mapped.result):
        numbers = mapped(pool, square, interrupted(5), max_in_flight=5)
        pool.delay = at_once
        for n in list(pool.running):
            pool.node.loop.call_soon_threadsafe(n.finish)
        with pytest.raises(KeyboardInterrupt):
            for _ in range(9):
                read(numbers)
        with pytest.raises(concurrent.futures.CancelledError):
            numbers.result()
        assert numbers.cancelled()


@on_thread
def test_who_waits_longer_takes_over_from_who_leaves(pool):
    pool.delay = None
    numbers = mapped(pool, square, range(4))
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        first = threads.submit(numbers.result, 0.05)
        while not (numbers._run.reading or first.done()):
            time.sleep(0.001)
        second = threads.submit(numbers.result, harness.DEADLINE)
        with pytest.raises(TimeoutError, match="goes on"):
            first.result()

        def finish() -> None:
            for n in range(4):
                pool.finish(n)

        pool.node.loop.call_soon_threadsafe(finish)
        assert second.result() == [0, 1, 4, 9]


@on_thread
def test_dropping_it_cancels_all_in_flight(pool):
    pool.delay = None
    numbers = mapped(pool, square, itertools.count())
    with pytest.raises(TimeoutError):
        numbers.result(0.01)
    while not pool.running:
        time.sleep(0.001)
    del numbers


@on_thread
def test_another_loop_may_await_it_and_read_it(pool):
    async def items() -> Any:
        for n in range(200):
            threads.add(threading.get_ident())
            yield n
            await asyncio.sleep(0)

    async def main() -> None:
        expected = [n * n for n in range(200)]
        assert await mapped(pool, square, range(200)) == expected
        assert [value async for value in mapped(pool, square, range(200))] == expected
        assert [value async for value in mapped(pool, square, items())] == expected
        async with mapped(pool, square, items(), max_in_flight=3) as numbers:
            async for value in numbers:
                if value == 400:
                    break
        endless = mapped(pool, square, itertools.count())
        waiting = asyncio.ensure_future(endless)
        await until(lambda: endless._run.reading)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        with pytest.raises(RuntimeError, match="would block"):
            mapped(pool, square, items()).result()

    threads: set[int] = set()
    asyncio.run(main())
    assert threads == {threading.get_ident()}


@on_thread
def test_before_a_reader_goes_on_it_is_told(pool):
    """Also at the end, and with a failure: a notebook shows first what came before it."""
    told: list[int] = []

    def count(read: Any) -> int:
        told.clear()
        read()
        return len(told)

    def fails(read: Any) -> None:
        with pytest.raises(ValueError, match="1"):
            read()

    squares, failing = iter(mapped(pool, square, range(1))), iter(mapped(pool, odd_fails, [1]))
    handle.arrived = lambda: told.append(threading.get_ident())
    try:
        assert count(lambda: next(squares)) == 1
        assert count(lambda: next(squares, None)) == 1
        assert count(lambda: fails(lambda: next(failing))) == 1
        assert count(lambda: fails(mapped(pool, odd_fails, [1]).result)) == 1
        assert count(mapped(pool, odd_fails, [1]).exception) == 1
    finally:
        handle.arrived = None


def test_it_ends_with_the_node():
    """A thread that waits hears of it."""

    async def main() -> Any:
        async def body() -> Any:
            pool = FakePool()
            here = contextvars.copy_context()
            wait = loop.run_in_executor(None, here.run, lambda: mapped(pool, square, itertools.count()).result())
            await until(lambda: pool.running)
            return wait

        loop = asyncio.get_running_loop()
        wait = await harness.run(body)
        with pytest.raises((concurrent.futures.CancelledError, asyncio.CancelledError)):
            await wait

    asyncio.run(main())
