"""concurrent.futures.ProcessPoolExecutor in the `pool_*` cases, its workers made by fork or by a fork server.

By fork is what Linux had by default before 3.14, and is the fastest to start. A fork server is warm when it has
imported what its workers need, so it is told to; it is measured for its starts only, since what comes after is alike.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.versus.pools import Pool, executor_pool, pool_boot, pool_workloads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.case import Workloads

PRELOADED = ["concurrent.futures.process", "benchmarks.pool_work"]
PROGRAM = f"""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

context = multiprocessing.get_context("METHOD")
if "METHOD" == "forkserver":
    context.set_forkserver_preload({PRELOADED})
with ProcessPoolExecutor(n, mp_context=context) as pool:
    for future in [pool.submit(together, folder, n) for _ in range(n)]:
        future.result()
    ready()
"""


@contextmanager
def opened(method: str, workers: int) -> Iterator[Pool]:
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(PRELOADED)
    with ProcessPoolExecutor(workers, mp_context=context) as executor:
        yield executor_pool(executor)


def workloads(method: str) -> Workloads:
    """`method`: "fork" or "forkserver"."""
    program, start = PROGRAM.replace("METHOD", method), partial(opened, method)
    if method == "forkserver":
        return {"pool_boot": partial(pool_boot, start, program)}
    return pool_workloads(start, program, warm_starts=True)


def versions() -> dict[str, str]:
    return {}


def loop(_: str) -> str:
    return "threads"
