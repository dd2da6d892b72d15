"""New runners: how long from a call that needs them to its results.

"pool_boot.one", "four" and "ten" are that many more runners at once, of a pool that has one already, so its zygote is
warm: from the calls to the last result, each from a runner of its own. For a peer it is a new pool of that many workers
in a process that has had one before. "pool_boot.nothing" is from the start of an interpreter to the first result, all
imports included, with one worker; "nothing.four" and "nothing.ten" with as many. The size is how often each is done.
"""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter

import beampy as bp
from benchmarks.case import Case, Figure, Figures
from benchmarks.harness import main
from benchmarks.pool_fresh import from_nothing, gate
from benchmarks.pool_work import same, together

AT_ONCE = {"pool_boot.one": 1, "pool_boot.four": 4, "pool_boot.ten": 10}

PROGRAM = """
import asyncio
import beampy as bp

async def main():
    async with bp.Pool(min=n, max=n, max_concurrency=1) as pool:
        for handle in [pool.submit(together, folder, n) for _ in range(n)]:
            await handle
        await asyncio.to_thread(ready)

bp.run(main)
"""


async def more(n: int) -> float:
    """Seconds to the results of n runners more. The one that is there takes part, and so none of their calls."""
    async with bp.Pool(min=1, max=n + 1, max_concurrency=1) as pool:
        await pool.call(same, 1)
        with gate() as folder:
            began = perf_counter()
            handles = [pool.submit(together, folder, n + 1) for _ in range(n + 1)]
            pids = {await handle for handle in handles}
            took = perf_counter() - began
    assert len(pids) == n + 1
    return took


async def pool_boot(times: int) -> Figures:
    warm = {name: median([await more(n) for _ in range(times)]) * 1e3 for name, n in AT_ONCE.items()}
    return {**warm, **await asyncio.to_thread(from_nothing, PROGRAM, times)}


CASES = (
    Case(
        "pool_boot",
        pool_boot,
        (
            Figure("pool_boot.one", "ms", higher=False),
            Figure("pool_boot.four", "ms", higher=False),
            Figure("pool_boot.ten", "ms", higher=False),
            Figure("pool_boot.nothing", "ms", higher=False),
            Figure("pool_boot.nothing.four", "ms", higher=False),
            Figure("pool_boot.nothing.ten", "ms", higher=False),
        ),
        size=5,
        smoke=1,
        fresh=True,
        runs=3,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
