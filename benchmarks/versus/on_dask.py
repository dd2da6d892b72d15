"""dask.distributed: an actor and a task on one worker process; the scheduler is a process too, as it is by default.

In the `pool_*` cases each worker has one thread, so that what keeps a core busy has one to itself.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import shutil
import tempfile
from contextlib import contextmanager
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.code_modules import COUNTS, beside, new_package
from benchmarks.frames_work import KEYS, PARTS, ROWS, columns
from benchmarks.versus.beside import in_flight, one_by_one
from benchmarks.versus.bulk import Store
from benchmarks.versus.bulk import refs_bulk as bulk_figures
from benchmarks.versus.code_calls import code_calls as code_figures
from benchmarks.versus.pools import Pool, pool_workloads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from benchmarks.case import Figures, Workloads

distributed: Any = importlib.import_module("distributed")

PROGRAM = """
import logging
import distributed

if __name__ == "__main__":
    options = {"n_workers": n, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(silence_logs=logging.ERROR, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        for future in [client.submit(together, folder, n, pure=False) for _ in range(n)]:
            future.result()
        ready()
"""


class Same:
    """The actor."""

    def get(self, x: int) -> int:
        return x


def nothing() -> None:
    """The task."""


@contextmanager
def started(workers: int = 1) -> Iterator[Any]:
    """A client of a new cluster."""
    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(silence_logs=logging.ERROR, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def code_calls(n: int) -> Figures:
    with started() as client:
        return code_figures(lambda fn: lambda *args: client.submit(fn, *args, pure=False).result(), n)


def code_modules(n: int) -> Figures:
    """Files are uploaded, then one is called. Workers search what this process did when they started: not `folder`."""
    took: dict[str, list[float]] = {}
    with started() as client, tempfile.TemporaryDirectory(prefix="made-") as made, beside(made) as folder:
        client.submit(sum, (1, 2)).result()
        for _ in range(n):
            for count in COUNTS:
                module = new_package(folder, count)
                began = perf_counter()
                client.upload_file(_packed(folder, module.__name__.partition(".")[0]))
                assert client.submit(module.value, 3).result() == module.value(3)
                took.setdefault(f"code_modules.{count}", []).append(perf_counter() - began)
    return {name: median(seconds) * 1e3 for name, seconds in took.items()}


def _packed(folder: Path, name: str) -> str:
    """The file that upload_file takes: a module, or a package in a zip."""
    if not (folder / name).is_dir():
        return str(folder / f"{name}.py")
    return shutil.make_archive(str(folder / name), "zip", folder, name)


def remote_call(n: int) -> Figures:
    with started() as client:
        actor = client.submit(Same, actor=True).result()
        return {
            **one_by_one("server", lambda: actor.get(1).result(), n),
            **one_by_one("function", lambda: client.submit(nothing, pure=False).result(), n),
            "remote_call.pipelined.one": in_flight(lambda: actor.get(1), lambda result: result.result(), n),
            "remote_call.pipelined.function": in_flight(
                lambda: client.submit(nothing, pure=False), lambda future: future.result(), n
            ),
        }


@contextmanager
def opened(workers: int) -> Iterator[Pool]:
    with started(workers) as client:

        def map_(fn: Callable[..., Any], items: Iterable[Any], _: int) -> Iterable[Any]:
            found: Iterable[Any] = client.gather(client.map(fn, items, pure=False))
            return found

        def unordered(fn: Callable[..., Any], items: Iterable[Any]) -> Iterable[Any]:
            futures = client.map(fn, items, pure=False)
            return (result for _, result in distributed.as_completed(futures, with_results=True))

        yield Pool(
            declare=lambda fn: partial(client.submit, fn, pure=False),
            result=lambda future: future.result(),
            map=map_,
            unordered=unordered,
            chunks=False,
            placed=False,
        )


def refs_bulk(times: int) -> Figures:
    with started() as client:

        def keep(fn: Callable[..., Any], *args: Any) -> Any:
            return client.submit(fn, *args, pure=False)

        store = Store(
            call=lambda *call: keep(*call).result(),
            keep=keep,
            put=lambda values: client.scatter(values, hash=False),
            get=lambda future: future.result(),
        )
        return bulk_figures(store, times)


def frame_part(number: int, rows: int) -> Any:
    """On a worker: one partition."""
    return importlib.import_module("pandas").DataFrame(columns(rows, number))


def frames_group(times: int) -> Figures:
    frames: Any = importlib.import_module("dask.dataframe")
    took = []
    with started(PARTS) as client:
        meta = frame_part(0, 0)
        frame = frames.from_map(frame_part, range(PARTS), rows=ROWS // PARTS, meta=meta).persist()
        distributed.wait(frame)
        for _ in range(times + 2):
            began = perf_counter()
            groups = frame.groupby("key")
            found = groups.agg({"value": "sum", "count": ["mean", "size"]}).compute()
            took.append(perf_counter() - began)
            assert (len(found), int(found["count"]["size"].sum())) == (KEYS, ROWS)
        assert client.status == "running"
    return {"frames_group": ROWS / median(took[2:]) / 1e6}


def workloads(_: str) -> Workloads:
    return {
        "frames_group": frames_group,
        "remote_call": remote_call,
        "refs_bulk": refs_bulk,
        "code_calls": code_calls,
        "code_modules": code_modules,
        **pool_workloads(opened, PROGRAM),
    }


def versions() -> dict[str, str]:
    return {"distributed": importlib.metadata.version("distributed")}


def loop(_: str) -> str:
    return "tornado on asyncio"
