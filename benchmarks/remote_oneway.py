"""Between two nodes, one way: messages of 100 bytes a second until the receiver has seen the last one.

"remote_oneway" has one sender that never pauses; "remote_oneway.hundred" has a hundred, which take turns. The message
is a tuple of a word and 100 bytes, made anew for each send as a program would. A sender that is ahead of its receiver
is parked by the node, as every writer is, so what is measured includes that.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second
from benchmarks.harness import main

if TYPE_CHECKING:
    from benchmarks.two_nodes import Other

PAYLOAD = b"x" * 100
SENDERS = 100


async def sink(n: int, parent: bp.Pid) -> None:
    """On the other node: takes n messages, then says so."""
    for _ in range(n):
        await bp.receive()
    bp.send(parent, "done")


async def source(target: bp.Pid, n: int) -> None:
    """Sends n messages; every hundred, the others get their turn."""
    for i in range(n):
        bp.send(target, ("message", PAYLOAD))
        if i % 100 == 99:
            await asyncio.sleep(0)


async def into_other(other: Other, senders: int, n: int) -> float:
    """Messages a second from that many senders here to one receiver there, n of them in all."""
    each = max(1, n // senders)
    target = await bp.spawn(sink, senders * each, bp.self(), node=other.name)
    began = perf_counter()
    for _ in range(senders):
        bp.spawn(source, target, each)
    await bp.receive()
    return per_second(senders * each, began)


async def remote_oneway(n: int, other: Other) -> Figures:
    return {
        "remote_oneway": await into_other(other, 1, n),
        "remote_oneway.hundred": await into_other(other, SENDERS, n),
    }


CASES = (
    Case(
        "remote_oneway",
        remote_oneway,
        (Figure("remote_oneway", "messages/s"), Figure("remote_oneway.hundred", "messages/s")),
        size=200_000,
        smoke=1000,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
