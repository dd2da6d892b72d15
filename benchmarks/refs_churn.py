"""References between two nodes: how many a second are made and dropped, and how long it takes until a drop is seen.

"made there": the other node makes objects and answers with a list of a thousand references, which are dropped here;
each is listed with its owner, used by nobody, dropped and freed. "put": objects of ours that are put on the other node,
64 under way, and dropped. "handed": references of ours sent there and dropped there. The clock stops when the owner has
freed the last one. "freed": from the drop of one handle to the end of its object on the other node, one at a time.
"hand-over": a call there with a reference in its arguments, and "call" the same with a number in its place.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second, percentile_us
from benchmarks.harness import main

if TYPE_CHECKING:
    from benchmarks.two_nodes import Other

BATCH = 1000
UNDER_WAY = 64
LOOK_AGAIN_S = 0.002  # much less than what is measured


class Thing:
    """Something small that knows when it ends."""

    alive = 0

    def __init__(self) -> None:
        Thing.alive += 1

    def __del__(self) -> None:
        Thing.alive -= 1


async def make(n: int) -> list[Any]:
    """References to n new objects here."""
    return [bp.remote(Thing()) for _ in range(n)]


async def alive() -> int:
    """How many of them there are here."""
    return Thing.alive


async def drop(refs: list[Any]) -> int:
    """They are dropped with the arguments of this call."""
    return len(refs)


async def same(x: Any) -> None:
    """Nothing."""


async def until_none(node: str | None) -> None:
    """Wait until all have ended, here or there."""
    while (await alive() if node is None else await bp.remote_call(node, alive)) > 0:  # noqa: ASYNC110 -- as users do
        await asyncio.sleep(LOOK_AGAIN_S)


async def refs_churn(n: int, other: Other) -> Figures:
    await made_there(n // 10, other.name)
    figures: Figures = {"refs_churn.made": await made_there(n, other.name)}
    await put(n // 10, other.name)
    figures["refs_churn.put"] = await put(n, other.name)
    await handed(n // 10, other.name)
    figures["refs_churn.handed"] = await handed(n, other.name)
    took = []
    for i in range(20):
        [ref] = await bp.remote_call(other.name, make, 1)
        await asyncio.sleep(0.2 + 0.013 * i)  # long after it came, and at another time between two sweeps each time
        began = perf_counter()
        del ref
        await until_none(other.name)
        took.append(perf_counter() - began)
    figures["refs_churn.freed"] = max(took) * 1e3
    ref = bp.remote(Thing())
    for name, arguments in (("hand-over", [ref]), ("call", [1])):
        await timed(other.name, arguments, 100)
        took = await timed(other.name, arguments, 2000)
        figures[f"refs_churn.{name}.p50"] = percentile_us(took, 0.5)
    return figures


async def made_there(n: int, node: str) -> float:
    began = perf_counter()
    for _ in range(0, n, BATCH):
        assert len(await bp.remote_call(node, make, BATCH)) == BATCH
    await until_none(node)
    return per_second(n, began)


async def put(n: int, node: str) -> float:
    began, under_way = perf_counter(), deque[Any]()
    for i in range(n):
        under_way.append(asyncio.ensure_future(as_future(bp.put(i, node=node))))
        if len(under_way) == UNDER_WAY:
            await under_way.popleft()
    while under_way:
        await under_way.popleft()
    while any(row.node == node for row in await bp.refs(node)):  # noqa: ASYNC110 -- as users do
        await asyncio.sleep(LOOK_AGAIN_S)
    return per_second(n, began)


async def as_future(handle: Any) -> Any:
    return await handle


async def handed(n: int, node: str) -> float:
    began = perf_counter()
    for _ in range(0, n, BATCH):
        assert await bp.remote_call(node, drop, await make(BATCH)) == BATCH
    await until_none(None)
    return per_second(n, began)


async def timed(node: str, arguments: Any, n: int) -> list[float]:
    took = []
    for _ in range(n):
        began = perf_counter()
        await bp.remote_call(node, same, arguments)
        took.append(perf_counter() - began)
    return took


CASES = (
    Case(
        "refs_churn",
        refs_churn,
        (
            Figure("refs_churn.made", "refs/s"),
            Figure("refs_churn.put", "refs/s"),
            Figure("refs_churn.handed", "refs/s"),
            Figure("refs_churn.freed", "ms", higher=False),
            Figure("refs_churn.hand-over.p50", "µs", higher=False),
            Figure("refs_churn.call.p50", "µs", higher=False),
        ),
        size=20_000,
        smoke=1_000,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
