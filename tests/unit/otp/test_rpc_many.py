"""Casts, calls of many nodes at once, and remote calls from other threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any

import pytest

import beampy as bp
from beampy.errors import (
    BadFunction,
    CallTimeout,
    NodeDown,
)
from beampy.otp.rpc import Failure, Ok, multicall, remote_call, remote_cast
from beampy.testing import harness
from tests.unit.otp.rpc_ground import FOREVER, calling, here


async def double(n: int) -> int:
    return 2 * n


def triple(n: int) -> int:
    return 3 * n


async def whole(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


async def fail(text: str = "boom") -> None:
    raise ValueError(text)


async def forever() -> None:
    await asyncio.sleep(FOREVER)


async def tell_ends(to: bp.Pid) -> None:
    """Says when it runs, and how it ends."""
    bp.send(to, ("runs", bp.self()))
    try:
        await asyncio.sleep(FOREVER)
    except asyncio.CancelledError:
        bp.send(to, "cancelled")
        raise


# --- casts


@calling
async def test_a_cast_runs_and_nobody_waits():
    async def tell(to: bp.Pid, *, word: str) -> None:
        bp.send(to, word)

    def tell_plain(to: bp.Pid, word: str) -> None:
        bp.send(to, word)

    remote_cast(here(), tell, bp.self(), word="hello")
    await harness.expect("hello")
    remote_cast(here(), tell_plain, bp.self(), "plain")
    await harness.expect("plain")


@calling
async def test_a_cast_never_fails_and_its_failure_is_reported_there(caplog):
    remote_cast("nobody@nowhere", double, 1)
    remote_cast(here(), "no_such_module.fn")
    remote_cast(here(), fail, "from a cast")
    async with asyncio.timeout(harness.DEADLINE):
        while "from a cast" not in caplog.text or "no_such_module" not in caplog.text:
            await asyncio.sleep(0.001)


@calling
async def test_a_cast_outlives_who_cast_it():
    me = bp.self()

    async def later() -> None:
        await asyncio.sleep(0.02)
        bp.send(me, "done")

    async def caller() -> None:
        remote_cast(here(), later)

    await harness.ended(bp.spawn(caller))
    await harness.expect("done")


# --- many nodes


@calling
async def test_multicall_gives_a_result_for_each_node_in_order():
    results = await multicall([here(), "nobody@nowhere", here()], double, 2)
    assert [result.node for result in results] == [here(), "nobody@nowhere", here()]
    assert results[0] == Ok(here(), 4)
    assert isinstance(results[1], Failure)
    assert isinstance(results[1].error, NodeDown)
    with pytest.raises(NodeDown):
        results.values()
    assert (await multicall([here(), here()], triple, 2)).values() == [6, 6]
    assert (await multicall([], double, 2)).values() == []


@calling
async def test_multicall_has_one_deadline_for_all():
    async def first_only(box: list[int]) -> str:
        box.append(1)
        if len(box) > 1:
            await asyncio.sleep(FOREVER)
        return "first"

    results = await multicall.options(timeout=0.05)([here(), here(), here()], first_only, [])
    assert results[0] == Ok(here(), "first")
    assert [type(result.error) for result in results[1:]] == [CallTimeout, CallTimeout]  # type: ignore[union-attr]


@calling
@pytest.mark.parametrize("how", ["handle", "code"])
async def test_cancelling_a_multicall_cancels_all(how):
    handle = multicall([here(), here()], tell_ends, bp.self())
    for _ in range(2):
        await harness.expect(("runs", bp.Pid))
    if how == "handle":
        assert handle.cancel()
    else:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await handle
    for _ in range(2):
        await harness.expect("cancelled")


@calling
async def test_multicall_takes_no_generators():
    def numbers():
        yield 1

    with pytest.raises(BadFunction, match="generator"):
        multicall([here()], numbers)


# --- other threads


async def on_thread(fn: Any) -> Any:
    """`fn()` on a thread of its own, in this process's context."""
    return await asyncio.to_thread(fn)


@pytest.mark.loops("asyncio", "uvloop")
@calling
async def test_calls_from_another_thread():
    node = here()

    def work() -> Any:
        calls = [remote_call(node, double, n) for n in range(5)]
        values = [call.result(timeout=harness.DEADLINE) for call in calls]
        with pytest.raises(ValueError, match="boom"):
            remote_call(node, fail).result(timeout=harness.DEADLINE)
        many = multicall([node, node], triple, 2).result(timeout=harness.DEADLINE)
        remote_cast(node, double, 2)
        return values, many.values()

    assert await on_thread(work) == ([0, 2, 4, 6, 8], [6, 6])


@pytest.mark.loops("asyncio", "uvloop")
@calling
async def test_a_call_from_another_thread_can_be_cancelled():
    node, me = here(), bp.self()

    def work() -> None:
        call = remote_call(node, tell_ends, me)
        with pytest.raises(concurrent.futures.TimeoutError):
            call.result(timeout=0.02)
        call.cancel()

    await on_thread(work)
    await harness.expect(("runs", bp.Pid))
    await harness.expect("cancelled")


async def test_without_a_node():
    with pytest.raises(bp.errors.NotInNode):
        remote_call("x@y", double, 1)


async def test_a_strict_node_copies_what_a_call_carries():
    async def body() -> None:
        given: list[int] = []
        args, _ = await remote_call(here(), whole, given)
        assert args == (given,)
        assert args[0] is not given
        with pytest.raises(bp.errors.EncodeError):
            remote_call(here(), whole, threading.Lock())
        with pytest.raises(bp.errors.EncodeError):
            await remote_call(here(), give_lock)

    await harness.run(body, strict=True)


async def give_lock() -> Any:
    return threading.Lock()


async def test_the_end_of_the_node_ends_its_calls():
    async with bp.Node() as node:
        call = remote_call(here(), forever)
        await asyncio.sleep(0.01)
        core = node._core
    assert call.cancelled()  # its caller, the body, is over
    assert not core.processes
