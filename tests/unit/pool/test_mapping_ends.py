"""The ends of maps: left, closed, dropped, cancelled, with their process. And any interleaving of all of it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
from typing import Any

import pytest

import beampy as bp
from beampy.pool import mapping_engine
from beampy.testing import harness
from tests.unit.otp.tidy import process
from tests.unit.pool.ground import until
from tests.unit.pool.many_ground import BOTH, FakePool, at_once, mapped, square, turns, unhurried

__all__ = ["unhurried"]  # a fixture of all tests here


# --- ends


@process
async def test_one_that_was_awaited_as_a_whole_is_read_from_its_list():
    numbers = mapped(FakePool(width=3, delay=at_once), square, range(4))
    assert await numbers == [0, 1, 4, 9]
    assert [value async for value in numbers] == [0, 1, 4, 9]
    assert [value async for value in numbers] == [0, 1, 4, 9]
    assert [*numbers] == [0, 1, 4, 9]


@process
async def test_one_that_is_being_awaited_is_read_when_it_is_there():
    pool = FakePool(width=3)
    numbers = mapped(pool, square, range(4))
    whole = asyncio.ensure_future(numbers)
    await turns()
    read = asyncio.ensure_future(_read(numbers))
    await turns()
    for number in range(4):
        pool.finish(number)
    assert await whole == await read == [0, 1, 4, 9]


async def _read(numbers: Any) -> list[int]:
    return [value async for value in numbers]


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
