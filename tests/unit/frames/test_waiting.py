"""Remote frames: every call waits for those among its arguments that are still being made.

Each test is a process of node a; b and c are there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import polars as pl
import pytest

import beampy as bp
from tests.unit.frames.frames_ground import DATA, later, local, there, threaded
from tests.unit.otp.nodes_ground import until
from tests.unit.refs.using_ground import at, between

CAST: list[int] = []


def height(frame: pl.DataFrame, more: int = 0) -> int:
    return frame.height + more


def noted(frame: pl.DataFrame) -> None:
    CAST.append(frame.width * 10 + frame.height)


def rows(frame: pl.DataFrame, *, named: bool = False) -> Iterator[Any]:
    yield from frame.iter_rows(named=named)


async def rows_async(frame: pl.DataFrame) -> AsyncIterator[Any]:
    for row in frame.iter_rows():
        yield row


@pytest.fixture
def cast() -> Iterator[list[int]]:
    yield CAST
    CAST.clear()


@between
async def test_a_call_waits_for_the_frames_among_its_arguments():
    assert await bp.remote_call(at("b"), height, there("b"), more=1) == 4
    assert await bp.remote_call(at("c"), height, frame=there("b").head(2)) == 2
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await bp.remote_call(at("c"), height, there("b").select("none"))


@threaded
@between
async def test_so_does_a_call_on_a_thread():
    place, target = bp.frames.on(at("b")), at("b")
    assert await asyncio.to_thread(lambda: bp.remote_call(target, height, place.DataFrame(DATA)).result(10)) == 3


@between
async def test_so_does_a_cast(cast: list[int]):
    bp.remote_cast(at("b"), noted, there("b").head(2))
    bp.remote_cast(at("a"), noted, frame=there("b"))
    await until(lambda: sorted(cast), [22, 23])


@threaded
@between
async def test_a_cast_waits_when_its_caller_has_gone(cast: list[int]):
    gate = threading.Event()

    async def casting() -> None:
        bp.remote_cast(at("b"), noted, later(gate))

    caller = bp.spawn(casting)
    await until(lambda: bp.is_alive(caller), False)
    gate.set()
    await until(lambda: cast, [23])


@between
async def test_a_cast_whose_frame_fails_is_reported(cast: list[int], caplog: pytest.LogCaptureFixture):
    bp.remote_cast(at("b"), noted, there("b").select("none"))
    await until(lambda: "ColumnNotFoundError" in caplog.text, True)
    assert "noted" in caplog.text
    assert cast == []


@between
async def test_so_do_calls_of_many_nodes():
    found = await bp.multicall([at("b"), at("c")], height, there("b"), more=1)
    assert found.values() == [4, 4]
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await bp.multicall([at("b"), at("c")], height, there("b").select("none"))


@between
async def test_so_do_methods_and_functions_of_an_object_elsewhere():
    ref = await bp.put(local(), at("c"))
    assert await ref.do.equals(there("b")) is True
    assert (await ref.do.join(other=there("b").head(1), on="b")).height == 2
    assert await ref.apply(lambda mine, other: mine.vstack(other).height, there("b")) == 6
    kept = await ref.keep.vstack(other=there("b"))
    assert await kept.do.height == 6
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await ref.do.equals(there("b").select("none"))


@between
async def test_so_do_streams():
    wanted = local().rows()
    assert [row async for row in bp.remote_call(at("b"), rows, there("c"))] == wanted
    assert [row async for row in bp.remote_call(at("b"), rows_async, there("b"))] == wanted
    named = bp.remote_call.stream(at("c"), rows, frame=there("b").head(1), named=True)
    assert [row async for row in named] == [{"a": 3, "b": "x"}]
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        await anext(aiter(bp.remote_call(at("b"), rows, there("b").select("none"))))


@threaded
@between
async def test_a_stream_on_a_thread_waits():
    frame, target = there("b"), at("b")
    assert await asyncio.to_thread(lambda: list(bp.remote_call(target, rows, frame))) == local().rows()


@threaded
@between
async def test_a_stream_that_is_ended_while_it_waits_is_never_begun():
    gate = threading.Event()
    frame = later(gate)
    stream = bp.remote_call(at("b"), rows, frame)
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="read already"):
        await anext(stream)
    await stream.aclose()
    other = bp.remote_call(at("b"), rows, frame)
    cancelled = asyncio.ensure_future(anext(other))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    dropped = bp.remote_call(at("b"), rows, frame)
    dropped.close()
    gate.set()
    with pytest.raises(StopAsyncIteration):
        await reading
    for ended in (stream, other, dropped):
        assert [row async for row in ended] == []
    assert [row async for row in bp.remote_call(at("b"), rows, frame)] == local().rows()


@threaded
@between
async def test_what_waits_has_the_frame_as_it_was_at_the_call(cast: list[int]):
    gate, ref = threading.Event(), await bp.put(local(), at("b"))
    df = later(gate)
    call = bp.remote_call(at("b"), height, df)
    many = bp.multicall([at("b")], height, frame=df)
    same = ref.do.equals(df)
    bp.remote_cast(at("b"), noted, df)
    stream = bp.remote_call(at("b"), rows, df)
    df.vstack(local(), in_place=True).insert_column(0, pl.Series("c", range(6)))
    df.release()
    gate.set()
    assert (await call, (await many).values(), await same) == (3, [3], True)
    assert [row async for row in stream] == local().rows()
    await until(lambda: cast, [23])
