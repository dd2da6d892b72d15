"""Objects that were lost with their runners and are made again, by the call that made them."""

from __future__ import annotations

import asyncio
import copy
import gc
import weakref
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.errors import OwnerLost
from beampy.pool.rebuilding import TIMES, rebuilt_by
from beampy.refs.service import refs_of
from beampy.testing.pool_backend import LoopBackend
from tests.unit.pool.ground import SEEN, pooled, until


async def load(value: Any) -> list[Any]:
    """Counts how often it ran; machines share the test's memory."""
    SEEN.append(value)
    return [value]


async def more(rows: list[Any], value: Any) -> list[Any]:
    SEEN.append(value)
    return [*rows, value]


async def slow(value: Any) -> list[Any]:
    SEEN.append(value)
    await asyncio.sleep(0.05)
    return [value]


async def once() -> list[Any]:
    SEEN.append("once")
    if len(SEEN) > 1:
        raise ValueError("the source is gone")
    return []


async def total(rows: list[Any], *more: Any) -> Any:
    return sum(rows)


async def items(rows: list[Any]) -> Any:
    for row in rows:
        yield row


async def use(ref: Any) -> Any:
    return await ref[0].get()


async def lose(pool: bp.Pool, backend: LoopBackend, ref: Any) -> None:
    """Its runner is killed, and that is known."""
    node = ref.node
    backend.kill(next(machine for machine in backend.machines if machine.name == node))
    refs = refs_of(api.self_process().node)
    await until(lambda: refs.trouble(ref.id) is not None)
    await until(lambda: node not in [runner["node"] for runner in pool.runners()])


@pooled
async def test_a_lost_object_is_made_again_for_who_uses_it() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=2) as pool:
        ref = await pool.options(rebuild=True).keep(load, 7)
        before, other = hash(ref), copy.copy(ref)
        await lose(pool, backend, ref)
        assert SEEN == [7]
        assert await ref.get() == [7]
        assert SEEN == [7, 7]
        assert await ref.do.copy() == [7]
        assert await ref.apply(total) == 7
        assert await other.get() == [7]  # a copy of the handle shares it
        assert SEEN == [7, 7]
        assert ref == other
        assert hash(ref) == before


@pooled
async def test_a_lost_argument_is_made_again_before_the_call_runs() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=2) as pool:
        ref = await pool.options(keep=True, rebuild=True).call(load, 7)
        await lose(pool, backend, ref)
        assert await pool.call(total, ref) == 7
        assert await pool.map(total, [ref] * 3) == [7, 7, 7]
        assert [row async for row in pool.stream(items, ref)] == [7]
        assert await pool.scatter(sums, [ref, ref], 1) == [[7, 7]]
        assert SEEN == [7, 7]


async def sums(some: list[list[Any]]) -> list[Any]:
    return [sum(rows) for rows in some]


@pooled
async def test_a_loss_that_is_seen_first_by_the_job_is_made_good_as_well() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=2, max_concurrency=1) as pool:
        ref = await pool.options(rebuild=True).keep(load, 7)
        first = pool.submit(asyncio.sleep, 60)  # the runner of the object is full: the next call runs elsewhere
        await until(lambda: pool.runners()[0]["calls"] == 1)
        assert await pool.call(total, ref) == 7
        refs_of(api.self_process().node).ledger.trouble = lambda id: None  # type: ignore[method-assign]
        first.cancel()
        backend.kill(next(machine for machine in backend.machines if machine.name == ref.node))
        await until(lambda: len(pool.runners()) == 1)
        assert await pool.call(total, ref) == 7
        assert SEEN == [7, 7]


@pooled
async def test_several_who_find_it_lost_share_one_run() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=2) as pool:
        ref = await pool.options(rebuild=True).keep(slow, 7)
        await lose(pool, backend, ref)
        got = await asyncio.gather(ref.get(), ref.do.copy(), pool.call(total, ref), pool.call(total, ref, ref))
        assert got == [[7], [7], 7, 7]
        assert SEEN == [7, 7]


