"""Memory: resident bytes for each idle process, and for each idle Server.

Idle is: started, and waiting in receive. The difference of resident memory divided by the count, in
a fresh operating-system process each, so that nothing that ran before has left memory to be reused.
"""

from __future__ import annotations

import gc

import beampy as bp
from benchmarks.call import Adder
from benchmarks.case import Case, Figure, Figures, resident_bytes
from benchmarks.harness import main


class Crowd:
    """Counts the processes that are up and tells the parent when all are."""

    def __init__(self, size: int, parent: bp.Pid) -> None:
        self.left, self.parent = size, parent

    async def idle(self) -> None:
        self.left -= 1
        if self.left == 0:
            bp.send(self.parent, "all up")
        await bp.receive()


async def memory(n: int) -> Figures:
    idle = Crowd(n, bp.self()).idle
    gc.collect()
    before = resident_bytes()
    for _ in range(n):
        bp.spawn(idle)
    await bp.receive()
    gc.collect()
    return {"memory.process": (resident_bytes() - before) / n}


async def memory_server(n: int) -> Figures:
    gc.collect()
    before = resident_bytes()
    for _ in range(n):
        await Adder.start_link()
    gc.collect()
    return {"memory.server": (resident_bytes() - before) / n}


CASES = (
    Case(
        "memory",
        memory,
        (Figure("memory.process", "bytes", higher=False),),
        size=200_000,
        smoke=2000,
        fresh=True,
        runs=3,
    ),
    Case(
        "memory_server",
        memory_server,
        (Figure("memory.server", "bytes", higher=False),),
        size=20_000,
        smoke=500,
        fresh=True,
        runs=3,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
