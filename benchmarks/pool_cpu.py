"""A function that keeps a core busy, over a runner with two slots that are processes: how many calls a second.

"pool_cpu.loop" is the same function in a bare loop in the measuring process: what one core gives, without any pool.
All calls are submitted at once.
"""

from __future__ import annotations

from time import perf_counter

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second
from benchmarks.harness import main
from benchmarks.pool_tasks import all_up
from benchmarks.pool_work import busy, pid

SLOTS = 2
WORK = 100_000  # iterations: a few milliseconds, many times what a call costs


def bare_loop(n: int) -> float:
    """Calls a second without any pool."""
    began = perf_counter()
    for _ in range(n):
        busy(WORK)
    return per_second(n, began)


async def pool_cpu(n: int) -> Figures:
    expected = busy(WORK)
    async with bp.Pool(min=1, max=1, max_concurrency=SLOTS, isolation="process") as pool:
        await all_up(lambda: pool.submit(pid))
        began = perf_counter()
        results = [await handle for handle in [pool.submit(busy, WORK) for _ in range(n)]]
        rate = per_second(n, began)
    assert results == [expected] * n
    return {"pool_cpu": rate, "pool_cpu.loop": bare_loop(n)}


CASES = (
    Case(
        "pool_cpu",
        pool_cpu,
        (Figure("pool_cpu", "calls/s"), Figure("pool_cpu.loop", "calls/s")),
        size=600,
        smoke=4,
        fresh=True,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
