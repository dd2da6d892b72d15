"""What once broke the pool, with runners that are processes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

import beampy as bp
from beampy.pool.backends.local import LocalBackend
from beampy.pool.pool import Pool
from beampy.testing import harness

pytestmark = [pytest.mark.cluster, pytest.mark.loops("asyncio", "uvloop")]

LARGE = 100_000_000  # bytes: more than may wait for a connection


async def until(fn: Callable[[], object]) -> None:
    async with asyncio.timeout(harness.DEADLINE):
        while not fn():
            await asyncio.sleep(0.005)


class Patient(LocalBackend):
    """Its runners wait for a parent that they have lost."""

    grace = 10.0


def pid() -> int:
    return os.getpid()


def size(data: bytes) -> int:
    return len(data)


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def leave_as_generators_do() -> None:
    raise GeneratorExit("mine")


async def leave_as_generators_do_here() -> None:
    raise GeneratorExit("mine")


async def test_a_deadline_passes_while_more_waits_than_a_connection_takes():
    async with Pool(max=1, max_concurrency=1) as pool:
        data = os.urandom(LARGE)
        runner = await pool.call(pid)
        os.kill(runner, signal.SIGSTOP)
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await pool.call(size, data)
        finally:
            os.kill(runner, signal.SIGCONT)
        assert await pool.call(pid) == runner
        assert pool._manager.calls == {}


async def test_a_slot_whose_call_was_lost_while_its_runner_was_away_ends():
    async with Pool(backend=Patient(), max=1, max_concurrency=1, isolation="process") as pool:
        before = await pool.call(pid)
        call: Any = pool.submit(sleep, 60.0)
        manager = pool._manager
        (runner,) = manager.runners.values()
        manager.home.peers.disconnect(runner.node)
        with pytest.raises(bp.errors.RunnerLost):
            await call
        await until(lambda: runner.state == "up")
        assert await pool.call(pid) != before
        assert manager.runners == {1: runner}


@pytest.mark.parametrize("fn", [leave_as_generators_do, leave_as_generators_do_here])
async def test_a_function_that_raises_what_ends_generators(fn):
    async with Pool(max=1) as pool:
        with pytest.raises(bp.errors.RemoteError, match="GeneratorExit: mine"):
            await pool.call(fn)
        assert await pool.call(size, b"abc") == 3


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_sigterm_loses_the_calls_of_a_runner_or_slot_and_nothing_else(isolation):
    async with Pool(max=1, max_concurrency=2, isolation=isolation, shutdown_timeout=2.0) as pool:
        ended = await pool.call(pid)
        calls = [pool.call(sleep, 0.5), pool.options(retries=1, backoff=0.0).call(sleep, 0.5)]
        manager = pool._manager
        await until(lambda: all(call._sent for call in calls))
        for process in {slot.os_pid for slot in manager.slots.by_name.values()} if manager.slots else {ended}:
            os.kill(process, signal.SIGTERM)
        with pytest.raises(bp.errors.RunnerLost):
            await calls[0]
        assert await calls[1] == 0.5
        assert await pool.call(pid) != ended


async def test_a_local_backend_whose_stop_was_cancelled_can_be_stopped_again():
    backend = LocalBackend()
    await backend.start()
    maker: Any = backend._maker
    await maker.ready()
    stopping = asyncio.ensure_future(backend.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.wait({stopping})
    assert stopping.cancelled()  # in the middle of it
    await backend.stop()
    with pytest.raises(ChildProcessError):
        os.waitpid(maker.pid, os.WNOHANG)  # noqa: ASYNC222  -- it does not wait
