"""Functions in threads: they hear of their cancellation, and the thread is left as it was."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import beampy as bp
from beampy.otp.rpc import remote_call
from beampy.otp.rpc_thread import ThreadJob, cancelled
from beampy.testing import harness
from tests.unit.otp.rpc_ground import FOREVER, calling, here

real_threads = pytest.mark.loops("asyncio", "uvloop")


@real_threads
@calling
async def test_cancelled_turns_true_and_the_caller_is_free_at_once():
    entered, seen, leave = threading.Event(), threading.Event(), threading.Event()

    def patient() -> None:
        try:
            entered.set()
            assert not cancelled()
            while True:
                time.sleep(0.001)
        finally:
            if cancelled():
                seen.set()
            leave.wait(harness.DEADLINE)

    call = remote_call(here(), patient)
    await asyncio.to_thread(entered.wait, harness.DEADLINE)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call  # while the thread is still in its `finally`
    assert await asyncio.to_thread(seen.wait, harness.DEADLINE)
    leave.set()


@real_threads
@calling
async def test_a_loop_that_looks_ends_on_its_own_terms():
    ended = threading.Event()

    def looking() -> None:
        while True:
            try:
                while not cancelled():
                    time.sleep(0.001)
            except asyncio.CancelledError:
                continue  # it comes once
            ended.set()
            return

    call = remote_call.options(timeout=0.02)(here(), looking)
    with pytest.raises(bp.errors.CallTimeout):
        await call
    assert await asyncio.to_thread(ended.wait, harness.DEADLINE)


@real_threads
@calling
async def test_a_busy_loop_is_interrupted_and_except_exception_does_not_help_it():
    entered, ended = threading.Event(), threading.Event()

    def busy() -> None:
        entered.set()
        try:
            while True:
                try:
                    sum(range(10))
                except Exception:
                    continue
        finally:
            ended.set()

    call = remote_call(here(), busy)
    await asyncio.to_thread(entered.wait, harness.DEADLINE)
    call.cancel()
    assert await asyncio.to_thread(ended.wait, harness.DEADLINE)


@real_threads
@calling
async def test_a_kill_reaches_the_thread_too():
    entered, ended = threading.Event(), threading.Event()
    pids = []

    def busy() -> None:
        pids.append(bp.self())
        entered.set()
        try:
            while True:
                pass
        finally:
            ended.set()

    call = remote_call(here(), busy)
    await asyncio.to_thread(entered.wait, harness.DEADLINE)
    bp.exit(pids[0], "kill")
    with pytest.raises(bp.errors.CallKilled):
        await call
    assert await asyncio.to_thread(ended.wait, harness.DEADLINE)


@calling
async def test_cancelled_in_async_code():
    assert not cancelled()
    seen = []

    async def clean_up() -> None:
        try:
            await asyncio.sleep(FOREVER)
        finally:
            seen.append(cancelled())

    call = remote_call(here(), clean_up)
    await asyncio.sleep(0.01)
    call.cancel()
    async with asyncio.timeout(harness.DEADLINE):
        while not seen:
            await asyncio.sleep(0.001)
    assert seen == [True]


def test_cancelled_outside_of_everything():
    assert not cancelled()


# --- one job


def test_a_job_gives_its_value_and_its_error():
    job = ThreadJob()
    assert job.run(lambda n, *, fn: (n, fn), 1, fn=2) == (1, 2)
    with pytest.raises(ValueError, match="boom"):
        job.run(fail)
    job.cancel()  # nothing runs: nothing happens
    with pytest.raises(asyncio.CancelledError):
        job.run(lambda: 1)


def fail() -> None:
    raise ValueError("boom")


def test_an_exception_that_comes_too_late_hits_nobody():
    """Cancelling at every moment of many short jobs: each job's thread is fit for the next one."""
    with ThreadPoolExecutor(1) as pool:
        for n in range(300):
            job = ThreadJob()
            begun = threading.Event()

            def work(begun: threading.Event = begun, n: int = n) -> int:
                begun.set()
                for _ in range(n % 7):
                    sum(range(50))
                return n

            future = pool.submit(job.run, work)
            if n % 3:
                begun.wait()
            for _ in range(n % 5):
                sum(range(50))
            job.cancel()
            error = future.exception(timeout=harness.DEADLINE)
            assert error is None or isinstance(error, asyncio.CancelledError)
            plain: Any = pool.submit(sum, [1, 2])
            assert plain.result(timeout=harness.DEADLINE) == 3


TRACED_AFTERWARDS = """
import sys
from beampy.otp.rpc_thread import ThreadJob

def too_late():
    job.cancelled = True  # as the loop does it when the function has just ended

job = ThreadJob()
job.run(too_late)

def watched():
    return 1

sys.settrace(lambda *_: None)
assert watched() == 1
sys.settrace(None)
print("seen")
"""


def test_a_cancellation_that_came_too_late_leaves_nothing_that_debuggers_stop_at() -> None:
    """In a process of its own: where it fails, nothing else in that process can be traced."""
    done = subprocess.run(
        [sys.executable, "-c", TRACED_AFTERWARDS], capture_output=True, text=True, timeout=harness.DEADLINE, check=False
    )
    assert done.stdout == "seen\n", done.stderr
