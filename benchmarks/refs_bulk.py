"""A 100 MB array between two processes of one host, in MB/s: as argument, as result, by reference.

Every figure includes the sum over the array by whoever has got it, so that each page is looked at.

"argument": an array of the caller, which could be written to at any time, sent with each call. "return": an array that
the runner has, sent back by each call and summed here. "get": the same array, kept there, brought here through its
reference. "ref": summed where it lies, through its reference: nothing moves. "shared": put into shared memory here once
(bp.put), and summed on the runner by each call, which gets it through its reference. "tcp": "get" from a node that is
reached over TCP, as one of another machine is.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import beampy as bp
from benchmarks.case import Case, Figure, Figures
from benchmarks.harness import main
from benchmarks.refs_work import array, give, total

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.two_nodes import Other

MB = 100
HOW = ("argument", "return", "get", "ref", "shared")


async def rate(once: Callable[[], Awaitable[float]], expected: float, times: int, mb: int) -> float:
    """MB/s, of the median of some times; the first two are not counted, as they find memory that nobody has used."""
    took = []
    for _ in range(times + 2):
        began = perf_counter()
        assert await once() == expected
        took.append(perf_counter() - began)
    return mb / median(took[2:])


async def refs_bulk(times: int, mb: int = MB) -> Figures:
    """Each figure so many times."""
    values = array(mb)
    expected = total(values)
    async with bp.Pool(min=1, max=1) as pool:
        kept = await pool.keep(give, mb)
        put = await bp.put(values)

        async def returned() -> float:
            return total(await pool.call(give, mb))

        async def got() -> float:
            return total(await kept.get())

        ways: dict[str, Callable[[], Awaitable[float]]] = {
            "argument": lambda: pool.call(total, values),
            "return": returned,
            "get": got,
            "ref": lambda: pool.call(total, kept),
            "shared": lambda: pool.call(total, put),
        }
        return {f"refs_bulk.{how}": await rate(ways[how], expected, times, mb) for how in HOW}


async def refs_bulk_tcp(times: int, other: Other) -> Figures:
    """The same over TCP."""
    kept = await bp.remote_call(other.name, kept_there, MB)
    expected = await kept.do.sum()

    async def got() -> float:
        return total(await kept.get())

    return {"refs_bulk.tcp": await rate(got, expected, times, MB)}


def kept_there(mb: int) -> bp.RemoteRef[Any]:
    """On the other node: a reference to an array."""
    return bp.remote(array(mb))


CASES = (
    Case(
        "refs_bulk",
        refs_bulk,
        tuple(Figure(f"refs_bulk.{how}", "MB/s") for how in HOW),
        size=15,
        smoke=1,
        fresh=True,
    ),
    Case("refs_bulk_tcp", refs_bulk_tcp, (Figure("refs_bulk.tcp", "MB/s"),), size=15, smoke=1, nodes=2),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