@pooled
async def test_one_of_them_who_gives_up_does_not_end_it_for_the_others() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=2) as pool:
        ref = await pool.options(rebuild=True).keep(slow, 7)
        await lose(pool, backend, ref)
        calls = [pool.call(total, ref) for _ in range(3)]
        await until(lambda: len(SEEN) == 2)
        assert calls[0].cancel()
        assert await calls[1] == await calls[2] == 7
        assert SEEN == [7, 7]


@pooled
async def test_an_object_that_was_made_of_a_lost_one_is_made_again_with_it() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=1) as pool:
        again = pool.options(rebuild=True)
        rows = await again.keep(load, 1)
        longer = await again.keep(more, rows, 2)
        rows.drop()  # the call of the other one keeps a handle of its own
        await lose(pool, backend, longer)
        assert await longer.get() == [1, 2]
        assert SEEN == [1, 2, 1, 2]


@pooled
async def test_it_is_made_again_so_often_and_then_the_loss_is_the_users() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=1) as pool:
        ref = await pool.options(rebuild=True).keep(load, 7)
        now = ref
        for _ in range(TIMES):
            await lose(pool, backend, now)
            assert await ref.get() == [7]
            while (by := rebuilt_by(now)) is not None and by.made is not None:
                now = by.made
        await lose(pool, backend, now)
        for attempt in (ref.get, lambda: pool.call(total, ref)):
            with pytest.raises(OwnerLost) as caught:
                await attempt()
            assert f"It was made again {TIMES} times, and lost each time" in caught.value.__notes__
        assert len(SEEN) == 1 + TIMES


@pooled
async def test_retries_say_how_often() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=1) as pool:
        ref = await pool.options(rebuild=True, retries=1).keep(load, 7)
        await lose(pool, backend, ref)
        assert await ref.get() == [7]
        made = rebuilt_by(ref)
        assert made is not None
        await lose(pool, backend, made.made)
        with pytest.raises(OwnerLost, match="list"):
            await ref.get()


@pooled
async def test_a_call_that_fails_the_second_time_is_the_error_of_each_use() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=1) as pool:
        ref = await pool.options(rebuild=True).keep(once)
        await lose(pool, backend, ref)
        got = await asyncio.gather(ref.get(), pool.call(total, ref), return_exceptions=True)
        assert [str(error) for error in got] == ["the source is gone"] * 2
        assert len(SEEN) == 2


@pooled
async def test_a_pool_that_was_stopped_makes_nothing_again() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=1) as pool:
        ref = await pool.options(rebuild=True).keep(load, 7)
    with pytest.raises(OwnerLost) as caught:
        await ref.get()
    assert any("It was not made again: pool" in note for note in caught.value.__notes__)


@pooled
async def test_without_rebuild_and_on_other_nodes_the_loss_is_told() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=2, max_concurrency=1) as pool:
        plain = await pool.keep(load, 7)
        ref = await pool.options(rebuild=True).keep(load, 7)
        assert plain.node == ref.node
        await lose(pool, backend, ref)
        for attempt in (plain.get, lambda: pool.call(total, plain), lambda: pool.call(use, [ref])):
            with pytest.raises(OwnerLost):
                await attempt()
        assert SEEN == [7, 7]


@pooled
async def test_what_remembers_a_call_goes_with_its_last_handle() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=1) as pool:
        ref = await pool.options(rebuild=True).keep(load, 7)
        await lose(pool, backend, ref)
        assert await ref.get() == [7]
        hold = weakref.ref(ref.hold)
        gc.collect()
        gc.disable()
        try:
            del ref
            assert hold() is None  # by counting references: it is part of no cycle
            await until(lambda: not refs_of(api.self_process().node).rows())
        finally:
            gc.enable()
