"""Streams and threads: generators that run in one, and readers on others."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import beampy as bp
from beampy import handle
from beampy.otp.rpc import remote_call
from beampy.testing import harness
from tests.unit.otp.rpc_ground import calling, here
from tests.unit.otp.tidy import unlooked_at

MANY = 200
real_threads = pytest.mark.loops("asyncio", "uvloop")


async def count(n: int) -> Any:
    for i in range(n):
        yield i


def count_plain(n: int) -> Any:
    yield from range(n)


async def count_and_tell(to: bp.Pid, n: int = MANY) -> Any:
    """Says which items it makes, and when it is closed."""
    try:
        for i in range(n):
            bp.send(to, ("made", i))
            yield i
    finally:
        bp.send(to, "closed")


def count_and_tell_plain(to: bp.Pid, n: int = MANY) -> Any:
    try:
        for i in range(n):
            bp.send(to, ("made", i))
            yield i
    finally:
        bp.send(to, "closed")


KINDS = pytest.mark.parametrize("fn", [count, count_plain], ids=["async", "plain"])
TELLING = pytest.mark.parametrize("fn", [count_and_tell, count_and_tell_plain], ids=["async", "plain"])


def made() -> list[int]:
    """Which items were made, as far as has been told."""
    return [message[1] for message in harness.flush() if message[0] == "made"]


def one_and_fails() -> Any:
    yield 1
    raise ValueError("after one")


# --- who reads goes on


@real_threads
@calling
async def test_before_a_reader_on_a_thread_goes_on_it_is_told(monkeypatch):
    """Also at the end, and with a failure: a notebook shows first what came before it."""
    told: list[Any] = []
    monkeypatch.setattr(handle, "arrived", lambda: told.append(threading.get_ident()))

    def read() -> tuple[int, int]:
        stream = iter(remote_call(here(), count, 2))
        assert [next(stream), next(stream)] == [0, 1]
        told.clear()
        assert next(stream, None) is None
        at_end = len(told)
        failing = iter(remote_call(here(), one_and_fails))
        next(failing)
        told.clear()
        with pytest.raises(ValueError, match="after one"):
            next(failing)
        return at_end, len(told)

    assert await asyncio.to_thread(read) == (1, 1)

    async def read_here() -> tuple[int, int]:
        stream = remote_call(here(), count, 0)
        told.clear()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        at_end = len(told)
        failing = remote_call(here(), one_and_fails)
        await anext(failing)
        told.clear()
        with pytest.raises(ValueError, match="after one"):
            await anext(failing)
        return at_end, len(told)

    assert await asyncio.to_thread(lambda: asyncio.run(read_here())) == (1, 1)


# --- plain generators and their thread


@real_threads
@calling
async def test_a_plain_generator_has_one_thread_for_all_its_items():
    def threads(n: int) -> Any:
        try:
            for _ in range(n):
                yield threading.current_thread().name
        finally:
            closed.append(threading.current_thread().name)

    closed: list[str] = []
    names = {name async for name in remote_call.options(window=1)(here(), threads, 10)}
    assert len(names) == 1
    assert names == set(closed)
    assert threading.current_thread().name not in names


@real_threads
@calling
async def test_an_item_of_a_slow_generator_is_not_kept():
    go = threading.Event()

    def slow() -> Any:
        yield 1
        assert go.wait(harness.DEADLINE)
        yield 2

    def begin() -> Any:
        yield from slow()

    stream = remote_call(here(), begin)
    # The first chunk may hold one item only where making it took longer than a chunk; so the second one waits.
    asking = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.02)
    go.set()
    assert await asking == 1
    assert await anext(stream) == 2
    await stream.aclose()


@real_threads
@calling
async def test_closing_stops_a_generator_in_the_middle_of_an_item():
    entered, ended = threading.Event(), threading.Event()

    def busy() -> Any:
        try:
            yield 1
            entered.set()
            while True:
                pass
        finally:
            ended.set()

    stream = remote_call.options(window=1)(here(), busy)
    assert await anext(stream) == 1
    assert await asyncio.to_thread(entered.wait, harness.DEADLINE)
    await stream.aclose()
    assert await asyncio.to_thread(ended.wait, harness.DEADLINE)


# --- other threads


@real_threads
@calling
@KINDS
async def test_another_thread_reads_with_for(fn):
    node = here()

    def work() -> Any:
        with pytest.raises(RuntimeError, match="block"):
            asyncio.run_coroutine_threadsafe(begin_and_next(node), loop).result()
        return list(remote_call(node, fn, MANY)), list(remote_call(node, fn, 0))

    loop = asyncio.get_running_loop()
    assert await asyncio.to_thread(work) == (list(range(MANY)), [])
    unlooked_at()


async def begin_and_next(node: str) -> Any:
    stream = remote_call(node, count, 1)
    try:
        return next(stream)
    finally:
        await stream.aclose()


@real_threads
@calling
async def test_another_thread_gets_the_failure_after_the_items():
    async def failing() -> Any:
        yield 1
        raise ValueError("boom")

    node = here()

    def work() -> Any:
        got = []
        with pytest.raises(ValueError, match="boom"):
            for item in remote_call(node, failing):
                got.append(item)  # noqa: PERF402  -- it raises in the middle
        return got

    assert await asyncio.to_thread(work) == [1]


@real_threads
@calling
@TELLING
async def test_another_thread_that_breaks_or_closes_ends_the_generator(fn):
    node, me = here(), bp.self()

    def work() -> None:
        for item in remote_call(node, fn, me):
            assert item == 0
            break
        stream = remote_call(node, fn, me)
        assert next(stream) == 0
        stream.close()
        with pytest.raises(StopIteration):
            next(stream)

    await asyncio.to_thread(work)
    unlooked_at()
    await harness.expect("closed")
    await harness.expect("closed")
    harness.flush()


@real_threads
@calling
async def test_another_loop_reads_with_async_for():
    node = here()

    async def read() -> Any:
        async with remote_call(node, count, MANY) as stream:
            return [item async for item in stream]

    assert await asyncio.to_thread(lambda: asyncio.run(read())) == list(range(MANY))
