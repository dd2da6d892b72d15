"""Supervisor: from a kill to the report of the restarted child; and from a kill to its Down.

"restart" is the whole way: the child dies, its supervisor learns of it, decides, starts a new
Server, and that one says from its constructor that it is up. "kill.down" is the floor under it. A new
supervisor for each hundred restarts, as in Erlang, where a supervisor keeps a list of the restarts
in its period. Reports are off in both: a log's handler is not what is measured.
"""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter

import beampy as bp
from benchmarks.case import Case, Figure, Figures, percentile_us
from benchmarks.harness import main

EACH = 100


class Reporting(bp.Server):
    """Tells the parent that it is up."""

    def __init__(self, parent: bp.Pid) -> None:
        bp.send(parent, ("up", bp.self()))


async def restarts(n: int) -> list[float]:
    """The seconds that each of n restarts took, under one supervisor."""
    child = bp.ChildSpec("child", (Reporting.start_link, bp.self()))
    boss = await bp.Supervisor.start_link([child], intensity=1_000_000, period=5.0)
    _, pid = await bp.receive(("up", ...))
    took = []
    for _ in range(n):
        began = perf_counter()
        bp.exit(pid, "kill")
        _, pid = await bp.receive(("up", ...))
        took.append(perf_counter() - began)
    await boss.stop()
    return took


async def idle() -> None:
    await bp.receive()


async def kill_to_down(n: int) -> list[float]:
    """The seconds from a kill to the Down, n times; the victim waits in receive."""
    took = []
    for _ in range(n):
        pid, _ = bp.spawn_monitor(idle)
        await asyncio.sleep(0)
        began = perf_counter()
        bp.exit(pid, "kill")
        await bp.receive(bp.Down)
        took.append(perf_counter() - began)
    return took


async def supervisor(n: int) -> Figures:
    logging.getLogger("beampy").setLevel(logging.CRITICAL)
    took: list[float] = []
    for _ in range(max(1, n // EACH)):
        took += await restarts(min(n, EACH))
    downs = await kill_to_down(n)
    return {"restart": percentile_us(took, 0.5), "kill.down": percentile_us(downs, 0.5)}


CASES = (
    Case(
        "supervisor",
        supervisor,
        (Figure("restart", "µs", higher=False), Figure("kill.down", "µs", higher=False)),
        size=2000,
        smoke=20,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
