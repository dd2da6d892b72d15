"""A pool of real processes under random kills, stops and cancellations, for a while: every call ends once, and nothing
is left: no process, no file descriptor, no memory that grows.

20 seconds; BEAMPY_SOAK_SECONDS=600 for longer. What random choices it made follows from BEAMPY_SOAK_SEED.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import signal
import sys
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from beampy.errors import PoolError
from beampy.pool import reaping
from beampy.pool.pool import Pool
from beampy.testing import harness

pytestmark = [
    pytest.mark.slow,
    pytest.mark.loops("uvloop"),
    pytest.mark.skipif(sys.platform != "linux", reason="it counts in /proc"),
]

SECONDS = float(os.environ.get("BEAMPY_SOAK_SECONDS", "20"))
SEED = int(os.environ.get("BEAMPY_SOAK_SEED", "0"))
ROUNDS = 10  # the memory of this process is looked at after each
ASKING = 48  # that ask at once: more than the pool runs
ENDS = 60.0  # seconds for all that was asked to end after that: longer than its longest deadline
GONE = 10.0  # seconds for processes to end
GROWTH = 0.1  # of its memory that this process may grow in the second half of its rounds
SLACK = 4 << 20  # bytes beside that: an allocator's arena or two
PAGE = os.sysconf("SC_PAGE_SIZE")


class Oops(Exception):
    """What jobs raise."""


def ran(log: str, line: str) -> None:
    """Write down that a job runs, in one piece."""
    fd = os.open(log, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, f"{line}\n".encode())
    finally:
        os.close(fd)


async def brief(log: str, line: str, value: int) -> int:
    ran(log, line)
    await asyncio.sleep(value % 7 / 100)
    return value


def plain(log: str, line: str, value: int) -> int:
    ran(log, line)
    return value


def sleeping(log: str, line: str, value: int) -> int:
    ran(log, line)
    time.sleep(value % 5 / 50)
    return value


def computing(log: str, line: str, value: int) -> int:
    ran(log, line)
    return value + 0 * sum(range(20_000))


def failing(log: str, line: str, value: int) -> int:
    ran(log, line)
    raise Oops(value)


def large(log: str, line: str, value: int) -> tuple[int, bytes]:
    ran(log, line)
    return value, bytes(300_000)


def some(log: str, line: str, value: int) -> Iterator[int]:
    ran(log, line)
    yield from range(value % 50)


async def some_async(log: str, line: str, value: int) -> AsyncIterator[int]:
    ran(log, line)
    for each in range(value % 50):
        yield each


class Soak:
    """Who asks, who hurts, and the books."""

    def __init__(self, pool: Pool, log: Path) -> None:
        self.pool = pool
        self.log = str(log)
        self.rng = random.Random(SEED)
        self.ends = array("b")  # of each call: 0 open, 1 a value, 2 an error, 3 cancelled by us
        self.kinds: Counter[str] = Counter()
        self.hurt: Counter[str] = Counter()
        self.asking = True

    async def ask(self) -> None:
        """Ask for one thing after the other."""
        while self.asking:
            await self.ask_once()

    async def ask_once(self) -> None:
        rng = self.rng
        number = len(self.ends)
        self.ends.append(0)
        retries = rng.choice([0, 0, 0, 1, 2])
        options = {"retries": retries, "backoff": 0.01, "timeout": rng.choice([0.02, 1.0, 20.0, 20.0, 20.0])}
        told = (self.log, f"{number}:{retries}", number)
        pool = self.pool.options(**options)
        fn = rng.choice([brief, brief, plain, plain, sleeping, computing, failing, large, some, some_async])
        handle: Any = None
        try:
            if fn in (some, some_async):
                async with contextlib.aclosing(pool.stream(fn, *told)) as stream:
                    items = [item async for item in stream]
                assert items == list(range(number % 50)), "a stream lost something"
                end = 1
            else:
                handle = pool.call(fn, *told)
                timer = None
                if rng.random() < 0.1:
                    timer = asyncio.get_running_loop().call_later(rng.random() / 20, handle.cancel)
                try:
                    value = await handle
                finally:
                    if timer is not None:
                        timer.cancel()
                assert (value if fn is not large else value[0]) == number, f"{fn.__name__} gave {value!r}"
                end = 1
        except asyncio.CancelledError:
            assert handle is not None, "cancelled, and not by us"
            assert handle.cancelled(), "cancelled, and not by us"
            end = 3
        except Oops as oops:
            if (fn, oops.args) != (failing, (number,)):
                raise
            end = 2
        except PoolError as error:
            self.kinds[type(error).__name__] += 1
            end = 2
        assert self.ends[number] == 0, "it ended twice"
        self.ends[number] = end

    async def hurt_some(self) -> None:
        """Kill and stop processes of the pool, one after the other."""
        me = os.getpid()
        while self.asking:
            await asyncio.sleep(self.rng.uniform(0.05, 0.6))
            runners = [each["os_pid"] for each in self.pool.runners() if each["state"] == "up" and each["os_pid"]]
            if not runners:
                continue
            victim = self.rng.choice(runners)
            below = reaping.children(victim)
            if below and self.rng.random() < 0.5:
                victim = self.rng.choice(below)  # its zygote, or one of its slots
            assert victim != me
            with contextlib.suppress(ProcessLookupError):
                if self.rng.random() < 0.5:
                    self.hurt["killed"] += 1
                    os.kill(victim, signal.SIGKILL)
                else:
                    self.hurt["stopped"] += 1
                    os.kill(victim, signal.SIGSTOP)
                    await asyncio.sleep(self.rng.uniform(0.01, 0.5))
                    os.kill(victim, signal.SIGCONT)

    def check_runs(self) -> None:
        """Each ran as often as it may have."""
        runs = Counter(Path(self.log).read_text().split())
        for line, count in runs.items():
            number, _, retries = line.partition(":")
            assert count <= 1 + int(retries), f"call {number} ran {count} times"
        there = {int(line.partition(":")[0]) for line in runs}
        for number, end in enumerate(self.ends):
            assert end, f"call {number} did not end"
            assert end != 1 or number in there, f"call {number} has a value and was not run"


def resident() -> int:
    """Bytes of memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def descriptors() -> dict[str, str]:
    """The open ones, and what they are; but libuv's spare one, which a loop opens with its first stream, and keeps."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return {fd: target for fd, target in found.items() if target != os.devnull}


@pytest.mark.timeout(SECONDS * 2 + 4 * ENDS)
@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_a_pool_under_random_kills(isolation: Any, tmp_path: Path) -> None:
    log = tmp_path / "runs"
    log.touch()
    before = descriptors()
    sizes: list[int] = []

    async def body() -> None:
        pool = Pool(isolation=isolation, max=3, max_concurrency=6, idle_shutdown_after=1.0, shutdown_timeout=2.0)
        async with pool:
            soak = Soak(pool, log)
            manager = pool._working()
            for _ in range(ROUNDS):
                soak.asking = True
                end = asyncio.get_running_loop().time() + SECONDS / 2 / ROUNDS
                working = [asyncio.ensure_future(soak.ask()) for _ in range(ASKING)]
                hurting = asyncio.ensure_future(soak.hurt_some())
                while asyncio.get_running_loop().time() < end and not any(each.done() for each in working):
                    await asyncio.sleep(0.05)
                soak.asking = False
                async with asyncio.timeout(ENDS):
                    await asyncio.gather(*working, hurting)
                    while manager.calls:
                        await asyncio.sleep(0.01)
                manager.plan.check()
                assert manager.zombies == 0
                assert not any(runner.jobs for runner in manager.runners.values())
                sizes.append(resident())
            assert await pool.options(timeout=ENDS).call(plain, str(log), "0:0", 7) == 7  # it works as ever
            sys.stdout.write(
                f"{isolation}: {len(soak.ends)} calls, {soak.hurt}, {soak.kinds}, MB {[s >> 20 for s in sizes]}\n"
            )
            soak.check_runs()
        assert not manager.runners
        assert not manager.tasks
        assert not manager.tickets.open

    family = reaping.below(os.getpid())
    await harness.run(body)
    async with asyncio.timeout(GONE):
        while [each for each in reaping.below(os.getpid()) if each not in family and reaping.alive(each)]:
            await asyncio.sleep(0.01)
    assert len(descriptors()) <= len(before), descriptors().items() - before.items()
    half = sizes[ROUNDS // 2]
    assert min(sizes[-3:]) <= half * (1 + GROWTH) + SLACK, f"memory grows: {[size >> 20 for size in sizes]} MB"


async def test_a_runner_that_cannot_start_processes_any_more_is_replaced() -> None:
    async def body() -> None:
        async with Pool(isolation="process", max=1, max_concurrency=2, shutdown_timeout=2.0) as pool:
            await pool.call(os.getpid)
            first = pool.runners()[0]
            for process in reaping.children(first["os_pid"]):  # its zygote; what that had forked ends with it
                os.kill(process, signal.SIGKILL)
            retrying = pool.options(retries=5, backoff=0.05, timeout=ENDS)
            assert len(await asyncio.gather(*[retrying.call(os.getpid) for _ in range(8)])) == 8
            assert pool.runners()[0]["runner"] != first["runner"]

    await harness.run(body)


def test_the_books_notice_what_is_wrong(tmp_path: Path) -> None:
    log = tmp_path / "runs"
    log.write_text("0:0\n1:1\n1:1\n")
    soak = Soak(None, log)  # type: ignore[arg-type]
    soak.ends.extend([1, 1])
    soak.check_runs()
    soak.ends.append(0)
    with pytest.raises(AssertionError, match="did not end"):
        soak.check_runs()
    soak.ends[2] = 1
    with pytest.raises(AssertionError, match="was not run"):
        soak.check_runs()
    log.write_text("0:0\n1:1\n1:1\n2:0\n2:0\n")
    with pytest.raises(AssertionError, match="ran 2 times"):
        soak.check_runs()
