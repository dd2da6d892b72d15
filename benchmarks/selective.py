"""Selective receive: taking a message from behind ten thousand that do not match.

"selective" is one such receive: it has to look at all of them, in Erlang too. "call.behind" is a
Server call made by the process that has them in its mailbox, "call.quiet" the same call before they
came: a call must not notice them.
"""

from __future__ import annotations

from time import perf_counter

import beampy as bp
from benchmarks.call import Adder, timed_calls
from benchmarks.case import Case, Figure, Figures, percentile_us
from benchmarks.harness import main

UNWANTED = 10_000


async def selective(n: int) -> Figures:
    server = (await Adder.start_link()).pid
    await timed_calls(server, n)
    quiet = await timed_calls(server, n * 10)

    me = bp.self()
    for i in range(UNWANTED):
        bp.send(me, ("unwanted", i))
    began = perf_counter()
    for i in range(n):
        bp.send(me, ("wanted", i))
        await bp.receive(("wanted", ...))
    each = (perf_counter() - began) / n

    behind = await timed_calls(server, n * 10)
    await bp.stop(server)
    return {
        "selective": each * 1e6,
        "call.quiet": percentile_us(quiet, 0.5),
        "call.behind": percentile_us(behind, 0.5),
    }


CASES = (
    Case(
        "selective",
        selective,
        (
            Figure("selective", "µs", higher=False),
            Figure("call.quiet", "µs", higher=False),
            Figure("call.behind", "µs", higher=False),
        ),
        size=500,
        smoke=5,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
