"""Between two nodes, small messages while big ones stream: how long the small ones wait.

One process sends 64 MB messages without a pause to one on the other node, each one answered before the next, while
another pair plays ping-pong. "remote_mixed.idle" is a round trip before that. "remote_mixed.bulk" is what the stream
reached meanwhile. The big messages are bytes that nobody can change, so the node sends them as they are; the receiver
only looks at their length.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import beampy as bp
from benchmarks.case import Case, Figure, Figures, percentile_us
from benchmarks.harness import main
from benchmarks.remote import echo, round_trips
from benchmarks.remote_bulk import MB, Block, sink

if TYPE_CHECKING:
    from benchmarks.two_nodes import Other

BIG = 64 * MB
AHEAD = 1


async def pour(node: str, megabytes: int, parent: bp.Pid) -> None:
    """Stream that much, then say how many MB/s that were."""
    target = await bp.spawn(sink, bp.self(), node=node)
    data = Block(memoryview(bytes(BIG)))
    n = max(1, megabytes * MB // BIG)
    began = perf_counter()
    for i in range(n):
        bp.send(target, ("big", data))
        if i >= AHEAD - 1:
            await bp.receive()
    for _ in range(min(n, AHEAD - 1)):
        await bp.receive()
    bp.send(parent, ("poured", n * BIG / MB / (perf_counter() - began)))


async def small(there: bp.Pid, parent: bp.Pid) -> None:
    """Play ping-pong until somebody wants the times."""
    took: list[float] = []
    me = bp.self()
    while True:
        began = perf_counter()
        bp.send(there, ("ping", me))
        answer = await bp.receive()
        if answer == "enough":
            break
        took.append(perf_counter() - began)
    bp.send(parent, ("small", took))


async def remote_mixed(megabytes: int, other: Other) -> Figures:
    there = await bp.spawn(echo, node=other.name)
    idle = await round_trips(there, 1000)
    player = bp.spawn(small, there, bp.self())
    bp.spawn(pour, other.name, megabytes, bp.self())
    _, bulk = await bp.receive()
    bp.send(player, "enough")
    _, took = await bp.receive()
    return {
        "remote_mixed.idle": percentile_us(idle, 0.5),
        "remote_mixed.p50": percentile_us(took, 0.5),
        "remote_mixed.p99": percentile_us(took, 0.99),
        "remote_mixed.bulk": bulk,
    }


CASES = (
    Case(
        "remote_mixed",
        remote_mixed,
        (
            Figure("remote_mixed.idle", "µs", higher=False),
            Figure("remote_mixed.p50", "µs", higher=False),
            Figure("remote_mixed.p99", "µs", higher=False),
            Figure("remote_mixed.bulk", "MB/s"),
        ),
        size=4096,
        smoke=128,
        runs=3,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
