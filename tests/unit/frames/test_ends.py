"""Remote frames: when they are free, stopped, cancelled, lost. Each test is a process of node a; b and c are there."""

from __future__ import annotations

import asyncio
import copy
import threading
from typing import Any

import pytest

import beampy as bp
from beampy.errors import RefDropped
from tests.unit.frames.frames_ground import DATA, later, owned, there, threaded
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import at, between


@between
async def test_the_memory_is_free_when_the_last_handle_is_gone(nodes: Cluster):
    df = await there()
    other = await df.head(2)
    again = copy.copy(other)
    assert owned(nodes, "b") == 2
    other.release()
    with pytest.raises(RefDropped):
        await other.height
    assert await again.height == 2
    del again
    await until(lambda: owned(nodes, "b"), 1)
    with df:
        pass
    await until(lambda: owned(nodes, "b"), 0)


@between
async def test_a_chain_keeps_nothing_of_what_was_between(nodes: Cluster):
    last = await there().head(3).tail(2).head(1)
    await until(lambda: owned(nodes, "b"), 1)
    assert await last.height == 1


@threaded
@between
async def test_work_that_nobody_wants_any_more_is_stopped():
    stopped = threading.Event()
    began = threading.Event()

    def slow() -> Any:
        began.set()
        try:
            while True:
                pass
        finally:
            stopped.set()

    df = bp.frames.on(at("a")).frame(slow)
    await asyncio.to_thread(began.wait, 10)
    del df
    await asyncio.to_thread(stopped.wait, 10)
    assert stopped.is_set()


@threaded
@between
async def test_who_waits_and_leaves_does_not_stop_the_others():
    gate = threading.Event()

    df = later(gate)
    height = df.head(1)
    waits = asyncio.ensure_future(asyncio.wait_for(df, 60))
    await asyncio.sleep(0)
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    gate.set()
    assert await height.height == 1


@threaded
@between
async def test_cancelled_frames_are_cancelled_for_all():
    gate = threading.Event()

    df = later(gate)
    after = df.head(1)
    assert df.cancel() is True
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await after
    with pytest.raises(asyncio.CancelledError):
        await df
    assert df.cancel() is False


@between
async def test_a_lost_node_is_an_error_that_names_it(nodes: Cluster):
    df = await there("c")
    more = df.select("a")
    await more
    await nodes.down("c")
    with pytest.raises(bp.errors.OwnerLost) as caught:
        await df.height
    assert at("c") in str(caught.value)
    with pytest.raises(bp.errors.OwnerLost):
        await df.join(there("b"), on="b")


@threaded
@between
async def test_a_frame_is_made_also_when_the_process_that_has_begun_it_has_ended():
    gate, begun = threading.Event(), []

    async def begin() -> None:
        begun.append(later(gate))
        begun.append(begun[0].head(2))

    process = bp.spawn(begin)
    await until(lambda: bp.is_alive(process), False)
    gate.set()
    assert await begun[0].height == 3
    assert await begun[1].height == 2


@threaded
@between
async def test_a_frame_that_is_cancelled_before_it_has_begun_ends_too():
    place = bp.frames.on(at("b"))

    def cancelled() -> str:
        df = place.DataFrame(DATA)
        df.cancel()
        try:
            return type(df.wait(10)).__name__
        except asyncio.CancelledError:
            return "cancelled"

    assert {await asyncio.to_thread(cancelled) for _ in range(5)} <= {"cancelled", "RemoteDataFrame"}
