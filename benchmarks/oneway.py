"""One-way: messages a second from one process to another that only takes them.

What a message costs by itself, in a mailbox that fills while nobody waits. The message is one small
tuple made once, so that the figure is the mailbox's and not the tuple's. In every Python subject
the producer sends without a pause, so the consumer drains what has piled up.
"""

from __future__ import annotations

from time import perf_counter

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second
from benchmarks.harness import main

MESSAGE = ("message", 1)


async def consumer(n: int, parent: bp.Pid) -> None:
    for _ in range(n):
        await bp.receive()
    bp.send(parent, "done")


async def producer(consumer: bp.Pid, n: int) -> None:
    for _ in range(n):
        bp.send(consumer, MESSAGE)


async def into_one(producers: int, n: int) -> float:
    """Messages a second from that many producers into one consumer, n of them in all."""
    each = max(1, n // producers)
    target = bp.spawn(consumer, producers * each, bp.self())
    began = perf_counter()
    for _ in range(producers):
        bp.spawn(producer, target, each)
    await bp.receive()
    return per_second(producers * each, began)


async def oneway(n: int) -> Figures:
    return {"oneway": await into_one(1, n)}


CASES = (Case("oneway", oneway, (Figure("oneway", "messages/s"),), size=1_000_000, smoke=1000),)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
