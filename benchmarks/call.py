"""Call: a Server's round trip, how many a second and how long one takes; and casts a second.

"call.rate" goes through bp.call and handle_call, as gen_server:call does; "call.method" is the same
answer from a method marked @bp.call, through the typed client.

The p50 and p99 come from calls timed one by one, a quarter of the size. The casts end with a call,
so that all of them are done when the clock stops.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second, percentile_us
from benchmarks.harness import main


class Adder(bp.Server):
    """Answers ("get", x) with x; adds the x of a cast ("add", x)."""

    def __init__(self) -> None:
        self.total = 0

    async def handle_call(self, request: Any, from_: Any) -> Any:
        return request[1]

    async def handle_cast(self, request: Any) -> None:
        self.total += request[1]

    @bp.call
    async def get(self, x: int) -> int:
        return x


async def timed_calls(server: bp.Pid, n: int) -> list[float]:
    """The seconds that each of n calls took."""
    took = []
    for _ in range(n):
        began = perf_counter()
        await bp.call(server, ("get", 1))
        took.append(perf_counter() - began)
    return took


async def call(n: int) -> Figures:
    client = await Adder.start_link()
    server = client.pid
    began = perf_counter()
    for _ in range(n):
        await bp.call(server, ("get", 1))
    rate = per_second(n, began)
    took = await timed_calls(server, max(1, n // 4))
    began = perf_counter()
    for _ in range(n):
        bp.cast(server, ("add", 1))
    await bp.call(server, ("get", 1))
    casts = per_second(n, began)
    began = perf_counter()
    for _ in range(n):
        await client.get(1)
    methods = per_second(n, began)
    await bp.stop(server)
    return {
        "call.rate": rate,
        "call.p50": percentile_us(took, 0.5),
        "call.p99": percentile_us(took, 0.99),
        "call.method": methods,
        "cast": casts,
    }


CASES = (
    Case(
        "call",
        call,
        (
            Figure("call.rate", "calls/s"),
            Figure("call.p50", "µs", higher=False),
            Figure("call.p99", "µs", higher=False),
            Figure("call.method", "calls/s"),
            Figure("cast", "casts/s"),
        ),
        size=50_000,
        smoke=200,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
