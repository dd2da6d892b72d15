"""Maps: order, room, failures, and their ends. What readers on other threads see is in test_mapping_threads.py."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
from typing import Any

import pytest

import beampy as bp
from beampy.errors import BadFunction, PoolClosed, PoolSaturated
from beampy.pool import mapping_engine
from beampy.pool.mapping import Mapped
from beampy.testing import harness
from tests.unit.otp.tidy import process
from tests.unit.pool.many_ground import OPTIONS, FakePool


@pytest.fixture(autouse=True)
def unhurried(monkeypatch):
    """All that there is room for is taken at a stretch, on a busy machine too."""
    monkeypatch.setattr(mapping_engine, "CHUNK", 10.0)


def mapped(
    pool: FakePool,
    fn: Any,
    *iterables: Any,
    ordered: bool = True,
    max_in_flight: int | None = None,
    return_exceptions: bool = False,
) -> Mapped[Any]:
    return Mapped(pool, fn, iterables, ordered, max_in_flight, return_exceptions, OPTIONS)


def square(n: int) -> int:
    return n * n


def odd_fails(n: int) -> int:
    if n % 2:
        raise ValueError(n)
    return n


async def turns(n: int = 5) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


async def until(condition: Any) -> None:
    async with asyncio.timeout(harness.DEADLINE):
        while not condition():
            await asyncio.sleep(0.001)


def at_once() -> float:
    return 0.0


BOTH = pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])


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


# --- ends


@process
async def test_leaving_the_loop_cancels_all_in_flight():
    pool = FakePool(width=3, delay=at_once)

    async for value in mapped(pool, square, itertools.count()):
        if value == 4:
            break
    gc.collect()
    await turns()
    assert not pool.running
    assert not pool.waiting
    made = len(pool.started)
    await turns()
    assert len(pool.started) == made


@BOTH
@pytest.mark.parametrize("collects", [False, True])
@process
async def test_dropping_it_cancels_all_in_flight(ordered, collects):
    pool = FakePool(width=3)
    numbers = mapped(pool, square, itertools.count(), ordered=ordered)
    assert len(pool.started) == 6
    if collects:
        waiting = asyncio.ensure_future(numbers)
        await turns()
        waiting.cancel()
        await asyncio.wait([waiting])
        del waiting
    del numbers
    gc.collect()
    await turns()
    assert len(pool.cancelled) == 6


@process
async def test_closing_cancels_all_and_nothing_more_comes():
    pool = FakePool(width=3)
    async with mapped(pool, square, itertools.count()) as numbers:
        pool.finish(0)
        assert await anext(numbers) == 0
    assert not pool.running
    assert not pool.waiting
    with pytest.raises(StopAsyncIteration):
        await anext(numbers)
    with pytest.raises(RuntimeError, match="read one by one"):
        await numbers
    assert numbers.done()


@process
async def test_closing_ends_an_async_input():
    pool = FakePool(width=3)
    closed = []

    async def source() -> Any:
        try:
            yield 1
            await asyncio.sleep(harness.DEADLINE * 100)
        finally:
            closed.append(True)

    numbers = mapped(pool, square, source())
    await until(lambda: pool.started)
    await numbers.aclose()
    assert closed == [True]
    assert pool.cancelled == [(1,)]


@pytest.mark.parametrize("collects", [False, True])
@process
async def test_a_reader_that_is_cancelled_cancels_it(collects):
    pool = FakePool(width=3)
    numbers = mapped(pool, square, itertools.count())
    reading = asyncio.ensure_future(numbers if collects else anext(numbers))
    await turns()
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert len(pool.cancelled) == 6
    assert numbers.cancelled()


@pytest.mark.parametrize("collects", [False, True])
@process
async def test_cancelling_it_is_heard_by_its_reader(collects):
    pool = FakePool(width=3)
    numbers = mapped(pool, square, itertools.count())
    reading = asyncio.ensure_future(numbers if collects else anext(numbers))
    await turns()
    assert numbers.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert len(pool.cancelled) == 6
    assert not numbers.cancel()
    with pytest.raises(asyncio.CancelledError):
        await numbers


@process
async def test_one_of_many_who_wait_cancels_it_for_all():
    pool = FakePool(width=3)
    numbers = mapped(pool, square, range(3))

    async def wait() -> Any:
        return await numbers

    first, second = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
    await turns()
    second.cancel()
    await asyncio.wait([first, second])
    assert first.cancelled()
    assert second.cancelled()
    assert len(pool.cancelled) == 3


@process
async def test_the_end_of_its_process_ends_it():
    pool = FakePool(width=3)

    async def reader() -> None:
        await mapped(pool, square, itertools.count())

    pid = bp.spawn(reader)
    await until(lambda: len(pool.started) == 6)
    bp.exit(pid, "kill")
    await harness.ended(pid)
    await turns()
    assert not pool.running
    assert not pool.waiting


@process
async def test_one_reader_at_a_time():
    pool = FakePool(width=3)
    numbers = mapped(pool, square, range(3))
    reading = asyncio.ensure_future(anext(numbers))
    await turns()
    with pytest.raises(RuntimeError, match="one reader"):
        await anext(numbers)
    with pytest.raises(RuntimeError, match="one by one"):
        await numbers
    pool.finish(0)
    assert await reading == 0
    with pytest.raises(RuntimeError, match="one by one"):
        await numbers
    await numbers.aclose()


@process
async def test_on_the_nodes_own_loop_nothing_blocks():
    pool = FakePool(width=3)
    numbers = mapped(pool, square, range(3))
    for blocks in (numbers.result, numbers.exception, lambda: next(numbers)):
        with pytest.raises(RuntimeError, match="would block"):
            blocks()
    for n in range(3):
        pool.finish(n)
    await turns()
    assert numbers.result() == [0, 1, 4]


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


# --- any interleaving


async def source_of(rng: random.Random, items: list[int]) -> Any:
    for item in items:
        if rng.random() < 0.3:
            await asyncio.sleep(rng.random() / 50)
        yield item


@pytest.mark.loops("sim")
@pytest.mark.parametrize("seeds", range(8))
@process
async def test_any_interleaving_gives_each_item_once(seeds, monkeypatch):
    for seed in range(seeds * 50, seeds * 50 + 50):
        rng = random.Random(seed)
        monkeypatch.setattr(mapping_engine, "CHUNK", rng.choice([0.0, 10.0]))
        pool = FakePool(
            width=rng.randint(1, 6),
            delay=lambda rng=rng: rng.choice([0, 0, 0.001, rng.random() / 20]),
            max_queue=rng.choice([0, 1, 3, 1000]),
        )
        items = list(range(rng.randint(0, 40)))
        bad = set(rng.sample(items, min(len(items), rng.choice([0, 0, 1, 3]))))
        ordered, tolerant = rng.random() < 0.5, rng.random() < 0.5
        limit = rng.choice([None, 1, 2, 7, 100])

        def work(n: int, bad: set[int] = bad) -> int:
            if n in bad:
                raise ValueError(n)
            return n

        source: Any = source_of(rng, items) if rng.random() < 0.4 else iter(items)
        numbers = mapped(pool, work, source, ordered=ordered, max_in_flight=limit, return_exceptions=tolerant)
        got: list[int] = []
        failure: int | None = None
        said = f"seed {seed}"
        how = rng.choice(["await", "read", "read", "break"])
        leave_at = rng.randint(0, 40)
        try:
            if how == "await":
                got = [value.args[0] if isinstance(value, ValueError) else value for value in await numbers]
            else:
                async for value in numbers:
                    got.append(value.args[0] if isinstance(value, ValueError) else value)
                    if rng.random() < 0.2:
                        await asyncio.sleep(rng.random() / 20)
                    if how == "break" and len(got) >= leave_at:
                        break
                    if limit is not None:
                        assert pool.most <= limit, said
        except ValueError as error:
            failure = error.args[0]
        calls = [args[0] for args in pool.started]
        assert len(set(calls)) == len(calls), said  # at most once
        assert calls == items[: len(calls)], said  # as they come
        assert len(set(got)) == len(got), said
        if ordered or how == "await":
            assert got == items[: len(got)], said
        if failure is not None:
            assert failure in bad, said
            assert not tolerant, said
            assert failure not in got, said
            if ordered and how != "await":
                assert got == items[:failure], said
        elif how != "break":
            assert sorted(got) == items, said
            assert tolerant or not bad, said
        del numbers, source
        await turns()
        assert not pool.running, said
        assert not pool.waiting, said
