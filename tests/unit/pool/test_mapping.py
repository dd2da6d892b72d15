"""Maps: order, room, failures. Their ends, and readers on other threads, are in the files beside this one."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
from typing import Any

import pytest

from beampy.errors import BadFunction, PoolClosed, PoolSaturated
from beampy.pool import mapping_engine
from beampy.testing import harness
from tests.unit.otp.tidy import process
from tests.unit.pool.ground import until
from tests.unit.pool.many_ground import BOTH, FakePool, at_once, mapped, odd_fails, square, turns, unhurried

__all__ = ["unhurried"]  # a fixture of all tests here


# --- values


@process
async def test_awaited_it_is_the_list_of_all_results_in_order():
    delays = random.Random(1)
    pool = FakePool(delay=lambda: delays.random() / 100)
    assert await mapped(pool, square, range(50)) == [n * n for n in range(50)]
    assert sorted(pool.started) == [(n,) for n in range(50)]


@process
async def test_awaited_unordered_it_is_in_order_as_well():
    delays = random.Random(1)
    pool = FakePool(delay=lambda: delays.random() / 100)
    assert await mapped(pool, square, range(50), ordered=False) == [n * n for n in range(50)]


@process
async def test_a_list_may_be_awaited_again_and_by_many():
    pool = FakePool(delay=at_once)
    squares = mapped(pool, square, range(9))
    expected = [n * n for n in range(9)]

    async def wait() -> Any:
        return await squares

    assert await asyncio.gather(wait(), wait(), wait()) == [expected] * 3
    assert await squares == expected
    assert squares.result() == expected
    assert squares.exception() is None
    assert squares.done()
    assert not squares.cancelled()
    assert not squares.cancel()


@process
async def test_read_in_order_results_have_the_order_of_the_items():
    pool = FakePool(width=3)
    squares = mapped(pool, square, range(3))
    for n in (2, 1, 0):
        pool.finish(n)
    assert [value async for value in squares] == [0, 1, 4]


@process
async def test_read_unordered_results_come_as_they_are_ready():
    pool = FakePool(width=3)
    squares = mapped(pool, square, range(3), ordered=False)
    for n in (2, 0, 1):
        pool.finish(n)
    assert [value async for value in squares] == [4, 0, 1]


@process
async def test_several_iterables_are_zipped_and_the_shortest_ends_it():
    pool = FakePool(delay=at_once)

    async def letters() -> Any:
        for letter in "abcdef":
            yield letter

    def join(*parts: Any) -> str:
        return "".join(map(str, parts))

    assert await mapped(pool, join, "xyz", range(10)) == ["x0", "y1", "z2"]
    assert await mapped(pool, join, letters(), range(3), "pqrst") == ["a0p", "b1q", "c2r"]


@BOTH
@process
async def test_no_items_no_calls(ordered):
    pool = FakePool()
    assert await mapped(pool, square, [], ordered=ordered) == []
    assert [value async for value in mapped(pool, square, iter(()), ordered=ordered)] == []
    assert pool.started == []


@process
async def test_asyncio_takes_it_for_an_awaitable():
    pool = FakePool(delay=at_once)
    maps = [mapped(pool, square, range(n)) for n in (1, 2, 3)]
    lists = [await each for each in asyncio.as_completed(maps)]
    assert sorted(lists, key=len) == [[0], [0, 1], [0, 1, 4]]
    assert await asyncio.wait_for(mapped(pool, square, [3]), harness.DEADLINE) == [9]


# --- room


@BOTH
@process
async def test_an_endless_input_is_taken_as_far_as_there_is_room(ordered):
    pool = FakePool(width=4, delay=at_once)
    taken: list[int] = []

    def count() -> Any:
        for n in itertools.count():
            taken.append(n)
            yield n

    numbers = mapped(pool, square, count(), ordered=ordered, max_in_flight=6)
    await until(lambda: not pool.running)
    assert len(taken) == 6  # nobody has read yet
    assert {await anext(numbers) for _ in range(10)} == {n * n for n in range(10)}
    await until(lambda: not pool.running)
    assert len(taken) == len(pool.started) == 16
    await numbers.aclose()


@process
async def test_items_are_taken_a_few_at_a_stretch(monkeypatch):
    monkeypatch.setattr(mapping_engine, "CHUNK", 0.0)
    pool = FakePool(width=3)
    numbers = mapped(pool, square, itertools.count())
    assert len(pool.started) <= 1
    await turns(10)
    assert len(pool.started) == 6  # without a reader
    await numbers.aclose()
    numbers = mapped(pool, square, itertools.count())
    reading = asyncio.ensure_future(numbers)
    await turns(10)
    assert len(pool.started) == 12
    assert numbers.cancel()
    await asyncio.wait([reading])


@process
async def test_by_default_as_many_wait_as_can_run():
    pool = FakePool(width=5)
    numbers = mapped(pool, square, itertools.count())
    await turns()
    assert len(pool.started) == 10
    await numbers.aclose()


@process
async def test_a_pool_that_grows_gets_more():
    pool = FakePool(width=1, delay=at_once)
    numbers = mapped(pool, square, itertools.count())
    await anext(numbers)
    pool.width = 10
    await anext(numbers)
    await turns()
    assert len(pool.started) == 2 + 20
    await numbers.aclose()


@process
async def test_awaited_results_do_not_count_as_under_way():
    pool = FakePool(width=2, delay=at_once)
    assert await mapped(pool, square, range(100), max_in_flight=3) == [n * n for n in range(100)]
    assert pool.most == 3


@process
async def test_a_slow_item_does_not_keep_others_from_running_while_there_is_room():
    pool = FakePool(width=3)
    numbers = mapped(pool, square, range(9), max_in_flight=5)
    reading = asyncio.ensure_future(anext(numbers))
    await turns()
    for n in (1, 2, 3, 4):
        pool.finish(n)
        await turns()
    assert pool.started == [(n,) for n in range(5)]  # item 0 is the one that is read next
    pool.finish(0)
    assert await reading == 0
    await numbers.aclose()


@process
async def test_a_queue_that_is_full_is_waited_for():
    pool = FakePool(width=2, delay=at_once, max_queue=1)
    assert await mapped(pool, square, range(40), max_in_flight=20) == [n * n for n in range(40)]
    assert pool.most == 3


@process
async def test_what_waits_for_the_queue_is_not_started_after_a_failure():
    pool = FakePool(width=2, max_queue=0)
    numbers = mapped(pool, odd_fails, range(1, 9), max_in_flight=6)
    pool.finish(1)
    with pytest.raises(ValueError, match="1"):
        await anext(numbers)
    assert pool.started == [(1,), (2,)]


@process
async def test_a_queue_that_is_full_of_others_calls_is_an_error():
    pool = FakePool(width=1, max_queue=0)
    other = mapped(pool, square, [1])
    with pytest.raises(PoolSaturated):
        await mapped(pool, square, [2])
    pool.finish(1)
    assert await other == [1]


@process
async def test_an_async_input_does_not_keep_results_waiting():
    pool = FakePool(delay=at_once)
    go = asyncio.Event()

    async def slow() -> Any:
        yield 1
        yield 2
        await go.wait()
        yield 3

    numbers = mapped(pool, square, slow(), ordered=False)
    assert {await anext(numbers), await anext(numbers)} == {1, 4}
    go.set()
    assert [value async for value in numbers] == [9]


@BOTH
@process
async def test_an_async_input_is_taken_as_far_as_there_is_room(ordered):
    pool = FakePool(width=2, delay=at_once)
    made = []

    async def numbers() -> Any:
        for n in itertools.count():
            made.append(n)
            yield n

    squares = mapped(pool, square, numbers(), ordered=ordered, max_in_flight=3)
    await until(lambda: len(pool.started) == 3 and not pool.running)
    await turns(20)
    assert len(made) == 3
    assert [await anext(squares) for _ in range(20)] == [n * n for n in range(20)]
    await squares.aclose()
    assert len(pool.started) <= 23


# --- failures


@process
async def test_in_order_a_failure_is_raised_in_its_place_and_cancels_what_comes_after():
    pool = FakePool(width=10)
    numbers = mapped(pool, odd_fails, range(10), max_in_flight=4)
    reading = asyncio.ensure_future(anext(numbers))
    await turns()
    pool.finish(1)
    await turns()
    assert pool.cancelled == [(2,), (3,)]
    pool.finish(0)
    assert await reading == 0
    with pytest.raises(ValueError, match="1"):
        await anext(numbers)
    assert [value async for value in numbers] == []
    assert len(pool.started) == 4


@process
async def test_unordered_a_failure_is_raised_when_it_comes_and_cancels_the_rest():
    pool = FakePool(width=4)
    numbers = mapped(pool, odd_fails, range(4), ordered=False)
    pool.finish(2)
    pool.finish(3)
    assert await anext(numbers) == 2
    with pytest.raises(ValueError, match="3"):
        await anext(numbers)
    assert pool.cancelled == [(0,), (1,)]


@BOTH
@process
async def test_awaited_the_first_failure_is_raised_at_once(ordered):
    pool = FakePool(width=4)
    numbers = mapped(pool, odd_fails, itertools.count(), ordered=ordered)
    waiting = asyncio.ensure_future(numbers)
    await turns()
    pool.finish(3)
    with pytest.raises(ValueError, match="3"):
        await waiting
    assert not pool.running
    assert not pool.waiting
    assert isinstance(numbers.exception(), ValueError)
    with pytest.raises(ValueError, match="3"):
        await numbers


@BOTH
@process
async def test_failures_may_be_results(ordered):
    pool = FakePool(delay=at_once)
    results = [value async for value in mapped(pool, odd_fails, range(5), ordered=ordered, return_exceptions=True)]
    assert [type(value) for value in results] == [int, ValueError, int, ValueError, int]
    results = await mapped(pool, odd_fails, range(5), ordered=ordered, return_exceptions=True)
    assert [type(value) for value in results] == [int, ValueError, int, ValueError, int]


def breaks(n: int) -> Any:
    yield from range(n)
    raise LookupError("the input")


async def breaks_async(n: int) -> Any:
    for item in range(n):
        yield item
    raise LookupError("the input")


@pytest.mark.parametrize("source", [breaks, breaks_async], ids=["plain", "async"])
@pytest.mark.parametrize("return_exceptions", [False, True])
@process
async def test_in_order_an_error_of_the_input_comes_after_all_results(source, return_exceptions):
    pool = FakePool(delay=lambda: 0.001)
    numbers = mapped(pool, square, source(3), return_exceptions=return_exceptions)
    assert [await anext(numbers) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(LookupError):
        await anext(numbers)


@pytest.mark.parametrize("source", [breaks, breaks_async], ids=["plain", "async"])
@process
async def test_unordered_an_error_of_the_input_cancels_what_is_in_flight(source):
    pool = FakePool()
    numbers = mapped(pool, square, source(3), ordered=False)
    with pytest.raises(LookupError):
        await anext(numbers)
    assert pool.cancelled == [(0,), (1,), (2,)]


@pytest.mark.parametrize("source", [breaks, breaks_async], ids=["plain", "async"])
@process
async def test_awaited_an_error_of_the_input_is_raised(source):
    pool = FakePool(delay=at_once)
    with pytest.raises(LookupError):
        await mapped(pool, square, source(30))
    assert not pool.running


@process
async def test_a_pool_that_is_closed_says_so_in_its_place():
    pool = FakePool(width=2)
    numbers = mapped(pool, square, itertools.count())
    reading = asyncio.ensure_future(anext(numbers))
    await turns()
    pool.finish(0)
    assert await reading == 0
    pool.close()
    with pytest.raises(PoolClosed):
        await anext(numbers)
    with pytest.raises(PoolClosed):
        mapped(pool, square, [1])


@process
async def test_a_failure_that_nobody_looks_at_is_logged(caplog):
    pool = FakePool()
    numbers = mapped(pool, odd_fails, [1])
    pool.finish(1)
    await turns()
    del numbers
    gc.collect()
    await turns()
    assert "nobody looked at the failure of the map of" in caplog.text


# --- bad input


@process
async def test_bad_input_is_refused_at_the_call():
    pool = FakePool()

    def generator() -> Any:
        yield 1

    with pytest.raises(TypeError, match="something to iterate"):
        mapped(pool, square)
    with pytest.raises(TypeError):
        mapped(pool, square, 3)
    with pytest.raises(BadFunction):
        mapped(pool, generator, [1])
    with pytest.raises(BadFunction):
        mapped(pool, 3, [1])
    for wrong in (0, -1, 1.5, True, "3"):
        with pytest.raises(ValueError, match="max_in_flight"):
            mapped(pool, square, [1], max_in_flight=wrong)
    assert pool.started == []
