"""An elastic pool: a function that computes, before and after. What changes is one line.

python examples/06_elastic_pool.py
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import beampy as bp

if TYPE_CHECKING:
    from collections.abc import Callable

STARTS = [1 + 6_000 * n for n in range(16)]


def longest_chain(start: int) -> tuple[int, int]:
    """The number from `start` on whose Collatz chain is the longest, and its length. Plain Python that computes."""
    print(f"{os.getpid()} looks from {start:,} on")
    best = (0, 0)
    for first in range(start, start + 6_000):
        number, length = first, 1
        while number != 1:
            number = number // 2 if number % 2 == 0 else 3 * number + 1
            length += 1
        best = max(best, (length, first))
    length, first = best
    return first, length


def before() -> list[tuple[int, int]]:
    return [longest_chain(start) for start in STARTS]


def after(pool: bp.Pool) -> list[tuple[int, int]]:
    return list(pool.map(longest_chain, STARTS))


def timed(fn: Callable[..., list[tuple[int, int]]], *args: bp.Pool) -> tuple[list[tuple[int, int]], float]:
    started = time.perf_counter()
    return fn(*args), time.perf_counter() - started


def main() -> None:
    chains, alone = timed(before)
    # isolation="process": each call has an interpreter of its own. Here that is a process of this machine.
    with bp.Pool(max=1, isolation="process") as pool:
        pool.call(int).result()  # so that the time below is that of the work
        same, together = timed(after, pool)
        assert same == chains
    print(f"\nalone: {alone:.2f} s; in the pool: {together:.2f} s, on {os.cpu_count()} processors")
    first, length = max(chains, key=lambda chain: chain[1])
    print(f"the longest chain below {STARTS[-1] + 6_000:,} starts at {first:,} and has {length} numbers")


if __name__ == "__main__":
    main()
