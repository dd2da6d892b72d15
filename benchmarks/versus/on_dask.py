"""dask.distributed: an actor and a task on one worker process; the scheduler is a process too, as it is by default."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import shutil
import tempfile
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.code_modules import COUNTS, beside, new_package
from benchmarks.versus.beside import in_flight, one_by_one
from benchmarks.versus.code_calls import code_calls as code_figures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.case import Figures, Workloads

distributed: Any = importlib.import_module("distributed")


class Same:
    """The actor."""

    def get(self, x: int) -> int:
        return x


def nothing() -> None:
    """The task."""


@contextmanager
def started() -> Iterator[Any]:
    """A client of a new cluster."""
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
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


def workloads(_: str) -> Workloads:
    return {"remote_call": remote_call, "code_calls": code_calls, "code_modules": code_modules}


def versions() -> dict[str, str]:
    return {"distributed": importlib.metadata.version("distributed")}


def loop(_: str) -> str:
    return "tornado on asyncio"
