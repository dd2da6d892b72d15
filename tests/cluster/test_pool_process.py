"""Pools whose sync calls have processes of their own: what one call does to its interpreter is its own business.

And scripts: programs of their own with a pool in them, also those that are interrupted or killed.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy.errors import RunnerLost
from beampy.pool import reaping
from tests.cluster.test_pool import DEADLINE, crash, leave, until, up, wait_for, where

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

ROOT = str(Path(__file__).resolve().parents[2])


def pool_of(**options: Any) -> bp.Pool:
    return bp.Pool(isolation="process", **options)


def holds_the_interpreter(path: str) -> None:
    """No other thread of this process runs Python until it ends; nor does a handler of a signal."""
    Path(path).write_text(str(os.getpid()))
    while True:
        ctypes.PyDLL(None).pause()


async def running(path: Path) -> int:
    """The process that has written its number there."""
    return int(await until(lambda: path.exists() and path.read_text()))


async def sleeps_there() -> int:
    await asyncio.sleep(0)
    return os.getpid()


async def test_calls_have_interpreters_of_their_own(tmp_path: Path) -> None:
    async with pool_of(max=1, max_concurrency=2) as pool:
        stuck = pool.call(holds_the_interpreter, str(tmp_path / "pid"))
        pid = await running(tmp_path / "pid")
        other, _ = await pool.call(where)
        assert len({os.getpid(), up(pool)[0], pid, other}) == 4
        assert await pool.call(sleeps_there) == up(pool)[0]  # async functions share the runner's loop
        stuck.cancel()


def reaping_alive(pid: int) -> bool:
    found = reaping.look(pid)
    return found is not None and reaping.alive(found)


async def test_a_call_that_ignores_sigterm_is_killed_and_its_slot_forked_anew(tmp_path: Path) -> None:
    async with pool_of(max=1, max_concurrency=2) as pool:
        beside = pool.call(wait_for, str(tmp_path / "go"))
        stuck = pool.call(holds_the_interpreter, str(tmp_path / "pid"))
        pid = await running(tmp_path / "pid")
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck
        other, _ = await pool.call(where)
        assert other != pid
        await until(lambda: not reaping_alive(pid))
        (tmp_path / "go").touch()
        assert await beside == str(tmp_path / "go")
        assert len(up(pool)) == 1
        assert pool.metrics()["losses"] == 0


@pytest.mark.parametrize(
    ("fn", "args", "status", "said"),
    [(leave, (7,), 7, "status 7"), (crash, (), -signal.SIGSEGV, "SIGSEGV")],
    ids=["exit", "segfault"],
)
async def test_a_call_that_ends_its_process_takes_nobody_along(
    fn: Any, args: Any, status: int, said: str, tmp_path: Path
) -> None:
    async with pool_of(max=1, max_concurrency=3) as pool:
        beside = pool.call(wait_for, str(tmp_path / "go"))
        await until((tmp_path / "go.begun").exists)
        runners = up(pool)
        with pytest.raises(RunnerLost, match=said) as lost:
            await pool.call(fn, *args)
        assert (lost.value.status, lost.value.oom) == (status, False)
        (tmp_path / "go").touch()
        assert await beside == str(tmp_path / "go")
        assert up(pool) == runners


async def test_kill_9_of_the_runner_takes_its_processes_along(tmp_path: Path) -> None:
    async with pool_of(max=1, max_concurrency=2) as pool:
        stuck = [pool.call(holds_the_interpreter, str(tmp_path / str(n))) for n in range(2)]
        pids = [await running(tmp_path / str(n)) for n in range(2)]
        os.kill(up(pool)[0], signal.SIGKILL)
        for call in stuck:
            with pytest.raises(RunnerLost):
                await call
        await until(lambda: not any(map(reaping_alive, pids)))
        assert (await pool.call(where, 1))[1] == 1


async def test_all_processors_compute(tmp_path: Path) -> None:
    """Each holds its interpreter, so that they can only be there at once where there are as many interpreters."""
    async with pool_of(max=2, max_concurrency=2) as pool:
        stuck = [pool.call(holds_the_interpreter, str(tmp_path / str(n))) for n in range(4)]
        pids = {await running(tmp_path / str(n)) for n in range(4)}
        assert len(pids) == 4
        for call in stuck:
            call.cancel()
        await until(lambda: not any(map(reaping_alive, pids)))


async def items(count: int) -> AsyncIterator[int]:
    for n in range(count):
        yield n


async def test_a_stream_of_a_runners_loop_beside_a_call_that_computes(tmp_path: Path) -> None:
    async with pool_of(max=1, max_concurrency=2) as pool:
        stuck = pool.call(holds_the_interpreter, str(tmp_path / "pid"))
        await running(tmp_path / "pid")
        assert [n async for n in pool.stream(items, 50)] == list(range(50))
        stuck.cancel()


# scripts

SCRIPT = """
import os, subprocess, sys, time
import beampy as bp

