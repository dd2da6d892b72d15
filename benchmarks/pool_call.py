"""A warm pool of one runner: how long a call takes, and how many a second, one at a time and 32 in flight.

The function returns its argument. "pool_call.p50" and "rate" are of a sync function, which the runner runs in a thread,
"pool_call.async" of an async one, which it runs on its loop. The system places the processes as it likes, as it does
for users; "apart" has the caller and the runner on a core each, with all their threads, and varies less: every answer
wakes a core that sleeps. "rate" is of calls one after the other; in "rate.32" one caller keeps 32 under way.
"""

from __future__ import annotations

from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second, percentile_us
from benchmarks.harness import main
from benchmarks.pool_placed import apart
from benchmarks.pool_work import pid, same, same_async
from benchmarks.two_nodes import turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

IN_FLIGHT = 32
KINDS: dict[str, Callable[[int], Any]] = {"pool_call": same, "pool_call.async": same_async}


def latencies(kind: str, took: Sequence[float]) -> Figures:
    """The figures of calls that were made one after the other."""
    return {
        f"{kind}.p50": percentile_us(took, 0.5),
        f"{kind}.p99": percentile_us(took, 0.99),
        f"{kind}.rate": len(took) / sum(took),
    }


async def timed(call: Callable[[int], Awaitable[int]], n: int) -> list[float]:
    """The seconds that each of n calls took."""
    took = []
    for i in range(n):
        began = perf_counter()
        assert await call(i) == i
        took.append(perf_counter() - began)
    return took


async def in_flight(start: Callable[[int], Awaitable[int]], n: int) -> float:
    """Calls a second with `IN_FLIGHT` of them under way."""
    began, under_way, total = perf_counter(), deque[Any](), 0
    for i in range(n):
        under_way.append(start(i))
        if len(under_way) == IN_FLIGHT:
            total += await under_way.popleft()
    while under_way:
        total += await under_way.popleft()
    assert total == sum(range(n))
    return per_second(n, began)


async def pool_call(n: int) -> Figures:
    figures: Figures = {}
    async with bp.Pool(min=1, max=1, max_concurrency=IN_FLIGHT) as pool:
        runner = await pool.call(pid)
        calls = {kind: lambda i, fn=fn: pool.submit(fn, i) for kind, fn in KINDS.items()}
        for call in calls.values():
            await timed(call, max(1, n // 10))
            await in_flight(call, max(1, n // 10))
        took: dict[str, list[float]] = {kind: [] for kind in calls}
        for count in turns(n):
            for kind, call in calls.items():
                took[kind] += await timed(call, count)
        for kind, call in calls.items():
            figures |= latencies(kind, took[kind])
            figures[f"{kind}.rate.32"] = await in_flight(call, n * 5)
        with apart(runner):
            for kind, call in calls.items():
                figures[f"{kind}.apart.p50"] = percentile_us(await timed(call, n), 0.5)
    return figures


def _figures(kind: str) -> tuple[Figure, ...]:
    return (
        Figure(f"{kind}.p50", "µs", higher=False),
        Figure(f"{kind}.p99", "µs", higher=False),
        Figure(f"{kind}.apart.p50", "µs", higher=False),
        Figure(f"{kind}.rate", "calls/s"),
        Figure(f"{kind}.rate.32", "calls/s"),
    )


CASES = (
    Case(
        "pool_call",
        pool_call,
        tuple(figure for kind in KINDS for figure in _figures(kind)),
        size=3_000,
        smoke=20,
        fresh=True,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
