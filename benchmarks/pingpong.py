"""Ping-pong: round trips a second between two processes with one message in flight.

What a message that somebody waits for costs: a send, a wake-up, a receive, twice. Peers send the
same `(word, own mailbox or pid)` tuple each way.
"""

from __future__ import annotations

from time import perf_counter

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second
from benchmarks.harness import main


async def ponger() -> None:
    while True:
        _, sender = await bp.receive()
        bp.send(sender, ("pong", bp.self()))


async def pingpong(n: int) -> Figures:
    me = bp.self()
    other = bp.spawn(ponger)
    began = perf_counter()
    for _ in range(n):
        bp.send(other, ("ping", me))
        await bp.receive()
    rate = per_second(n, began)
    bp.exit(other, "kill")
    return {"pingpong": rate}


CASES = (
    Case(
        "pingpong",
        pingpong,
        (Figure("pingpong", "round trips/s"),),
        size=200_000,
        smoke=200,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
