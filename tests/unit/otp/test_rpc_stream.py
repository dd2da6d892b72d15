"""Streams of remote calls: order, backpressure, ends of every kind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.errors import CallKilled, CallTimeout, NodeDown, ServerExited
from beampy.otp.rpc import remote_call
from beampy.otp.rpc_stream import WINDOW
from beampy.testing import harness
from tests.unit.otp.rpc_ground import FOREVER, calling, here, server
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


# --- items


@calling
@KINDS
@pytest.mark.parametrize("n", [0, 1, WINDOW, MANY])
async def test_items_come_in_order_and_whole(fn, n):
    assert [item async for item in remote_call(here(), fn, n)] == list(range(n))


@calling
@KINDS
@pytest.mark.parametrize("window", [1, 2, 3])
async def test_any_window_will_do(fn, window):
    stream = remote_call.options(window=window)(here(), fn, 20)
    assert [item async for item in stream] == list(range(20))


@calling
async def test_after_the_end_there_is_nothing():
    stream = remote_call(here(), count, 1)
    assert await anext(stream) == 0
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@calling
async def test_None_is_an_item():
    async def nones() -> Any:
        yield None
        yield None

    assert [item async for item in remote_call(here(), nones)] == [None, None]


@calling
async def test_generators_by_name_and_other_things_that_can_be_iterated_over():
    assert [item async for item in remote_call.stream(here(), f"{__name__}.count", 3)] == [0, 1, 2]
    assert [item async for item in remote_call.stream(here(), f"{__name__}.count_plain", 3)] == [0, 1, 2]

    async def listed() -> list[int]:
        return [1, 2]

    assert [item async for item in remote_call.stream(here(), listed)] == [1, 2]
    assert [item async for item in remote_call.stream(here(), range, 3)] == [0, 1, 2]
    assert [item async for item in remote_call.stream(here(), lambda: count(2))] == [0, 1]


@calling
async def test_a_generator_that_is_called_by_name_says_how_to_read_it():
    with pytest.raises(TypeError, match="read it with"):
        await remote_call(here(), f"{__name__}.count", 3)
    with pytest.raises(TypeError, match="not iterable"):
        async for _ in remote_call.stream(here(), "os.getpid"):
            pass


@calling
async def test_streams_side_by_side():
    async def total(fn: Any) -> int:
        return sum([item async for item in remote_call(here(), fn, MANY)])

    assert await asyncio.gather(*(total(fn) for fn in (count, count_plain, count))) == [sum(range(MANY))] * 3


@calling
async def test_one_reader_at_a_time():
    async def never() -> Any:
        await asyncio.sleep(FOREVER)
        yield

    stream = remote_call(here(), never)
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one reader"):
        await anext(stream)
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await first


# --- backpressure


@calling
@TELLING
@pytest.mark.parametrize("window", [1, 4, WINDOW])
async def test_a_slow_reader_stops_the_producer(fn, window):
    stream = remote_call.options(window=window)(here(), fn, bp.self())
    seen = 0
    for taken in range(1, 6):
        assert await anext(stream) == taken - 1
        await asyncio.sleep(0.02)
        seen += len(made())
        assert seen <= taken + window
        assert seen > taken - 1
    await stream.aclose()
    harness.flush()


# --- ends


@calling
@TELLING
async def test_aclose_closes_the_generator_and_waits_for_that(fn):
    stream = remote_call(here(), fn, bp.self())
    assert await anext(stream) == 0
    await stream.aclose()
    assert harness.flush()[-1] == "closed"
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    await stream.aclose()


@calling
async def test_async_with_closes_it():
    async with remote_call(here(), count_and_tell, bp.self()) as stream:
        assert await anext(stream) == 0
    assert harness.flush()[-1] == "closed"


@calling
async def test_a_stream_that_was_never_read_is_closed_too():
    stream = remote_call(here(), count_and_tell, bp.self())
    await harness.expect(("made", 0))
    await stream.aclose()
    assert harness.flush()[-1] == "closed"


@calling
@TELLING
async def test_break_closes_the_generator(fn):
    async for item in remote_call(here(), fn, bp.self()):
        assert item == 0
        break
    unlooked_at()
    await harness.expect("closed")
    harness.flush()


@calling
@TELLING
@pytest.mark.parametrize("reason", ["kill", "oops"])
async def test_the_end_of_the_reader_closes_the_generator(fn, reason):
    me = bp.self()

    async def reader() -> None:
        async for _ in remote_call(here(), fn, me):
            await asyncio.sleep(FOREVER)

    pid = bp.spawn(reader)
    await harness.expect(("made", WINDOW - 1))
    bp.exit(pid, reason)
    await harness.expect("closed")
    harness.flush()


@calling
async def test_the_cancellation_of_the_reader_closes_the_generator():
    async def silent(to: bp.Pid) -> Any:
        try:
            await asyncio.sleep(FOREVER)
            yield
        finally:
            bp.send(to, "closed")

    stream = remote_call(here(), silent, bp.self())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await anext(stream)
    await harness.expect("closed")


@calling
@pytest.mark.parametrize("plain", [False, True])
async def test_a_failure_comes_after_the_items_before_it(plain):
    async def failing(n: int) -> Any:
        for i in range(n):
            yield i
        raise ValueError("boom")

    def failing_plain(n: int) -> Any:
        yield from range(n)
        raise ValueError("boom")

    got = []
    with pytest.raises(ValueError, match="boom"):
        async for item in remote_call(here(), failing_plain if plain else failing, MANY):
            got.append(item)  # noqa: PERF401  -- it raises in the middle
    assert got == list(range(MANY))


@calling
async def test_exit_and_exit_signals_in_a_generator():
    async def leaving() -> Any:
        yield 1
        bp.exit("oops")

    async def signalled(word: str) -> Any:
        yield 1
        bp.exit(bp.self(), word)
        await asyncio.sleep(FOREVER)

    for fn, arguments, error, reason in (
        (leaving, (), ServerExited, "oops"),
        (signalled, ("oops",), CallKilled, "oops"),
        (signalled, ("kill",), CallKilled, "killed"),
    ):
        got = []
        with pytest.raises(error) as ended:
            async for item in remote_call(here(), fn, *arguments):  # type: ignore[attr-defined]
                got.append(item)  # noqa: PERF401  -- it raises in the middle
        assert (got, ended.value.reason) == ([1], reason)


@calling
async def test_a_deadline_is_that_of_the_whole_stream():
    stream = remote_call.options(timeout=0.05)(here(), count_and_tell, bp.self(), 1)
    assert await anext(stream) == 0
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    harness.flush()

    async def slow() -> Any:
        yield 1
        await asyncio.sleep(FOREVER)

    got = []
    with pytest.raises(CallTimeout):
        async for item in remote_call.options(timeout=0.02)(here(), slow):
            got.append(item)  # noqa: PERF401  -- it raises in the middle
    assert got == [1]


@calling
async def test_a_stream_of_an_unreachable_node():
    with pytest.raises(NodeDown):
        async for _ in remote_call("nobody@nowhere", count, 1):
            pass


@calling
async def test_a_failure_of_a_stream_that_is_dropped_is_not_logged(caplog):
    async def failing() -> Any:
        raise ValueError
        yield

    stream = remote_call(here(), failing)
    await asyncio.sleep(0.01)
    await stream.aclose()
    del stream
    unlooked_at()
    assert caplog.records == []


@calling
async def test_items_that_cannot_be_read_end_the_stream():
    from beampy.core.unread import Unread
    from beampy.errors import DecodeError

    stream = remote_call(here(), count, MANY)
    assert await anext(stream) == 0
    stream._feed.ready.clear()
    stream._feed.arrived.clear()
    stream._feed.take_message(stream._feed.items, Unread(lambda _: (7, 8), bp.self(), 1))
    assert await anext(stream) == 7

    def unreadable(_: bool) -> Any:
        raise ImportError("no module named x")

    stream._feed.ready.clear()
    stream._feed.arrived.appendleft(Unread(unreadable, bp.self(), 1))
    with pytest.raises(DecodeError, match="no module named x"):
        await anext(stream)


# --- what the server makes of it


@calling
async def test_room_for_a_stream_that_has_ended_is_nothing():
    from beampy.otp.rpc_server import RPC, More

    bp.send(RPC, More(bp.Ref("x@y", 1, 1), 5))
    assert [item async for item in remote_call(here(), count, 2)] == [0, 1]
    assert not server().producers


async def test_a_stream_outlives_neither_its_node_nor_fails_after_it():
    async with bp.Node():
        stream = remote_call(api.self_process().node.name, count, MANY)
        assert await anext(stream) == 0
    del stream
    unlooked_at()
