"""Between two nodes, one message in flight: how long a round trip takes; and how many a second with 100 pairs at once.

A small tuple goes each way, as in `pingpong`, to a process on another node, in an operating-system process of its own
on the same host. "remote.p50" and "remote.p99" come from round trips timed one by one, the two processes on two cores:
most of that time is the waking of the other core. "remote.one_core" is the same on one core, which is the CPU time of
both sides together, and hardly varies. "remote.pairs" is left to the system.

The peers named echo send as many bytes as a ping has in its frame, back and forth over the same kind of socket with
nothing but uvloop, placed alike: what is above theirs is what beampy adds.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second, percentile_us
from benchmarks.harness import main
from benchmarks.two_nodes import placed

if TYPE_CHECKING:
    from benchmarks.two_nodes import Other

PAIRS = 100


async def echo() -> None:
    """On the other node: answers each ping."""
    while True:
        _, sender = await bp.receive()
        bp.send(sender, ("pong", bp.self()))


async def round_trips(other: bp.Pid, n: int) -> list[float]:
    """The seconds that each of n round trips took."""
    me, took = bp.self(), []
    for _ in range(n):
        began = perf_counter()
        bp.send(other, ("ping", me))
        await bp.receive()
        took.append(perf_counter() - began)
    return took


async def play(other: bp.Pid, n: int) -> None:
    """One of the pairs: n round trips, not timed."""
    me = bp.self()
    for _ in range(n):
        bp.send(other, ("ping", me))
        await bp.receive()


async def remote(n: int, other: Other) -> Figures:
    there = await bp.spawn(echo, node=other.name)
    await round_trips(there, n // 10)
    with placed(other.pid, apart=True):
        took = await round_trips(there, n)
    with placed(other.pid, apart=False):
        close = await round_trips(there, n)
    each = max(1, n * 4 // PAIRS)
    others = [await bp.spawn(echo, node=other.name) for _ in range(PAIRS)]
    began = perf_counter()
    pairs = [bp.spawn(play, there, each, monitor=True) for there in others]
    for _ in pairs:
        await bp.receive(bp.Down)
    return {
        "remote.p50": percentile_us(took, 0.5),
        "remote.p99": percentile_us(took, 0.99),
        "remote.one_core": percentile_us(close, 0.5),
        "remote.pairs": per_second(each * PAIRS, began),
    }


CASES = (
    Case(
        "remote",
        remote,
        (
            Figure("remote.p50", "µs", higher=False),
            Figure("remote.p99", "µs", higher=False),
            Figure("remote.one_core", "µs", higher=False),
            Figure("remote.pairs", "round trips/s"),
        ),
        size=5_000,
        smoke=50,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
