"""Tasks: items a second through async_stream, eight at a time, results in order.

Each item is a process of its own. asyncio by hand makes a Task for each item, eight ahead of the one
that it awaits.
"""

from __future__ import annotations

from time import perf_counter

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second
from benchmarks.harness import main

AT_ONCE = 8


async def double(x: int) -> int:
    return 2 * x


async def tasks(n: int) -> Figures:
    total = 0
    began = perf_counter()
    async for value in bp.async_stream(range(n), double, max_concurrency=AT_ONCE):
        total += value
    rate = per_second(n, began)
    assert total == n * (n - 1)
    return {"stream": rate}


CASES = (Case("tasks", tasks, (Figure("stream", "items/s"),), size=50_000, smoke=100),)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
