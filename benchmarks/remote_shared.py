"""Between two nodes of one host, arrays of 1, 10, 100 and 500 MB through shared memory, in MB/s.

Each figure is the median of remote calls, one after the other. "argument": an array that can be written to, summed up
there. "return": the same array of the other node, sent back by each call and summed up here. "settled": an array that
lies in shared memory for good, as `bp.put` makes it, sent and summed up there. "write": an argument that is overwritten
in place there, page by page. "untouched": an argument that nobody looks at, so what moving it costs alone.

With `tcp` as the carrier the same arrays travel: what shared memory saves.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import beampy as bp
from benchmarks.case import Case, Figure, Figures
from benchmarks.harness import main
from benchmarks.refs_work import array, first, forget, give, total

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.two_nodes import Other

SIZES = (1, 10, 100, 500)
HOW = ("argument", "return", "settled", "write", "untouched")
WARM = 3  # calls that find fresh memory


def overwrite(values: Any) -> int:
    """Every element."""
    values[:] = 1
    return len(values)


async def rate(once: Callable[[], Awaitable[object]], mb: int, times: int) -> float:
    """MB/s."""
    took = []
    for _ in range(times + WARM):
        began = perf_counter()
        await once()
        took.append(perf_counter() - began)
    return mb / median(took[WARM:])


async def remote_shared(times: int, other: Other) -> Figures:
    """Each figure so many times, fewer for large arrays."""
    figures: Figures = {}
    for mb in SIZES:
        values = array(mb)
        ref = await bp.put(values)
        settled = await ref.get()  # here: the object itself

        async def returned(mb: int = mb) -> float:
            return total(await bp.remote_call(other.name, give, mb))

        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "argument": lambda values=values: bp.remote_call(other.name, total, values),  # type: ignore[misc]
            "return": returned,
            "settled": lambda settled=settled: bp.remote_call(other.name, total, settled),  # type: ignore[misc]
            "write": lambda values=values: bp.remote_call(other.name, overwrite, values),  # type: ignore[misc]
            "untouched": lambda values=values: bp.remote_call(other.name, first, values),  # type: ignore[misc]
        }
        for how, once in ways.items():
            figures[f"remote_shared.{mb}MB.{how}"] = await rate(once, mb, max(1, times // (1 + mb // 100)))
        await bp.remote_call(other.name, forget)
        ref.drop()
    return figures


CASES = (
    Case(
        "remote_shared",
        remote_shared,
        tuple(Figure(f"remote_shared.{mb}MB.{how}", "MB/s") for mb in SIZES for how in HOW),
        size=30,
        smoke=1,
        runs=3,
        nodes=2,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
