"""aiomultiprocess: a pool of processes with a loop each. It takes coroutine functions only, so its tasks are those.

A call that waits alone takes tens of milliseconds, because results are polled for: fewer of them are made.
Tasks are queued one by one and their results awaited together, its fastest way: a poll then answers for all of them.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
from collections import deque
from contextlib import asynccontextmanager
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.case import per_second
from benchmarks.pool_boot import AT_ONCE
from benchmarks.pool_call import IN_FLIGHT, latencies, timed
from benchmarks.pool_fresh import at_rest, from_nothing, gate
from benchmarks.pool_tasks import WORKERS, all_up
from benchmarks.pool_work import pid_async, same_async, together_async
from benchmarks.versus.pools import AT_REST_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from benchmarks.case import Figures, Workloads

aiomultiprocess: Any = importlib.import_module("aiomultiprocess")

FEWER = 30  # of the calls that wait alone, one in so many
PROGRAM = """
import asyncio
import aiomultiprocess
from benchmarks.pool_work import together_async

async def main():
    async with aiomultiprocess.Pool(processes=n, childconcurrency=1) as pool:
        await asyncio.gather(*(pool.apply(together_async, (folder, n)) for _ in range(n)))
        await asyncio.to_thread(ready)
        pool.terminate()

asyncio.run(main())
"""


@asynccontextmanager
async def opened(workers: int, **options: Any) -> AsyncIterator[Any]:
    """A new pool. It is ended by terminating its workers: closing in order is polled for, too."""
    async with aiomultiprocess.Pool(processes=workers, **options) as pool:
        try:
            yield pool
        finally:
            pool.terminate()


async def pool_call(n: int) -> Figures:
    alone = max(1, n // FEWER)
    async with opened(1) as pool:

        def call(i: int) -> Awaitable[int]:
            awaited: Awaitable[int] = pool.apply(same_async, (i,))
            return awaited

        await timed(call, max(1, alone // 10))
        took = await timed(call, alone)
        began, under_way, total = perf_counter(), deque[Any](), 0
        for i in range(alone * IN_FLIGHT):
            under_way.append(asyncio.ensure_future(call(i)))
            if len(under_way) == IN_FLIGHT:
                total += await under_way.popleft()
        for left in under_way:
            total += await left
        rate = per_second(alone * IN_FLIGHT, began)
    assert total == sum(range(alone * IN_FLIGHT))
    found = {**latencies("pool_call", took), "pool_call.rate.32": rate}
    return found | {name.replace("pool_call", "pool_call.async"): value for name, value in found.items()}


async def pool_tasks(n: int) -> Figures:
    async with opened(WORKERS) as pool:
        await all_up(lambda: pool.apply(pid_async))

        async def one_by_one(n: int) -> int:
            numbers = [pool.queue_work(same_async, (i,), {}) for i in range(n)]
            return sum(await pool.results(numbers))

        async def mapped(n: int) -> int:
            return sum(await pool.map(same_async, range(n)))

        async def rate(work: Callable[[int], Awaitable[int]]) -> float:
            await work(max(1, n // 10))
            began = perf_counter()
            assert await work(n) == sum(range(n))
            return per_second(n, began)

        return {"pool_tasks": await rate(one_by_one), "pool_tasks.map": await rate(mapped)}


async def boot(n: int) -> float:
    """Seconds from nothing open to a result of each of n workers."""
    with gate() as folder:
        began = perf_counter()
        async with opened(n, childconcurrency=1) as pool:
            pids = set(await asyncio.gather(*(pool.apply(together_async, (folder, n)) for _ in range(n))))
            took = perf_counter() - began
    assert len(pids) == n
    return took


async def boots(times: int) -> Figures:
    await boot(1)
    return {name: median([await boot(n) for _ in range(times)]) * 1e3 for name, n in AT_ONCE.items()}


def workloads(_: str) -> Workloads:
    def on_loop(body: Callable[[int], Coroutine[Any, Any, Figures]]) -> Callable[[int], Figures]:
        return lambda n: asyncio.run(body(n))

    return {
        "pool_call": on_loop(pool_call),
        "pool_tasks": on_loop(pool_tasks),
        "pool_boot": lambda times: on_loop(boots)(times) | from_nothing(PROGRAM, times),
        "pool_idle": lambda seconds: at_rest(PROGRAM, max(AT_REST_S, seconds)),
    }


def versions() -> dict[str, str]:
    return {"aiomultiprocess": importlib.metadata.version("aiomultiprocess")}


def loop(_: str) -> str:
    return "asyncio"