def area(r):
    return os.getpid(), 3 * r

def sleeps(path):
    child = subprocess.Popen(["sleep", "3600"], start_new_session=True)
    with open(path, "w") as file:
        file.write(str(child.pid))
    time.sleep(3600)

with bp.Pool(max=1, isolation=sys.argv[1]) as pool:
    pid, value = pool.call(area, 2).result()
    assert (value, pid == os.getpid()) == (6, False)
    print([value for _, value in pool.map(area, range(3))], flush=True)
    if sys.argv[2:]:
        pool.call(sleeps, sys.argv[2]).result()
print("closed")
"""

ASYNC_SCRIPT = """
import asyncio, sys
from pathlib import Path
import beampy as bp

async def area(r):
    return 3 * r

async def main():
    async with bp.Pool(max=1, isolation=sys.argv[1]) as pool:
        print(await pool.map(area, range(3)), flush=True)
        if sys.argv[2:]:
            Path(sys.argv[2]).write_text("0")
            await pool.call(asyncio.sleep, 3600)
    print("closed")

{start}
"""
SCRIPTS = {
    "with": SCRIPT,
    "asyncio": ASYNC_SCRIPT.replace("{start}", "asyncio.run(main())"),
    "run": ASYNC_SCRIPT.replace("{start}", "bp.run(main)"),
}

both = pytest.mark.parametrize("isolation", ["thread", "process"])
each = pytest.mark.parametrize("kind", SCRIPTS)


def script(tmp_path: Path, kind: str, *argv: str) -> subprocess.Popen[str]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPTS[kind])
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(path), *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": ROOT},
        start_new_session=True,
    )


@both
@each
def test_a_script(tmp_path: Path, kind: str, isolation: str) -> None:
    process = script(tmp_path, kind, isolation)
    said, wrong = process.communicate(timeout=DEADLINE)
    assert (said, wrong, process.returncode) == ("[0, 3, 6]\nclosed\n", "", 0)


@both
@each
def test_ctrl_c_in_a_script(tmp_path: Path, kind: str, isolation: str) -> None:
    process, family = interrupted(tmp_path, kind, isolation, signal.SIGINT)
    said, wrong = process.communicate(timeout=DEADLINE)
    assert said == "[0, 3, 6]\n"
    assert process.returncode in (-signal.SIGINT, 130)
    assert wrong.splitlines()[-1] == "KeyboardInterrupt"
    assert "never retrieved" not in wrong
    assert wrong.count("Traceback") <= 2, wrong
    none_is_left(family)


@both
@pytest.mark.parametrize("kind", ["with", "run"])
def test_kill_9_of_a_script(tmp_path: Path, kind: str, isolation: str) -> None:
    process, family = interrupted(tmp_path, kind, isolation, signal.SIGKILL)
    process.communicate(timeout=DEADLINE)
    none_is_left(family)


def interrupted(
    tmp_path: Path, kind: str, isolation: str, number: int
) -> tuple[subprocess.Popen[str], list[reaping.Process]]:
    """A script in the middle of a call, after a signal; and all processes that it had."""
    process = script(tmp_path, kind, isolation, str(tmp_path / "begun"))
    deadline = time.monotonic() + DEADLINE
    while not (tmp_path / "begun").exists() or not (tmp_path / "begun").read_text():
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError(process.communicate())
        time.sleep(0.005)
    family = reaping.below(process.pid)
    assert len(family) >= 2
    process.send_signal(number)
    return process, family


def none_is_left(family: list[reaping.Process]) -> None:
    deadline = time.monotonic() + DEADLINE
    while any(map(reaping.alive, family)):
        assert time.monotonic() < deadline, family
        time.sleep(0.005)
