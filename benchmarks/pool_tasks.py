"""Ten thousand tiny tasks over two workers: how many a second.

The function is sync and returns its argument. In "pool_tasks" each task is submitted by itself, all of them before the
first result is read, and nothing is put together in chunks. In "pool_tasks.map" the pool's `map` takes them, with
results in order; in "pool_tasks.unordered" as they come. "pool_tasks.chunked" is the `map` of an executor with a
hundred tasks in each call, for what it is worth to those who can say so.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second
from benchmarks.harness import main
from benchmarks.pool_work import pid, same

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WORKERS = 2
CHUNK = 100
ATTEMPTS = 1000  # to see both workers, 20 ms apart: far more than any peer of few milliseconds takes


async def all_up(call: Callable[[], Awaitable[int]]) -> None:
    """Wait until two workers answer; `call` says which one it was."""
    for _ in range(ATTEMPTS):
        if len(set(await asyncio.gather(*(call() for _ in range(8 * WORKERS))))) == WORKERS:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError("one worker does not come")


async def pool_tasks(n: int) -> Figures:
    async with bp.Pool(min=WORKERS, max=WORKERS, max_concurrency=32) as pool:
        await all_up(lambda: pool.submit(pid))

        async def one_by_one(n: int) -> int:
            handles = [pool.submit(same, i) for i in range(n)]
            return sum([await handle for handle in handles])

        async def ordered(n: int) -> int:
            return sum([i async for i in pool.map(same, range(n))])

        async def unordered(n: int) -> int:
            return sum([i async for i in pool.map(same, range(n), ordered=False)])

        async def chunked(n: int) -> int:
            executor = pool.executor()
            return await asyncio.to_thread(lambda: sum(executor.map(same, range(n), chunksize=CHUNK)))

        async def rate(work: Callable[[int], Awaitable[int]]) -> float:
            await work(max(1, n // 10))
            began = perf_counter()
            assert await work(n) == sum(range(n))
            return per_second(n, began)

        return {
            "pool_tasks": await rate(one_by_one),
            "pool_tasks.map": await rate(ordered),
            "pool_tasks.unordered": await rate(unordered),
            "pool_tasks.chunked": await rate(chunked),
        }


CASES = (
    Case(
        "pool_tasks",
        pool_tasks,
        (
            Figure("pool_tasks", "tasks/s"),
            Figure("pool_tasks.map", "tasks/s"),
            Figure("pool_tasks.unordered", "tasks/s"),
            Figure("pool_tasks.chunked", "tasks/s"),
        ),
        size=10_000,
        smoke=100,
        fresh=True,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
