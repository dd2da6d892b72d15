"""A generator that runs in a runner: how many of its items a second arrive, one reader, small items.

"pool_stream" is a sync generator, "pool_stream.async" an async one. The reader takes each as it comes, and the
generator is never further ahead than the pool's window.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second
from benchmarks.harness import main
from benchmarks.pool_work import numbers, numbers_async

if TYPE_CHECKING:
    from collections.abc import Callable

GENERATORS: dict[str, Callable[[int], Any]] = {"pool_stream": numbers, "pool_stream.async": numbers_async}


async def pool_stream(n: int) -> Figures:
    async with bp.Pool(min=1, max=1) as pool:

        async def rate(generator: Callable[[int], Any], n: int) -> float:
            began = perf_counter()
            total = sum([i async for i in pool.stream(generator, n)])
            found = per_second(n, began)
            assert total == sum(range(n))
            return found

        for generator in GENERATORS.values():
            await rate(generator, max(1, n // 10))
        return {name: await rate(generator, n) for name, generator in GENERATORS.items()}


CASES = (
    Case(
        "pool_stream",
        pool_stream,
        tuple(Figure(name, "items/s") for name in GENERATORS),
        size=20_000,
        smoke=50,
        fresh=True,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
