"""Spawn: short lives a second, from spawn_monitor to the Down that says that it is over.

First one after another, then in batches of a thousand whose Downs are received afterwards. asyncio
by hand makes a Task and awaits it; pykka, thespian and xoscar start an actor and stop it.
"""

from __future__ import annotations

from time import perf_counter

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second
from benchmarks.harness import main

BATCH = 1000


async def leave() -> None:
    pass


async def spawn(n: int) -> Figures:
    began = perf_counter()
    for _ in range(n):
        bp.spawn_monitor(leave)
        await bp.receive()
    one_by_one = per_second(n, began)

    batch = min(n, BATCH)
    began = perf_counter()
    for _ in range(n // batch):
        for _ in range(batch):
            bp.spawn_monitor(leave)
        for _ in range(batch):
            await bp.receive()
    return {"spawn": one_by_one, "spawn.batch": per_second(n // batch * batch, began)}


CASES = (
    Case(
        "spawn",
        spawn,
        (Figure("spawn", "lives/s"), Figure("spawn.batch", "lives/s")),
        size=50_000,
        smoke=200,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
