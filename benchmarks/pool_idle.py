"""A pool with one runner that has nothing to do: the memory and the CPU time of all its processes together.

Those are the program that has the pool, the zygote and the runner; for a peer whatever it has started. "pool_idle.rss"
is the sum of their resident memory, "pool_idle.pss" the sum without counting shared pages twice, both in MB, and
"pool_idle.cpu" the part of a core that they take, in percent. The size is how many seconds it watches.
"""

from __future__ import annotations

import asyncio

from benchmarks.case import Case, Figure, Figures
from benchmarks.harness import main
from benchmarks.pool_boot import PROGRAM
from benchmarks.pool_fresh import at_rest


async def pool_idle(seconds: int) -> Figures:
    return await asyncio.to_thread(at_rest, PROGRAM, seconds)


CASES = (
    Case(
        "pool_idle",
        pool_idle,
        (
            Figure("pool_idle.rss", "MB", higher=False),
            Figure("pool_idle.pss", "MB", higher=False),
            Figure("pool_idle.cpu", "% of a core", higher=False),
            Figure("pool_idle.processes", "processes", higher=False),
        ),
        size=10,
        smoke=1,
        fresh=True,
        runs=3,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
