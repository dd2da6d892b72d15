"""What a benchmark is: a case, the figures it yields, and the few measuring aids its body needs.

A case's body is an async function of a size. It runs as the first process of a fresh node, does the
work `size` times, and returns one value for each of its figures. It times only the work itself:
what has to be set up before is not in the figure. Peers implement cases by name, with bodies of
their own.

    >>> rate = Figure("pingpong", "round trips/s")
    >>> rate.times_better(300.0, 100.0)
    3.0
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

Figures = dict[str, float]
Body = Callable[..., Coroutine[Any, Any, Figures]]
Workloads = dict[str, Callable[[int], Figures]]


@dataclass(frozen=True)
class Figure:
    """One number that a case yields; `higher` says which direction is the good one."""

    name: str
    unit: str
    higher: bool = True

    def times_better(self, ours: float, theirs: float) -> float | None:
        """How many times better ours is than theirs; None where the division means nothing."""
        above, below = (ours, theirs) if self.higher else (theirs, ours)
        return above / below if above > 0 and below > 0 else None


@dataclass(frozen=True)
class Case:
    """A workload. `fresh` asks for a new operating-system process at each run, without warm-up.

    With two `nodes` the body gets the other one as well, a `two_nodes.Other`; both are new at each run.
    """

    name: str
    body: Body
    figures: tuple[Figure, ...]
    size: int
    smoke: int
    fresh: bool = False
    runs: int | None = None
    nodes: int = 1


def per_second(count: int, began: float) -> float:
    """The rate of `count` operations that began at `began` (a perf_counter reading) and end now."""
    return count / (perf_counter() - began)


def percentile_us(seconds: Sequence[float], fraction: float) -> float:
    """That percentile of the durations, in microseconds."""
    ranked = sorted(seconds)
    return ranked[min(len(ranked) - 1, int(fraction * len(ranked)))] * 1e6


def resident_bytes() -> int:
    """This operating-system process's resident memory; where /proc is missing, its peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def calibrate() -> float:
    """Millions of trivial loop iterations a second: how fast this machine is at this moment."""
    best = float("inf")
    for _ in range(3):
        began, total = perf_counter(), 0
        for i in range(200_000):
            total += i
        best = min(best, perf_counter() - began)
    return 0.2 / best
