"""ipyparallel: a controller, engines, and a view that balances their load."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import os
import tempfile
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.versus.pools import Pool, pool_workloads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.case import Workloads

# Its profile, with the keys of its clusters, is not to be the user's.
PROFILE = tempfile.TemporaryDirectory(prefix="bench-")
os.environ["IPYTHONDIR"] = PROFILE.name

ipyparallel: Any = importlib.import_module("ipyparallel")

PROGRAM = """
import logging
import ipyparallel

with ipyparallel.Cluster(n=n, log_level=logging.ERROR) as client:
    view = client.load_balanced_view()
    for result in [view.apply_async(together, folder, n) for _ in range(n)]:
        result.get()
    ready()
"""


@contextmanager
def opened(workers: int) -> Iterator[Pool]:
    with ipyparallel.Cluster(n=workers, log_level=logging.ERROR) as client:
        view = client.load_balanced_view()
        yield Pool(
            declare=lambda fn: partial(view.apply_async, fn),
            result=lambda result: result.get(),
            map=lambda fn, items, chunk: view.map(fn, items, chunksize=chunk, block=False),
            unordered=lambda fn, items: view.map(fn, items, ordered=False, block=False),
            placed=False,
        )


def workloads(_: str) -> Workloads:
    return pool_workloads(opened, PROGRAM)


def versions() -> dict[str, str]:
    return {"ipyparallel": importlib.metadata.version("ipyparallel")}


def loop(_: str) -> str:
    return "zeromq and tornado"
