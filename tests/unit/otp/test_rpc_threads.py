"""The threads that functions share: in order, as many as are needed, and gone with their node."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import threading
import time
import weakref
from functools import partial
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.current import current
from beampy.otp import rpc_threads
from beampy.otp.rpc import remote_call, remote_cast
from beampy.otp.rpc_threads import CROWD, ENOUGH, LIMIT, PATIENCE, SyncThreads, more_threads, threads_of
from beampy.testing import harness
from tests.unit.otp.rpc_ground import calling, here

real_threads = pytest.mark.loops("asyncio", "uvloop")


def mine() -> SyncThreads:
    """The threads of this node."""
    threads = threads_of(api.self_process().node)
    assert threads is not None
    return threads


async def until(true: Any) -> None:
    async with asyncio.timeout(harness.DEADLINE):
        while not true():
            await asyncio.sleep(0.001)


# --- how many: the decision


def test_threads_that_get_on_are_left_as_they_are():
    assert more_threads(100, 1, ENOUGH, PATIENCE, 0.0) == 0
    assert more_threads(100, 1, ENOUGH, 2 * PATIENCE, 0.0) == 1


def test_threads_that_wait_are_doubled_up_to_what_waits_and_the_limit():
    assert [more_threads(100, working, 0, PATIENCE, 0.0) for working in (0, 1, 2, 64)] == [1, 1, 2, 64]
    assert more_threads(3, 64, 0, PATIENCE, 0.0) == 3
    assert more_threads(5_000, LIMIT - 10, 0, PATIENCE, 0.0) == 10
    assert more_threads(5_000, LIMIT, 0, PATIENCE, 0.0) == 0


def test_threads_that_compute_are_few():
    assert more_threads(100, 1, 0, PATIENCE, PATIENCE) == 1
    assert more_threads(100, CROWD - 1, 0, PATIENCE, PATIENCE) == 1
    assert more_threads(100, CROWD, 0, PATIENCE, PATIENCE) == 0
    assert more_threads(100, CROWD + 5, 0, PATIENCE, PATIENCE) == 0


# --- order, and threads that are shared


@real_threads
@calling
async def test_functions_run_in_order_and_share_a_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rpc_threads, "CROWD", 1)
    monkeypatch.setattr(rpc_threads, "LIMIT", 1)
    seen: list[tuple[int, int]] = []
    leave = threading.Event()
    first = remote_call(here(), leave.wait, harness.DEADLINE)
    calls = [remote_call(here(), lambda n=n: seen.append((n, threading.get_ident()))) for n in range(50)]
    await until(lambda: len(mine()._jobs) == 50)
    leave.set()
    for call in (first, *calls):
        await call
    assert [n for n, _ in seen] == list(range(50))
    assert len({thread for _, thread in seen}) == 1


@real_threads
@calling
async def test_what_is_done_while_the_loop_works_comes_in_one_wake_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rpc_threads, "CROWD", 1)
    threads = mine()
    collected: list[int] = []
    settle = threads._settle

    def counted(n: int) -> None:
        collected.append(len(threads._done))
        settle(n)

    threads._settle = counted  # type: ignore[method-assign]
    begun, leave, ended = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        leave.wait(harness.DEADLINE)

    calls = [remote_call(here(), first), *(remote_call(here(), int) for _ in range(50)), remote_call(here(), ended.set)]
    monkeypatch.setattr(rpc_threads, "LIMIT", 1)
    await until(lambda: begun.is_set() and len(threads._jobs) == 51)
    leave.set()
    assert ended.wait(harness.DEADLINE)  # the loop stands still meanwhile
    for call in calls:
        await call
    assert sum(collected) == 52
    assert len(collected) <= 2  # the last of them may not have been put down when the first wake-up came


@real_threads
@calling
async def test_functions_that_wait_hold_up_nobody():
    together = threading.Barrier(100)
    calls = [remote_call(here(), together.wait, harness.DEADLINE) for _ in range(100)]
    assert sorted([await call for call in calls]) == list(range(100))


@real_threads
@calling
async def test_a_function_that_waits_or_computes_does_not_hold_up_those_behind_it():
    begun, leave = threading.Event(), threading.Event()

    def computes() -> None:
        begun.set()
        while not leave.is_set():
            sum(range(100))

    for busy in (computes, partial(leave.wait, harness.DEADLINE)):
        leave.clear()
        call = remote_call(here(), busy)
        for n in range(5):
            assert await remote_call(here(), int, n) == n
        leave.set()
        await call
    assert begun.is_set()


@real_threads
@calling
async def test_a_call_that_is_cancelled_while_it_waits_for_a_thread_never_begins(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rpc_threads, "CROWD", 1)
    monkeypatch.setattr(rpc_threads, "LIMIT", 1)
    leave, seen = threading.Event(), []
    first = remote_call(here(), leave.wait, harness.DEADLINE)
    second = remote_call(here(), seen.append, "second")
    third = remote_call(here(), seen.append, "third")
    await until(lambda: len(mine()._jobs) == 2)
    second.cancel()
    waiting: Any = mine()._jobs[0].run
    await until(lambda: waiting.func.__self__.cancelled)
    leave.set()
    await first
    await third
    assert seen == ["third"]


# --- what a function finds


@real_threads
@calling
async def test_a_function_has_the_context_of_its_call():
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    def look() -> tuple[bp.Pid, str]:
        before = var.get()
        var.set("changed in the thread")
        return current.get().pid, before

    (one, first), (two, second) = await remote_call(here(), look), await remote_call(here(), look)
    assert one != two
    assert (first, second) == ("none", "none")


@real_threads
@calling
async def test_a_thread_that_waits_for_work_keeps_nobodys_values():
    class Thing:
        pass

    things = [Thing()]
    gone = weakref.ref(things[0])

    def give(thing: Thing) -> Thing:
        return thing

    def lose(thing: Thing) -> None:
        raise ValueError("boom")

    assert await remote_call(here(), give, things[0]) is things[0]
    with pytest.raises(ValueError, match="boom"):
        await remote_call(here(), lose, things[0])
    things.clear()
    async with asyncio.timeout(harness.DEADLINE):
        while gone() is not None:
            gc.collect()
            await asyncio.sleep(0.001)


# --- how threads end


@real_threads
@calling
async def test_threads_without_work_end_but_for_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rpc_threads, "IDLE", 0.01)
    together = threading.Barrier(10)
    for call in [remote_call(here(), together.wait, harness.DEADLINE) for _ in range(10)]:
        await call
    await until(lambda: mine()._threads <= 1)
    assert await remote_call(here(), int, "5") == 5
    assert mine()._threads == 1


def of_this_pool(before: set[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in set(threading.enumerate()) - before if thread.name == "beampy-sync"]


@real_threads
async def test_threads_end_with_their_node():
    before = set(threading.enumerate())

    async def body() -> None:
        together = threading.Barrier(10)
        for call in [remote_call(here(), together.wait, harness.DEADLINE) for _ in range(10)]:
            await call
        assert len(of_this_pool(before)) == 10

    await harness.run(body)
    await until(lambda: not of_this_pool(before))


@real_threads
async def test_a_node_stops_though_a_thread_is_stuck():
    begun, leave = threading.Event(), threading.Event()
    before = set(threading.enumerate())

    def stuck() -> None:
        begun.set()
        leave.wait(harness.DEADLINE)

    async def body() -> None:
        remote_cast(here(), stuck)
        await until(begun.is_set)

    await harness.run(body, exit_grace=0.2)
    assert len(of_this_pool(before)) == 1  # the node has stopped, and it is stuck still
    leave.set()
    await until(lambda: not of_this_pool(before))


@real_threads
async def test_functions_have_the_time_to_clean_up_when_their_node_stops():
    begun, cleaned = threading.Event(), threading.Event()

    def works() -> None:
        try:
            begun.set()
            while True:
                sum(range(10))
        finally:
            time.sleep(0.02)
            cleaned.set()

    async def body() -> None:
        remote_cast(here(), works)
        await until(begun.is_set)

    await harness.run(body)
    assert cleaned.is_set()


@real_threads
async def test_a_new_server_of_calls_has_threads_again():
    async def body() -> None:
        assert await remote_call(here(), int, "1") == 1
        server = bp.whereis("beampy.rpc")
        assert server is not None
        bp.exit(server, "kill")
        await until(lambda: bp.whereis("beampy.rpc") is None and not mine()._threads)
        assert await remote_call(here(), int, "2") == 2
        await until(lambda: mine()._threads == 1)  # it waits for more

    await harness.run(body)


# --- systems that have less


@real_threads
@calling
async def test_where_no_thread_can_be_started_the_call_fails_and_later_ones_do_not(monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:

        def no_thread(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            await remote_call(here(), int, "1")
    assert await remote_call(here(), int, "2") == 2


@real_threads
async def test_without_eventfd(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "eventfd")

    @calling
    async def body() -> None:
        together = threading.Barrier(5)
        for call in [remote_call(here(), together.wait, harness.DEADLINE) for _ in range(5)]:
            await call
        assert [await remote_call(here(), int, n) for n in range(20)] == list(range(20))

    await body()


@pytest.mark.loops("sim")
@calling
async def test_a_loop_that_simulates_has_no_threads():
    assert threads_of(api.self_process().node) is None
    assert await remote_call(here(), threading.get_ident) == threading.get_ident()
