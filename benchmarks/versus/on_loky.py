"""loky: the process pool of joblib, which survives the death of a worker and ships functions with cloudpickle."""

from __future__ import annotations

import importlib
import importlib.metadata
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.versus.pools import Pool, executor_pool, pool_workloads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.case import Workloads

loky: Any = importlib.import_module("loky")

PROGRAM = """
import loky

with loky.ProcessPoolExecutor(n) as pool:
    for future in [pool.submit(together, folder, n) for _ in range(n)]:
        future.result()
    ready()
"""


@contextmanager
def opened(workers: int) -> Iterator[Pool]:
    with loky.ProcessPoolExecutor(workers) as executor:
        yield executor_pool(executor)


def workloads(_: str) -> Workloads:
    return pool_workloads(opened, PROGRAM, warm_starts=True)


def versions() -> dict[str, str]:
    return {"loky": importlib.metadata.version("loky")}


def loop(_: str) -> str:
    return "threads"
