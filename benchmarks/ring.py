"""Ring: hops a second of one token round a thousand processes, a thousand laps.

One process is awake at any time and each is cold when its turn comes: the cost of a switch. The
size is the number of laps.
"""

from __future__ import annotations

from time import perf_counter

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second
from benchmarks.harness import main

PROCESSES = 1000


async def closing_node(done: bp.Pid) -> None:
    """The first to be spawned; told who comes next when the ring is closed."""
    await node(await bp.receive(), done)


async def node(onward: bp.Pid, done: bp.Pid) -> None:
    while True:
        _, left = await bp.receive()
        if left == 0:
            bp.send(done, "done")
        else:
            bp.send(onward, ("token", left - 1))


async def ring(laps: int) -> Figures:
    me = bp.self()
    first = last = bp.spawn_link(closing_node, me)
    for _ in range(PROCESSES - 1):
        last = bp.spawn_link(node, last, me)
    bp.send(first, last)
    began = perf_counter()
    bp.send(last, ("token", laps * PROCESSES))
    await bp.receive()
    rate = per_second(laps * PROCESSES, began)
    bp.unlink(first)
    bp.exit(first, "kill")
    return {"ring": rate}


CASES = (Case("ring", ring, (Figure("ring", "hops/s"),), size=1000, smoke=2),)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
